/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A region: one registration and who uses it.
 *
 * Regions are never freed before their domain, only used again, so that a reader may count itself
 * in before it knows whether the region is still the one that it looked for. One word says all:
 *
 *	READY	its keys may be handed out
 *	DEAD	not to be handed out again; the last user's put drops it
 *	TAKEN	it stands for a registration; others lie in the slab, free
 *	low 32 bits: users, and readers that are about to find out
 *
 * Because such readers add and subtract at any time, the word is only changed by atomic
 * operations on its parts, never stored.
 *
 *	reader					reaper (domain's lock held)
 *	------					------
 *	finds it in the interval set
 *						out of the set (sequence moves), DEAD
 *	users++
 *	sequence moved, or DEAD: users--,
 *	was that the last one: reap				users == 0: drop it
 */
#ifndef ODPREG_REGION_H
#define ODPREG_REGION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "odpreg.h"

#define REGION_USERS	0xffffffffull
#define REGION_READY	(1ull << 32)
#define REGION_DEAD	(1ull << 33)
#define REGION_TAKEN	(1ull << 34)

struct ibv_mr;
struct reg_class;

struct region {
	_Atomic uint64_t state;
	_Atomic bool used;		/* since eviction last looked */
	uint32_t lkey;			/* these do not change between READY and the last user's put */
	uint32_t rkey;
	enum odpreg_policy kind;
	enum odpreg_why why;
	/* the domain's lock protects the rest */
	bool listed;			/* in the interval set of its class */
	bool counted;			/* in the domain's regions and bytes */
	bool watched;
	bool leaving;			/* somebody is deregistering it */
	uint64_t start;
	uint64_t end;
	struct reg_class *home;
	struct ibv_mr *mr;
	struct region *next;		/* free, or about to be dropped */
};

/* Regions of one domain; what is here needs the domain's lock. */
struct region_slab {
	struct region_chunk *chunks;
	struct region *free;
};

void region_slab_free(struct region_slab *slab);
/* Its first user is the caller. NULL when out of memory. */
struct region *region_take(struct region_slab *slab);
/* It is DEAD and without users. */
void region_give_back(struct region_slab *slab, struct region *r);
void region_each(struct region_slab *slab, void (*fn)(struct region *r, void *arg), void *arg);

/* True for a region that was ready; the caller is a user then, and is not otherwise (see *last). */
bool region_ready(uint64_t state);
uint64_t region_ref(struct region *r);
/* True when the last user has left a dead region. */
bool region_unref(struct region *r);
/* True for the one who did it. */
bool region_kill(struct region *r);
/* Kills it if nobody uses it. */
bool region_kill_idle(struct region *r);
/* Dead, taken and without users: to be dropped. */
bool region_is_over(struct region *r);

#endif
