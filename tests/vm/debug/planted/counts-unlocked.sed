# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: every access counts itself without a lock or an atomic
# file: access.c
# kernel: kcsan
# run: test_events_load
# append: kcsan.skip_watch=1000 kcsan.udelay_task=400
# report: KCSAN: data-race in .*odp_
s/(\tread_lock\(&leaf->lock\);\n)/\1\todp_gauges.stat[ODP_STAT_COLLISIONS].counter++;\n/
