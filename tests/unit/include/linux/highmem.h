/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_HIGHMEM_H
#define STUB_LINUX_HIGHMEM_H

#include <linux/mm.h>

void *kmap_local_page(struct page *page);
void kunmap_local(const void *kaddr);

#endif /* STUB_LINUX_HIGHMEM_H */
