# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a page counts as ready for writing when it is there for reading
# file: access.c
# caught-by: unit life
# report: ready_is_ready
s/(u64 odp_region_ready_bytes.*odp_need\()write\)/\1false)/
