# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an install does not look whether the pages were invalidated meanwhile
# file: populate.c
# caught-by: explore fault-migrate
# caught-by: explore window-born
# report: stale access|a read saw
s/if \(mmu_interval_read_retry\(range->notifier, range->notifier_seq\)\)/if (0)/
