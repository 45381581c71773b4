// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odpreg_get() and odpreg_put(). What is in the cache is found, checked and counted without a lock:
 *
 *	is this still the process		1 load
 *	pinned: has all been told		CHECK_LOAD 1 load, CHECK_FULL a system call more
 *	which region				a binary search
 *	a user more				1 atomic addition, which says whether it is alive
 *	is it still the region found		1 load
 */
#include <errno.h>
#include <string.h>

#include "reg.h"

#define NOT_THE_CALLERS	(IBV_ACCESS_ON_DEMAND | IBV_ACCESS_HUGETLB | IBV_ACCESS_ZERO_BASED)
#define REMOTE		(IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC | \
			 IBV_ACCESS_FLUSH_GLOBAL | IBV_ACCESS_FLUSH_PERSISTENT)

struct reg_shard *reg_shard(struct odpreg_domain *d)
{
	static _Atomic unsigned int threads;
	static _Thread_local unsigned int mine __attribute__((tls_model("initial-exec")));

	if (!mine)
		mine = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % REG_SHARDS;
	return &d->shard[mine - 1];
}

struct region *cache_find(struct odpreg_domain *d, struct interval_set *set, uint64_t start,
			  uint64_t end)
{
	struct region *r;
	uint64_t ticket, state;

	for (;;) {
		r = interval_find(set, start, end, &ticket);
		if (!r)
			return NULL;
		state = region_ref(r);
		if (interval_same(set, ticket) && region_ready(state)) {
			if (!atomic_load_explicit(&r->used, memory_order_relaxed))
				atomic_store_explicit(&r->used, true, memory_order_relaxed);
			return r;
		}
		if (region_unref(r))
			cache_put(d, r);
		if (interval_same(set, ticket))
			return NULL;
	}
}

/* The classes of a domain only grow in number. NULL when they are all taken. */
static struct reg_class *class_of(struct odpreg_domain *d, int access)
{
	int i, n = atomic_load_explicit(&d->classes, memory_order_acquire);

	for (i = 0; i < n; i++)
		if (d->class[i].access == access)
			return &d->class[i];
	pthread_mutex_lock(&d->lock);
	n = atomic_load(&d->classes);
	for (; i < n && d->class[i].access != access; i++)
		;
	if (i == n && n < REG_CLASSES) {
		d->class[n].domain = d;
		d->class[n].access = access;
		interval_init(&d->class[n].explicit);
		interval_init(&d->class[n].pinned);
		atomic_store_explicit(&d->classes, n + 1, memory_order_release);
	}
	pthread_mutex_unlock(&d->lock);
	return i < REG_CLASSES ? &d->class[i] : NULL;
}

static void answer(struct odpreg_mem *mem, const struct region *r)
{
	*mem = (struct odpreg_mem){
		.lkey = r->lkey, .rkey = r->rkey, .kind = r->kind, .why = r->why,
		.region = (void *)r,
	};
}

/* ------------------------------------------------------------------ the kinds in turn */

/*
 * Each of these: 0 with the answer in *mem; a positive errno: over; -1: the next kind, and q->why
 * says why.
 */
static int by_implicit(struct reg_request *q, struct odpreg_mem *mem)
{
	struct odpreg_domain *d = q->domain;
	bool forced = d->policy == ODPREG_IMPLICIT;
	struct ibv_mr *mr;
	int err = 0;

	if (!d->can_implicit)
		q->why = d->can_explicit ? ODPREG_WHY_NO_IMPLICIT : ODPREG_WHY_NO_ODP;
	else if (!forced && (q->access & REMOTE))
		q->why = ODPREG_WHY_REMOTE;
	else if (!q->home)
		q->why = ODPREG_WHY_LIMIT;
	else
		q->why = ODPREG_WHY_BEST;
	if (q->why != ODPREG_WHY_BEST)
		return forced ? EOPNOTSUPP : -1;
	mr = atomic_load_explicit(&q->home->implicit, memory_order_acquire);
	if (!mr) {
		err = cache_implicit(d, q->home);
		mr = atomic_load(&q->home->implicit);
	}
	if (!mr) {
		q->why = ODPREG_WHY_REFUSED;
		return forced ? err : -1;
	}
	*mem = (struct odpreg_mem){
		.lkey = mr->lkey, .rkey = mr->rkey, .kind = ODPREG_IMPLICIT,
		.why = forced ? ODPREG_WHY_FORCED : ODPREG_WHY_BEST,
	};
	reg_count(&reg_shard(d)->implicit, 1);
	return 0;
}

