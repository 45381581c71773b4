/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A hash table with the calls, the marks and the RCU rules of an xarray. */
#ifndef STUB_LINUX_XARRAY_H
#define STUB_LINUX_XARRAY_H

#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#define XA_MARK_0		0U
#define XA_FLAGS_ACCOUNT	(1U << 5)
#define STUB_XA_BUCKETS		64

typedef unsigned int xa_mark_t;

struct stub_xa_node {
	struct stub_xa_node	*next;
	unsigned long		index;
	void			*entry;
	bool			marked;
	struct rcu_head		rcu;
};

struct xarray {
	spinlock_t		lock;
	unsigned int		flags;
	struct stub_xa_node	*bucket[STUB_XA_BUCKETS];
};

void xa_init_flags(struct xarray *xa, unsigned int flags);
void xa_destroy(struct xarray *xa);
void *xa_load(struct xarray *xa, unsigned long index);
int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
void *xa_erase(struct xarray *xa, unsigned long index);
void xa_set_mark(struct xarray *xa, unsigned long index, xa_mark_t mark);
void xa_clear_mark(struct xarray *xa, unsigned long index, xa_mark_t mark);
void *stub_xa_find(struct xarray *xa, unsigned long *index, bool marked);

#define stub_xa_each(xa, index, entry, marked) \
	for ((index) = 0, (entry) = stub_xa_find(xa, &(index), marked); \
	     (entry); \
	     (entry) = ++(index) ? stub_xa_find(xa, &(index), marked) : NULL)
#define xa_for_each(xa, index, entry)	stub_xa_each(xa, index, entry, false)
#define xa_for_each_marked(xa, index, entry, mark) \
	stub_xa_each(xa, index, entry, (mark) == XA_MARK_0)

#endif /* STUB_LINUX_XARRAY_H */
