# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a reaper that is queued does not hold its region
# file: window.c
# caught-by: explore destroy-reap
# caught-by: unit share
# report: use-after-free|refcount|Failure|share
s/\tif \(odp_region_tryget\(region\)\)\n\t//
s/(\tatomic_set_release\(&region->reaping, 0\);\n)\todp_region_put\(region\);\n/\1/
