/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * rdma_odp - private declarations of the engine
 *
 * region	a registered range of one mm; holds windows in an xarray
 * window	64 MiB of address space with its own interval notifier, made on
 *		the first fault in it, reaped when it has been empty for a while
 * leaf		2 MiB of a window: one huge entry, or an array of 4 KiB entries
 * entry	one translation: page frame number and ODP_ENTRY_* bits
 *
 * Lock order (docs/design.md has the reasons):
 *
 *	rcu_read_lock
 *	  window->lock		installs, and the count of notifier calls
 *	    leaf->lock		write: change entries; read: use the page
 *	      attr.atomic_lock, and what folio_mark_dirty() takes
 *	region->fault_lock	list of faults, and who is told of their end
 *	  what odp_notify.fn takes
 *	odp_owners_lock, owner->lock	users and whose turn it is; alone
 *
 * All of them are spinlocks taken in process context only.  None is held
 * across anything that sleeps.
 */
#ifndef ODP_PRIVATE_H
#define ODP_PRIVATE_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "rdma_odp.h"

#define ODP_LEAF_SHIFT		21
#define ODP_LEAF_SIZE		BIT(ODP_LEAF_SHIFT)
#define ODP_LEAF_ENTRIES	(1U << (ODP_LEAF_SHIFT - PAGE_SHIFT))
#define ODP_LEAF_ORDER		(ODP_LEAF_SHIFT - PAGE_SHIFT)

#define ODP_WINDOW_SHIFT	26
#define ODP_WINDOW_SIZE		BIT(ODP_WINDOW_SHIFT)
#define ODP_WINDOW_LEAVES	(1U << (ODP_WINDOW_SHIFT - ODP_LEAF_SHIFT))

/* An entry is a page frame number shifted up, with these bits below it. */
#define ODP_ENTRY_PRESENT_BIT	0
#define ODP_ENTRY_WRITE_BIT	1
#define ODP_ENTRY_DIRTY_BIT	2	/* the folio was marked dirty through us */
#define ODP_ENTRY_PFN_SHIFT	3

#define ODP_ENTRY_PRESENT	BIT(ODP_ENTRY_PRESENT_BIT)
#define ODP_ENTRY_WRITE		BIT(ODP_ENTRY_WRITE_BIT)
#define ODP_ENTRY_DIRTY		BIT(ODP_ENTRY_DIRTY_BIT)

/* Windows that a region finds without a look into its xarray; a power of two. */
#define ODP_NEAR_WINDOWS	16

/* Marks a window of the xarray that may have something to reap. */
#define ODP_WINDOW_REAP		XA_MARK_0

struct odp_leaf {
	rwlock_t		lock;
	unsigned int		count;		/* entries present, huge is one */
	unsigned long		huge;		/* entry of the whole leaf, or 0 */
	unsigned long		*entry;		/* small entries, or NULL */
	unsigned long		present[BITS_TO_LONGS(ODP_LEAF_ENTRIES)];
	struct rcu_head		rcu;
};

struct odp_window {
	struct mmu_interval_notifier notifier;
	struct odp_region	*region;
	unsigned long		index;		/* of its first address */
	spinlock_t		lock;		/* leaf[], calls, faulter */
	atomic_t		users;		/* faults inside; < 0: reaped */
	unsigned long		calls;		/* of the notifier, under lock */
	unsigned long		idle;		/* calls known to be over */
	struct task_struct	*faulter;	/* faults in its own context */
	unsigned long		own_calls;	/* of the faulter's, under lock */
	struct odp_leaf __rcu	*leaf[ODP_WINDOW_LEAVES];
	struct rcu_head		rcu;
};

enum odp_region_stat {
	ODP_STAT_FAULTS,		/* fault requests, by cause: */
	ODP_STAT_FAULTS_READ,		/* a page to read is not there */
	ODP_STAT_FAULTS_WRITE,		/* a page to write is not there */
	ODP_STAT_FAULTS_UPGRADE,	/* it is, for reading only */
	ODP_STAT_FAULTS_HANDLED,	/* pages translated by them */
	ODP_STAT_INVALIDATIONS,		/* notifier callbacks */
	ODP_STAT_INVALIDATIONS_HANDLED,	/* pages they took away */
	ODP_STAT_PREFETCH,		/* pages asked for by prefetch */
	ODP_STAT_FAULTS_SHORT,		/* requests served in the caller */
	ODP_STAT_COLLISIONS,		/* faults begun again after a race */
	ODP_STAT_AHEAD,			/* pages asked for ahead of an access */
	ODP_STAT_NR,
};

struct odp_owner;

/* What may sleep for its user, in a worker out of that user's share. */
struct odp_job {
	struct work_struct	work;
	struct list_head	turn;		/* owner's backlog */
	struct odp_owner	*owner;
	void			(*fn)(struct odp_job *job);
	bool			background;	/* nobody waits for it */
};

struct odp_region {
	struct kref		kref;
	struct odp_owner	*owner;
	struct mm_struct	*mm;		/* owner, held by mmgrab() */
	unsigned long		start;
	u64			length;
	bool			writable;
	bool			dead;
	spinlock_t		*atomic_lock;	/* the driver's own atomics */
	struct xarray		windows;	/* by va >> ODP_WINDOW_SHIFT */
	struct odp_window __rcu	*near[ODP_NEAR_WINDOWS];	/* some of them */
	spinlock_t		fault_lock;	/* faults, prefetches */
	struct list_head	faults;
	struct list_head	starved;	/* under fault_lock, too */
	struct delayed_work	retry_timer;
	unsigned int		prefetches;	/* asynchronous, under way */
	struct delayed_work	reap_timer;
	struct odp_job		reap;
	atomic_t		reaping;	/* reap is queued, or running */
	atomic64_t		stat[ODP_STAT_NR];
};

