/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_MMU_NOTIFIER_H
#define STUB_LINUX_MMU_NOTIFIER_H

#include <linux/list.h>
#include <linux/mm.h>

struct mmu_interval_notifier;

enum mmu_notifier_event {
	MMU_NOTIFY_UNMAP = 0,
	MMU_NOTIFY_CLEAR,
	MMU_NOTIFY_PROTECTION_VMA,
	MMU_NOTIFY_PROTECTION_PAGE,
	MMU_NOTIFY_SOFT_DIRTY,
	MMU_NOTIFY_RELEASE,
	MMU_NOTIFY_MIGRATE,
	MMU_NOTIFY_EXCLUSIVE,
};

struct mmu_notifier_range {
	struct mm_struct	*mm;
	unsigned long		start;
	unsigned long		end;
	bool			blockable;
	enum mmu_notifier_event	event;
};

struct mmu_interval_notifier_ops {
	bool (*invalidate)(struct mmu_interval_notifier *notifier,
			   const struct mmu_notifier_range *range,
			   unsigned long cur_seq);
};

struct mmu_interval_notifier {
	struct {
		unsigned long start;
		unsigned long last;
	} interval_tree;
	const struct mmu_interval_notifier_ops *ops;
	struct mm_struct	*mm;
	unsigned long		invalidate_seq;
	/* Of the stub: where it is, and what waits for the end of a round. */
	struct list_head	link;
	enum { STUB_MN_OUT, STUB_MN_IN, STUB_MN_COMING, STUB_MN_GOING } state;
};

int mmu_interval_notifier_insert(struct mmu_interval_notifier *notifier,
				 struct mm_struct *mm, unsigned long start,
				 unsigned long length,
				 const struct mmu_interval_notifier_ops *ops);
void mmu_interval_notifier_remove(struct mmu_interval_notifier *notifier);
unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *notifier);
bool mmu_interval_read_retry(struct mmu_interval_notifier *notifier,
			     unsigned long seq);
void mmu_interval_set_seq(struct mmu_interval_notifier *notifier,
			  unsigned long seq);

#endif /* STUB_LINUX_MMU_NOTIFIER_H */
