/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_MM_H
#define STUB_LINUX_MM_H

#include <linux/mm_types.h>

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PMD_SHIFT		21
#define TASK_SIZE		((1UL << 47) - PAGE_SIZE)
#define SZ_2M			0x200000
#define PAGE_ALIGN(x) \
	(((x) + (__typeof__(x))PAGE_SIZE - 1) & \
	 ~((__typeof__(x))PAGE_SIZE - 1))
#define offset_in_page(x)	((unsigned long)(x) & (PAGE_SIZE - 1))

#define FAULT_FLAG_WRITE	(1U << 0)
#define FAULT_FLAG_ALLOW_RETRY	(1U << 2)
#define FAULT_FLAG_RETRY_NOWAIT	(1U << 3)
#define FAULT_FLAG_REMOTE	(1U << 7)

typedef unsigned int vm_fault_t;
#define VM_FAULT_OOM		(1U << 0)
#define VM_FAULT_SIGBUS		(1U << 1)
#define VM_FAULT_RETRY		(1U << 10)
#define VM_FAULT_ERROR		(VM_FAULT_OOM | VM_FAULT_SIGBUS)

#define page_folio(p)		((struct folio *)(p)->head)

struct page *pfn_to_page(unsigned long pfn);
unsigned long page_to_pfn(const struct page *page);
#define page_to_phys(p)		((phys_addr_t)page_to_pfn(p) << PAGE_SHIFT)

struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long va);
struct vm_area_struct *find_vma_intersection(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end);
int fixup_user_fault(struct mm_struct *mm, unsigned long va,
		     unsigned int flags, bool *unlocked);
struct pt_regs;
vm_fault_t handle_mm_fault(struct vm_area_struct *vma, unsigned long va,
			   unsigned int flags, struct pt_regs *regs);
bool folio_mark_dirty(struct folio *folio);

void stub_mmap_read_lock(struct mm_struct *mm);
bool stub_mmap_read_trylock(struct mm_struct *mm);
void stub_mmap_read_unlock(struct mm_struct *mm);

#define mmap_read_lock(mm)	stub_mmap_read_lock(mm)
#define mmap_read_trylock(mm)	stub_mmap_read_trylock(mm)
#define mmap_read_unlock(mm)	stub_mmap_read_unlock(mm)

#endif /* STUB_LINUX_MM_H */
