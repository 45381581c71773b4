# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the end of a region does not wake who waits
# file: region.c
# caught-by: explore kill-waiter
# caught-by: unit life
# report: wake|life|deadlock
s/wake_up_all\(&fault->wait\)/(void)fault/
