// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Statistics, and the names of things. */
#include <errno.h>
#include <string.h>

#include "reg.h"

int odpreg_query_stats(struct odpreg_domain *d, struct odpreg_stats *out)
{
	size_t size = out->size;
	struct odpreg_stats s = {
		.size = size,
		.misses = atomic_load(&d->n.misses),
		.registered = atomic_load(&d->n.registered),
		.deregistered = atomic_load(&d->n.deregistered),
		.uncached = atomic_load(&d->n.uncached),
		.changed = atomic_load(&d->n.changed),
		.evicted = atomic_load(&d->n.evicted),
		.retried = atomic_load(&d->n.retried),
		.busy = atomic_load(&d->n.busy),
		.prefetched = atomic_load(&d->n.prefetched),
		.regions = atomic_load(&d->regions),
		.bytes = atomic_load(&d->bytes),
	};
	int i;

	if (!process_alive(d->process))
		return ECHILD;
	if (size < sizeof(size))
		return EINVAL;
	for (i = 0; i < REG_SHARDS; i++) {
		s.hits += atomic_load_explicit(&d->shard[i].hits, memory_order_relaxed);
		s.implicit += atomic_load_explicit(&d->shard[i].implicit, memory_order_relaxed);
	}
	memcpy(out, &s, size < sizeof(s) ? size : sizeof(s));
	return 0;
}

const char *odpreg_kind_name(enum odpreg_policy kind)
{
	static const char *const name[] = {
		[ODPREG_AUTO] = "auto",
		[ODPREG_IMPLICIT] = "implicit",
		[ODPREG_EXPLICIT] = "explicit",
		[ODPREG_CACHED] = "cached",
		[ODPREG_UNCACHED] = "uncached",
	};

	return (size_t)kind < sizeof(name) / sizeof(name[0]) ? name[kind] : "unknown";
}

const char *odpreg_why_text(enum odpreg_why why)
{
	static const char *const text[] = {
		[ODPREG_WHY_BEST] = "nothing is better",
		[ODPREG_WHY_FORCED] = "the policy asks for it",
		[ODPREG_WHY_NO_IMPLICIT] = "the device has no implicit on-demand regions",
		[ODPREG_WHY_REMOTE] = "remote rights are not given out for the whole address space",
		[ODPREG_WHY_NO_ODP] = "the device has no on-demand paging",
		[ODPREG_WHY_REFUSED] = "the device refused an on-demand region",
		[ODPREG_WHY_NO_WATCH] = "there is no userfaultfd to watch memory with",
		[ODPREG_WHY_UNWATCHABLE] = "it is not private anonymous memory, or not ours to watch",
		[ODPREG_WHY_CHANGING] = "the memory was just changing",
		[ODPREG_WHY_LIMIT] = "the limits of the domain leave no room",
	};

	return (size_t)why < sizeof(text) / sizeof(text[0]) ? text[why] : "unknown";
}
