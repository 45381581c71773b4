/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_HUGETLB_H
#define STUB_LINUX_HUGETLB_H

#include <linux/mm.h>

static inline bool is_vm_hugetlb_page(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_HUGETLB;
}

#endif /* STUB_LINUX_HUGETLB_H */
