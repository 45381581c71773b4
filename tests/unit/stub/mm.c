// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Address spaces: mappings, page table, faults, and asking the page table. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <linux/magic.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mm.h"
#include "odp.h"

#define HUGE_ORDER	9
#define HUGE_VPNS	(1UL << HUGE_ORDER)

static struct super_block secret_sb = { .s_magic = SECRETMEM_MAGIC };
static struct inode secret_inode = { .i_sb = &secret_sb };
static struct address_space secret_mapping = { .host = &secret_inode };
static struct super_block file_sb = { .s_magic = 1 };
static struct inode file_inode = { .i_sb = &file_sb };
static struct address_space file_mapping = { .host = &file_inode };

struct mm_struct *stub_mm_new(void)
{
	struct mm_struct *mm = calloc(1, sizeof(*mm));

	if (!mm)
		stub_bug("stub", "out of memory");
	mm->users = 1;
	mm->count = 1;
	stub_rw_init(&mm->mmap_lock);
	spin_lock_init(&mm->ptl);
	init_waitqueue_head(&mm->uffd_wait);
	stub_mn_init(mm);
	return mm;
}

/* mmap_lock is a lock that one may sleep under. */
void stub_mmap_read_lock(struct mm_struct *mm)
{
	stub_might_sleep("mmap_read_lock");
	stub_read_lock(&mm->mmap_lock, "mmap_read_lock");
	current->atomic--;
}

bool stub_mmap_read_trylock(struct mm_struct *mm)
{
	if (!stub_read_trylock(&mm->mmap_lock, "mmap_read_trylock"))
		return false;
	current->atomic--;
	return true;
}

void stub_mmap_read_unlock(struct mm_struct *mm)
{
	current->atomic++;
	stub_read_unlock(&mm->mmap_lock, "mmap_read_unlock");
}

void stub_mmap_write_lock(struct mm_struct *mm)
{
	stub_might_sleep("mmap_write_lock");
	stub_write_lock(&mm->mmap_lock, "mmap_write_lock");
	current->atomic--;
}

void stub_mmap_write_unlock(struct mm_struct *mm)
{
	current->atomic++;
	stub_write_unlock(&mm->mmap_lock, "mmap_write_unlock");
}

void mmgrab(struct mm_struct *mm)
{
	__atomic_add_fetch(&mm->count, 1, __ATOMIC_RELAXED);
}

void mmdrop(struct mm_struct *mm)
{
	if (!__atomic_sub_fetch(&mm->count, 1, __ATOMIC_SEQ_CST))
		free(mm);
}

