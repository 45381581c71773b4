# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an invalidation leaves the last page of its range
# file: table.c
# caught-by: unit table
# caught-by: fuzz
# report: table|access|ranges|window|stale access
s/for_each_set_bit_from\(slot, leaf->present, last \+ 1\)/for_each_set_bit_from(slot, leaf->present, last)/
