// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Physical memory
 *
 * Frame numbers are given out in turn, so that a freed one is not used again
 * at once and a stale translation meets a free page.  Its memory is filled and
 * freed, so that a stale pointer meets AddressSanitizer.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/libnvdimm.h>
#include <linux/magic.h>
#include <linux/sched.h>

#include "mm.h"

#define FRAMES		(1UL << 16)
#define FIRST_FRAME	512UL
#define HUGE_PAGES	512UL
#define POISON		0xdd

/* The memory of a huge page, until the last of its pages goes. */
struct huge {
	unsigned char	*data;
	unsigned long	pages;
};

static struct page frame[FRAMES];
static struct huge *frame_huge[FRAMES];
static unsigned long next_frame = FIRST_FRAME;
static long pages_used;
static long pmem_flushed;
static struct page *zero_page;

struct page *pfn_to_page(unsigned long pfn)
{
	if (pfn < FIRST_FRAME || pfn >= FRAMES)
		stub_bug("stale access", "a frame number that never was");
	return &frame[pfn];
}

unsigned long page_to_pfn(const struct page *page)
{
	return page - frame;
}

long stub_pages_used(void)
{
	return __atomic_load_n(&pages_used, __ATOMIC_RELAXED);
}

static bool frames_free(unsigned long pfn, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		if (frame[pfn + i].data)
			return false;
	return true;
}

static struct page *frames_find(unsigned long n)
{
	unsigned long tries;

	for (tries = 0; tries < 2 * FRAMES; tries += n) {
		next_frame = (next_frame + n - 1) & ~(n - 1);
		if (next_frame + n > FRAMES)
			next_frame = FIRST_FRAME;
		if (frames_free(next_frame, n)) {
			next_frame += n;
			return &frame[next_frame - n];
		}
		next_frame += n;
	}
	stub_bug("stub", "out of physical memory");
}

static void *memory(size_t size)
{
	void *data = calloc(1, size);

	if (!data)
		stub_bug("stub", "out of memory");
	return data;
}

struct page *stub_page_alloc(unsigned int order)
{
	unsigned long i, n = 1UL << order;
	struct huge *huge = NULL;
	unsigned char *data;
	struct page *head;

	data = memory(n * PAGE_SIZE);
	if (order) {
		huge = memory(sizeof(*huge));
		*huge = (struct huge){ .data = data, .pages = n };
	}
	stub_big_lock();
	head = frames_find(n);
	for (i = 0; i < n; i++) {
		head[i] = (struct page){
			.data = data + i * PAGE_SIZE,
			.head = head,
			.order = i ? 0 : order,
		};
		frame_huge[page_to_pfn(head) + i] = huge;
	}
	stub_big_unlock();
	__atomic_add_fetch(&pages_used, n, __ATOMIC_RELAXED);
	return head;
}

static void frame_free(struct page *page)
{
	struct huge **at = &frame_huge[page_to_pfn(page)];
	struct huge *huge = *at;

	if (__atomic_load_n(&page->mapped, __ATOMIC_RELAXED))
		stub_bug("stale access", "a page is freed during a copy");
	if (!huge) {
		memset(page->data, POISON, PAGE_SIZE);
		free(page->data);
	}
	stub_big_lock();
	page->data = NULL;
	*at = NULL;
	if (huge && !--huge->pages) {
		free(huge->data);
		free(huge);
	}
	stub_big_unlock();
	__atomic_sub_fetch(&pages_used, 1, __ATOMIC_RELAXED);
}

void stub_page_free(struct page *page)
{
	unsigned long i, n = 1UL << page->order;

	if (page->shared_zero)
		return;
	for (i = 0; i < n; i++)
		frame_free(&page[i]);
}

/* From one folio to one for each page. */
void stub_page_split(struct page *head)
{
	unsigned long i, n = 1UL << head->order;

	for (i = 0; i < n; i++) {
		head[i].head = &head[i];
		head[i].order = 0;
		head[i].dirty = head->dirty;
	}
}

struct page *stub_zero_page(void)
{
	stub_big_lock();
	stub_big_unlock();
	if (!__atomic_load_n(&zero_page, __ATOMIC_ACQUIRE)) {
		struct page *page = stub_page_alloc(0);

		page->shared_zero = true;
		__atomic_sub_fetch(&pages_used, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&zero_page, page, __ATOMIC_RELEASE);
	}
	return zero_page;
}

void *kmap_local_page(struct page *page)
{
	void *data = page->data;

	if (!data)
		stub_bug("stale access", "the page was freed");
	__atomic_add_fetch(&page->mapped, 1, __ATOMIC_RELAXED);
	current->kmapped = page;
	stub_point("kmap_local_page");
	return data;
}

void kunmap_local(const void *kaddr)
{
	struct page *page = current->kmapped;

	(void)kaddr;
	if (page->shared_zero && memcmp(page->data, page->data + 1,
					PAGE_SIZE - 1))
		stub_bug("write to the zero page", "kunmap_local");
	stub_point("kunmap_local");
	current->kmapped = NULL;
	__atomic_sub_fetch(&page->mapped, 1, __ATOMIC_RELAXED);
}

bool folio_mark_dirty(struct folio *folio)
{
	if (!folio->page.data)
		stub_bug("stale access", "a freed page is marked dirty");
	stub_point("folio_mark_dirty");
	return !__atomic_exchange_n(&folio->page.dirty, true, __ATOMIC_RELAXED);
}

int region_intersects(phys_addr_t start, size_t size, unsigned long flags,
		      unsigned long desc)
{
	(void)size;
	(void)flags;
	(void)desc;
	return pfn_to_page(start >> PAGE_SHIFT)->pmem ? REGION_INTERSECTS :
							REGION_DISJOINT;
}

void arch_wb_cache_pmem(void *addr, size_t size)
{
	(void)addr;
	__atomic_add_fetch(&pmem_flushed, size, __ATOMIC_RELAXED);
}

long stub_pmem_flushed(void)
{
	return pmem_flushed;
}
