/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_IO_H
#define STUB_LINUX_IO_H

#include <linux/types.h>

enum { REGION_INTERSECTS, REGION_DISJOINT, REGION_MIXED };

int region_intersects(phys_addr_t start, size_t size, unsigned long flags,
		      unsigned long desc);

#endif /* STUB_LINUX_IO_H */
