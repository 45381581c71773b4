/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_LIBNVDIMM_H
#define STUB_LINUX_LIBNVDIMM_H

#include <linux/types.h>

void arch_wb_cache_pmem(void *addr, size_t size);

#endif /* STUB_LINUX_LIBNVDIMM_H */
