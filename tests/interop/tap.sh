# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# The contract of the test programs for those written in shell: a line per test
# in the file named by CK_TAP_LOG_FILE_NAME; skips, too, in ODPREG_SKIP_LOG;
# exit code 0, 1, or 77 when every test was skipped.

tap_file=${CK_TAP_LOG_FILE_NAME:-/dev/null}
tap_count=0 tap_failed=0 tap_skipped=0
tap_log=$(mktemp)
: >"$tap_file"
device=${ODPREG_DEVICE:-rxe0}

tap_line() {
	tap_count=$((tap_count + 1))
	echo "$1 $tap_count - $2" | tee -a "$tap_file"
}

tap_pass() {
	tap_line "ok" "$1"
}

tap_fail() {
	tap_failed=$((tap_failed + 1))
	tap_line "not ok" "$1${2:+: $2}"
}

tap_skip() {
	tap_skipped=$((tap_skipped + 1))
	tap_line "ok" "$1"
	echo "skipped: $1: $2"
	[[ -z ${ODPREG_SKIP_LOG:-} ]] || echo "$1: $2" >>"$ODPREG_SKIP_LOG"
}

# tap_run NAME COMMAND...: passes when the command succeeds; shows what it said
# when it does not.
tap_run() {
	local name=$1 code=0
	shift
	"$@" >"$tap_log" 2>&1 || code=$?
	if ((code == 0)); then
		tap_pass "$name"
		return 0
	fi
	sed 's/^/    /' "$tap_log"
	tap_fail "$name" "exit code $code"
	return 1
}

tap_end() {
	echo "1..$tap_count" >>"$tap_file"
	rm -f "$tap_log"
	((tap_failed == 0)) || exit 1
	((tap_count > 0)) || exit 1
	((tap_skipped < tap_count)) || exit 77
	exit 0
}

has_odp() {
	ibv_devinfo -v -d "$device" | grep -q 'ODP_SUPPORT'
}

# The entry of the device's GID table that stands for its IPv4 address, or one that
# matches: the tools of other people want its index.
gid_index() {
	local gids=/sys/class/infiniband/$device/ports/1/gids wanted=${1:-0000:0000:0000:0000:0000:ffff:*} index
	for index in $(ls "$gids" | sort -n); do
		if [[ $(cat "$gids/$index") == $wanted ]]; then
			echo "$index"
			return
		fi
	done
	echo "no GID like $wanted on $device" >&2
	return 1
}

# The IPv4 address of the device, out of its GID.
address() {
	local gid
	gid=$(cat "/sys/class/infiniband/$device/ports/1/gids/$(gid_index)")
	gid=${gid#*:ffff:}
	gid=${gid//:/}
	printf '%d.%d.%d.%d\n' "0x${gid:0:2}" "0x${gid:2:2}" "0x${gid:4:2}" "0x${gid:6:2}"
}

# limit SECONDS: as many as that is on this machine (tests/vm/guest-tests measures it)
limit() {
	echo $(($1 * ${ODPREG_PACE:-100} / 100))
}

wait_listening() {
	local port=$1 tries=$(($(limit 15) * 10))
	until ss -Hltn "sport = :$port" | grep -q .; do
		((--tries)) || { echo "nobody listens on port $port" >&2; return 1; }
		sleep 0.1
	done
}

# both SECONDS PORT PROGRAM ARGUMENT...: the program as server, then as client
# of it; both must end well within the time.
both() {
	local seconds port=$2 program=$3 code=0 server
	seconds=$(limit "$1")
	shift 3
	timeout -k 5 "$seconds" "$program" -p "$port" "$@" &
	server=$!
	wait_listening "$port" || { kill "$server"; wait "$server"; return 1; }
	timeout -k 5 "$seconds" "$program" -p "$port" "$@" "$(address)" || code=$?
	((code == 0)) || kill "$server" 2>/dev/null
	wait "$server" || code=$?
	return "$code"
}
