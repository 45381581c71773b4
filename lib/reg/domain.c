// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Opening and closing a domain: attributes, environment, what the device can do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reg.h"

#define MAX_REGIONS	4096
#define RC_ODP		(IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_WRITE | \
			 IBV_ODP_SUPPORT_READ)

/* ------------------------------------------------------------------ attributes */

/* A newer caller's fields that we do not know must not mean anything. */
static int read_attr(const struct odpreg_attr *from, struct odpreg_attr *attr)
{
	const char *byte = (const char *)from;
	size_t i;

	memset(attr, 0, sizeof(*attr));
	if (from) {
		if (from->size < sizeof(from->size))
			return EINVAL;
		for (i = sizeof(*attr); i < from->size; i++)
			if (byte[i])
				return EINVAL;
		memcpy(attr, from, from->size < sizeof(*attr) ? from->size : sizeof(*attr));
	}
	if (attr->policy > ODPREG_UNCACHED || attr->check > ODPREG_CHECK_LOAD)
		return EINVAL;
	if (!attr->max_regions)
		attr->max_regions = MAX_REGIONS;
	if (!attr->max_bytes)
		attr->max_bytes = (size_t)sysconf(_SC_PHYS_PAGES) / 2 *
				  (size_t)sysconf(_SC_PAGESIZE);
	if (!attr->rc_odp && !attr->uc_odp && !attr->ud_odp)
		attr->rc_odp = RC_ODP;
	return 0;
}

/* The index of a variable's value in words; -1: not set, -2: no such word, which is told. */
static int from_environment(const char *name, const char *const *words)
{
	const char *value = secure_getenv(name);
	int i;

	if (!value || !*value)
		return -1;
	for (i = 0; words[i]; i++)
		if (!strcmp(value, words[i]))
			return i;
	fprintf(stderr, "odpreg: %s=%s has no meaning: say", name, value);
	for (i = 0; words[i]; i++)
		fprintf(stderr, "%s %s", i ? "," : "", words[i]);
	fprintf(stderr, ", or unset it\n");
	return -2;
}

static int read_environment(struct odpreg_attr *attr)
{
	static const char *const policies[] = {
		"auto", "implicit", "explicit", "cached", "uncached", NULL
	};
	static const char *const checks[] = { "full", "load", NULL };
	int policy = from_environment("ODPREG_POLICY", policies);
	int check = from_environment("ODPREG_CHECK", checks);

	if (policy == -2 || check == -2)
		return EINVAL;
	if (policy >= 0)
		attr->policy = (enum odpreg_policy)policy;
	if (check >= 0)
		attr->check = (enum odpreg_check)check;
	return 0;
}

/* ------------------------------------------------------------------ the device */

static bool has(uint32_t caps, uint32_t needed)
{
	return (caps & needed) == needed;
}

static int ask_device(struct odpreg_domain *d, const struct odpreg_attr *attr)
{
	struct ibv_odp_caps caps = { 0 };
	bool odp;

	/* A device that cannot be asked has none. */
	if (d->ops->query(d->pd, &caps))
		caps.general_caps = 0;
	odp = has((uint32_t)caps.general_caps, IBV_ODP_SUPPORT) &&
	      has(caps.per_transport_caps.rc_odp_caps, attr->rc_odp) &&
	      has(caps.per_transport_caps.uc_odp_caps, attr->uc_odp) &&
	      has(caps.per_transport_caps.ud_odp_caps, attr->ud_odp);
	d->can_explicit = odp;
	d->can_implicit = odp && has((uint32_t)caps.general_caps, IBV_ODP_SUPPORT_IMPLICIT);
	if ((d->policy == ODPREG_IMPLICIT && !d->can_implicit) ||
	    (d->policy == ODPREG_EXPLICIT && !d->can_explicit))
		return EOPNOTSUPP;
	return 0;
}

/* ------------------------------------------------------------------ what the watch tells */

static struct odpreg_domain *domain_of(struct listener *l)
{
	return (struct odpreg_domain *)((char *)l - offsetof(struct odpreg_domain, listener));
}

