# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# The provider, the two versions of rdma-core that it is for, and what programs have
# registered through it; after tap.sh.

provider=/odpreg/build/provider
layers=/run/odpreg-layers

# Their names without what libibverbs appends.
stable_driver=$provider/stable/provider/libodpreg
newest_driver=$provider/newest/provider/libodpreg

# The guest's root with a layer of the provider's directory, newest or other, laid over it:
# $layers/LAYER/root.
mount_layer() {
	local place=$layers/$1 directory
	mkdir -p "$place"/{root,upper,work}
	mount -t overlay -o "lowerdir=$provider/$1/root:/,upperdir=$place/upper,workdir=$place/work" \
		overlay "$place/root" || return 1
	for directory in proc sys dev odpreg tmp; do
		mount --rbind "/$directory" "$place/root/$directory" || return 1
	done
}

umount_layer() {
	# what is bound there is not to be removed with it
	umount -R "$layers/$1/root" && rm -rf --one-file-system "${layers:?}/$1"
}

# in_layer LAYER COMMAND...: there
in_layer() {
	chroot "$layers/$1/root" sh -c 'cd /tmp && exec "$@"' sh "${@:2}"
}

# ------------------------------------------------------------- what programs have registered

# What rdma says of the regions of processes by that name, and what the kernel has
# pinned for them.
look() {
	local pids
	rdma -dd resource show mr | sed -z 's/\n  */ /g' | grep "comm $1 "
	pids=$(pgrep -x "$1") || return
	# shellcheck disable=SC2086
	awk '$1 == "VmPin:" { print "pid", FILENAME, "has pinned", $2, "kB" }' $(printf '/proc/%s/status ' $pids) 2>/dev/null
}

# complete LENGTH SEEN: two ends, each with a region of a length that matches.
complete() {
	awk -v wanted="^($1)\$" '
		$1 == "dev" {
			for (i = 2; i < NF; i++)
				value[$i] = $(i + 1)
			if (value["mrlen"] ~ wanted && !known[value["pid"]]++)
				ends++
		}
		/ has pinned / { told++ }
		END { exit !(ends == 2 && told == 2) }' <<<"$2"
}

# Packets are sent: the counter of the device moves.
moving() {
	local counter=/sys/class/infiniband/$device/ports/1/hw_counters/sent_pkts before
	before=$(cat "$counter")
	sleep 0.2
	(($(cat "$counter") > before))
}

judge() {
	local mode=$1 seen=$2
	if [[ $mode == always ]]; then
		(($(grep -c '^dev' <<<"$seen") == $(grep -c '^dev.* drv_odp explicit' <<<"$seen") && $(grep -c ' has pinned 0 kB' <<<"$seen") == 2))
	else
		(($(grep -c '^dev.* drv_odp' <<<"$seen") == 0 && $(grep -c ' has pinned 0 kB' <<<"$seen") == 0))
	fi
}

# seen_as MODE NAME LENGTH PID: two processes by that name, while PID lives, are looked at when
# each has a region of a length that matches and data moves; what is seen is of that mode.
seen_as() {
	local mode=$1 name=$2 length=$3 pid=$4 tries=$(limit 600) seen=''
	while ((tries--)) && kill -0 "$pid" 2>/dev/null; do
		seen=$(look "$name")
		if complete "$length" "$seen" && moving && kill -0 "$pid"; then
			echo "$seen"
			judge "$mode" "$seen"
			return
		fi
		sleep 0.1
	done
	echo "$seen"
	echo "not seen with two ends, regions of length $length and data that moves"
	return 1
}

# watched MODE NAME LENGTH PORT COMMAND...: both ends, which are that command, the client's with
# the address of the server, run until they have been seen as seen_as tells.
watched() {
	local mode=$1 name=$2 length=$3 port=$4 server client code=0
	shift 4
	"$@" >/tmp/server.log 2>&1 &
	server=$!
	wait_listening "$port" || { kill "$server"; cat /tmp/server.log; return 1; }
	"$@" "$(address)" >/tmp/client.log 2>&1 &
	client=$!
	seen_as "$mode" "$name" "$length" "$client" || code=1
	kill "$client" "$server"
	wait "$client" "$server"
	((code == 0)) || cat /tmp/server.log /tmp/client.log
	return "$code"
}

# Check's own lines of a program, as results of this one, by a prefix.
tap_check() {
	local prefix=$1 file=/tmp/provider-check.tap skips=/tmp/provider-check.skips code=0 ran=no line name
	local -A skipped=()
	shift
	: >"$file"
	: >"$skips"
	CK_TAP_LOG_FILE_NAME=$file ODPREG_SKIP_LOG=$skips "$@" || code=$?
	while IFS= read -r line; do
		skipped[${line%%: *}]=${line#*: }
	done <"$skips"
	while IFS= read -r line; do
		[[ $line =~ ^(not\ )?ok\ [0-9]+\ -\ [^\ ]+\.c:[^:]*:([^:\ ]*):\ ?(.*)$ ]] || continue
		ran=yes
		name=${BASH_REMATCH[2]}
		if [[ ${BASH_REMATCH[1]} ]]; then
			tap_fail "${prefix}_$name" "${BASH_REMATCH[3]}"
		elif [[ -n ${skipped[$name]+set} ]]; then
			tap_skip "${prefix}_$name" "${skipped[$name]}"
		else
			tap_pass "${prefix}_$name"
		fi
	done <"$file"
	[[ $ran == yes ]] || tap_fail "$prefix" "ran no test, exit code $code"
	((code == 0 || code == 77 || tap_failed)) || tap_fail "$prefix" "exit code $code"
}
