/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_HMM_H
#define STUB_LINUX_HMM_H

#include <linux/mm.h>
#include <linux/mmu_notifier.h>

/* The layout is ours; users of the interface know only the names. */
#define HMM_PFN_VALID		(1UL << 63)
#define HMM_PFN_WRITE		(1UL << 62)
#define HMM_PFN_ERROR		(1UL << 61)
#define HMM_PFN_ORDER_SHIFT	56
#define HMM_PFN_FLAGS		(0xffUL << HMM_PFN_ORDER_SHIFT)
#define HMM_PFN_REQ_FAULT	HMM_PFN_VALID
#define HMM_PFN_REQ_WRITE	HMM_PFN_WRITE

struct hmm_range {
	struct mmu_interval_notifier *notifier;
	unsigned long		notifier_seq;
	unsigned long		start;
	unsigned long		end;
	unsigned long		*hmm_pfns;
	unsigned long		default_flags;
	unsigned long		pfn_flags_mask;
	void			*dev_private_owner;
};

static inline unsigned int hmm_pfn_to_map_order(unsigned long hmm_pfn)
{
	return (hmm_pfn >> HMM_PFN_ORDER_SHIFT) & 0x1f;
}

#define hmm_pfn_to_page(hmm_pfn)	pfn_to_page((hmm_pfn) & ~HMM_PFN_FLAGS)

int hmm_range_fault(struct hmm_range *range);

#endif /* STUB_LINUX_HMM_H */
