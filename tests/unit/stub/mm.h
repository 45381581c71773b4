/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * An address space that tests can do things to
 *
 * Physical pages are structs with memory of their own (pages.c).  An address
 * space has mappings, a page table and interval notifiers (mm.c, notifier.c).
 * What the kernel does to memory is in events.c; each event announces itself
 * to the notifiers as the kernel's does, and frees or fills what it takes
 * away, so that whoever uses it later is caught.
 */
#ifndef STUB_MM_H
#define STUB_MM_H

#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/wait.h>

#define STUB_VMAS	128
#define STUB_BUCKETS	256

enum {
	STUB_READ	= VM_READ,
	STUB_WRITE	= VM_WRITE,
	STUB_UFFD	= 1 << 2,	/* missing pages wait for a handler */
	STUB_SECRET	= 1 << 3,
	STUB_PMEM	= 1 << 4,
	STUB_THP	= 1 << 5,	/* first touch maps 2 MiB */
	STUB_POISON	= 1 << 6,
	STUB_SPECIAL	= 1 << 7,	/* mapped, and no struct page to show */
	STUB_RW		= STUB_READ | STUB_WRITE,
};

struct mem_cgroup {
	long charged;		/* objects of the engine charged to it */
	long refs;
};

/* A page table entry, or what stands for it while the page is away. */
struct stub_pte {
	struct stub_pte	*next;
	unsigned long	vpn;
	unsigned int	order;
	struct page	*page;		/* NULL: swapped out */
	bool		writable;
	bool		dirty;
	unsigned char	*backing;	/* what a clean page can be had from */
};

struct mm_struct {
	int		users, count;
	rwlock_t	mmap_lock;
	spinlock_t	ptl;
	struct vm_area_struct vma[STUB_VMAS];
	unsigned int	vmas;
	struct stub_pte	*pte[STUB_BUCKETS];
	wait_queue_head_t uffd_wait;

	spinlock_t	mn_lock;
	unsigned long	mn_seq;
	unsigned int	mn_active;
	bool		mn_ready;
	struct list_head mn_in, mn_coming;
	wait_queue_head_t mn_wait;
	long		mn_subscriptions;
	long		mn_calls;

	struct mem_cgroup memcg;
};

/* mm.c */
struct mm_struct *stub_mm_new(void);
void stub_mmap_write_lock(struct mm_struct *mm);
void stub_mmap_write_unlock(struct mm_struct *mm);
void stub_paint(struct mm_struct *mm, unsigned long start, unsigned long end,
		unsigned int flags);
unsigned int stub_vma_flags(struct mm_struct *mm, unsigned long va);
struct stub_pte *stub_pte_find(struct mm_struct *mm, unsigned long va);
struct stub_pte *stub_pte_add(struct mm_struct *mm, unsigned long vpn);
int stub_handle_fault(struct mm_struct *mm, unsigned long va, bool write);
int stub_user_copy(struct mm_struct *mm, unsigned long va, void *buf,
		   size_t len, bool write);

/* What minor.c sees of it; its own sources are tested in a kernel. */
extern bool stub_minor_none;		/* every fault may have to wait */
extern bool stub_memory_short;		/* allocations may have to reclaim */

/* pages.c */
struct page *stub_page_alloc(unsigned int order);
void stub_page_free(struct page *page);
void stub_page_split(struct page *head);
struct page *stub_zero_page(void);
long stub_pages_used(void);
long stub_pmem_flushed(void);

/* notifier.c */
void stub_mn_init(struct mm_struct *mm);
void stub_mn_start(struct mm_struct *mm, unsigned long start,
		   unsigned long end, bool blockable);
void stub_mn_end(struct mm_struct *mm);

/* events.c */
void stub_mmap(struct mm_struct *mm, unsigned long start, unsigned long end,
	       unsigned int flags);
void stub_munmap(struct mm_struct *mm, unsigned long start, unsigned long end);
void stub_mprotect(struct mm_struct *mm, unsigned long start,
		   unsigned long end, unsigned int flags);
void stub_dontneed(struct mm_struct *mm, unsigned long start,
		   unsigned long end);
void stub_oom_reap(struct mm_struct *mm);
bool stub_swap_out(struct mm_struct *mm, unsigned long va);
bool stub_clean(struct mm_struct *mm, unsigned long va);
bool stub_migrate(struct mm_struct *mm, unsigned long va);
bool stub_split(struct mm_struct *mm, unsigned long va);
void stub_uffd_copy(struct mm_struct *mm, unsigned long va,
		    const void *content);
void stub_exit_mm(struct mm_struct *mm);

/* alloc.c */
extern long stub_fail_nth;	/* the how-manieth allocation fails, 0: none */
extern long stub_fail_hits;
extern bool stub_memcg_full;	/* what is charged to anybody fails */
extern bool stub_memcg_has_cache;	/* unless the allocation may reclaim that */
extern long stub_fail_from;	/* from which on all fail, 0: none */
bool stub_should_fail(void);
long stub_objects_live(void);

/* mm.c: exits of mmput_async() that are not over yet */
long stub_exits(void);
void stub_exits_wait(void);

/* workqueue.c */
extern int stub_max_active;	/* works of a queue that run at a time, 0: all */
long stub_works(void);

#endif /* STUB_MM_H */
