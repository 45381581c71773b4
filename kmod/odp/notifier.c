// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invalidation: the kernel takes pages away
 *
 * The interval notifier is a sequence count with many writers.  A fault reads
 * the sequence, asks the page tables, and installs only if no invalidation of
 * its window has begun meanwhile:
 *
 *	fault				invalidation
 *	-----				------------
 *	seq = read_begin()
 *	hmm_range_fault(): page P
 *					spin_lock(window)
 *					  set_seq()
 *					spin_unlock(window)
 *	spin_lock(window)		clear the table: P not in it
 *	  read_retry(seq): begin again
 *	spin_unlock(window)
 *
 * or, the other way round:
 *
 *	spin_lock(window)
 *	  read_retry(seq): still good
 *	  install P
 *	spin_unlock(window)
 *					spin_lock(window)
 *					  set_seq()
 *					spin_unlock(window)
 *					clear the table: finds P
 *
 * The table can be cleared after window->lock is dropped: a fault that read
 * its sequence earlier fails the check, and one that begins now waits in
 * read_begin() until the kernel has ended this invalidation.
 *
 * The callback takes spinlocks that are never held across anything slower than
 * the copy of a page; it does not sleep, allocate, or wait for a fault.  So it
 * serves ranges that are not blockable (the OOM reaper) like any other and
 * never returns false.
 */
#include <linux/mmu_notifier.h>

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
