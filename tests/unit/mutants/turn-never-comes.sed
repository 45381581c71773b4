# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a request that waits for its turn is forgotten
# file: owner.c
# caught-by: unit life
# report: users_have_their_shares|deadlock|a fault is left
s/(\t\tlist_del\(&fault->turn\);\n.*\tif \(fault\)\n)\t\tqueue_work\(odp_wq, &fault->work\);/\1\t\t(void)fault;/
