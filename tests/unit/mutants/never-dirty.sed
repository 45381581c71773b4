# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a page that is written is not marked dirty
# file: access.c
# caught-by: explore write-reclaim
# caught-by: unit access
# report: lost dirty|access
s/\t\tfolio_mark_dirty\(page_folio\(page\)\);\n//
