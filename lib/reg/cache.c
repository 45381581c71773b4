// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Behind the path without a lock: registering, making room, dropping.
 *
 * A pinned region enters its set before its memory is watched, and is watched before it is pinned:
 * a change that is told finds it, and one that is not told yet can only be of what was not pinned.
 * What kind of memory it is is looked at last, for the same reason.
 */
#include <errno.h>
#include <time.h>

#include "reg.h"

#define AGAIN_TRIES	40	/* two seconds with what is waited in between */

static uint64_t page_down(const struct odpreg_domain *d, uint64_t address)
{
	return address & ~(d->page - 1);
}

static uint64_t page_up(const struct odpreg_domain *d, uint64_t address)
{
	return page_down(d, address + d->page - 1);
}

static struct interval_set *set_of(const struct region *r)
{
	return r->kind == ODPREG_EXPLICIT ? &r->home->explicit : &r->home->pinned;
}

/* ------------------------------------------------------------------ dropping (lock held) */

static void unlist(struct region *r)
{
	if (r->listed)
		interval_remove(set_of(r), r->start, r->end, r);
	r->listed = false;
}

static void account(struct odpreg_domain *d, struct region *r, bool in)
{
	uint64_t bytes = r->kind == ODPREG_CACHED ? r->end - r->start : 0;

	if (r->counted == in)
		return;
	r->counted = in;
	atomic_fetch_add(&d->regions, in ? 1 : -1ull);
	atomic_fetch_add(&d->bytes, in ? bytes : -bytes);
}

struct harvest {
	struct region *list;
};

static void collect(struct region *r, void *arg)
{
	struct harvest *h = arg;

	if (r->leaving || !region_is_over(r))
		return;
	unlist(r);
	r->leaving = true;
	r->next = h->list;
	h->list = r;
}

/* A region that contains it takes its place in the set. */
static void replaced(void *value, void *arg)
{
	struct region *r = value;

	region_kill(r);
	r->listed = false;
	collect(r, arg);
}

/* ------------------------------------------------------------------ dropping */

static void drop(struct odpreg_domain *d, struct region *list)
{
	struct region *r, *next;

	if (!list)
		return;
	for (r = list; r; r = r->next) {
		if (r->mr && !d->ops->dereg(r->mr))
			reg_count(&d->n.deregistered, 1);
		r->mr = NULL;
	}
	pthread_mutex_lock(&d->lock);
	for (r = list; r; r = next) {
		next = r->next;
		if (r->watched)
			watch_disarm(d->process, r->start, r->end);
		account(d, r, false);
		region_give_back(&d->slab, r);
	}
	pthread_mutex_unlock(&d->lock);
}

void cache_reap(struct odpreg_domain *d)
{
	struct harvest h = { NULL };

	pthread_mutex_lock(&d->lock);
	region_each(&d->slab, collect, &h);
	pthread_mutex_unlock(&d->lock);
	drop(d, h.list);
}

/* The last user of a dead region has left. Others may have seen it at the same time. */
void cache_put(struct odpreg_domain *d, struct region *r)
{
	struct harvest h = { NULL };

	pthread_mutex_lock(&d->lock);
	collect(r, &h);
	pthread_mutex_unlock(&d->lock);
	drop(d, h.list);
}

struct forget {
	uint64_t start;
	uint64_t end;
};

static void forget_one(struct region *r, void *arg)
{
	const struct forget *f = arg;

	if (r->listed && r->start < f->end && r->end > f->start)
		region_kill(r);
}

void cache_forget(struct odpreg_domain *d, uint64_t start, uint64_t end)
{
	struct forget f = { .start = start, .end = end };

	pthread_mutex_lock(&d->lock);
	region_each(&d->slab, forget_one, &f);
	pthread_mutex_unlock(&d->lock);
	cache_reap(d);
}

/* ------------------------------------------------------------------ making room */

struct room {
	uint64_t regions;	/* how much is wanted yet */
	uint64_t bytes;
	bool all;		/* also what was used since the last time */
	uint64_t evicted;
};

static void evict_one(struct region *r, void *arg)
{
	struct room *room = arg;
	uint64_t bytes;

	if (!r->counted || (!room->regions && !room->bytes))
		return;
	/* Explicit regions pin nothing. */
	if (!room->regions && r->kind != ODPREG_CACHED)
		return;
	if (!room->all && atomic_exchange_explicit(&r->used, false, memory_order_relaxed))
		return;
	if (!region_kill_idle(r))
		return;
	bytes = r->kind == ODPREG_CACHED ? r->end - r->start : 0;
	room->regions -= room->regions ? 1 : 0;
	room->bytes -= bytes < room->bytes ? bytes : room->bytes;
	room->evicted++;
}

