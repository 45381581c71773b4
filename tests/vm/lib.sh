# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# Shared by the scripts that make and boot guests: where things are kept, how
# long steps are shown, how failures are told.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(cd "$vm_dir/../.." && pwd -P)
cache=${ODPREG_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/odpreg}
build=${ODPREG_BUILD:-$top/build}
[[ $cache == /* ]] || cache=$PWD/$cache
[[ $build == /* ]] || build=$PWD/$build

die() {
	printf 'odpreg: %s\n' "$*" >&2
	exit 1
}

note() {
	printf 'odpreg: %s\n' "$*" >&2
}

need_root() {
	[[ $(id -u) -eq 0 ]] ||
		die "${0##*/} makes root filesystems, mounts and guests, and must run as root (./odpreg uses sudo by itself)"
}

# The log of a failed step is what its reader needs; a full disk is the most
# common cause and hides well in other people's messages, so it is named.
step_failed() {
	local what=$1 log=$2 seconds=$3
	printf 'odpreg: FAILED after %d s: %s\n' "$seconds" "$what" >&2
	[[ -s $log ]] && { tail -n 40 "$log" | sed 's/^/    /' >&2; }
	local where free
	for where in "$cache" "$build"; do
		[[ -d $where ]] || continue
		free=$(df --output=avail -BM "$where" | tail -n 1 | tr -dc 0-9)
		if ((free < 200)); then
			printf 'odpreg: the disk that holds %s is full (%s MiB free)\n' "$where" "$free" >&2
		fi
	done
}

# step TEXT COMMAND...: run COMMAND with its output in a log, showing TEXT and
# the seconds that went by: every second on a terminal, else every 15 seconds.
step() {
	local what=$1 log start=$SECONDS pid rc=0 last=0 now
	shift
	log=$(mktemp "${TMPDIR:-/tmp}/odpreg-step.XXXXXX") || die "cannot write to ${TMPDIR:-/tmp}"
	"$@" </dev/null >"$log" 2>&1 &
	pid=$!
	[[ -t 2 ]] || printf 'odpreg: %s ...\n' "$what" >&2
	while kill -0 "$pid" 2>/dev/null; do
		now=$((SECONDS - start))
		if [[ -t 2 ]]; then
			printf '\r\033[Kodpreg: %s ... %d s' "$what" "$now" >&2
		elif ((now >= last + 15)); then
			last=$now
			printf 'odpreg: %s ... %d s\n' "$what" "$now" >&2
		fi
		sleep 0.5
	done
	wait "$pid" || rc=$?
	now=$((SECONDS - start))
	[[ -t 2 ]] && printf '\r\033[K' >&2
	if ((rc)); then
		step_failed "$what" "$log" "$now"
		rm -f "$log"
		return "$rc"
	fi
	printf 'odpreg: %s: done, %d s\n' "$what" "$now" >&2
	rm -f "$log"
}

# Kernels are known by the names 6.12 (Debian 13's own), 7.2 (the newest usable
# one of its backports, whatever its number is by then), and debug and kcsan
# (of the same source as 7.2: tests/vm/debug-kernel).
kernel_label() {
	case $1 in
	6.12 | stable) echo 6.12 ;;
	7.2 | backports) echo 7.2 ;;
	debug | kcsan) echo "$1" ;;
	*) die "unknown kernel '$1': say 6.12, 7.2, debug or kcsan" ;;
	esac
}

# The test programs that there are, one a line, by what they are built from: known before a build.
known_programs() {
	local file name
	for file in "$top"/tests/kernel/test_*.c "$top"/tests/interop/test_*; do
		name=${file##*/}
		[[ $name == *.timeout || ! -f $file ]] || echo "${name%.c}"
	done
	for file in "$top"/tests/reg/guest/test_*.c; do
		name=${file##*/}
		printf '%s\n' "${name%.c}" "${name%.c}_asan" "${name%.c}_tsan"
	done
	file=$top/tests/kernel/CMakeLists.txt
	for name in $(sed -n 's/^set(IMPLICIT \(.*\))$/\1/p' "$file"); do
		echo "test_implicit_$name"
	done
	for name in $(sed -n 's/^foreach(way \(.*\))$/\1/p' "$file"); do
		echo "test_conformance_$name"
	done
	echo test_soak
}

# find_kernel LABEL ROOTFS: sets kernel_release, kernel_image, kernel_rxe (its rxe
# sources) and, for a kernel that we built, kernel_home (see tests/vm/debug-kernel).
# shellcheck disable=SC2034
find_kernel() {
	local label=$1 rootfs=$2
	kernel_home=''
	case $label in
	debug | kcsan)
		kernel_home=$("$vm_dir/debug-kernel" --where "$label")
		kernel_release=$(cat "$kernel_home/release")
		kernel_image=$kernel_home/vmlinuz
		kernel_rxe=rxe-7.2
		;;
	*)
		kernel_release=$(awk -v label="$label" '$1 == label { print $2 }' "$rootfs/kernels")
		kernel_image=$rootfs/vmlinuz-$label
		kernel_rxe=rxe-$label
		;;
	esac
}

# The host's own idea of where Debian packages come from.
mirror() {
	local uri=${ODPREG_MIRROR:-}
	if [[ -z $uri ]]; then
		uri=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(SUITE) $(REPO_URI)' 'Identifier: Packages' |
			awk '$1 == "Debian" && $2 == "main" && $3 !~ /security/ && $NF !~ /security/ { print $NF; exit }')
	fi
	[[ -n $uri ]] || die "apt on this machine knows no Debian archive (apt-get indextargets names none): run 'apt-get update', or set ODPREG_MIRROR to the address of one"
	echo "$uri"
}

# A proxy that the host's apt is told to use is the way out for ours too.
apt_options() {
	apt-config dump | grep -iE '^Acquire::[a-z]+::Proxy[^ ]* "[^"]+";' || true
}
