// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Population: from the owner's page tables into ours
 *
 * One leaf at a time: read the count of invalidations, let hmm_range_fault()
 * look at what the owner has mapped, and if everything is there make room in
 * the table and install under window->lock, unless something was invalidated
 * meanwhile (notifier.c draws the race).
 *
 * What is not there is faulted in by fixup_user_fault() and looked at again.
 * hmm_range_fault() could do both, but it keeps mmap_lock while the page comes
 * from the disk, cannot wait for userfaultfd, and does not tell memory that is
 * short from memory that does not exist.
 *
 * The pages are charged to the owner, as if it had touched them; page tables,
 * page cache and the memory of our table are too.
 */
#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "odp.h"

/* Memory that stays short this long is an error (in jiffies). */
#define ODP_NOMEM_PATIENCE	(10 * HZ)

/*
 * How often a page may be faulted in without an error and still be one that
 * has nothing to offer: special mappings without a struct page.
 */
#define ODP_SPECIAL_LIMIT	3

/* Pages served without leaving the caller. */
#define ODP_NOW_PAGES		4

/* Something was faulted in: look again. */
#define ODP_LOOK_AGAIN		1

/* One attempt, or several, at [start, end), which lies in one leaf. */
struct odp_attempt {
	struct odp_window	*window;
	unsigned long		start;
	unsigned long		end;
	unsigned int		flags;		/* ODP_FAULT_* */
	unsigned int		burst;		/* pages to fault in at once */
	unsigned int		special;	/* faults in vain */
	unsigned long		nomem_since;	/* jiffies, 0: not short */
	unsigned long		calls;		/* of the notifier, before */
	unsigned long		*pfns;
};

static unsigned int odp_attempt_pages(const struct odp_attempt *attempt)
{
	return (attempt->end - attempt->start) >> PAGE_SHIFT;
}

static void odp_hmm_range(const struct odp_attempt *attempt,
			  struct hmm_range *range, unsigned long seq)
{
	/* Bits that hmm_range_fault() carries from input to output must be 0. */
	memset(attempt->pfns, 0,
	       odp_attempt_pages(attempt) * sizeof(*attempt->pfns));
	*range = (struct hmm_range) {
		.notifier = &attempt->window->notifier,
		.notifier_seq = seq,
		.start = attempt->start,
		.end = attempt->end,
		.hmm_pfns = attempt->pfns,
		/* Device-private memory of others must come back. */
		.dev_private_owner = &odp_gauges,
	};
}

/* Make room for, and install, what was found.  -EAGAIN: begin again. */
static int odp_attempt_install(struct odp_attempt *attempt, gfp_t gfp)
{
	struct odp_window *window = attempt->window;
	unsigned int i, n = odp_attempt_pages(attempt), found = 0;
	bool small = false;
	unsigned long va;
	int ret;

	for (i = 0; i < n; i++) {
		va = attempt->start + i * PAGE_SIZE;
		if (!(attempt->pfns[i] & HMM_PFN_VALID))
			continue;
		found++;
		small |= !odp_pfn_is_huge(va, attempt->pfns[i]);
	}
	if (!found)
		return 0;

	ret = odp_table_prepare(window, attempt->start, small, gfp);
	if (ret)
		return ret;

	spin_lock(&window->lock);
	if (window->calls != attempt->calls)
		ret = -EAGAIN;
	else if (odp_region_dead(window->region))
		ret = -ESHUTDOWN;
	else
		ret = odp_table_install(window, attempt->start, attempt->pfns,
					n);
	spin_unlock(&window->lock);
	if (!ret)
		odp_count(window->region, ODP_STAT_FAULTS_HANDLED, found);
	return ret;
}

/*
 * User shadow stacks look writable in the page tables and are not for us to
 * write; get_user_pages() refuses them too.  The caller holds mmap_lock.
 */
static bool odp_vmas_allowed(struct mm_struct *mm, unsigned long start,
			     unsigned long end, bool hugetlb)
{
	struct vm_area_struct *vma;

	while (start < end) {
		vma = find_vma_intersection(mm, start, end);
		if (!vma)
			break;
		if ((vma->vm_flags & VM_SHADOW_STACK) ||
		    (!hugetlb && is_vm_hugetlb_page(vma)))
			return false;
		start = vma->vm_end;
	}
	return true;
}

