/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_PAGEMAP_H
#define STUB_LINUX_PAGEMAP_H

#include <linux/mm.h>

static inline bool folio_test_anon(const struct folio *folio)
{
	return !folio->page.mapping;
}

static inline struct address_space *folio_mapping(const struct folio *folio)
{
	return folio->page.mapping;
}

#endif /* STUB_LINUX_PAGEMAP_H */
