// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Population: from the owner's page tables into ours
 *
 * One leaf at a time: read the notifier's sequence, let hmm_range_fault()
 * fault and look, make room in the table, and install under window->lock if
 * nothing was invalidated meanwhile (notifier.c draws the race).  No lock of
 * ours is held while the owner's memory is faulted in.
 *
 * The pages are charged to the owner, as if it had touched them; the memory of
 * the table is too.
 */
#include <linux/hmm.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "odp.h"

/* Memory that stays short this long is an error (in jiffies). */
#define ODP_NOMEM_PATIENCE	(10 * HZ)

/*
 * How often a page that fixup_user_fault() finds good may be refused by
 * hmm_range_fault() before the access fails.  Each time is a race lost against
 * the owner, unless the page has no struct page to offer.
 */
#define ODP_FIXUP_LIMIT		64

/* Pages looked at without leaving the caller. */
#define ODP_MAPPED_PAGES	4

/* One attempt, or several, at [start, end), which lies in one leaf. */
struct odp_attempt {
	struct odp_window	*window;
	unsigned long		start;
	unsigned long		end;
	unsigned int		flags;		/* ODP_FAULT_* */
	unsigned int		fixups;
	unsigned long		nomem_since;	/* jiffies, 0: not short */
	unsigned long		*pfns;
};

static unsigned int odp_attempt_pages(const struct odp_attempt *attempt)
{
	return (attempt->end - attempt->start) >> PAGE_SHIFT;
}

/*
 * Charge what is allocated between these two to the owner's memory cgroup: the
 * worker that allocates is not the owner.
 */
struct odp_charge {
	struct mem_cgroup	*memcg;
	struct mem_cgroup	*old;
};

static void odp_charge_begin(struct odp_charge *charge, struct mm_struct *mm)
{
	charge->memcg = get_mem_cgroup_from_mm(mm);
	charge->old = set_active_memcg(charge->memcg);
}

static void odp_charge_end(struct odp_charge *charge)
{
	set_active_memcg(charge->old);
	mem_cgroup_put(charge->memcg);
}

static unsigned long odp_hmm_flags(unsigned int flags)
{
	if (flags & ODP_FAULT_SNAPSHOT)
		return 0;
	if (flags & ODP_FAULT_WRITE)
		return HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE;
	return HMM_PFN_REQ_FAULT;
}

static void odp_hmm_range(const struct odp_attempt *attempt,
			  struct hmm_range *range)
{
	/* Bits that hmm_range_fault() carries from input to output must be 0. */
	memset(attempt->pfns, 0,
	       odp_attempt_pages(attempt) * sizeof(*attempt->pfns));
	*range = (struct hmm_range) {
		.notifier = &attempt->window->notifier,
		.notifier_seq =
			mmu_interval_read_begin(&attempt->window->notifier),
		.start = attempt->start,
		.end = attempt->end,
		.hmm_pfns = attempt->pfns,
		.default_flags = odp_hmm_flags(attempt->flags),
		/* Device-private memory of others must come back. */
		.dev_private_owner = &odp_gauges,
	};
}

/* Make room for, and install, what @range holds.  -EAGAIN: begin again. */
static int odp_attempt_install(struct odp_attempt *attempt,
			       struct hmm_range *range, gfp_t gfp)
{
	struct odp_window *window = attempt->window;
	unsigned int i, n = odp_attempt_pages(attempt);
	bool found = false, small = false;
	struct odp_charge charge;
	unsigned long va;
	int ret;

	for (i = 0; i < n; i++) {
		va = attempt->start + i * PAGE_SIZE;
		if (!(attempt->pfns[i] & HMM_PFN_VALID))
			continue;
		found = true;
		small |= !odp_pfn_is_huge(va, attempt->pfns[i]);
	}
	if (!found)
		return 0;

	odp_charge_begin(&charge, window->region->mm);
	ret = odp_table_prepare(window, attempt->start, small, gfp);
	odp_charge_end(&charge);
	if (ret)
		return ret;

	spin_lock(&window->lock);
	if (mmu_interval_read_retry(range->notifier, range->notifier_seq))
		ret = -EAGAIN;
	else if (odp_region_dead(window->region))
		ret = -ESHUTDOWN;
	else
		ret = odp_table_install(window, attempt->start, attempt->pfns,
					n);
	spin_unlock(&window->lock);
	if (!ret)
		odp_count(window->region, ODP_STAT_FAULTS_HANDLED, n);
	return ret;
}

/*
 * hmm_range_fault() has refused.  It cannot wait for userfaultfd and does not
 * tell memory that is short from memory that is not there: fixup_user_fault()
 * does both.  Return: -EAGAIN when it is worth another attempt.
 */
static int odp_attempt_fixup(struct odp_attempt *attempt)
{
	struct mm_struct *mm = attempt->window->region->mm;
	unsigned int flags = 0;
	unsigned long va;
	bool unlocked;
	int ret = 0;

	if (attempt->fixups++ >= ODP_FIXUP_LIMIT)
		return -EFAULT;
	if (attempt->flags & ODP_FAULT_WRITE)
		flags |= FAULT_FLAG_WRITE;

	for (va = attempt->start; va < attempt->end && !ret; va += PAGE_SIZE) {
		if (odp_region_dead(attempt->window->region))
			return -ESHUTDOWN;
		mmap_read_lock(mm);
		ret = fixup_user_fault(mm, va, flags, &unlocked);
		mmap_read_unlock(mm);
	}
	return ret ?: -EAGAIN;
}

/* Memory is short: wait a little, not for ever. */
static int odp_attempt_nomem(struct odp_attempt *attempt)
{
	if (!attempt->nomem_since)
		attempt->nomem_since = jiffies | 1;
	else if (time_after(jiffies, attempt->nomem_since + ODP_NOMEM_PATIENCE))
		return -ENOMEM;
	schedule_timeout_idle(HZ / 20);
	return -EAGAIN;
}

