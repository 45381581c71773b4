// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invalidation: the kernel takes pages away
 *
 * A fault counts on no invalidation having begun in its window since before it
 * looked at the page tables.  The notifier counts its calls; a fault reads the
 * count, waits in read_begin() until every invalidation counted so far has
 * ended, looks, and installs only if the count has not moved:
 *
 *	fault				invalidation
 *	-----				------------
 *	n = window->calls
 *	read_begin()
 *	hmm_range_fault(): page P
 *					spin_lock(window)
 *					  calls++
 *					spin_unlock(window)
 *	spin_lock(window)		clear the table: P not in it
 *	  calls != n: begin again
 *	spin_unlock(window)
 *
 * or, the other way round:
 *
 *	spin_lock(window)
 *	  calls == n
 *	  install P
 *	spin_unlock(window)
 *					spin_lock(window)
 *					  calls++
 *					spin_unlock(window)
 *					clear the table: finds P
 *
 * The table can be cleared after window->lock is dropped: a fault that read
 * the count earlier fails the check, and one that begins now waits in
 * read_begin() until the kernel has ended this invalidation.
 *
 * Why not the kernel's sequence number alone: invalidations that overlap in
 * time share one, so it does not tell whether a second one has begun.  Whoever
 * waits for the end of all of them (read_begin()) need not know; a fault in the
 * caller's context does not wait, and must (populate.c).
 *
 * The callback takes spinlocks that are never held across anything slower than
 * the copy of a page; it does not sleep, allocate, or wait for a fault.  So it
 * serves ranges that are not blockable (the OOM reaper) like any other and
 * never returns false.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched.h>

#include "odp.h"
#include "trace.h"

static void odp_count_event(struct odp_region *region,
			    enum mmu_notifier_event event, unsigned int pages)
{
	odp_count(region, ODP_STAT_INVALIDATIONS, 1);
	odp_count(region, ODP_STAT_INVALIDATIONS_HANDLED, pages);
	/* A kernel may come to know more events than we do. */
	if (event >= ODP_EVENTS)
		return;
	atomic64_inc(&odp_gauges.event_calls[event]);
	atomic64_add(pages, &odp_gauges.event_pages[event]);
}

static bool odp_window_invalidate(struct mmu_interval_notifier *notifier,
				  const struct mmu_notifier_range *range,
				  unsigned long cur_seq)
{
	struct odp_window *window = container_of(notifier, struct odp_window,
						 notifier);
	unsigned long start, end;
	unsigned int pages;

	start = max(range->start, notifier->interval_tree.start);
	end = min(range->end, notifier->interval_tree.last + 1);

	spin_lock(&window->lock);
	mmu_interval_set_seq(notifier, cur_seq);
	/* Who sees the count in odp_attempt_begin() sees the sequence too. */
	smp_store_release(&window->calls, window->calls + 1);
	if (window->faulter == current)
		window->own_calls++;
	spin_unlock(&window->lock);

	pages = odp_table_clear(window, start, end);
	odp_count_event(window->region, range->event, pages);
	trace_odp_invalidate(window->region, start, end, range->event, pages);
	if (pages)
		odp_window_emptied(window);
	return true;
}

const struct mmu_interval_notifier_ops odp_notifier_ops = {
	.invalidate = odp_window_invalidate,
};
