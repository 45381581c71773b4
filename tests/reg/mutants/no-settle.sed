# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# nobody waits while changes are being told
# file: watch.c
# caught-by: stress
s/(memory_order_acquire\)) \& 1\)\n\t\tpause/\1 \& 0)\n\t\tpause/
