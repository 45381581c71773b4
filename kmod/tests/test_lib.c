// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The engine's set-up for the tests, and their helpers
 */
#include <linux/module.h>
#include <linux/mm.h>

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
