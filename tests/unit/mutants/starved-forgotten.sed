# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: who had no memory for a request is never notified
# file: fault.c
# caught-by: unit life
# report: requests_are_paid_for|life
s/\tqueue_delayed_work\(odp_wq, &region->retry_timer, ODP_RETRY_DELAY\);\n//