static int found(struct odpreg_domain *d, struct interval_set *set, const struct reg_request *q,
		 struct odpreg_mem *mem)
{
	struct region *r = cache_find(d, set, q->addr, q->addr + q->len);

	if (!r)
		return -1;
	answer(mem, r);
	reg_count(&reg_shard(d)->hits, 1);
	return 0;
}

/* Pinned, and sure to be of the memory that is there now. */
static int found_pinned(struct reg_request *q, struct odpreg_mem *mem)
{
	if (watch_settle(q->domain->process, q->domain->check))
		return found(q->domain, &q->home->pinned, q, mem);
	reg_count(&q->domain->n.busy, 1);
	return ODPREG_WHY_CHANGING;
}

static int registered(struct reg_request *q, bool explicit, struct odpreg_mem *mem)
{
	struct region *r;
	int err = q->home ? cache_get(q, explicit, &r) : cache_once(q, explicit, &r);

	if (!err)
		answer(mem, r);
	return err;
}

static int by_explicit(struct reg_request *q, struct odpreg_mem *mem)
{
	struct odpreg_domain *d = q->domain;
	bool forced = d->policy == ODPREG_EXPLICIT;
	int err;

	if (!d->can_explicit) {
		q->why = ODPREG_WHY_NO_ODP;
		return forced ? EOPNOTSUPP : -1;
	}
	if (forced)
		q->why = ODPREG_WHY_FORCED;
	if (!q->home)
		q->why = ODPREG_WHY_LIMIT;
	if (q->home && !found(d, &q->home->explicit, q, mem))
		return 0;
	/* What the device has refused once was pinned. */
	if (q->home && !forced && atomic_load_explicit(&q->home->pinned.count, memory_order_relaxed) &&
	    !found_pinned(q, mem))
		return 0;
	err = registered(q, true, mem);
	if (!err || forced)
		return err;
	q->why = ODPREG_WHY_REFUSED;
	return -1;
}

static int by_cache(struct reg_request *q, struct odpreg_mem *mem)
{
	struct odpreg_domain *d = q->domain;
	bool forced = d->policy == ODPREG_CACHED;

	if (forced)
		q->why = ODPREG_WHY_FORCED;
	if (!q->home || q->len > d->max_bytes) {
		q->why = ODPREG_WHY_LIMIT;
		return -1;
	}
	if (watch_start(d->process)) {
		q->why = ODPREG_WHY_NO_WATCH;
		return forced ? EOPNOTSUPP : -1;
	}
	switch (found_pinned(q, mem)) {
	case 0:
		return 0;
	case ODPREG_WHY_CHANGING:
		q->why = ODPREG_WHY_CHANGING;
		return -1;
	}
	return registered(q, false, mem);
}

static int by_nothing(struct reg_request *q, struct odpreg_mem *mem)
{
	struct region *r;
	int err;

	if (q->domain->policy == ODPREG_UNCACHED)
		q->why = ODPREG_WHY_FORCED;
	err = cache_once(q, false, &r);
	if (!err)
		answer(mem, r);
	return err;
}

int odpreg_get(struct odpreg_domain *d, void *addr, size_t len, int access, struct odpreg_mem *mem)
{
	struct reg_request q = {
		.domain = d, .addr = (uintptr_t)addr, .len = len, .access = access,
	};
	int err = -1;

	if (!process_alive(d->process))
		return ECHILD;
	if (!len || q.addr + len < q.addr || q.addr + len > UINT64_MAX - d->page ||
	    (access & NOT_THE_CALLERS))
		return EINVAL;
	q.home = class_of(d, access);
	if (d->policy == ODPREG_AUTO || d->policy == ODPREG_IMPLICIT)
		err = by_implicit(&q, mem);
	if (err < 0 && (d->policy == ODPREG_AUTO || d->policy == ODPREG_EXPLICIT))
		err = by_explicit(&q, mem);
	if (err < 0 && (d->policy == ODPREG_AUTO || d->policy == ODPREG_CACHED))
		err = by_cache(&q, mem);
	if (err < 0)
		err = by_nothing(&q, mem);
	return err;
}

int odpreg_put(struct odpreg_domain *d, struct odpreg_mem *mem)
{
	struct region *r = mem->region;

	if (!process_alive(d->process))
		return ECHILD;
	memset(mem, 0, sizeof(*mem));
	if (r && region_unref(r))
		cache_put(d, r);
	return 0;
}
