/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_KREF_H
#define STUB_LINUX_KREF_H

#include <linux/atomic.h>

struct kref {
	atomic_t refs;
};

static inline void kref_init(struct kref *kref)
{
	atomic_set(&kref->refs, 1);
}

static inline void kref_get(struct kref *kref)
{
	if (atomic_fetch_add(1, &kref->refs) <= 0)
		stub_bug("refcount", "a reference taken to what has none left");
}

static inline bool kref_get_unless_zero(struct kref *kref)
{
	return atomic_inc_not_zero(&kref->refs);
}

static inline int kref_put(struct kref *kref, void (*release)(struct kref *))
{
	if (atomic_read(&kref->refs) <= 0)
		stub_bug("refcount", "a reference given back twice");
	if (!atomic_dec_and_test(&kref->refs))
		return 0;
	release(kref);
	return 1;
}

#endif /* STUB_LINUX_KREF_H */
