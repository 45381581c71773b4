# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# a dead region is handed out
# file: region.c
# caught-by: check
s/\(REGION_READY \| REGION_DEAD\)\) == REGION_READY/REGION_READY) == REGION_READY/
