#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Build rdma_odp.ko and rdma_rxe.ko for one kernel.
#
#   kmod/build.sh --kernel KVER --rxe-source DIR --out DIR [--kernel-build DIR]
#                 [--unreviewed] [-jN]
#
# KVER        kernel release; its headers are in /lib/modules/KVER/build
#             unless --kernel-build names another place
# rxe-source  the unpacked drivers/infiniband/sw/rxe of the same kernel package;
#             read, never written
# out         build directory; the modules are put there. Incremental.
# unreviewed  build although functions that ours hook or rely on (kmod/hooks) have
#             a text that nobody has reviewed: to try a kernel, not to trust it
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kver='' kdir='' rxe='' out='' unreviewed='' jobs=-j$(nproc)

die() {
	echo "kmod/build.sh: $*" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	--kernel | --kernel-build | --rxe-source | --out) [ $# -ge 2 ] || die "$1 needs a value" ;;&
	--kernel) kver=$2; shift 2 ;;
	--kernel-build) kdir=$2; shift 2 ;;
	--rxe-source) rxe=$2; shift 2 ;;
	--out) out=$2; shift 2 ;;
	--unreviewed) unreviewed=yes; shift ;;
	-j*) jobs=$1; shift ;;
	*) die "unknown argument '$1'; usage: --kernel KVER --rxe-source DIR --out DIR [--kernel-build DIR] [--unreviewed] [-jN]" ;;
	esac
done
[ -n "$kver" ] && [ -n "$rxe" ] && [ -n "$out" ] ||
	die "usage: --kernel KVER --rxe-source DIR --out DIR [--kernel-build DIR] [--unreviewed] [-jN]"

kdir=${kdir:-/lib/modules/$kver/build}
[ -e "$kdir/Makefile" ] ||
	die "no kernel headers in $kdir; install linux-headers-$kver"
[ -e /proc/self ] ||
	die "/proc is not mounted here; the kernel's build tools (objtool) read it"
[ -e "$rxe/rxe_mr.c" ] ||
	die "no rxe source in $rxe: unpack drivers/infiniband/sw/rxe of the linux-source package of $kver there"

# Copy what changed, so that make rebuilds that and nothing else.
sync_tree() {
	local from=$1 to=$2 f
	mkdir -p "$to"
	(cd "$from" && find . -type f \( -name '*.[ch]' -o -name 'Kbuild' -o -name 'Makefile' \)) |
	while read -r f; do
		cmp -s "$from/$f" "$to/$f" && continue
		mkdir -p "$to/$(dirname "$f")"
		cp "$from/$f" "$to/$f"
	done
}

# The stock directory holds what its package has and nothing of another kernel.
drop_strangers() {
	local from=$1 to=$2 f
	(cd "$to" && find . -name '*.[ch]') |
	while read -r f; do
		[ -e "$from/$f" ] || rm "$to/$f"
	done
}

# What compiles against this kernel is there; the answer changes only with it.
probe() {
	local config=$out/compat/odp_compat_config.h new=$out/compat/config.new p name
	make -k -C "$kdir" M="$out/compat" "$jobs" modules >"$out/compat/probe.log" 2>&1 || true
	# A probe that fails for another reason would be taken for an old kernel.
	[ -e "$out/compat/probe_headers.o" ] ||
		die "cannot compile anything for $kver; see $out/compat/probe.log"
	echo "/* Made by kmod/build.sh for $kver. */" >"$new"
	for p in "$out"/compat/probe_*.c; do
		name=$(basename "$p" .c)
		[ -e "${p%.c}.o" ] || continue
		name=${name#probe_}
		echo "#define ODP_HAVE_${name^^} 1" >>"$new"
	done
	if cmp -s "$new" "$config"; then rm "$new"; else mv "$new" "$config"; fi
}

mkdir -p "$out"
out=$(cd "$out" && pwd)
sync_tree "$top" "$out"
sync_tree "$rxe" "$out/rxe/stock"
drop_strangers "$rxe" "$out/rxe/stock"
"$top/hook.sh" "$top/hooks" "$rxe" "$out/rxe/hooked" ${unreviewed:+--unreviewed} ||
	die "rxe of $kver: see above"
stamp="$kver $(cat "$out"/compat/probe_*.c "$out"/rxe/stock/*.h | sha256sum)"
if [ ! -e "$out/compat/odp_compat_config.h" ] ||
	[ "$(cat "$out/compat/stamp" 2>/dev/null)" != "$stamp" ]; then
	probe
	echo "$stamp" >"$out/compat/stamp"
fi

version=$(cat "$top/VERSION")
make -C "$kdir" M="$out" "$jobs" ODPREG_VERSION="$version" modules
cp "$out/odp/rdma_odp.ko" "$out/rxe/rdma_rxe.ko" "$out/"
# Kernels with KUnit get its suites.
[ ! -e "$out/tests/rdma_odp_test.ko" ] || cp "$out/tests/rdma_odp_test.ko" "$out/"
