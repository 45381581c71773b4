# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an entry is writable where only the region says so
# file: table.c
# caught-by: unit table
# caught-by: fuzz
# report: access|zero page|wrong
s/region->writable && \(hmm_pfn & HMM_PFN_WRITE\)/region->writable/
