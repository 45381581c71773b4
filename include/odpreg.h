/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * libodpreg: memory registration for RDMA programs.
 *
 * A domain hangs off a protection domain. odpreg_get() gives keys for a piece of memory at once,
 * odpreg_put() gives them back. Which kind of registration is behind the keys is chosen by the
 * domain's policy; the answer says which it was, and why not a better one.
 *
 *	struct odpreg_domain *domain;
 *	struct odpreg_mem mem;
 *
 *	err = odpreg_open(pd, NULL, &domain);
 *	err = odpreg_get(domain, buffer, length, IBV_ACCESS_LOCAL_WRITE, &mem);
 *	sge.lkey = mem.lkey;
 *	... post, wait for the completion ...
 *	odpreg_put(domain, &mem);
 *	odpreg_close(domain);
 *
 * Ownership. The protection domain stays the caller's and must outlive the domain. The keys
 * of a struct odpreg_mem are the caller's from odpreg_get() to odpreg_put(); both calls fill in or
 * clear a structure that the caller provides. Memory stays the caller's in every respect: nothing
 * is allocated, moved or protected in it. It must be mapped at odpreg_get() and stay mapped as long
 * as transfers use it.
 *
 * After odpreg_put() the keys of a cached or on-demand region may go on working, for peers too,
 * until the region is dropped: odpreg_invalidate() drops it, policy ODPREG_UNCACHED never keeps
 * one. Keys of an explicit or cached region are good for all of the pages that the memory touches.
 *
 * Threads. All calls may be made by any number of threads at once on one domain, but for
 * odpreg_close(), which must be the last. Different threads put different structures. No call
 * may be made from a signal handler. A lookup of a cached region takes no lock.
 *
 * Processes. A domain belongs to the process that opened it. In the child of a fork every call
 * with the parent's domain returns ECHILD and does nothing; the child may open a domain of its own.
 * Memory shared with vfork() or CLONE_VM is one process here.
 *
 * Errors. Calls return 0 or a positive errno, as libibverbs does; what failed has changed nothing.
 * EAGAIN is never returned.
 *
 * Units. Lengths, limits and statistics named bytes are bytes; addresses are those of the caller.
 *
 * Environment (ignored in setuid programs), stronger than struct odpreg_attr:
 *	ODPREG_POLICY	auto, implicit, explicit, cached, uncached
 *	ODPREG_CHECK	full, load
 */
#ifndef ODPREG_H
#define ODPREG_H

#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Kinds of registration, best first; and policies: one of them, or the first that works. */
enum odpreg_policy {
	ODPREG_AUTO,		/* as a policy only: the first of the following that works */
	ODPREG_IMPLICIT,	/* on demand, one region for the whole address space */
	ODPREG_EXPLICIT,	/* on demand, a region for the memory, kept for later */
	ODPREG_CACHED,		/* pinned, kept for later as long as the memory stays the same */
	ODPREG_UNCACHED,	/* pinned, registered and deregistered each time */
};

/*
 * Why it is this kind: why the policy said so, or why the next better kind was not taken. AUTO
 * takes an implicit region for local rights only, as its remote key opens the whole process to the
 * peer.
 */
enum odpreg_why {
	ODPREG_WHY_BEST,	/* nothing is better */
	ODPREG_WHY_FORCED,	/* the policy asks for just this kind */
	ODPREG_WHY_NO_IMPLICIT,	/* the device has no implicit on-demand regions */
	ODPREG_WHY_REMOTE,	/* remote rights are not given out for the whole address space */
	ODPREG_WHY_NO_ODP,	/* the device has no on-demand paging for the operations needed */
	ODPREG_WHY_REFUSED,	/* the device has it, but refused this region */
	ODPREG_WHY_NO_WATCH,	/* no userfaultfd here: changes of memory would go unseen */
	ODPREG_WHY_UNWATCHABLE,	/* not private anonymous memory, or another's userfaultfd has it */
	ODPREG_WHY_CHANGING,	/* the memory was being dropped or unmapped just then */
	ODPREG_WHY_LIMIT,	/* the limits of the domain leave no room */
};

/* How a pinned region is held against changes of the memory, each time before it is used again. */
enum odpreg_check {
	ODPREG_CHECK_FULL,	/* against all changes that another thread is just making, too */
	ODPREG_CHECK_LOAD,	/* one load: against all changes whose system call has returned */
};

