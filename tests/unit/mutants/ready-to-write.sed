# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a page counts as ready for writing when it is there for reading
# file: access.c
# caught-by: unit
# report: ready_is_ready
s/(bool odp_region_ready.*unsigned long need = ODP_ENTRY_PRESENT) \| \(write \? ODP_ENTRY_WRITE : 0\)/\1/
