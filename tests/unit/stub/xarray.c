// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The xarray: readers take no lock, nodes go after a grace period. */
#include <limits.h>

#include <linux/slab.h>
#include <linux/xarray.h>

static struct stub_xa_node **xa_bucket(struct xarray *xa, unsigned long index)
{
	return &xa->bucket[index % STUB_XA_BUCKETS];
}

static struct stub_xa_node *xa_find_node(struct xarray *xa, unsigned long index)
{
	struct stub_xa_node *node;

	node = __atomic_load_n(xa_bucket(xa, index), __ATOMIC_ACQUIRE);
	while (node && node->index != index)
		node = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE);
	return node;
}

void xa_init_flags(struct xarray *xa, unsigned int flags)
{
	memset(xa, 0, sizeof(*xa));
	xa->flags = flags;
	spin_lock_init(&xa->lock);
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	struct stub_xa_node *node;
	void *entry;

	stub_rcu_read_lock();
	node = xa_find_node(xa, index);
	entry = node ? node->entry : NULL;
	stub_point("xa_load");
	stub_rcu_read_unlock("xa_load");
	return entry;
}

int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	struct stub_xa_node *node = kzalloc(sizeof(*node), gfp);
	int ret = -EBUSY;

	if (!node)
		return -ENOMEM;
	spin_lock(&xa->lock);
	if (!xa_find_node(xa, index)) {
		node->index = index;
		node->entry = entry;
		node->next = *xa_bucket(xa, index);
		rcu_assign_pointer(*xa_bucket(xa, index), node);
		ret = 0;
	}
	spin_unlock(&xa->lock);
	if (ret)
		kfree(node);
	return ret;
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
	struct stub_xa_node **at, *node;
	void *entry = NULL;

	spin_lock(&xa->lock);
	at = xa_bucket(xa, index);
	while (*at && (*at)->index != index)
		at = &(*at)->next;
	node = *at;
	if (node) {
		entry = node->entry;
		__atomic_store_n(at, node->next, __ATOMIC_RELEASE);
		kfree_rcu(node, rcu);
	}
	spin_unlock(&xa->lock);
	return entry;
}

static void xa_mark(struct xarray *xa, unsigned long index, bool marked)
{
	struct stub_xa_node *node;

	spin_lock(&xa->lock);
	node = xa_find_node(xa, index);
	if (node)
		__atomic_store_n(&node->marked, marked, __ATOMIC_RELAXED);
	spin_unlock(&xa->lock);
}

void xa_set_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	(void)mark;
	xa_mark(xa, index, true);
}

void xa_clear_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	(void)mark;
	xa_mark(xa, index, false);
}

static bool xa_wanted(struct stub_xa_node *node, unsigned long from,
		      unsigned long best, bool marked)
{
	if (marked && !__atomic_load_n(&node->marked, __ATOMIC_RELAXED))
		return false;
	return node->index >= from && node->index <= best;
}

/* The entry with the smallest index from *@index on; moves *@index to it. */
void *stub_xa_find(struct xarray *xa, unsigned long *index, bool marked)
{
	unsigned long best = ULONG_MAX;
	struct stub_xa_node *node;
	void *entry = NULL;
	unsigned int i;

	stub_rcu_read_lock();
	for (i = 0; i < STUB_XA_BUCKETS; i++) {
		node = __atomic_load_n(&xa->bucket[i], __ATOMIC_ACQUIRE);
		for (; node; node = __atomic_load_n(&node->next,
						    __ATOMIC_ACQUIRE)) {
			if (!xa_wanted(node, *index, best, marked))
				continue;
			best = node->index;
			entry = node->entry;
		}
	}
	stub_rcu_read_unlock("xa_find");
	if (entry)
		*index = best;
	return entry;
}

void xa_destroy(struct xarray *xa)
{
	struct stub_xa_node *node;
	unsigned int i;

	for (i = 0; i < STUB_XA_BUCKETS; i++) {
		while ((node = xa->bucket[i])) {
			xa->bucket[i] = node->next;
			kfree(node);
		}
	}
}