/* A fault request: what the engine populates away from the caller. */
struct odp_fault {
	struct kref		kref;
	struct odp_job		job;
	struct odp_region	*region;
	struct list_head	list;		/* region->faults */
	wait_queue_head_t	wait;
	unsigned long		start;		/* page aligned */
	unsigned long		end;
	unsigned int		flags;		/* ODP_FAULT_* */
	bool			done;
	bool			borrowed;	/* the owner has not paid for it */
	int			ret;
	struct odp_notify	notify;		/* under fault_lock; fn or NULL */
};

#define ODP_FAULT_WRITE		BIT(0)
#define ODP_FAULT_SNAPSHOT	BIT(1)	/* do not populate */
#define ODP_FAULT_PREFETCH	BIT(2)
#define ODP_FAULT_ASYNC		BIT(3)		/* nobody waits for it */
#define ODP_FAULT_AHEAD		BIT(4)		/* an access comes after it */

#define ODP_EVENTS	(MMU_NOTIFY_EXCLUSIVE + 1)

/* What lives in the engine now, and what it has done since it was loaded. */
struct odp_gauges {
	atomic_long_t regions;
	atomic_long_t windows;
	atomic_long_t leaves;
	atomic_long_t entries;
	atomic_long_t faults;		/* requests in flight */
	atomic64_t stat[ODP_STAT_NR];
	atomic64_t event_calls[ODP_EVENTS];	/* by enum mmu_notifier_event */
	atomic64_t event_pages[ODP_EVENTS];
};

extern struct odp_gauges odp_gauges;
extern struct workqueue_struct *odp_wq;

static inline bool odp_region_dead(const struct odp_region *region)
{
	/* Pairs with odp_region_kill(): a hint, the locks decide. */
	return READ_ONCE(region->dead);
}

static inline void odp_count(struct odp_region *region,
			     enum odp_region_stat stat, long n)
{
	atomic64_add(n, &region->stat[stat]);
	atomic64_add(n, &odp_gauges.stat[stat]);
}

static inline unsigned int odp_leaf_slot(unsigned long va)
{
	return (va >> ODP_LEAF_SHIFT) & (ODP_WINDOW_LEAVES - 1);
}

static inline unsigned int odp_entry_slot(unsigned long va)
{
	return (va >> PAGE_SHIFT) & (ODP_LEAF_ENTRIES - 1);
}

/* access.c */
enum odp_region_stat odp_access_cause(struct odp_region *region,
				      unsigned long va, u64 len,
				      unsigned int flags);

/* region.c */
void odp_region_get(struct odp_region *region);
bool odp_region_tryget(struct odp_region *region);
void odp_region_put(struct odp_region *region);

/* owner.c */
struct odp_charge {
	struct mem_cgroup	*memcg;
	struct mem_cgroup	*old;
};

void odp_charge_begin(struct odp_charge *charge, struct mm_struct *mm);
void odp_charge_end(struct odp_charge *charge);
bool odp_owner_borrow(struct odp_owner *owner, bool hint);
void odp_owner_pay_back(struct odp_owner *owner);
extern unsigned int odp_owner_share;
struct odp_owner *odp_owner_get(void);
void odp_owner_put(struct odp_owner *owner);
void odp_job_init(struct odp_job *job, struct odp_owner *owner,
		  void (*fn)(struct odp_job *job), bool background);
void odp_job_queue(struct odp_job *job);

/* window.c */
struct odp_window *odp_window_find(struct odp_region *region, unsigned long va);
struct odp_window *odp_window_get(struct odp_region *region, unsigned long va,
				  bool create);
void odp_window_put(struct odp_window *window);
void odp_window_emptied(struct odp_window *window);
void odp_windows_init(struct odp_region *region);
void odp_windows_destroy(struct odp_region *region);

/* table.c */
int odp_table_prepare(struct odp_window *window, unsigned long va, bool small,
		      gfp_t gfp);
int odp_table_install(struct odp_window *window, unsigned long start,
		      const unsigned long *pfns, unsigned int n);
bool odp_pfn_is_huge(unsigned long va, unsigned long hmm_pfn);
unsigned int odp_table_clear(struct odp_window *window, unsigned long start,
			     unsigned long end);
bool odp_table_trim(struct odp_window *window);
void odp_table_free(struct odp_window *window);
int odp_table_init(void);
void odp_table_exit(void);

/* notifier.c */
extern const struct mmu_interval_notifier_ops odp_notifier_ops;

/* fault.c */
int odp_fault(struct odp_region *region, unsigned long va, u64 len,
	      unsigned int flags);
int odp_fault_async(struct odp_region *region, unsigned long va, u64 len,
		    unsigned int flags);
int odp_fault_notify(struct odp_region *region, unsigned long va, u64 len,
		     unsigned int flags, const struct odp_notify *notify);
void odp_fault_tell(struct odp_fault *fault, int ret);
void odp_starved_init(struct odp_region *region);
void odp_starved_tell(struct odp_region *region, int ret);

/* populate.c */
int odp_populate(struct odp_region *region, unsigned long start,
		 unsigned long end, unsigned int flags);
bool odp_populate_now(struct odp_region *region, unsigned long start,
		      unsigned long end, unsigned int flags);

/* minor.c */
bool odp_memory_at_hand(struct mem_cgroup *memcg);
bool odp_vma_copies_by_address(const struct vm_area_struct *vma);
bool odp_fault_is_minor(struct mm_struct *mm, struct vm_area_struct *vma,
			unsigned long va, bool write);

/* debugfs.c */
void odp_debugfs_init(void);
void odp_debugfs_exit(void);

#endif /* ODP_PRIVATE_H */
