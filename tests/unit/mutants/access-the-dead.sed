# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an access does not look whether the region is dead
# file: access.c
# caught-by: explore kill-access
# caught-by: unit life
# report: a read after the end|life
s/if \(unlikely\(odp_region_dead\(region\)\)\)/if (0)/
