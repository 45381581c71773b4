# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a fault's work writes to the stack of its waiter, which may have returned
# file: fault.c
# caught-by: stack kill-waiter
# report: stack-use-after-return
s/(static void odp_fault_release)/static int *volatile odp_left;\n\n\1/
s/(\tsmp_store_release\(&fault->done, true\);\n)/\tif (odp_left)\n\t\t*odp_left = 1;\n\1/
s/(static int odp_fault_wait\(struct odp_fault \*fault\)\n\{\n)/\1\tint waiting = 1;\n\n\todp_left = \&waiting;\n/