static bool odp_attempt_has(const struct odp_attempt *attempt, unsigned int i)
{
	unsigned long need = HMM_PFN_VALID;

	if (attempt->flags & ODP_FAULT_WRITE)
		need |= HMM_PFN_WRITE;
	return (attempt->pfns[i] & need) == need;
}

/* The first page that is not there as asked for, or their number. */
static unsigned int odp_attempt_missing(const struct odp_attempt *attempt)
{
	unsigned int i, n = odp_attempt_pages(attempt);

	for (i = 0; i < n; i++)
		if (!odp_attempt_has(attempt, i))
			break;
	return i;
}

/* Only what the owner could access by itself, and never what is a device's. */
static bool odp_vma_permits(const struct vm_area_struct *vma, bool write)
{
	return vma && (vma->vm_flags & VM_READ) &&
	       (!write || (vma->vm_flags & VM_WRITE)) &&
	       !(vma->vm_flags & (VM_IO | VM_PFNMAP));
}

/* mmap_lock is held, and again on return if it had to be dropped. */
static int odp_fixup_page(struct mm_struct *mm, unsigned long va,
			  unsigned int flags)
{
	struct vm_area_struct *vma = vma_lookup(mm, va);
	bool write = flags & ODP_FAULT_WRITE, adopt, unlocked;
	int ret;

	if (!odp_vma_permits(vma, write))
		return -EFAULT;
	/* A worker has no address space of its own, but that of who ran last. */
	adopt = write && !current->mm && odp_vma_copies_by_address(vma);
	if (adopt)
		kthread_use_mm(mm);
	ret = fixup_user_fault(mm, va, write ? FAULT_FLAG_WRITE : 0,
			       &unlocked);
	if (adopt)
		kthread_unuse_mm(mm);
	return ret;
}

/*
 * Fault in what is missing, a few pages more with every look: the first of
 * them may bring a huge page, and then there is nothing left to do.
 */