/* What was not used since the last time goes first. True when anything went. Lock not held. */
static bool evict(struct odpreg_domain *d, uint64_t regions, uint64_t bytes)
{
	struct room room = { .regions = regions, .bytes = bytes };

	pthread_mutex_lock(&d->lock);
	region_each(&d->slab, evict_one, &room);
	room.all = true;
	region_each(&d->slab, evict_one, &room);
	pthread_mutex_unlock(&d->lock);
	reg_count(&d->n.evicted, room.evicted);
	if (room.evicted)
		cache_reap(d);
	return room.evicted;
}

static bool fits(const struct odpreg_domain *d, uint64_t bytes)
{
	return atomic_load(&d->regions) < d->max_regions &&
	       atomic_load(&d->bytes) + bytes <= d->max_bytes;
}

/* Room in the cache for a region that pins so many bytes. */
static bool make_room(struct odpreg_domain *d, uint64_t bytes)
{
	uint64_t regions = atomic_load(&d->regions), used = atomic_load(&d->bytes);

	if (fits(d, bytes))
		return true;
	evict(d, regions >= d->max_regions ? regions - d->max_regions + 1 : 0,
	      used + bytes > d->max_bytes ? used + bytes - d->max_bytes : 0);
	return fits(d, bytes);
}

/* ------------------------------------------------------------------ registering */

/*
 * EAGAIN and EINTR are waited out; when memory may not be pinned any more (RLIMIT_MEMLOCK, a
 * device that is full) idle regions go: as many bytes as are wanted, and when that does not help,
 * all.
 */
static int try_register(struct odpreg_domain *d, uint64_t addr, uint64_t len, int access,
			struct ibv_mr **mr)
{
	struct timespec wait = { .tv_nsec = 1000000 };
	uint64_t want = len;
	int tries = 0;

	for (;;) {
		errno = 0;
		*mr = d->ops->reg(d->pd, (void *)(uintptr_t)addr, len, access);
		if (*mr) {
			reg_count(&d->n.registered, 1);
			return 0;
		}
		if (errno == EAGAIN || errno == EINTR) {
			if (++tries > AGAIN_TRIES)
				return EBUSY;
			nanosleep(&wait, NULL);
			if (wait.tv_nsec < 64000000)
				wait.tv_nsec *= 2;
		} else if (errno != ENOMEM && errno != ENOSPC) {
			return errno ? errno : EIO;
		} else if (!evict(d, 1, want)) {
			return ENOMEM;
		} else {
			want = UINT64_MAX / 2;
		}
		reg_count(&d->n.retried, 1);
	}
}

int cache_implicit(struct odpreg_domain *d, struct reg_class *class)
{
	struct ibv_mr *mr, *none = NULL;
	int err;

	if (atomic_load(&class->no_implicit))
		return EOPNOTSUPP;
	err = try_register(d, 0, SIZE_MAX, class->access | IBV_ACCESS_ON_DEMAND, &mr);
	if (err) {
		if (err != ENOMEM && err != EBUSY)
			atomic_store(&class->no_implicit, true);
		return err;
	}
	reg_count(&d->n.misses, 1);
	if (!atomic_compare_exchange_strong(&class->implicit, &none, mr) && !d->ops->dereg(mr))
		reg_count(&d->n.deregistered, 1);
	return 0;
}

static struct region *take(struct reg_request *q, enum odpreg_policy kind, uint64_t start,
			   uint64_t end)
{
	struct region *r = region_take(&q->domain->slab);

	if (!r)
		return NULL;
	r->home = q->home;
	r->kind = kind;
	r->why = q->why;
	r->start = start;
	r->end = end;
	return r;
}

static void use(struct region *r, struct ibv_mr *mr)
{
	r->mr = mr;
	r->lkey = mr->lkey;
	r->rkey = mr->rkey;
}

int cache_once(struct reg_request *q, bool explicit, struct region **out)
{
	enum odpreg_policy kind = explicit ? ODPREG_EXPLICIT : ODPREG_UNCACHED;
	struct odpreg_domain *d = q->domain;
	struct region *r;
	struct ibv_mr *mr;
	int err;

	err = try_register(d, q->addr, q->len, q->access | (explicit ? IBV_ACCESS_ON_DEMAND : 0), &mr);
	if (err)
		return err;
	pthread_mutex_lock(&d->lock);
	r = take(q, kind, q->addr, q->addr + q->len);
	if (r) {
		use(r, mr);
		region_kill(r);
	}
	pthread_mutex_unlock(&d->lock);
	if (!r) {
		d->ops->dereg(mr);
		return ENOMEM;
	}
	reg_count(&d->n.misses, 1);
	reg_count(&d->n.uncached, !explicit);
	*out = r;
	return 0;
}

/*
 * A place in the set: a region that is ready, or, with *mine, one that the caller has to register.
 * NULL when there is no memory. Lock held; while another registers what is wanted it is waited for.
 */
static struct region *enter(struct reg_request *q, struct interval_set *set,
			    enum odpreg_policy kind, bool *mine, struct harvest *over)
{
	struct odpreg_domain *d = q->domain;
	uint64_t start = page_down(d, q->addr), end = page_up(d, q->addr + q->len), ticket, state;
	struct region *r;

