// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows: which parts of a region the kernel tells us about
 *
 * A window subscribes to 64 MiB of the owner's address space.  It is made by
 * the first fault in it, so an untouched region costs nothing, and an
 * invalidation elsewhere neither calls us nor restarts a fault here.
 *
 * A window is looked up under RCU by accesses and held through window->users
 * by faults.  The reaper takes it when it is empty and nobody faults in it:
 *
 *	reaper				fault
 *	------				-----
 *	cmpxchg(users, 0, INT_MIN)	inc_unless_negative(users)
 *	  one of the two wins; the loser of the right column makes a new
 *	  window when the old one has left the xarray
 *	look for entries again: users is frozen, so none can be added
 *	xa_erase(), region->near
 *	notifier_remove()		waits for callbacks in flight
 *	kfree_rcu()			accesses that still look see no leaf
 *
 * The windows used last are found in region->near, without the levels of an
 * xarray over the whole address space.  A window enters it while somebody uses
 * it, so not after the reaper has taken it, and leaves it before its grace
 * period begins.
 */
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "odp.h"
#include "trace.h"

/* How long something stays empty before its memory is given back. */
#define ODP_REAP_DELAY		HZ

static struct odp_window __rcu **odp_window_near(struct odp_region *region,
						 unsigned long index)
{
	return &region->near[index & (ODP_NEAR_WINDOWS - 1)];
}

/* The caller is a user of @window. */
static void odp_window_set_near(struct odp_window *window)
{
	struct odp_window __rcu **near;

	near = odp_window_near(window->region, window->index);
	if (rcu_access_pointer(*near) != window)
		rcu_assign_pointer(*near, window);
}

/* The caller has taken @window from its users. */
static void odp_window_clear_near(struct odp_window *window)
{
	struct odp_window __rcu **near;

	near = odp_window_near(window->region, window->index);
	/* Another one may have its place, or take it now. */
	unrcu_pointer(cmpxchg(near, RCU_INITIALIZER(window), NULL));
}

/* The window of @va, or NULL; the caller is in an RCU section. */
struct odp_window *odp_window_find(struct odp_region *region, unsigned long va)
{
	unsigned long index = va >> ODP_WINDOW_SHIFT;
	struct odp_window *window;

	window = rcu_dereference(*odp_window_near(region, index));
	if (likely(window && window->index == index))
		return window;
	return xa_load(&region->windows, index);
}

static struct odp_window *odp_window_create(struct odp_region *region,
					    unsigned long index)
{
	unsigned long first = index << ODP_WINDOW_SHIFT;
	unsigned long start, end;
	struct odp_window *window;
	int ret;

	start = max(first, region->start & PAGE_MASK);
	end = min_t(u64, first + ODP_WINDOW_SIZE,
		    PAGE_ALIGN(region->start + region->length));

	window = kzalloc(sizeof(*window), GFP_KERNEL_ACCOUNT);
	if (!window)
		return ERR_PTR(-ENOMEM);
	window->region = region;
	window->index = index;
	spin_lock_init(&window->lock);
	atomic_set(&window->users, 1);
	/* Not idle: an invalidation under way may have passed it by. */
	window->calls = window->idle + 1;

	ret = mmu_interval_notifier_insert(&window->notifier, region->mm, start,
					   end - start, &odp_notifier_ops);
	if (ret)
		goto err_free;

	/*
	 * Two faults may race to make the same window.  Both subscribe, one
	 * enters the xarray, the other one goes back and uses that.
	 */
	ret = xa_insert(&region->windows, index, window, GFP_KERNEL_ACCOUNT);
	if (ret)
		goto err_remove;
	odp_window_set_near(window);
	atomic_long_inc(&odp_gauges.windows);
	trace_odp_window_create(region, index);
	return window;

err_remove:
	mmu_interval_notifier_remove(&window->notifier);
err_free:
	kfree(window);
	return ERR_PTR(ret);
}

/*
 * Find the window of @va and hold it against the reaper; make it when @create.
 * With @create the caller holds a reference to the owner's address space
 * (mmget) and may sleep.  Return: the window, NULL or an ERR_PTR.
 */
