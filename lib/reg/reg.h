/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A domain and its parts, for the library's own files and its tests.
 *
 *	get.c		odpreg_get(), odpreg_put(): the path without a lock
 *	cache.c		what comes behind it: register, make room, drop
 *	domain.c	open and close, attributes, environment
 *	prefetch.c	prefetch; stats.c statistics and names
 *	region.c	a registration and its users
 *	interval.c	which region has an address (no verbs)
 *	watch.c		changes of memory (no verbs); process.c: once a process
 *
 * Locks: process lock, then domain lock. Neither is held across a call of libibverbs, and neither
 * is taken by the watch thread.
 */
#ifndef ODPREG_REG_H
#define ODPREG_REG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "interval.h"
#include "odpreg.h"
#include "process.h"
#include "region.h"

/* What the library asks of libibverbs; the tests put their own here. Errors are in errno. */
struct reg_ops {
	struct ibv_mr *(*reg)(struct ibv_pd *pd, void *addr, size_t len, int access);
	int (*dereg)(struct ibv_mr *mr);		/* 0 or an errno */
	int (*advise)(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
		      struct ibv_sge *sge);		/* 0 or an errno */
	int (*query)(struct ibv_pd *pd, struct ibv_odp_caps *caps);	/* 0 or an errno */
};

extern const struct reg_ops reg_verbs;

/* All regions of one domain with the same access. Made once, never changed but for their sets. */
struct reg_class {
	struct odpreg_domain *domain;
	int access;
	_Atomic(struct ibv_mr *) implicit;
	_Atomic bool no_implicit;	/* the device refused */
	struct interval_set explicit;
	struct interval_set pinned;
};

#define REG_CLASSES	32	/* as many different accesses have a cache */
#define REG_SHARDS	16

/* Counters of the path without a lock: each thread counts in one of these. */
struct reg_shard {
	_Atomic uint64_t hits;
	_Atomic uint64_t implicit;
	char pad[48];
};

struct reg_counters {
	_Atomic uint64_t misses, registered, deregistered, uncached, changed, evicted, retried, busy,
			 prefetched;
};

struct odpreg_domain {
	struct process *process;
	struct ibv_pd *pd;
	const struct reg_ops *ops;
	enum odpreg_policy policy;
	enum odpreg_check check;
	bool can_implicit;
	bool can_explicit;
	uint64_t page;
	size_t max_regions;
	size_t max_bytes;
	_Atomic int classes;
	struct reg_class class[REG_CLASSES];
	struct listener listener;
	struct reg_shard shard[REG_SHARDS];
	struct reg_counters n;

	pthread_mutex_t lock;
	pthread_cond_t registered;	/* a region became ready, or went */
	struct region_slab slab;
	_Atomic uint64_t regions;	/* in the cache; changed under the lock */
	_Atomic uint64_t bytes;
};

int reg_open(struct ibv_pd *pd, const struct odpreg_attr *attr, const struct reg_ops *ops,
	     struct odpreg_domain **domain);

/* cache.c: what get does when it has found nothing. */
struct reg_request {
	struct odpreg_domain *domain;
	struct reg_class *home;		/* NULL: no cache for this access */
	uint64_t addr;
	uint64_t len;
	int access;
	enum odpreg_why why;		/* why nothing better was taken so far */
};

int cache_implicit(struct odpreg_domain *d, struct reg_class *class);
/* These two: a region with the caller as a user in *r. */
int cache_get(struct reg_request *q, bool explicit, struct region **r);
/* For this one time, exactly the memory asked for. */
int cache_once(struct reg_request *q, bool explicit, struct region **r);
/* Deregisters what is dead and without users. */
void cache_reap(struct odpreg_domain *d);
void cache_put(struct odpreg_domain *d, struct region *r);
void cache_forget(struct odpreg_domain *d, uint64_t start, uint64_t end);

/* get.c: a region of the set with the caller as a user, or NULL. Takes no lock. */
struct region *cache_find(struct odpreg_domain *d, struct interval_set *set, uint64_t start,
			  uint64_t end);

struct reg_shard *reg_shard(struct odpreg_domain *d);

static inline void reg_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#endif
