# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: reapers take no place in their user's share
# file: window.c
# caught-by: unit share
# report: reapers_take_only
s/\t\todp_job_queue\(&region->reap\);/\t\tqueue_work(odp_wq, \&region->reap.work);/
