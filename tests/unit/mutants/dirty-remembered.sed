# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a new entry claims that its page was marked dirty
# file: table.c
# caught-by: explore write-reclaim
# caught-by: unit access
# caught-by: fuzz
# report: lost dirty|access|is not what the model holds
s/entry \|= ODP_ENTRY_WRITE;/entry |= ODP_ENTRY_WRITE | ODP_ENTRY_DIRTY;/
