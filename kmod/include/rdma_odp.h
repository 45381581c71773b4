/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * rdma_odp - on-demand paging of user memory for software RDMA devices
 *
 * The engine gives a driver access to a range of a process's address space
 * without pinning it.  It knows mm and pages; it knows nothing of verbs, keys
 * or queue pairs: those are the driver's (the "binding").
 *
 * Addresses are user virtual addresses of the owner, lengths are in bytes and
 * 64 bit wide.  Functions return 0 or a negative errno.  Unless a function
 * says otherwise it may sleep and must be called from process context with no
 * spinlock held.
 *
 * Access.  No access waits for a page:
 *
 *	odp_region_try_copy()		does what is there
 *	  -EAGAIN			*done bytes are done, the next page is absent
 *	odp_region_request()		asks for that page, and what follows it
 *	  0				it is there: try again, from *done on
 *	  -EINPROGRESS			back out; notify is called later: try again
 *	  an error			the access fails
 *
 * -EAGAIN is never an error of the access: it means that a page is not
 * translated with the rights asked for, whatever the reason, and that the range
 * before it is done, exactly once.  *done is set on every return.  The memory
 * behind *done has not been touched, so an access that is abandoned, or begun
 * again at *done, does nothing twice; one that is begun again at its start
 * copies twice what the owner may have changed since.  A word (atomic64,
 * store64) is done or it is not.  That a page is there is true only while an
 * access uses it: after a request it may be gone again, and -EAGAIN comes once
 * more.  Whoever is unlucky for long should let others run in between.
 *
 * Error codes, of accesses, requests and notifications:
 *
 *	-EINVAL		[va, va + len) is not inside the region
 *	-EACCES		a write to a region that does not grant it
 *	-EFAULT		the owner's memory map forbids the access
 *	-EHWPOISON	the memory is poisoned
 *	-ESRCH		the owner has exited or exec'ed
 *	-ESHUTDOWN	the region is being deregistered
 *	-ENOMEM		memory stayed short for longer than the engine waits
 *
 * An access itself returns only -EAGAIN, -EINVAL, -EACCES and -ESHUTDOWN; what
 * the owner's memory map says is found out by the request.
 */
#ifndef RDMA_ODP_H
#define RDMA_ODP_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/spinlock.h>

struct odp_region;

/**
 * struct odp_region_attr - what a region covers and grants
 * @start:	first user virtual address; any alignment
 * @length:	length in bytes, not 0; @start + @length must not pass the end of
 *		the user address space
 * @writable:	the region grants writes; without it every write, atomic and
 *		write prefetch is refused, whatever the owner's mapping allows
 * @atomic_lock: optional lock, taken around every 64-bit atomic; for drivers
 *		that make atomics on their other memory types under a lock
 */
struct odp_region_attr {
	unsigned long	start;
	u64		length;
	bool		writable;
	spinlock_t	*atomic_lock;	/* around 64-bit atomics */
};

/**
 * enum odp_prefetch_flags - how odp_region_prefetch() works
 * @ODP_PREFETCH_WRITE:		make the pages writable through the region
 * @ODP_PREFETCH_NO_FAULT:	translate only what the owner has mapped already
 * @ODP_PREFETCH_ASYNC:		return at once, report no error
 */
enum odp_prefetch_flags {
	ODP_PREFETCH_WRITE	= BIT(0),
	ODP_PREFETCH_NO_FAULT	= BIT(1),
	ODP_PREFETCH_ASYNC	= BIT(2),
};

/**
 * struct odp_notify - who is notified that a request is done
 * @fn:		the function, called once with the result: 0 or an error listed
 *		above.  Called under a spinlock of the engine: it must not sleep
 *		and must not call the engine
 * @ctx:	given to @fn
 * @arg:	given to @fn
 */
struct odp_notify {
	void	(*fn)(void *ctx, u64 arg, int ret);
	void	*ctx;
	u64	arg;
};

/**
 * struct odp_region_stats - what has happened to a region
 * @page_faults:	fault requests, those of prefetches left out
 * @page_faults_handled: pages that faults and prefetches have translated
 * @page_invalidations:	notifier callbacks
 * @page_invalidations_handled: pages whose translation they took away
 * @page_prefetch:	pages asked for by prefetch
 */
struct odp_region_stats {
	u64	page_faults;
	u64	page_faults_handled;
	u64	page_invalidations;
	u64	page_invalidations_handled;
	u64	page_prefetch;
};

struct odp_region *odp_region_create(const struct odp_region_attr *attr);
void odp_region_kill(struct odp_region *region);
void odp_region_revive(struct odp_region *region);
void odp_region_destroy(struct odp_region *region);
void odp_region_get_stats(struct odp_region *region,
			  struct odp_region_stats *stats);

int odp_region_try_copy(struct odp_region *region, u64 va, void *buf,
			size_t len, bool write, u64 *done);
int odp_region_try_atomic64(struct odp_region *region, u64 va, bool cmp,
			    u64 compare, u64 arg, u64 *orig);
int odp_region_try_store64(struct odp_region *region, u64 va, u64 value);
int odp_region_try_flush(struct odp_region *region, u64 va, u64 len, u64 *done);
int odp_region_prefetch(struct odp_region *region, u64 va, u64 len,
			unsigned int flags);
u64 odp_region_ready_bytes(struct odp_region *region, u64 va, u64 len,
			   bool write);
bool odp_region_ready(struct odp_region *region, u64 va, u64 len, bool write);
int odp_region_request(struct odp_region *region, u64 va, u64 len, bool write,
		       const struct odp_notify *notify);
void odp_region_ahead(struct odp_region *region, u64 va, u64 len, bool write);

#endif /* RDMA_ODP_H */
