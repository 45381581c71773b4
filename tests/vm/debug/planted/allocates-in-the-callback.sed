# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the notifier callback allocates memory that reclaim may have to free
# file: notifier.c
# kernel: debug
# run: test_events
# report: possible (circular|recursive) locking dependency|sleeping function called
s/(#include <linux\/mmu_notifier.h>\n)/\1#include <linux\/slab.h>\n/
s/(\tpages = odp_table_clear\(window, start, end\);\n)/\1\tkfree(kmalloc(64, GFP_KERNEL));\n/
