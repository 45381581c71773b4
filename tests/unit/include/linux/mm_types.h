/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_MM_TYPES_H
#define STUB_LINUX_MM_TYPES_H

#include <linux/atomic.h>
#include <linux/spinlock.h>

struct mm_struct;

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
};

struct address_space {
	struct inode *host;
};

/* A page is a struct, and memory of its own while it is in use. */
struct page {
	unsigned char		*data;		/* NULL: free */
	struct page		*head;
	unsigned int		order;		/* of the head */
	bool			dirty;		/* of the head */
	bool			shared_zero;
	bool			pmem;
	int			mapped;		/* kmap_local_page() */
	struct address_space	*mapping;	/* NULL: anonymous */
};

/* A folio is its head page. */
struct folio {
	struct page page;
};

struct vm_area_struct {
	unsigned long	vm_start, vm_end;
	unsigned long	vm_flags;	/* VM_*, and STUB_* of stub/mm.h */
	struct mm_struct *vm_mm;
};

#define VM_READ			(1UL << 0)
#define VM_WRITE		(1UL << 1)
#define VM_IO			(1UL << 8)
#define VM_PFNMAP		(1UL << 9)
#define VM_SHADOW_STACK		(1UL << 10)
#define VM_HUGETLB		(1UL << 11)

struct task_struct;
struct mem_cgroup;

#endif /* STUB_LINUX_MM_TYPES_H */
