// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What happens to memory
 *
 * Every event that takes a page away or tightens a right announces itself,
 * changes the page table, then ends the announcement.  Pages are freed before
 * that end: nobody may hold them once the callbacks have returned.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <linux/sched.h>

#include "mm.h"

#define HUGE_ORDER	9
#define HUGE_SIZE	(PAGE_SIZE << HUGE_ORDER)

static void pte_free(struct stub_pte *pte)
{
	if (pte->page)
		stub_page_free(pte->page);
	free(pte->backing);
	free(pte);
}

/* Take the entries of [start, end) out of the table. */
static struct stub_pte *pte_detach(struct mm_struct *mm, unsigned long start,
				   unsigned long end)
{
	unsigned long first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
	struct stub_pte **at, *pte, *list = NULL;
	unsigned int i;

	for (i = 0; i < STUB_BUCKETS; i++) {
		at = &mm->pte[i];
		while ((pte = *at)) {
			if (pte->vpn < first || pte->vpn > last) {
				at = &pte->next;
				continue;
			}
			*at = pte->next;
			pte->next = list;
			list = pte;
		}
	}
	return list;
}

/* A huge mapping that sticks out of the range must be small before. */
static void split_edges(struct mm_struct *mm, unsigned long start,
			unsigned long end)
{
	if (start & (HUGE_SIZE - 1))
		stub_split(mm, start);
	if (end & (HUGE_SIZE - 1))
		stub_split(mm, end);
}

static void zap(struct mm_struct *mm, unsigned long start, unsigned long end,
		bool blockable)
{
	struct stub_pte *list, *pte;

	split_edges(mm, start, end);
	stub_mn_start(mm, start, end, blockable);
	spin_lock(&mm->ptl);
	list = pte_detach(mm, start, end);
	spin_unlock(&mm->ptl);
	while ((pte = list)) {
		list = pte->next;
		pte_free(pte);
	}
	stub_mn_end(mm);
}

void stub_mmap(struct mm_struct *mm, unsigned long start, unsigned long end,
	       unsigned int flags)
{
	stub_munmap(mm, start, end);
	stub_mmap_write_lock(mm);
	stub_paint(mm, start, end, flags);
	stub_mmap_write_unlock(mm);
}

void stub_munmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	stub_mmap_write_lock(mm);
	stub_paint(mm, start, end, 0);
	zap(mm, start, end, true);
	stub_mmap_write_unlock(mm);
}

void stub_dontneed(struct mm_struct *mm, unsigned long start,
		   unsigned long end)
{
	stub_mmap_read_lock(mm);
	zap(mm, start, end, true);
	stub_mmap_read_unlock(mm);
}

/* The OOM reaper takes everything, may not wait, and takes no for an answer. */
void stub_oom_reap(struct mm_struct *mm)
{
	zap(mm, 0, TASK_SIZE, false);
}

void stub_exit_mm(struct mm_struct *mm)
{
	stub_mmap_write_lock(mm);
	zap(mm, 0, TASK_SIZE, true);
	mm->vmas = 0;
	stub_mmap_write_unlock(mm);
	stub_wake_up(&mm->uffd_wait, "exit");
}

void stub_mprotect(struct mm_struct *mm, unsigned long start,
		   unsigned long end, unsigned int flags)
{
	unsigned long va;
	struct stub_pte *pte;

	stub_mmap_write_lock(mm);
	stub_paint(mm, start, end, flags);
	split_edges(mm, start, end);
	stub_mn_start(mm, start, end, true);
	spin_lock(&mm->ptl);
	for (va = start; va < end && !(flags & STUB_WRITE); va += PAGE_SIZE) {
		pte = stub_pte_find(mm, va);
		if (pte)
			pte->writable = false;
	}
	spin_unlock(&mm->ptl);
	stub_mn_end(mm);
	stub_mmap_write_unlock(mm);
}

/* Between these two the small page of @va is announced and locked. */
static struct stub_pte *page_event_begin(struct mm_struct *mm,
					 unsigned long va)
{
	unsigned long start = va & PAGE_MASK;
	struct stub_pte *pte;

	stub_mn_start(mm, start, start + PAGE_SIZE, true);
	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	if (!pte || !pte->page || pte->order || pte->page->shared_zero)
		return NULL;
	return pte;
}

