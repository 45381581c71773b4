// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The engine's set-up for the tests, and their helpers
 */
#include <linux/completion.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "test.h"

int odp_test_init(struct kunit *test)
{
	int ret = kunit_attach_mm();

	if (ret)
		return ret;
	KUNIT_EXPECT_EQ(test, atomic_long_read(&odp_gauges.regions), 0);
	return 0;
}

void odp_test_exit(struct kunit *test)
{
	flush_workqueue(odp_wq);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, atomic_long_read(&odp_gauges.regions), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&odp_gauges.windows), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&odp_gauges.leaves), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&odp_gauges.entries), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&odp_gauges.faults), 0);
}

unsigned long odp_test_map(struct kunit *test, unsigned long len,
			   unsigned long prot)
{
	unsigned long addr;

	addr = vm_mmap(NULL, 0, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

void odp_test_unmap(struct kunit *test, unsigned long addr, unsigned long len)
{
	KUNIT_EXPECT_EQ(test, vm_munmap(addr, len), 0);
}

struct odp_region *odp_test_region(struct kunit *test, unsigned long start,
				   u64 length, bool writable)
{
	struct odp_region_attr attr = {
		.start = start,
		.length = length,
		.writable = writable,
	};
	struct odp_region *region = odp_region_create(&attr);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, region);
	return region;
}

struct odp_test_waiter {
	struct completion	notified;
	int			ret;
};

static void odp_test_notified(void *ctx, u64 arg, int ret)
{
	struct odp_test_waiter *waiter = ctx;

	waiter->ret = ret;
	complete(&waiter->notified);
}

/* Return: 0 to try again. */
static int odp_test_absent(struct odp_region *region, u64 va, u64 len,
			   bool write)
{
	struct odp_test_waiter waiter;
	struct odp_notify notify = {
		.fn = odp_test_notified,
		.ctx = &waiter,
	};
	int ret;

	init_completion(&waiter.notified);
	ret = odp_region_request(region, va, min_t(u64, len, SZ_2M), write,
				 &notify);
	if (ret == -EINPROGRESS) {
		wait_for_completion(&waiter.notified);
		ret = waiter.ret;
	}
	cond_resched();
	return ret;
}

static int odp_test_copy(struct odp_region *region, u64 va, void *buf,
			 size_t len, bool write)
{
	u64 done;
	int ret;

	for (;;) {
		ret = odp_region_try_copy(region, va, buf, len, write, &done);
		if (ret != -EAGAIN)
			return ret;
		va += done;
		buf += done;
		len -= done;
		ret = odp_test_absent(region, va, len, write);
		if (ret)
			return ret;
	}
}

int odp_test_read(struct odp_region *region, u64 va, void *buf, size_t len)
{
	return odp_test_copy(region, va, buf, len, false);
}

int odp_test_write(struct odp_region *region, u64 va, void *buf, size_t len)
{
	return odp_test_copy(region, va, buf, len, true);
}

static int odp_test_atomic64(struct odp_region *region, u64 va, bool cmp,
			     u64 compare, u64 arg, u64 *orig)
{
	int ret;

	do {
		ret = odp_region_try_atomic64(region, va, cmp, compare, arg,
					      orig);
		if (ret != -EAGAIN)
			return ret;
		ret = odp_test_absent(region, va, sizeof(u64), true);
	} while (!ret);
	return ret;
}

int odp_test_cmpxchg64(struct odp_region *region, u64 va, u64 compare, u64 swap,
		       u64 *orig)
{
	return odp_test_atomic64(region, va, true, compare, swap, orig);
}

int odp_test_fetch_add64(struct odp_region *region, u64 va, u64 add, u64 *orig)
{
	return odp_test_atomic64(region, va, false, 0, add, orig);
}

int odp_test_store64(struct odp_region *region, u64 va, u64 value)
{
	int ret;

	do {
		ret = odp_region_try_store64(region, va, value);
		if (ret != -EAGAIN)
			return ret;
		ret = odp_test_absent(region, va, sizeof(u64), true);
	} while (!ret);
	return ret;
}

void odp_test_reap(struct odp_region *region)
{
	do {
		mod_delayed_work(odp_wq, &region->reap_timer, 0);
		flush_delayed_work(&region->reap_timer);
		flush_work(&region->reap.work);
	} while (xa_marked(&region->windows, ODP_WINDOW_REAP));
}

static int __init odp_test_module_init(void)
{
	int ret = odp_table_init();

	if (ret)
		return ret;
	odp_wq = alloc_workqueue("rdma_odp_test", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (odp_wq)
		return 0;
	odp_table_exit();
	return -ENOMEM;
}

static void __exit odp_test_module_exit(void)
{
	flush_workqueue(odp_wq);
	destroy_workqueue(odp_wq);
	odp_table_exit();
}

module_init(odp_test_module_init);
module_exit(odp_test_module_exit);

MODULE_DESCRIPTION("KUnit suites of the on-demand paging engine");
MODULE_AUTHOR("The odpreg maintainers");
MODULE_LICENSE("Dual BSD/GPL");
