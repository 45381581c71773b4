# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an entry is writable where only the region says so
# file: table.c
# kernel: debug
# run: test_kunit
# report: odp_test_rights
s/region->writable && \(hmm_pfn & HMM_PFN_WRITE\)/region->writable/