struct telling {
	struct odpreg_domain *domain;
	bool any;
};

static void change_one(void *value, void *arg)
{
	struct telling *t = arg;

	if (!region_kill(value))
		return;
	t->any = true;
	reg_count(&t->domain->n.changed, 1);
}

static bool changed(struct listener *l, uint64_t start, uint64_t end)
{
	struct telling t = { .domain = domain_of(l) };
	int i, n = atomic_load_explicit(&t.domain->classes, memory_order_acquire);

	for (i = 0; i < n; i++)
		interval_overlaps(&t.domain->class[i].pinned, start, end, change_one, &t);
	return t.any;
}

static void reap(struct listener *l)
{
	cache_reap(domain_of(l));
}

static bool wants(struct listener *l, uint64_t address, uint64_t *start, uint64_t *end)
{
	struct odpreg_domain *d = domain_of(l);
	int i, n = atomic_load_explicit(&d->classes, memory_order_acquire);
	uint64_t from, to;
	bool any = false;

	for (i = 0; i < n; i++) {
		if (!interval_first(&d->class[i].pinned, address, &from, &to) ||
		    (any && from >= *start))
			continue;
		*start = from;
		*end = to;
		any = true;
	}
	return any;
}

/* ------------------------------------------------------------------ open and close */

int reg_open(struct ibv_pd *pd, const struct odpreg_attr *from, const struct reg_ops *ops,
	     struct odpreg_domain **domain)
{
	struct odpreg_attr attr;
	struct odpreg_domain *d;
	int err;

	err = read_attr(from, &attr);
	if (!err)
		err = read_environment(&attr);
	if (err)
		return err;
	d = calloc(1, sizeof(*d));
	if (!d)
		return ENOMEM;
	d->pd = pd;
	d->ops = ops;
	d->policy = attr.policy;
	d->check = attr.check;
	d->max_regions = attr.max_regions;
	d->max_bytes = attr.max_bytes;
	d->page = (uint64_t)sysconf(_SC_PAGESIZE);
	d->process = process_get();
	err = d->process ? ask_device(d, &attr) : ENOMEM;
	if (err) {
		free(d);
		return err;
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->registered, NULL);
	d->listener.changed = changed;
	d->listener.reap = reap;
	d->listener.wants = wants;
	watch_listen(d->process, &d->listener);
	*domain = d;
	return 0;
}

int odpreg_open(struct ibv_pd *pd, const struct odpreg_attr *attr, struct odpreg_domain **domain)
{
	return reg_open(pd, attr, &reg_verbs, domain);
}

static void count_users(struct region *r, void *arg)
{
	uint64_t state = atomic_load(&r->state);

	if ((state & REGION_TAKEN) && (state & REGION_USERS))
		++*(size_t *)arg;
}

static void end_class(struct odpreg_domain *d, struct reg_class *class)
{
	struct ibv_mr *mr = atomic_load(&class->implicit);

	if (mr)
		d->ops->dereg(mr);
	interval_free(&class->explicit);
	interval_free(&class->pinned);
}

int odpreg_close(struct odpreg_domain *d)
{
	size_t users = 0;
	int i;

	if (!process_alive(d->process))
		return ECHILD;
	pthread_mutex_lock(&d->lock);
	region_each(&d->slab, count_users, &users);
	pthread_mutex_unlock(&d->lock);
	if (users)
		return EBUSY;
	cache_forget(d, 0, UINT64_MAX);
	watch_unlisten(d->process, &d->listener);
	for (i = 0; i < atomic_load(&d->classes); i++)
		end_class(d, &d->class[i]);
	region_slab_free(&d->slab);
	pthread_cond_destroy(&d->registered);
	pthread_mutex_destroy(&d->lock);
	free(d);
	return 0;
}

int odpreg_invalidate(struct odpreg_domain *d, void *addr, size_t len)
{
	uint64_t start = (uintptr_t)addr;

	if (!process_alive(d->process))
		return ECHILD;
	if (start + len < start)
		return EINVAL;
	cache_forget(d, start, start + len);
	return 0;
}
