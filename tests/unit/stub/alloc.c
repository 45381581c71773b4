// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Allocation: counted, charged, failed on demand
 *
 * Every object is a malloc() of its own with a header before it, so that
 * AddressSanitizer knows its bounds and its end.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "mm.h"

#define OBJECT_MAGIC	0x0b1ec7edUL

struct object {
	unsigned long		magic;
	struct kmem_cache	*cache;
	struct mem_cgroup	*memcg;
	unsigned long		unused;		/* keeps 16 byte alignment */
};

struct kmem_cache {
	const char	*name;
	size_t		size;
	long		live;
};

long stub_fail_nth;
long stub_fail_hits;
long stub_fail_from;
bool stub_memcg_full;
bool stub_memcg_has_cache;
static long objects_live;

long stub_objects_live(void)
{
	return __atomic_load_n(&objects_live, __ATOMIC_RELAXED);
}

/* Count an allocation down; true when it is the one that fails. */
bool stub_should_fail(void)
{
	long from = __atomic_load_n(&stub_fail_from, __ATOMIC_RELAXED);

	if (from == 1)
		return true;
	if (from > 1)
		__atomic_sub_fetch(&stub_fail_from, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&stub_fail_nth, __ATOMIC_RELAXED) <= 0)
		return false;
	if (__atomic_sub_fetch(&stub_fail_nth, 1, __ATOMIC_RELAXED))
		return false;
	__atomic_add_fetch(&stub_fail_hits, 1, __ATOMIC_RELAXED);
	return true;
}

static struct mem_cgroup *charge(gfp_t gfp)
{
	struct mem_cgroup *memcg = current->active_memcg;

	if (!(gfp & __GFP_ACCOUNT))
		return NULL;
	if (!memcg && current->mm)
		memcg = &current->mm->memcg;
	if (memcg)
		__atomic_add_fetch(&memcg->charged, 1, __ATOMIC_RELAXED);
	return memcg;
}

static bool no_room(gfp_t gfp)
{
	return stub_memcg_full && (gfp & __GFP_ACCOUNT) &&
	       !(stub_memcg_has_cache && (gfp & __GFP_DIRECT_RECLAIM));
}

static void *object_alloc(size_t size, gfp_t gfp, struct kmem_cache *cache)
{
	struct object *obj;

	if (gfp & __GFP_DIRECT_RECLAIM)
		stub_might_sleep("allocation with GFP_KERNEL");
	else if (current->callback)
		stub_bug("a notifier callback allocates", "kzalloc");
	if (!(gfp & __GFP_NOFAIL) && (stub_should_fail() || no_room(gfp)))
		return NULL;
	obj = calloc(1, sizeof(*obj) + size);
	if (!obj)
		stub_bug("stub", "out of memory");
	obj->magic = OBJECT_MAGIC;
	obj->cache = cache;
	obj->memcg = charge(gfp);
	__atomic_add_fetch(&objects_live, 1, __ATOMIC_RELAXED);
	return obj + 1;
}

static void object_free(const void *ptr, struct kmem_cache *cache)
{
	struct object *obj = (struct object *)ptr - 1;

	if (obj->magic != OBJECT_MAGIC || obj->cache != cache)
		stub_bug("free", "not an object of this allocator");
	if (obj->memcg)
		__atomic_sub_fetch(&obj->memcg->charged, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&objects_live, 1, __ATOMIC_RELAXED);
	free(obj);
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return object_alloc(size, gfp, NULL);
}

void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	return object_alloc(n * size, gfp, NULL);
}

void kfree(const void *ptr)
{
	if (ptr)
		object_free(ptr, NULL);
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size)
{
	struct kmem_cache *cache;

	if (stub_should_fail())
		return NULL;
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		stub_bug("stub", "out of memory");
	cache->name = name;
	cache->size = size;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (cache->live)
		stub_bug("leak", "a cache is destroyed with objects in it");
	free(cache);
}

void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *ptr = object_alloc(cache->size, gfp, cache);

	if (ptr)
		__atomic_add_fetch(&cache->live, 1, __ATOMIC_RELAXED);
	return ptr;
}

void kmem_cache_free(struct kmem_cache *cache, void *ptr)
{
	__atomic_sub_fetch(&cache->live, 1, __ATOMIC_RELAXED);
	object_free(ptr, cache);
}

struct mem_cgroup *get_mem_cgroup_from_mm(struct mm_struct *mm)
{
	__atomic_add_fetch(&mm->memcg.refs, 1, __ATOMIC_RELAXED);
	return &mm->memcg;
}

struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg)
{
	struct mem_cgroup *old = current->active_memcg;

	current->active_memcg = memcg;
	return old;
}

void mem_cgroup_put(struct mem_cgroup *memcg)
{
	__atomic_sub_fetch(&memcg->refs, 1, __ATOMIC_RELAXED);
}
