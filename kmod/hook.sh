#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Make the hooked units of stock rxe (hooks.awk).  Refuses a source that lacks a
# listed function, or has one with a text that nobody has reviewed.
#
#   kmod/hook.sh HOOKS RXE-SOURCE OUT [--unreviewed]
#
# HOOKS is kmod/hooks; OUT gets the units and, in OUT/texts, the bare texts.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
hooks=$1 rxe=$2 out=$3 unreviewed=${4:-}

die() {
	echo "kmod/hook.sh: $*" >&2
	exit 1
}

# Has somebody reviewed this text of @function?
reviewed() {
	awk -v unit="$1" -v name="$2" -v hash="$3" '
		$1 == unit && $3 == name { for (i = 4; i <= NF; i++) if ($i == hash) found = 1 }
		END { exit !found }' "$hooks"
}

bad=''
for unit in $(awk '!/^#/ && NF { print $1 }' "$hooks" | sort -u); do
	to=$out/$unit texts=$out/texts/$unit
	rm -rf "$texts"
	mkdir -p "$texts"
	[ -e "$rxe/$unit" ] || die "this rxe has no $unit: the kernel is not supported yet"
	awk -v unit="$unit" -v texts="$texts" -f "$top/hooks.awk" "$hooks" "$rxe/$unit" >"$to.new" ||
		die "this rxe is not what $hooks says, see above: the kernel is not supported yet"
	if cmp -s "$to.new" "$to"; then rm "$to.new"; else mv "$to.new" "$to"; fi
	for text in "$texts"/*; do
		hash=$(sha256sum <"$text" | cut -c 1-12)
		reviewed "$unit" "${text##*/}" "$hash" || bad+="  $unit ${text##*/} $hash"$'\n'
	done
done
[ -n "$bad" ] || exit 0
printf 'kmod/hook.sh: nobody has reviewed the text of (unit, function, hash):\n%s' "$bad" >&2
[ -n "$unreviewed" ] || die "not built; --unreviewed builds it all the same, to try the kernel (see kmod/hooks)"