static int odp_attempt_fixup(struct odp_attempt *attempt)
{
	struct odp_region *region = attempt->window->region;
	unsigned int i, n = odp_attempt_pages(attempt), done = 0;
	int ret = 0;

	i = odp_attempt_missing(attempt);
	if (i == n)
		return 0;
	if ((attempt->pfns[i] & HMM_PFN_ERROR) &&
	    attempt->special++ >= ODP_SPECIAL_LIMIT)
		return -EFAULT;

	for (; i < n && done < attempt->burst && !ret; i++) {
		if (odp_attempt_has(attempt, i))
			continue;
		if (odp_region_dead(region))
			return -ESHUTDOWN;
		ret = odp_fixup_page(region->mm,
				     attempt->start + i * PAGE_SIZE,
				     attempt->flags);
		done++;
	}
	/* However often this is begun again, it gets to a page. */
	attempt->burst = min(attempt->burst * 2, ODP_LEAF_ENTRIES);
	return ret ?: ODP_LOOK_AGAIN;
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

static int odp_attempt_look(struct odp_attempt *attempt,
			    struct hmm_range *range)
{
	struct mm_struct *mm = attempt->window->region->mm;
	int ret;

	mmap_read_lock(mm);
	if (!odp_vmas_allowed(mm, attempt->start, attempt->end, true))
		ret = -EFAULT;
	else
		ret = hmm_range_fault(range);
	if (!ret && !(attempt->flags & ODP_FAULT_SNAPSHOT))
		ret = odp_attempt_fixup(attempt);
	mmap_read_unlock(mm);
	return ret == -EBUSY ? -EAGAIN : ret;
}

/*
 * Wait until every invalidation that has called us has ended.  The count comes
 * first: the sequence that read_begin() then reads is at least that of the last
 * call counted, and it waits for the end of that and so of all before.
 */
static unsigned long odp_attempt_begin(struct odp_attempt *attempt)
{
	struct odp_window *window = attempt->window;
	unsigned long seq;

	/* Pairs with the release in odp_window_invalidate(). */
	attempt->calls = smp_load_acquire(&window->calls);
	seq = mmu_interval_read_begin(&window->notifier);
	/* Another fault may know of later ones: then this says less, not wrong. */
	smp_store_release(&window->idle, attempt->calls);
	return seq;
}

static int odp_attempt_once(struct odp_attempt *attempt)
{
	struct hmm_range range;
	int ret;

	odp_hmm_range(attempt, &range, odp_attempt_begin(attempt));
	ret = odp_attempt_look(attempt, &range);
	if (!ret)
		ret = odp_attempt_install(attempt, GFP_KERNEL_ACCOUNT);
	return ret;
}

static int odp_attempt_in_window(struct odp_region *region,
				 struct odp_attempt *attempt)
{
	int ret;

	attempt->window = odp_window_get(region, attempt->start, true);
	if (IS_ERR(attempt->window))
		return PTR_ERR(attempt->window);
	ret = odp_attempt_once(attempt);
	/* A window made for nothing must not stay. */
	if (ret || (attempt->flags & ODP_FAULT_SNAPSHOT))
		odp_window_emptied(attempt->window);
	odp_window_put(attempt->window);
	return ret;
}

/*
 * The owner is asked for its address space again and again: one that has gone
 * must not be kept alive by what somebody else wants from it.
 */
static int odp_populate_once(struct odp_region *region,
			     struct odp_attempt *attempt)
{
	struct odp_charge charge;
	int ret;

	if (odp_region_dead(region))
		return -ESHUTDOWN;
	if (!mmget_not_zero(region->mm))
		return -ESRCH;
	odp_charge_begin(&charge, region->mm);
	ret = odp_attempt_in_window(region, attempt);
	odp_charge_end(&charge);
	mmput_async(region->mm);
	return ret == -ENOMEM ? odp_attempt_nomem(attempt) : ret;
}

static int odp_populate_leaf(struct odp_region *region,
			     struct odp_attempt *attempt)
{
	int ret;

	for (;;) {
		ret = odp_populate_once(region, attempt);
		if (ret != -EAGAIN && ret != ODP_LOOK_AGAIN)
			return ret;
		if (ret == -EAGAIN)
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
			.burst = 1,
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
	int ret;

	pfns = kcalloc(min_t(unsigned long, (end - start) >> PAGE_SHIFT,
			     ODP_LEAF_ENTRIES), sizeof(*pfns), GFP_KERNEL);
	if (!pfns)
		return -ENOMEM;
	ret = odp_populate_leaves(region, start, end, flags, pfns);
	kfree(pfns);
	return ret;
}

/*
 * Faults in the caller's context
 *
 * A driver's worker asks for a few pages and must not sleep.  What the owner
 * has mapped, or could map without waiting (minor.c), is served at once;
 * whatever is in doubt is left to a job.
 *
 * read_begin() waits, so it is not called here.  Instead the window must be
 * idle: window->idle is a count of calls that have all ended, and if it is still
 * the count of calls when the pages are installed, no invalidation was under
 * way when the page tables were looked at.
 *
 * A fault may itself invalidate (copy on write takes the old page away), and
 * then the window would not be idle any more.  But what a task has invalidated
 * inside of handle_mm_fault() has ended when that returns:
 *
 *	faulter					others
 *	-------					------
 *	claim: idle == calls == n
 *	handle_mm_fault()
 *	  invalidate: calls, own_calls++
 *	  ... ended				invalidate: calls++, not own
 *	release: calls == n + own_calls?
 *	  then idle = calls			else: not idle, a job waits
 */
static bool odp_window_claim(struct odp_window *window, unsigned long calls)
{
	bool claimed;

	spin_lock(&window->lock);
	claimed = !window->faulter && window->calls == calls;
	if (claimed) {
		window->faulter = current;
		window->own_calls = 0;
	}
	spin_unlock(&window->lock);
	return claimed;
}

/* Return: the count of calls that have all ended: @calls, or its own too. */
static unsigned long odp_window_release(struct odp_window *window,
					unsigned long calls)
{
	spin_lock(&window->lock);
	window->faulter = NULL;
	if (window->calls == calls + window->own_calls) {
		calls = window->calls;
		/* Pairs with the acquire in odp_attempt_now(). */
		smp_store_release(&window->idle, calls);
	}
	spin_unlock(&window->lock);
	return calls;
}

/*
 * mmap_lock is held and stays so: with FAULT_FLAG_RETRY_NOWAIT nobody drops it.
 * Nor is a disk or userfaultfd waited for, nor a page lock, but for what the look
 * has just missed.  The allocations inside could reclaim; odp_memory_at_hand()
 * has seen that they need not, and should somebody have been faster, noio keeps
 * them from writing, compacting and from the OOM killer (not a memory cgroup's
 * own).
 */
static bool odp_fault_page_now(struct mm_struct *mm, unsigned long va,
			       bool write)
{
	struct vm_area_struct *vma = vma_lookup(mm, va);
	unsigned int noio;
	vm_fault_t fault;

	if (!odp_vma_permits(vma, write) ||
	    !odp_fault_is_minor(mm, vma, va, write))
		return false;
	noio = memalloc_noio_save();
	fault = handle_mm_fault(vma, va, FAULT_FLAG_ALLOW_RETRY |
				FAULT_FLAG_RETRY_NOWAIT | FAULT_FLAG_REMOTE |
				(write ? FAULT_FLAG_WRITE : 0), NULL);
	memalloc_noio_restore(noio);
	return !(fault & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/* Fault in what is missing.  Return: true when all of it was. */
static bool odp_attempt_fault_now(struct odp_attempt *attempt)
{
	struct odp_window *window = attempt->window;
	bool write = attempt->flags & ODP_FAULT_WRITE, served = true;
	unsigned int i, n = odp_attempt_pages(attempt);

	if (!odp_window_claim(window, attempt->calls))
		return false;
	for (i = 0; i < n && served; i++)
		if (!odp_attempt_has(attempt, i))
			served = odp_fault_page_now(window->region->mm,
						    attempt->start +
						    i * PAGE_SIZE, write);
	attempt->calls = odp_window_release(window, attempt->calls);
	return served;
}

static bool odp_attempt_look_now(struct odp_attempt *attempt)
{
	struct odp_window *window = attempt->window;
	struct hmm_range range;

	if (attempt->calls != READ_ONCE(window->calls))
		return false;
	odp_hmm_range(attempt, &range,
		      READ_ONCE(window->notifier.invalidate_seq));
	return !hmm_range_fault(&range);
}

static bool odp_attempt_all(const struct odp_attempt *attempt)
{
	return odp_attempt_missing(attempt) == odp_attempt_pages(attempt);
}

/* The caller has mmap_lock. */
static bool odp_attempt_find_now(struct odp_attempt *attempt,
				 struct mem_cgroup *memcg)
{
	struct mm_struct *mm = attempt->window->region->mm;

	/* Not hugetlb: its page tables have a sleeping lock of their own. */
	if (!odp_vmas_allowed(mm, attempt->start, attempt->end, false) ||
	    !odp_attempt_look_now(attempt))
		return false;
	if (odp_attempt_all(attempt))
		return true;
	if ((attempt->flags & ODP_FAULT_SNAPSHOT) ||
	    odp_region_dead(attempt->window->region) ||
	    !odp_memory_at_hand(memcg))
		return false;
	return odp_attempt_fault_now(attempt) &&
	       odp_attempt_look_now(attempt) && odp_attempt_all(attempt);
}

static bool odp_attempt_now(struct odp_attempt *attempt)
{
	struct odp_window *window = attempt->window;
	struct mm_struct *mm = window->region->mm;
	struct odp_charge charge;
	bool found;

	/* Pairs with the releases: what has ended is seen in the page tables. */
	attempt->calls = smp_load_acquire(&window->idle);
	if (attempt->calls != READ_ONCE(window->calls) ||
	    !mmap_read_trylock(mm))
		return false;
	odp_charge_begin(&charge, mm);
	found = odp_attempt_find_now(attempt, charge.memcg);
	mmap_read_unlock(mm);
	if (found && odp_attempt_install(attempt, GFP_NOWAIT | __GFP_ACCOUNT |
					 __GFP_NOWARN)) {
		found = false;
		/* What it has made room for may stay empty. */
		odp_window_emptied(window);
	}
	odp_charge_end(&charge);
	return found;
}

/*
 * Translate a few pages without leaving the caller's context and without
 * waiting for a page, a disk or mmap_lock.  The first page of a window is never
 * served so: subscribing to it allocates, and may sleep.
 *
 * Return: true when [@start, @end) is translated; false says nothing.
 */
bool odp_populate_now(struct odp_region *region, unsigned long start,
		      unsigned long end, unsigned int flags)
{
	unsigned long pfns[ODP_NOW_PAGES];
	struct odp_attempt attempt = {
		.start = start,
		.end = end,
		.flags = flags,
		.pfns = pfns,
	};
	bool done;

	if (odp_attempt_pages(&attempt) > ODP_NOW_PAGES ||
	    (start ^ (end - 1)) >> ODP_LEAF_SHIFT)
		return false;
	if (!mmget_not_zero(region->mm))
		return false;

	attempt.window = odp_window_get(region, start, false);
	done = attempt.window && odp_attempt_now(&attempt);
	if (attempt.window)
		odp_window_put(attempt.window);
	mmput_async(region->mm);
	return done;
}
