// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Regions: where they come from, and the word that counts their users. */
#include <stdlib.h>

#include "region.h"

#define CHUNK	64

struct region_chunk {
	struct region_chunk *next;
	struct region region[CHUNK];
};

static bool grow(struct region_slab *slab)
{
	struct region_chunk *chunk = calloc(1, sizeof(*chunk));
	int i;

	if (!chunk)
		return false;
	for (i = CHUNK - 1; i >= 0; i--) {
		atomic_init(&chunk->region[i].state, REGION_DEAD);
		atomic_init(&chunk->region[i].used, false);
		chunk->region[i].next = slab->free;
		slab->free = &chunk->region[i];
	}
	chunk->next = slab->chunks;
	slab->chunks = chunk;
	return true;
}

void region_slab_free(struct region_slab *slab)
{
	struct region_chunk *chunk = slab->chunks, *next;

	for (; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	slab->chunks = NULL;
	slab->free = NULL;
}

struct region *region_take(struct region_slab *slab)
{
	struct region *r;

	if (!slab->free && !grow(slab))
		return NULL;
	r = slab->free;
	slab->free = r->next;
	r->next = NULL;
	r->mr = NULL;
	r->home = NULL;
	r->listed = false;
	r->counted = false;
	r->watched = false;
	r->leaving = false;
	atomic_store_explicit(&r->used, true, memory_order_relaxed);
	/* A user first: nobody may take it for one that is over in between. */
	atomic_fetch_add_explicit(&r->state, 1, memory_order_acq_rel);
	atomic_fetch_or_explicit(&r->state, REGION_TAKEN, memory_order_acq_rel);
	atomic_fetch_and_explicit(&r->state, ~REGION_DEAD, memory_order_acq_rel);
	return r;
}

void region_give_back(struct region_slab *slab, struct region *r)
{
	atomic_fetch_and_explicit(&r->state, ~(REGION_TAKEN | REGION_READY), memory_order_acq_rel);
	r->next = slab->free;
	slab->free = r;
}

void region_each(struct region_slab *slab, void (*fn)(struct region *r, void *arg), void *arg)
{
	struct region_chunk *chunk;
	int i;

	for (chunk = slab->chunks; chunk; chunk = chunk->next)
		for (i = 0; i < CHUNK; i++)
			fn(&chunk->region[i], arg);
}

bool region_ready(uint64_t state)
{
	return (state & (REGION_READY | REGION_DEAD)) == REGION_READY;
}

uint64_t region_ref(struct region *r)
{
	return atomic_fetch_add_explicit(&r->state, 1, memory_order_acq_rel);
}

static bool is_over(uint64_t state)
{
	return (state & (REGION_TAKEN | REGION_DEAD | REGION_USERS)) == (REGION_TAKEN | REGION_DEAD);
}

bool region_unref(struct region *r)
{
	return is_over(atomic_fetch_sub_explicit(&r->state, 1, memory_order_acq_rel) - 1);
}

bool region_kill(struct region *r)
{
	return !(atomic_fetch_or_explicit(&r->state, REGION_DEAD, memory_order_acq_rel) & REGION_DEAD);
}

bool region_kill_idle(struct region *r)
{
	uint64_t idle = REGION_TAKEN | REGION_READY;

	return atomic_compare_exchange_strong_explicit(&r->state, &idle, idle | REGION_DEAD,
						       memory_order_acq_rel, memory_order_relaxed);
}

bool region_is_over(struct region *r)
{
	return is_over(atomic_load_explicit(&r->state, memory_order_acquire));
}
