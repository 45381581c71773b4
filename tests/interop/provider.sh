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
	umount -R "$newest_root/root" 2>/dev/null
	rm -rf "$newest_root"
}

# in_newest COMMAND...: there
in_newest() {
	chroot "$newest_root/root" sh -c 'cd /tmp && exec "$@"' sh "$@"
}

# Check's own lines of a program, as results of this one, by a prefix.
tap_check() {
	local prefix=$1 file=/tmp/provider-check.tap skips=/tmp/provider-check.skips code=0 line name
	shift
	: >"$file"
	: >"$skips"
	CK_TAP_LOG_FILE_NAME=$file ODPREG_SKIP_LOG=$skips "$@" || code=$?
	while IFS= read -r line; do
		name=$(sed -E 's/^(not )?ok [0-9]+ - [^ ]+\.c:[^:]*:([^: ]*):.*/\2/' <<<"$line")
		case $line in
		'not ok '*) tap_fail "${prefix}_$name" "${line#*$name: }" ;;
		'ok '*)
			if grep -q "^$name: " "$skips"; then
				tap_skip "${prefix}_$name" "$(sed -n "s/^$name: //p" "$skips" | head -n 1)"
			else
				tap_pass "${prefix}_$name"
			fi
			;;
		esac
	done <"$file"
	((code == 0 || code == 77)) || grep -q '^not ok' "$file" || tap_fail "$prefix" "exit code $code"
	grep -q '^\(not \)\?ok' "$file" || tap_fail "$prefix" "ran no test"
}