/* Begin with ODPREG_ATTR_INIT; 0 in a field stands for its default. */
struct odpreg_attr {
	size_t size;		/* of this structure, as the caller knows it */
	enum odpreg_policy policy;
	enum odpreg_check check;
	size_t max_regions;	/* kept in the cache, used or idle; default 4096 */
	size_t max_bytes;	/* pinned by the cache; default half of the machine's memory */
	uint32_t rc_odp;	/* IBV_ODP_SUPPORT_*: what on-demand memory must be good for, by */
	uint32_t uc_odp;	/* transport; default: send, receive, write and read over RC */
	uint32_t ud_odp;
};

#define ODPREG_ATTR_INIT { .size = sizeof(struct odpreg_attr) }

/* What odpreg_get() gives. */
struct odpreg_mem {
	uint32_t lkey;
	uint32_t rkey;			/* for the access that was asked for */
	enum odpreg_policy kind;	/* never ODPREG_AUTO */
	enum odpreg_why why;
	void *region;			/* the library's */
};

struct odpreg_stats {
	size_t size;			/* of this structure, set by the caller */
	uint64_t hits;			/* gets without a system call to the device: cached, explicit */
	uint64_t implicit;		/* gets by an implicit region */
	uint64_t misses;		/* gets that registered */
	uint64_t registered;		/* ibv_reg_mr() that succeeded */
	uint64_t deregistered;
	uint64_t uncached;		/* gets that ended with ODPREG_UNCACHED */
	uint64_t changed;		/* regions dropped because their memory changed */
	uint64_t evicted;		/* regions dropped to make room */
	uint64_t retried;		/* registrations begun again: EAGAIN, or after making room */
	uint64_t busy;			/* lookups that met a change of memory under way */
	uint64_t prefetched;		/* bytes asked for by odpreg_prefetch() */
	uint64_t regions;		/* now in the cache, used and idle */
	uint64_t bytes;			/* now pinned by the cache */
};

struct odpreg_domain;

/*
 * A domain over pd, by attr (NULL: defaults). EINVAL: a field of attr or a variable of the
 * environment has no meaning (the latter is told on stderr); EOPNOTSUPP: the device cannot do
 * what the policy forces; ENOMEM.
 */
int odpreg_open(struct ibv_pd *pd, const struct odpreg_attr *attr, struct odpreg_domain **domain);

/* Deregisters everything. EBUSY, with nothing changed, while memory is not put back. */
int odpreg_close(struct odpreg_domain *domain);

/*
 * Keys for len bytes at addr with access (IBV_ACCESS_*; neither ON_DEMAND nor HUGETLB nor
 * ZERO_BASED, which are not the caller's choice here). EINVAL: these, or len 0, or a range that
 * wraps; ENOMEM: also when RLIMIT_MEMLOCK is used up by what is not idle in the cache; EOPNOTSUPP:
 * the forced policy is not possible for this memory; EBUSY: the device said EAGAIN for
 * seconds; others are those of ibv_reg_mr(), such as EFAULT for memory that is not mapped.
 */
int odpreg_get(struct odpreg_domain *domain, void *addr, size_t len, int access,
	       struct odpreg_mem *mem);

/* Gives the keys back and clears mem; nothing, for a cleared mem. */
int odpreg_put(struct odpreg_domain *domain, struct odpreg_mem *mem);

/* For odpreg_prefetch(). */
#define ODPREG_PREFETCH_WRITE	1u	/* for writing into the memory */
#define ODPREG_PREFETCH_WAIT	2u	/* return when the pages are there */

/*
 * Brings len bytes at addr, a part of what mem was got for, into memory ahead of a transfer. By
 * ibv_advise_mr() where the provider has it, else by madvise(); nothing for pinned memory. It is
 * advice: only ENOMEM, EFAULT (no memory there) and EINVAL (mem is clear, the range wraps, unknown
 * flags) are told.
 */
int odpreg_prefetch(struct odpreg_domain *domain, const struct odpreg_mem *mem, void *addr,
		    size_t len, unsigned int flags);

/*
 * Forgets what the cache has of [addr, addr + len): never handed out again, deregistered when put
 * back, or now if idle. All of the cache with NULL and SIZE_MAX. For revoking keys, and before
 * the changes of memory that the kernel tells nobody of: see odpreg_invalidate(3).
 */
int odpreg_invalidate(struct odpreg_domain *domain, void *addr, size_t len);

/* Fills in as much as stats->size has room for. EINVAL when that is not even the size itself. */
int odpreg_query_stats(struct odpreg_domain *domain, struct odpreg_stats *stats);

/* "implicit", "explicit", ...; a sentence's end, such as "the device has no on-demand paging". */
const char *odpreg_kind_name(enum odpreg_policy kind);
const char *odpreg_why_text(enum odpreg_why why);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
