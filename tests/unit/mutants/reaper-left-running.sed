# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a region is freed without stopping its reaper
# file: region.c
# caught-by: explore destroy-reap
# caught-by: unit life
# report: use-after-free|under a timer|life
s/\tdisable_delayed_work_sync\(&region->reap_timer\);\n//
