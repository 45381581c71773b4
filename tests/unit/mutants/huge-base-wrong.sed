# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a huge entry found in the middle of its page is not moved to the start
# file: table.c
# caught-by: unit table
# report: table
s/entry - \(\(unsigned long\)slot << ODP_ENTRY_PFN_SHIFT\)/entry/
