// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Accesses that wait, made of those that do not. */
#include <limits.h>

#include <linux/sched.h>
#include <linux/wait.h>

#include "world.h"

struct waiter {
	wait_queue_head_t	wait;
	bool			notified;
	int			ret;
};

static void notified(void *ctx, u64 arg, int ret)
{
	struct waiter *waiter = ctx;

	if (arg != 4711 || waiter->notified)
		stub_bug("notify", "called twice, or for somebody else");
	waiter->ret = ret;
	smp_store_release(&waiter->notified, true);
	wake_up_all(&waiter->wait);
}

/* Return: 0 to try again. */
static int absent(struct odp_region *region, u64 va, u64 len, bool write)
{
	struct waiter waiter = {};
	struct odp_notify notify = {
		.fn = notified,
		.ctx = &waiter,
		.arg = 4711,
	};
	unsigned int seen;
	int ret;

	init_waitqueue_head(&waiter.wait);
	ret = odp_region_request(region, va, min_t(u64, len, SZ_2M), write,
				 &notify);
	if (ret != -EINPROGRESS) {
		cond_resched();
		return ret;
	}
	for (;;) {
		seen = stub_wait_seen(&waiter.wait);
		if (smp_load_acquire(&waiter.notified))
			break;
		stub_wait(&waiter.wait, seen, ULONG_MAX, "notify");
	}
	/* The function that notifies has returned when the lock is free. */
	spin_lock(&region->fault_lock);
	spin_unlock(&region->fault_lock);
	return waiter.ret;
}

static int copy(struct odp_region *region, u64 va, void *buf, size_t len,
		bool write)
{
	u64 done;
	int ret;

	for (;;) {
		ret = odp_region_try_copy(region, va, buf, len, write, &done);
		if (done > len || (!ret && done != len))
			stub_bug("access", "done is not what was done");
		if (ret != -EAGAIN)
			return ret;
		va += done;
		buf += done;
		len -= done;
		ret = absent(region, va, len, write);
		if (ret)
			return ret;
	}
}

int world_read(struct odp_region *region, u64 va, void *buf, size_t len)
{
	return copy(region, va, buf, len, false);
}

int world_write(struct odp_region *region, u64 va, const void *buf, size_t len)
{
	return copy(region, va, (void *)buf, len, true);
}

#define UNTIL_THERE(region, va, len, write, try) ({ \
	int until; \
	do { \
		until = (try); \
	} while (until == -EAGAIN && \
		 !(until = absent(region, va, len, write))); \
	until; })

int world_cmpxchg64(struct odp_region *region, u64 va, u64 compare, u64 swap,
		    u64 *orig)
{
	return UNTIL_THERE(region, va, 8, true,
			   odp_region_try_atomic64(region, va, true, compare,
						   swap, orig));
}

int world_fetch_add64(struct odp_region *region, u64 va, u64 add, u64 *orig)
{
	return UNTIL_THERE(region, va, 8, true,
			   odp_region_try_atomic64(region, va, false, 0, add,
						   orig));
}

int world_store64(struct odp_region *region, u64 va, u64 value)
{
	return UNTIL_THERE(region, va, 8, true,
			   odp_region_try_store64(region, va, value));
}

int world_flush(struct odp_region *region, u64 va, u64 len)
{
	u64 done;
	int ret;

	for (;;) {
		ret = odp_region_try_flush(region, va, len, &done);
		if (ret != -EAGAIN)
			return ret;
		va += done;
		len -= done;
		ret = absent(region, va, len, false);
		if (ret)
			return ret;
	}
}
