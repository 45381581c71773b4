// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Interval notifiers
 *
 * The sequence of an address space is odd while an invalidation that concerns
 * a subscriber is under way, and rises when the last of them ends.  While it
 * is odd the set of subscribers is frozen: who comes is put aside, who goes
 * stays till the end and waits for it.  A reader of a subscriber's sequence
 * waits while that equals the odd sequence of the address space.
 */
#include <limits.h>

#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mm.h"

void stub_mn_init(struct mm_struct *mm)
{
	spin_lock_init(&mm->mn_lock);
	mm->mn_seq = 2;
	INIT_LIST_HEAD(&mm->mn_in);
	INIT_LIST_HEAD(&mm->mn_coming);
	init_waitqueue_head(&mm->mn_wait);
}

static bool mn_busy(const struct mm_struct *mm)
{
	return mm->mn_seq & 1;
}

static bool mn_overlaps(const struct mmu_interval_notifier *n,
			const struct mmu_notifier_range *range)
{
	return n->interval_tree.start < range->end &&
	       n->interval_tree.last >= range->start;
}

static void mn_call(struct mmu_interval_notifier *n,
		    const struct mmu_notifier_range *range, unsigned long seq)
{
	struct task_struct *me = current;

	me->callback++;
	if (!n->ops->invalidate(n, range, seq))
		stub_bug("a notifier callback refuses", "invalidate");
	me->callback--;
	if (__atomic_load_n(&n->invalidate_seq, __ATOMIC_RELAXED) != seq)
		stub_bug("a notifier callback sets no sequence", "invalidate");
	__atomic_add_fetch(&n->mm->mn_calls, 1, __ATOMIC_RELAXED);
}

void stub_mn_start(struct mm_struct *mm, unsigned long start,
		   unsigned long end, bool blockable)
{
	struct mmu_notifier_range range = {
		.mm = mm,
		.start = start,
		.end = end,
		.blockable = blockable,
	};
	struct mmu_interval_notifier *n;
	bool found = false;
	unsigned long seq;

	spin_lock(&mm->mn_lock);
	mm->mn_active++;
	list_for_each_entry(n, &mm->mn_in, link)
		found |= mn_overlaps(n, &range);
	if (found)
		WRITE_ONCE(mm->mn_seq, mm->mn_seq | 1);
	seq = mm->mn_seq;
	spin_unlock(&mm->mn_lock);
	if (!found)
		return;
	list_for_each_entry(n, &mm->mn_in, link)
		if (mn_overlaps(n, &range))
			mn_call(n, &range, seq);
}

static void mn_settle(struct mm_struct *mm)
{
	struct mmu_interval_notifier *n, *next;

	list_for_each_entry_safe(n, next, &mm->mn_in, link) {
		if (n->state != STUB_MN_GOING)
			continue;
		list_del(&n->link);
		n->state = STUB_MN_OUT;
	}
	list_for_each_entry_safe(n, next, &mm->mn_coming, link) {
		list_del(&n->link);
		list_add_tail(&n->link, &mm->mn_in);
		n->state = STUB_MN_IN;
	}
}

void stub_mn_end(struct mm_struct *mm)
{
	spin_lock(&mm->mn_lock);
	if (--mm->mn_active || !mn_busy(mm)) {
		spin_unlock(&mm->mn_lock);
		return;
	}
	mn_settle(mm);
	/* Whoever waited for this may free what we have looked at. */
	smp_store_release(&mm->mn_seq, mm->mn_seq + 1);
	spin_unlock(&mm->mn_lock);
	wake_up_all(&mm->mn_wait);
}

static void mn_wait_for_change(struct mm_struct *mm, unsigned long seq)
{
	unsigned int seen;

	for (;;) {
		seen = stub_wait_seen(&mm->mn_wait);
		if (smp_load_acquire(&mm->mn_seq) != seq)
			return;
		stub_wait(&mm->mn_wait, seen, ULONG_MAX, "notifier waits");
	}
}

/* The first subscriber of an address space brings memory and mmap_lock along. */
static int mn_make_ready(struct mm_struct *mm)
{
	stub_mmap_write_lock(mm);
	if (!mm->mn_ready && stub_should_fail()) {
		stub_mmap_write_unlock(mm);
		return -ENOMEM;
	}
	mm->mn_ready = true;
	stub_mmap_write_unlock(mm);
	return 0;
}

int mmu_interval_notifier_insert(struct mmu_interval_notifier *n,
				 struct mm_struct *mm, unsigned long start,
				 unsigned long length,
				 const struct mmu_interval_notifier_ops *ops)
{
	unsigned long last;

	stub_might_sleep("mmu_interval_notifier_insert");
	if (__atomic_load_n(&mm->users, __ATOMIC_RELAXED) <= 0)
		stub_bug("notifier", "inserted without a hold on the mm");
	if (mn_make_ready(mm))
		return -ENOMEM;
	if (!length || check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	mmgrab(mm);
	n->interval_tree.start = start;
	n->interval_tree.last = last;
	n->ops = ops;
	n->mm = mm;

	spin_lock(&mm->mn_lock);
	n->state = mn_busy(mm) ? STUB_MN_COMING : STUB_MN_IN;
	if (mm->mn_active)
		WRITE_ONCE(mm->mn_seq, mm->mn_seq | 1);
	/* Odd: busy if the address space is, of a round gone by if not. */
	n->invalidate_seq = mn_busy(mm) ? mm->mn_seq : mm->mn_seq - 1;
	list_add_tail(&n->link, n->state == STUB_MN_IN ? &mm->mn_in :
							 &mm->mn_coming);
	mm->mn_subscriptions++;
	spin_unlock(&mm->mn_lock);
	return 0;
}

void mmu_interval_notifier_remove(struct mmu_interval_notifier *n)
{
	struct mm_struct *mm = n->mm;
	unsigned long wait_for = 0;

	stub_might_sleep("mmu_interval_notifier_remove");
	spin_lock(&mm->mn_lock);
	if (mn_busy(mm) && n->state == STUB_MN_IN) {
		n->state = STUB_MN_GOING;
		wait_for = mm->mn_seq;
	} else {
		list_del(&n->link);
		n->state = STUB_MN_OUT;
	}
	mm->mn_subscriptions--;
	spin_unlock(&mm->mn_lock);
	if (wait_for)
		mn_wait_for_change(mm, wait_for);
	mmdrop(mm);
}

unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *n)
{
	struct mm_struct *mm = n->mm;
	unsigned long seq;
	bool busy;

	stub_might_sleep("mmu_interval_read_begin");
	spin_lock(&mm->mn_lock);
	seq = READ_ONCE(n->invalidate_seq);
	busy = seq == mm->mn_seq;
	spin_unlock(&mm->mn_lock);
	if (busy)
		mn_wait_for_change(mm, seq);
	return seq;
}

bool mmu_interval_read_retry(struct mmu_interval_notifier *n,
			     unsigned long seq)
{
	bool changed;

	stub_point("read_retry");
	changed = READ_ONCE(n->invalidate_seq) != seq;
	stub_point("read_retry");
	return changed;
}

void mmu_interval_set_seq(struct mmu_interval_notifier *n, unsigned long seq)
{
	stub_point("set_seq");
	WRITE_ONCE(n->invalidate_seq, seq);
	stub_point("set_seq");
}
