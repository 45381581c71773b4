# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the short way waits, deaf, for the end of an invalidation
# file: populate.c
# caught-by: explore kill-invalidating
# report: deadlock
s/seq = READ_ONCE\(window->notifier.invalidate_seq\)/seq = mmu_interval_read_begin(\&window->notifier)/
s/seq != READ_ONCE\(window->calm_seq\) \|\| //
