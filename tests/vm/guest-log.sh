# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# Shared by what runs in the guest: what the kernel said meanwhile, and what of
# it tells of trouble.

# What must not be in a kernel log, whatever the test did. An out-of-memory
# kill is no defect: it prints a call trace, so that is not looked for.
trouble='BUG:|BUG at|Oops|WARNING:|general protection|unable to handle|KASAN|KCSAN|UBSAN|kmemleak'
trouble+='|possible (circular|recursive|irq|deadlock)|inconsistent lock|suspicious RCU|sleeping function|scheduling while atomic'
trouble+='|INFO: task .* blocked|detected.* stall|soft lockup|hard LOCKUP|refcount_t|list_(add|del) corruption|Object corrupt|Bad page|bad page'
trouble+='|rxe_pool|double free|use-after-free|memory leak|Kernel panic|trying to register non-static key|DEBUG_LOCKS'

# Reports that are not ours, whole lines of them: docs/verification.md tells of each.
known=/odpreg/src/tests/vm/debug/known

# mark_kernel_log NAME: prints what kernel_log_since takes.
mark_kernel_log() {
	local mark="odpreg-mark: $1 $RANDOM$RANDOM"
	echo "<5>$mark" >/dev/kmsg
	echo "$mark"
}

kernel_log_since() {
	dmesg | awk -v mark="$1" 'on { print } index($0, mark) { on = 1 }'
}

# Lines of a log that tell of trouble and are not known.
troubles() {
	grep -E "$trouble" "$1" | sed 's/^\[[^]]*\] *//; s/+0x[0-9a-f]*\/0x[0-9a-f]*//g' | grep -vxFf <(grep -v '^#' "$known")
}
