# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: fault requests are not freed
# file: fault.c
# kernel: debug
# run: test_events
# report: unreferenced object
s/\tkfree\(container_of\(kref, struct odp_fault, kref\)\);\n/\t(void)kref;\n/