static int odp_attempt_window(struct odp_region *region,
			      struct odp_attempt *attempt)
{
	struct odp_charge charge;

	odp_charge_begin(&charge, region->mm);
	attempt->window = odp_window_get(region, attempt->start, true);
	odp_charge_end(&charge);
	return PTR_ERR_OR_ZERO(attempt->window);
}

static int odp_attempt_once(struct odp_attempt *attempt)
{
	struct mm_struct *mm = attempt->window->region->mm;
	struct hmm_range range;
	int ret;

	odp_hmm_range(attempt, &range);
	mmap_read_lock(mm);
	ret = hmm_range_fault(&range);
	mmap_read_unlock(mm);

	if (!ret)
		ret = odp_attempt_install(attempt, &range, GFP_KERNEL_ACCOUNT);
	else if (ret == -EBUSY)
		ret = -EAGAIN;
	else if (ret == -EPERM)
		ret = -EFAULT;
	else if (ret == -EFAULT)
		ret = odp_attempt_fixup(attempt);
	return ret;
}

static int odp_populate_once(struct odp_region *region,
			     struct odp_attempt *attempt)
{
	int ret;

	if (odp_region_dead(region))
		return -ESHUTDOWN;
	ret = odp_attempt_window(region, attempt);
	if (!ret) {
		ret = odp_attempt_once(attempt);
		/* A window made for nothing must not stay. */
		if ((ret && ret != -EAGAIN) ||
		    (attempt->flags & ODP_FAULT_SNAPSHOT))
			odp_window_emptied(attempt->window);
		odp_window_put(attempt->window);
	}
	return ret == -ENOMEM ? odp_attempt_nomem(attempt) : ret;
}

static int odp_populate_leaf(struct odp_region *region,
			     struct odp_attempt *attempt)
{
	int ret;

	for (;;) {
		ret = odp_populate_once(region, attempt);
		if (ret != -EAGAIN)
			return ret;
		odp_count(region, ODP_STAT_COLLISIONS, 1);
		cond_resched();
	}
}

static int odp_populate_leaves(struct odp_region *region, unsigned long start,
			       unsigned long end, unsigned int flags,
			       unsigned long *pfns)
{
	struct odp_attempt attempt;
	unsigned long next;
	int ret = 0;

	for (; start < end && !ret; start = next) {
		next = min((start | (ODP_LEAF_SIZE - 1)) + 1, end);
		attempt = (struct odp_attempt) {
			.start = start,
			.end = next,
			.flags = flags,
			.pfns = pfns,
		};
		ret = odp_populate_leaf(region, &attempt);
		cond_resched();
	}
	return ret;
}

/*
 * Translate [@start, @end), faulting pages in unless ODP_FAULT_SNAPSHOT.  May
 * wait for disks, userfaultfd handlers and memory: nobody who holds anything
 * may call it, odp_fault() runs it in a work queue.
 *
 * Return: 0 when every page was translated (and with ODP_FAULT_SNAPSHOT those
 * that were mapped), or an error listed in rdma_odp.h.
 */
int odp_populate(struct odp_region *region, unsigned long start,
		 unsigned long end, unsigned int flags)
{
	unsigned long *pfns;
	int ret = -ENOMEM;

	if (!mmget_not_zero(region->mm))
		return -ESRCH;

	pfns = kcalloc(min_t(unsigned long, (end - start) >> PAGE_SHIFT,
			     ODP_LEAF_ENTRIES), sizeof(*pfns), GFP_KERNEL);
	if (pfns)
		ret = odp_populate_leaves(region, start, end, flags, pfns);
	kfree(pfns);
	mmput(region->mm);
	return ret;
}

static bool odp_attempt_complete(const struct odp_attempt *attempt)
{
	unsigned long need = HMM_PFN_VALID;
	unsigned int i;

	if (attempt->flags & ODP_FAULT_WRITE)
		need |= HMM_PFN_WRITE;
	for (i = 0; i < odp_attempt_pages(attempt); i++)
		if ((attempt->pfns[i] & need) != need)
			return false;
	return true;
}

static bool odp_attempt_mapped(struct odp_attempt *attempt)
{
	struct mm_struct *mm = attempt->window->region->mm;
	struct hmm_range range;
	int ret;

	odp_hmm_range(attempt, &range);
	range.default_flags = 0;
	if (!mmap_read_trylock(mm))
		return false;
	ret = hmm_range_fault(&range);
	mmap_read_unlock(mm);
	return !ret && odp_attempt_complete(attempt) &&
	       !odp_attempt_install(attempt, &range,
				    GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
}

/*
 * Translate a few pages that the owner has mapped already, without leaving the
 * caller's context and without waiting for a page, a disk or mmap_lock.
 *
 * Return: true when [@start, @end) is translated; false says nothing.
 */
bool odp_populate_mapped(struct odp_region *region, unsigned long start,
			 unsigned long end, unsigned int flags)
{
	unsigned long pfns[ODP_MAPPED_PAGES];
	struct odp_attempt attempt = {
		.start = start,
		.end = end,
		.flags = flags,
		.pfns = pfns,
	};
	bool done;

	if (odp_attempt_pages(&attempt) > ODP_MAPPED_PAGES ||
	    (start ^ (end - 1)) >> ODP_LEAF_SHIFT)
		return false;
	if (!mmget_not_zero(region->mm))
		return false;

	attempt.window = odp_window_get(region, start, false);
	done = attempt.window && odp_attempt_mapped(&attempt);
	if (attempt.window)
		odp_window_put(attempt.window);
	mmput(region->mm);
	return done;
}
