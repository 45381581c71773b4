# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# a region that was found may have become another's before it was counted in
# file: get.c
# caught-by: check
s/if \(interval_same\(set, ticket\) && region_ready\(state\)\)/if (region_ready(state))/