bool mmget_not_zero(struct mm_struct *mm)
{
	int users = __atomic_load_n(&mm->users, __ATOMIC_RELAXED);

	stub_point("mmget_not_zero");
	users = __atomic_load_n(&mm->users, __ATOMIC_RELAXED);
	do {
		if (!users)
			return false;
	} while (!__atomic_compare_exchange_n(&mm->users, &users, users + 1,
					      true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return true;
}

void mmput(struct mm_struct *mm)
{
	stub_might_sleep("mmput");
	stub_point("mmput");
	if (__atomic_sub_fetch(&mm->users, 1, __ATOMIC_SEQ_CST))
		return;
	stub_exit_mm(mm);
	mmdrop(mm);
}

/* The last user's exit may be more than the caller has time for. */
static long exits;

long stub_exits(void)
{
	return __atomic_load_n(&exits, __ATOMIC_RELAXED);
}

static bool no_exits(void *unused)
{
	return !stub_exits();
}

void stub_exits_wait(void)
{
	stub_big_lock();
	stub_big_wait(no_exits, NULL, ULONG_MAX, "exits");
	stub_big_unlock();
}

static void exit_run(void *mm)
{
	stub_exit_mm(mm);
	mmdrop(mm);
	stub_big_lock();
	__atomic_sub_fetch(&exits, 1, __ATOMIC_RELAXED);
	stub_big_wake();
	stub_big_unlock();
}

void mmput_async(struct mm_struct *mm)
{
	stub_point("mmput_async");
	if (__atomic_sub_fetch(&mm->users, 1, __ATOMIC_SEQ_CST))
		return;
	__atomic_add_fetch(&exits, 1, __ATOMIC_RELAXED);
	stub_spawn("exit", NULL, exit_run, mm);
}

/* Mappings */

static void vma_add(struct mm_struct *mm, unsigned long start,
		    unsigned long end, unsigned int flags)
{
	if (start >= end || !flags)
		return;
	if (mm->vmas == STUB_VMAS)
		stub_bug("stub", "too many mappings");
	mm->vma[mm->vmas++] = (struct vm_area_struct){ start, end, flags, mm };
}

/* Replace what is in [start, end) by @flags; 0 is nothing. */
void stub_paint(struct mm_struct *mm, unsigned long start, unsigned long end,
		unsigned int flags)
{
	struct vm_area_struct old;
	unsigned int i = 0;

	while (i < mm->vmas) {
		old = mm->vma[i];
		if (old.vm_start >= end || old.vm_end <= start) {
			i++;
			continue;
		}
		mm->vma[i] = mm->vma[--mm->vmas];
		vma_add(mm, old.vm_start, min(start, old.vm_end), old.vm_flags);
		vma_add(mm, max(end, old.vm_start), old.vm_end, old.vm_flags);
	}
	vma_add(mm, start, end, flags);
}

/* The first mapping that has a part of [start, end). */
struct vm_area_struct *find_vma_intersection(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end)
{
	struct vm_area_struct *vma, *first = NULL;

	for (vma = mm->vma; vma < mm->vma + mm->vmas; vma++)
		if (vma->vm_start < end && vma->vm_end > start &&
		    (!first || vma->vm_start < first->vm_start))
			first = vma;
	return first;
}

struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long va)
{
	return find_vma_intersection(mm, va, va + 1);
}

unsigned int stub_vma_flags(struct mm_struct *mm, unsigned long va)
{
	struct vm_area_struct *vma = vma_lookup(mm, va);

	return vma ? vma->vm_flags : 0;
}

/* The page table */

static struct stub_pte **pte_bucket(struct mm_struct *mm, unsigned long vpn)
{
	return &mm->pte[(vpn ^ (vpn >> 9)) % STUB_BUCKETS];
}

static struct stub_pte *pte_exact(struct mm_struct *mm, unsigned long vpn,
				  unsigned int order)
{
	struct stub_pte *pte = *pte_bucket(mm, vpn);

	while (pte && (pte->vpn != vpn || pte->order != order))
		pte = pte->next;
	return pte;
}

struct stub_pte *stub_pte_find(struct mm_struct *mm, unsigned long va)
{
	unsigned long vpn = va >> PAGE_SHIFT;
	struct stub_pte *pte = pte_exact(mm, vpn & -HUGE_VPNS, HUGE_ORDER);

	return pte ? pte : pte_exact(mm, vpn, 0);
}

struct stub_pte *stub_pte_add(struct mm_struct *mm, unsigned long vpn)
{
	struct stub_pte *pte = calloc(1, sizeof(*pte));

	if (!pte)
		stub_bug("stub", "out of memory");
	pte->vpn = vpn;
	pte->next = *pte_bucket(mm, vpn);
	*pte_bucket(mm, vpn) = pte;
	return pte;
}

static struct page *pte_page(struct stub_pte *pte, unsigned long va)
{
	return pte->page + ((va >> PAGE_SHIFT) - pte->vpn);
}

/* Faults */

static bool thp_fits(struct mm_struct *mm, unsigned long va,
		     unsigned int flags)
{
	unsigned long start = va & -(HUGE_VPNS << PAGE_SHIFT);

	return (flags & (STUB_THP | VM_HUGETLB)) && stub_vma_flags(mm, start) == flags &&
	       stub_vma_flags(mm, start + (HUGE_VPNS << PAGE_SHIFT) - 1) ==
	       flags && !stub_pte_find(mm, start);
}

static struct page *fresh_page(struct stub_pte *pte, unsigned int flags,
			       bool write)
{
	struct page *page;

	if (!write && !pte->backing && !pte->order &&
	    !(flags & (STUB_SECRET | STUB_PMEM)))
		return stub_zero_page();
	page = stub_page_alloc(pte->order);
	if (pte->backing)
		memcpy(page->data, pte->backing, PAGE_SIZE);
	page->pmem = flags & STUB_PMEM;
	if (flags & STUB_SECRET)
		page->mapping = &secret_mapping;
	else if (flags & STUB_PMEM)
		page->mapping = &file_mapping;
	return page;
}

/* Bring a page in where none is. */
static void fault_missing(struct mm_struct *mm, unsigned long va,
			  unsigned int flags, bool write)
{
	unsigned long vpn = va >> PAGE_SHIFT;
	struct stub_pte *pte;

	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	if (!pte && thp_fits(mm, va, flags)) {
		pte = stub_pte_add(mm, vpn & -HUGE_VPNS);
		pte->order = HUGE_ORDER;
	} else if (!pte) {
		pte = stub_pte_add(mm, vpn);
	}
	if (!pte->page) {
		pte->page = fresh_page(pte, flags, write);
		pte->writable = (flags & STUB_WRITE) && !pte->page->shared_zero;
		pte->dirty = write;
	}
	spin_unlock(&mm->ptl);
}

/* The page is there and not writable: copy the zero page, or allow it. */
static void fault_upgrade(struct mm_struct *mm, unsigned long va)
{
	unsigned long start = va & PAGE_MASK;
	struct stub_pte *pte;
	bool copy;

	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	copy = pte && pte->page && pte->page->shared_zero;
	if (pte && pte->page && !copy) {
		pte->writable = true;
		pte->dirty = true;
	}
	spin_unlock(&mm->ptl);
	if (!copy)
		return;

	stub_mn_start(mm, start, start + PAGE_SIZE, true);
	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	if (pte && pte->page && pte->page->shared_zero) {
		pte->page = stub_page_alloc(0);
		pte->writable = true;
		pte->dirty = true;
	}
	spin_unlock(&mm->ptl);
	stub_mn_end(mm);
}

static bool fault_needed(struct mm_struct *mm, unsigned long va, bool write,
			 bool *missing)
{
	struct stub_pte *pte;
	bool needed;

	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	*missing = !pte || !pte->page;
	needed = *missing || (write && !pte->writable);
	spin_unlock(&mm->ptl);
	return needed;
}

/*
 * With mmap_lock held for reading.  -EAGAIN: a userfaultfd handler must bring
 * the page.
 */
int stub_handle_fault(struct mm_struct *mm, unsigned long va, bool write)
{
	unsigned int flags = stub_vma_flags(mm, va);
	bool missing;

	if (!(flags & STUB_READ))
		return -EFAULT;
	if (write && !(flags & STUB_WRITE))
		return -EPERM;
	if (flags & STUB_POISON)
		return -EHWPOISON;
	if ((flags & STUB_SPECIAL) || !fault_needed(mm, va, write, &missing))
		return 0;
	if (missing && (flags & STUB_UFFD))
		return -EAGAIN;
	if (stub_should_fail())
		return -ENOMEM;
	if (missing)
		fault_missing(mm, va, flags, write);
	else
		fault_upgrade(mm, va);
	return 0;
}

int fixup_user_fault(struct mm_struct *mm, unsigned long va,
		     unsigned int flags, bool *unlocked)
{
	unsigned int seen;
	int ret;

	for (;;) {
		seen = stub_wait_seen(&mm->uffd_wait);
		ret = stub_handle_fault(mm, va, flags & FAULT_FLAG_WRITE);
		if (ret != -EAGAIN)
			return ret == -EPERM ? -EFAULT : ret;
		mmap_read_unlock(mm);
		stub_wait(&mm->uffd_wait, seen, ULONG_MAX, "userfaultfd");
		mmap_read_lock(mm);
		*unlocked = true;
	}
}

unsigned int memalloc_noio_save(void)
{
	bool noio = current->noio;

	current->noio = true;
	return noio;
}

void memalloc_noio_restore(unsigned int flags)
{
	current->noio = flags;
}

/* For who must not wait: mmap_lock is held all the time. */
vm_fault_t handle_mm_fault(struct vm_area_struct *vma, unsigned long va,
			   unsigned int flags, struct pt_regs *regs)
{
	bool write = flags & FAULT_FLAG_WRITE;

	if (!(flags & FAULT_FLAG_RETRY_NOWAIT) ||
	    !(flags & FAULT_FLAG_ALLOW_RETRY))
		stub_bug("fault", "in a caller that must not wait");
	if (!current->noio)
		stub_bug("fault", "in a caller that must not reclaim");
	if (write && !(vma->vm_flags & VM_WRITE))
		stub_bug("fault", "a write that the mapping does not grant");
	switch (stub_handle_fault(vma->vm_mm, va, write)) {
	case 0:
		return 0;
	case -EAGAIN:
		return VM_FAULT_RETRY;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		return VM_FAULT_SIGBUS;
	}
}

bool stub_minor_none, stub_memory_short;

bool odp_memory_at_hand(struct mem_cgroup *memcg)
{
	return !stub_memory_short && !stub_memcg_full;
}

/* There are no files of that kind here. */
bool odp_vma_copies_by_address(const struct vm_area_struct *vma)
{
	return false;
}

/* All but what is swapped out; userfaultfd is left to handle_mm_fault(). */
bool odp_fault_is_minor(struct mm_struct *mm, struct vm_area_struct *vma,
			unsigned long va, bool write)
{
	struct stub_pte *pte;
	bool minor;

	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	minor = !pte || pte->page;
	spin_unlock(&mm->ptl);
	return minor && !stub_minor_none;
}

/* What hmm_range_fault() finds at @va; false: a fault is needed. */
static bool hmm_look(struct hmm_range *range, struct mm_struct *mm,
		     unsigned long va, unsigned long *pfn)
{
	bool write = range->default_flags & HMM_PFN_REQ_WRITE;
	struct stub_pte *pte = stub_pte_find(mm, va);

	*pfn = 0;
	if ((stub_vma_flags(mm, va) & (STUB_READ | STUB_SPECIAL)) !=
	    STUB_READ) {
		*pfn = HMM_PFN_ERROR;
		return !range->default_flags;
	}
	if (!pte || !pte->page || (write && !pte->writable)) {
		if (range->default_flags)
			return false;
		if (!pte || !pte->page)
			return true;
	}
	*pfn = page_to_pfn(pte_page(pte, va)) | HMM_PFN_VALID |
	       (unsigned long)pte->order << HMM_PFN_ORDER_SHIFT;
	if (pte->writable)
		*pfn |= HMM_PFN_WRITE;
	return true;
}

int hmm_range_fault(struct hmm_range *range)
{
	struct mm_struct *mm = range->notifier->mm;
	bool write = range->default_flags & HMM_PFN_REQ_WRITE;
	unsigned long va = range->start;
	int ret;

	while (va < range->end) {
		if (mmu_interval_read_retry(range->notifier,
					    range->notifier_seq))
			return -EBUSY;
		spin_lock(&mm->ptl);
		while (va < range->end &&
		       hmm_look(range, mm, va,
				&range->hmm_pfns[(va - range->start) >>
						 PAGE_SHIFT]))
			va += PAGE_SIZE;
		spin_unlock(&mm->ptl);
		if (va >= range->end)
			break;
		ret = stub_handle_fault(mm, va, write);
		if (ret)
			return ret == -EPERM ? -EPERM : -EFAULT;
	}
	return 0;
}

/* What the CPU does.  Return: 0 or -EFAULT, -EHWPOISON, -ENOMEM. */
int stub_user_copy(struct mm_struct *mm, unsigned long va, void *buf,
		   size_t len, bool write)
{
	unsigned char *data, *at = buf;
	struct stub_pte *pte;
	bool unlocked, done;
	size_t n;
	int ret;

	while (len) {
		n = min(len, PAGE_SIZE - offset_in_page(va));
		mmap_read_lock(mm);
		ret = fixup_user_fault(mm, va, write ? FAULT_FLAG_WRITE : 0,
				       &unlocked);
		mmap_read_unlock(mm);
		if (ret)
			return ret;
		spin_lock(&mm->ptl);
		pte = stub_pte_find(mm, va);
		done = pte && pte->page && (!write || pte->writable);
		if (done) {
			data = pte_page(pte, va)->data + offset_in_page(va);
			memcpy(write ? data : at, write ? at : data, n);
			pte->dirty |= write;
		}
		spin_unlock(&mm->ptl);
		if (!done)
			continue;
		va += n;
		at += n;
		len -= n;
	}
	return 0;
}