	for (;;) {
		r = interval_find(set, q->addr, q->addr + q->len, &ticket);
		if (!r)
			break;
		state = region_ref(r);
		if (region_ready(state)) {
			*mine = false;
			return r;
		}
		if (region_unref(r))
			collect(r, over);
		if (state & REGION_DEAD)
			unlist(r);
		else
			pthread_cond_wait(&d->registered, &d->lock);
	}
	*mine = true;
	if (interval_reserve(set, atomic_load(&set->count) + 1))
		return NULL;
	r = take(q, kind, start, end);
	if (!r)
		return NULL;
	interval_insert(set, start, end, r, replaced, over);
	r->listed = true;
	account(d, r, true);
	return r;
}

/*
 * Why the region may not stay in the cache; WHY_BEST when it may. A change whose system call has
 * returned since the region was pinned has been told when this returns.
 */
static enum odpreg_why unfit(struct odpreg_domain *d, const struct region *r, bool armed)
{
	if (!armed || !memory_is_private(r->start, r->end))
		return ODPREG_WHY_UNWATCHABLE;
	if (!watch_settle(d->process, d->check) ||
	    watch_dropping(d->process, r->start, r->end))
		return ODPREG_WHY_CHANGING;
	return ODPREG_WHY_BEST;
}

/*
 * From a region in the set to one that is ready, or one that only the caller has (dead, to be
 * dropped when put back). Explicit regions follow their memory by themselves.
 */
static int fill(struct reg_request *q, struct region *r, struct ibv_mr **mr, enum odpreg_why *why)
{
	struct odpreg_domain *d = q->domain;
	bool armed;
	int err;

	*why = ODPREG_WHY_BEST;
	if (r->kind == ODPREG_EXPLICIT)
		return try_register(d, r->start, r->end - r->start,
				    q->access | IBV_ACCESS_ON_DEMAND, mr);
	armed = !watch_arm(d->process, r->start, r->end);
	err = try_register(d, r->start, r->end - r->start, q->access, mr);
	if (!err)
		*why = unfit(d, r, armed);
	pthread_mutex_lock(&d->lock);
	r->watched = armed;
	pthread_mutex_unlock(&d->lock);
	return err;
}

/* The region is out of the set, and the caller's alone if it has keys at all. Lock held. */
static void leave(struct odpreg_domain *d, struct region *r)
{
	unlist(r);
	region_kill(r);
	account(d, r, false);
}

/* What came of it. Returns true when a forced policy does not allow what it is. Lock held. */
static bool settle(struct reg_request *q, struct region *r, struct ibv_mr *mr, enum odpreg_why why)
{
	struct odpreg_domain *d = q->domain;

	use(r, mr);
	if (why == ODPREG_WHY_BEST) {
		/* A change since it entered the set has made it dead. */
		if (region_ready(atomic_fetch_or(&r->state, REGION_READY) | REGION_READY))
			return false;
		why = ODPREG_WHY_CHANGING;
		if (r->kind == ODPREG_EXPLICIT)
			return false;
	}
	leave(d, r);
	r->kind = ODPREG_UNCACHED;
	r->why = why;
	reg_count(&d->n.uncached, 1);
	return d->policy == ODPREG_CACHED && why == ODPREG_WHY_UNWATCHABLE;
}

int cache_get(struct reg_request *q, bool explicit, struct region **out)
{
	struct odpreg_domain *d = q->domain;
	struct interval_set *set = explicit ? &q->home->explicit : &q->home->pinned;
	enum odpreg_policy kind = explicit ? ODPREG_EXPLICIT : ODPREG_CACHED;
	uint64_t bytes = page_up(d, q->addr + q->len) - page_down(d, q->addr);
	struct harvest over = { NULL };
	struct ibv_mr *mr = NULL;
	enum odpreg_why why;
	bool mine, refused;
	struct region *r;
	int err;

	if (!make_room(d, explicit ? 0 : bytes)) {
		q->why = ODPREG_WHY_LIMIT;
		return cache_once(q, explicit, out);
	}
	pthread_mutex_lock(&d->lock);
	r = enter(q, set, kind, &mine, &over);
	pthread_mutex_unlock(&d->lock);
	drop(d, over.list);
	if (!r)
		return ENOMEM;
	*out = r;
	if (!mine) {
		reg_count(&reg_shard(d)->hits, 1);
		return 0;
	}
	reg_count(&d->n.misses, 1);
	err = fill(q, r, &mr, &why);
	pthread_mutex_lock(&d->lock);
	refused = err ? true : settle(q, r, mr, why);
	if (err)
		leave(d, r);
	pthread_cond_broadcast(&d->registered);
	pthread_mutex_unlock(&d->lock);
	if (!refused)
		return 0;
	if (region_unref(r))
		cache_put(d, r);
	return err ? err : EOPNOTSUPP;
}
