# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# The provider and the two versions of rdma-core that it is for; after tap.sh.

provider=/odpreg/build/provider
newest_root=/run/odpreg-newest

# Their names without what libibverbs appends.
stable_driver=$provider/stable/provider/libodpreg
newest_driver=$provider/newest/provider/libodpreg

# The guest's root with the newest rdma-core laid over it.
mount_newest() {
	local directory
	mkdir -p "$newest_root"/{root,upper,work}
	mount -t overlay -o "lowerdir=$provider/newest/root:/,upperdir=$newest_root/upper,workdir=$newest_root/work" \
		overlay "$newest_root/root" || return 1
	for directory in proc sys dev odpreg tmp; do
		mount --rbind "/$directory" "$newest_root/root/$directory" || return 1
	done
}

umount_newest() {
	# what is bound there is not to be removed with it
	umount -R "$newest_root/root" && rm -rf --one-file-system "$newest_root"
}

# in_newest COMMAND...: there
in_newest() {
	chroot "$newest_root/root" sh -c 'cd /tmp && exec "$@"' sh "$@"
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
