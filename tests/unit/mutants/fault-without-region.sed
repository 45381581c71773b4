# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a fault in flight does not hold its region
# file: fault.c
# caught-by: explore destroy-prefetch
# report: use-after-free|refcount
s/\todp_region_get\(region\);\n//
s/(\tatomic_long_dec\(&odp_gauges.faults\);\n)\todp_region_put\(region\);\n/\1/
