# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a region is freed without stopping the timer of its starved requests
# file: region.c
# caught-by: unit life
# report: use-after-free|under a timer|life
s/\tdisable_delayed_work_sync\(&region->retry_timer\);\n//