struct odp_window *odp_window_get(struct odp_region *region, unsigned long va,
				  bool create)
{
	struct odp_window *window;

	for (;;) {
		rcu_read_lock();
		window = odp_window_find(region, va);
		if (window && !atomic_inc_unless_negative(&window->users))
			window = NULL;
		rcu_read_unlock();
		if (window)
			odp_window_set_near(window);
		if (window || !create)
			return window;

		window = odp_window_create(region, va >> ODP_WINDOW_SHIFT);
		if (!IS_ERR(window) || PTR_ERR(window) != -EBUSY)
			return window;
		cond_resched();
	}
}

void odp_window_put(struct odp_window *window)
{
	/* What was done inside comes before the reaper's cmpxchg. */
	atomic_dec_return_release(&window->users);
}

/*
 * Something in @window may be empty now: let the reaper look in a while.  Takes
 * only the xarray's spinlock, so the notifier may call it.
 */
void odp_window_emptied(struct odp_window *window)
{
	struct odp_region *region = window->region;

	xa_set_mark(&region->windows, window->index, ODP_WINDOW_REAP);
	queue_delayed_work(odp_wq, &region->reap_timer, ODP_REAP_DELAY);
}

static bool odp_window_try_reap(struct odp_window *window, unsigned long index)
{
	struct odp_region *region = window->region;

	if (atomic_cmpxchg(&window->users, 0, INT_MIN))
		return false;
	if (!odp_table_trim(window)) {
		atomic_set(&window->users, 0);
		return false;
	}

	trace_odp_window_reap(region, index);
	xa_erase(&region->windows, index);
	odp_window_clear_near(window);
	mmu_interval_notifier_remove(&window->notifier);
	kfree_rcu(window, rcu);
	atomic_long_dec(&odp_gauges.windows);
	return true;
}

/* Give back what has become empty. */
static void odp_windows_reap(struct odp_job *job)
{
	struct odp_region *region = container_of(job, struct odp_region, reap);
	struct odp_window *window;
	unsigned long index;
	bool again = false;

	/*
	 * This job is the only one that removes windows while the region
	 * lives, so a window found here stays until we reap it.
	 */
	xa_for_each_marked(&region->windows, index, window, ODP_WINDOW_REAP) {
		xa_clear_mark(&region->windows, index, ODP_WINDOW_REAP);
		if (odp_table_trim(window) &&
		    !odp_window_try_reap(window, index)) {
			/* A fault is inside and may leave it empty. */
			xa_set_mark(&region->windows, index, ODP_WINDOW_REAP);
			again = true;
		}
		cond_resched();
	}
	if (again)
		queue_delayed_work(odp_wq, &region->reap_timer, ODP_REAP_DELAY);
	atomic_set_release(&region->reaping, 0);
	odp_region_put(region);
}

/*
 * Removing a window sleeps for as long as the owner likes, so that is a job of
 * its user's; this work function only starts it, and does not sleep.  Neither
 * it nor the timer holds a reference, or nothing would go before it is due; the
 * job does.
 *
 *	odp_windows_reap_due()		last put
 *	----------------------		--------
 *	reaping = 1
 *	tryget: the job has it		only after the job's own put
 *	or
 *					kref is 0, odp_region_release():
 *	tryget fails			disable_delayed_work_sync() waits for
 *	return				this function
 */
static void odp_windows_reap_due(struct work_struct *work)
{
	struct odp_region *region = container_of(to_delayed_work(work),
						 struct odp_region, reap_timer);

	if (atomic_cmpxchg(&region->reaping, 0, 1)) {
		/* The last one waits for its turn, or sleeps: look later. */
		queue_delayed_work(odp_wq, &region->reap_timer, ODP_REAP_DELAY);
		return;
	}
	if (odp_region_tryget(region))
		odp_job_queue(&region->reap);
}

void odp_windows_init(struct odp_region *region)
{
	xa_init_flags(&region->windows, XA_FLAGS_ACCOUNT);
	INIT_DELAYED_WORK(&region->reap_timer, odp_windows_reap_due);
	odp_job_init(&region->reap, region->owner, odp_windows_reap, true);
	atomic_set(&region->reaping, 0);
}

/* Last reference: nobody looks any more, only callbacks may still come. */
void odp_windows_destroy(struct odp_region *region)
{
	struct odp_window *window;
	unsigned long index;

	xa_for_each(&region->windows, index, window) {
		xa_erase(&region->windows, index);
		mmu_interval_notifier_remove(&window->notifier);
		odp_table_free(window);
		kfree(window);
		atomic_long_dec(&odp_gauges.windows);
		cond_resched();
	}
}