static bool page_event_end(struct mm_struct *mm, struct page *gone, bool done)
{
	spin_unlock(&mm->ptl);
	if (gone)
		stub_page_free(gone);
	stub_mn_end(mm);
	return done;
}

/* Make the backing store what the page is, if the page is known as dirty. */
static void write_out(struct stub_pte *pte)
{
	struct page *page = pte->page;
	bool dirty = pte->dirty || page->dirty;

	if (dirty) {
		if (!pte->backing)
			pte->backing = malloc(PAGE_SIZE);
		if (!pte->backing)
			stub_bug("stub", "out of memory");
		memcpy(pte->backing, page->data, PAGE_SIZE);
	} else if (pte->backing &&
		   memcmp(pte->backing, page->data, PAGE_SIZE)) {
		stub_bug("lost dirty", "a clean page differs from its store");
	}
	pte->dirty = false;
	page->dirty = false;
}

/* Reclaim: the page goes; what was not marked dirty goes with it. */
bool stub_swap_out(struct mm_struct *mm, unsigned long va)
{
	struct stub_pte *pte = page_event_begin(mm, va);
	struct page *gone = NULL;

	if (pte) {
		write_out(pte);
		gone = pte->page;
		pte->page = NULL;
		pte->writable = false;
	}
	return page_event_end(mm, gone, pte);
}

/* The page is clean afterwards, and stays mapped as writable as it was. */
bool stub_clean(struct mm_struct *mm, unsigned long va)
{
	struct stub_pte *pte = page_event_begin(mm, va);

	if (pte)
		write_out(pte);
	return page_event_end(mm, NULL, pte);
}

bool stub_migrate(struct mm_struct *mm, unsigned long va)
{
	struct stub_pte *pte = page_event_begin(mm, va);
	struct page *gone = NULL;

	if (pte) {
		gone = pte->page;
		pte->page = stub_page_alloc(0);
		memcpy(pte->page->data, gone->data, PAGE_SIZE);
		pte->page->dirty = gone->dirty;
		pte->page->pmem = gone->pmem;
		pte->page->mapping = gone->mapping;
	}
	return page_event_end(mm, gone, pte);
}

static bool is_huge(struct mm_struct *mm, unsigned long va)
{
	struct stub_pte *pte;
	bool huge;

	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	huge = pte && pte->order;
	spin_unlock(&mm->ptl);
	return huge;
}

/* One huge mapping becomes 512 small ones of the same memory. */
bool stub_split(struct mm_struct *mm, unsigned long va)
{
	unsigned long start = va & -HUGE_SIZE, i;
	struct stub_pte *pte, *small;

	if (!is_huge(mm, va))
		return false;
	stub_mn_start(mm, start, start + HUGE_SIZE, true);
	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	if (!pte || !pte->order) {
		spin_unlock(&mm->ptl);
		stub_mn_end(mm);
		return false;
	}
	pte = pte_detach(mm, start, start + PAGE_SIZE);
	stub_page_split(pte->page);
	for (i = 0; i < 1UL << HUGE_ORDER; i++) {
		small = stub_pte_add(mm, pte->vpn + i);
		small->page = pte->page + i;
		small->writable = pte->writable;
		small->dirty = pte->dirty;
	}
	free(pte);
	spin_unlock(&mm->ptl);
	stub_mn_end(mm);
	return true;
}

/* A userfaultfd handler brings the page of @va. */
void stub_uffd_copy(struct mm_struct *mm, unsigned long va,
		    const void *content)
{
	struct stub_pte *pte;

	stub_mmap_read_lock(mm);
	spin_lock(&mm->ptl);
	pte = stub_pte_find(mm, va);
	if (!pte)
		pte = stub_pte_add(mm, va >> PAGE_SHIFT);
	if (!pte->page) {
		pte->page = stub_page_alloc(0);
		memcpy(pte->page->data, content, PAGE_SIZE);
		pte->writable = stub_vma_flags(mm, va) & STUB_WRITE;
		pte->dirty = true;
	}
	spin_unlock(&mm->ptl);
	stub_mmap_read_unlock(mm);
	stub_wake_up(&mm->uffd_wait, "uffd_copy");
}
