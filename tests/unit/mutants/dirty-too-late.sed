# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a page is marked dirty after the lock was dropped
# file: access.c
# caught-by: explore write-clean
# report: lost dirty|stale access|a write is lost
s/\t\tfolio_mark_dirty\(page_folio\(page\)\);\n//
s/(out:\n\tread_unlock\(&leaf->lock\);\n)/\1\tif (write \&\& !ret)\n\t\tfolio_mark_dirty(page_folio(page));\n/
