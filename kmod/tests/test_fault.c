// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * KUnit: faults, invalidations, windows, dirty pages
 */
#include <linux/mm.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>

#include "test.h"

#define LEN	(4UL << 20)

static void odp_test_invalidate(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr, LEN, true);
	u64 word = 0x1234;

	KUNIT_EXPECT_EQ(test, odp_test_write(region, addr, &word, 8), 0);
	KUNIT_EXPECT_EQ(test, odp_test_write(region, addr + LEN - 8, &word, 8),
			0);
	KUNIT_EXPECT_GE(test, odp_test_entries(), 2);

	/* A part: the rest stays translated. */
	odp_test_unmap(test, addr, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr, &word, 8), -EFAULT);
	KUNIT_EXPECT_GE(test, odp_test_entries(), 1);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr + LEN - 8, &word, 8),
			0);
	KUNIT_EXPECT_EQ(test, word, 0x1234ULL);

	odp_test_unmap(test, addr + PAGE_SIZE, LEN - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, odp_test_entries(), 0);
	KUNIT_EXPECT_GE(test, odp_test_stat(region, ODP_STAT_INVALIDATIONS), 2ULL);
	odp_region_destroy(region);
}

static void odp_test_reaped(struct kunit *test)
{
	const unsigned long stride = 2 * ODP_WINDOW_SIZE;
	unsigned long len = 8 * stride, at;
	unsigned long addr = odp_test_map(test, len, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr, len, true);
	u64 word = 1;

	for (at = 0; at < len; at += stride)
		KUNIT_EXPECT_EQ(test, odp_test_write(region, addr + at, &word,
						       8), 0);
	KUNIT_EXPECT_EQ(test, odp_test_windows(), 8);

	odp_test_unmap(test, addr, len);
	odp_test_reap(region);
	KUNIT_EXPECT_EQ(test, odp_test_windows(), 0);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, atomic_long_read(&odp_gauges.leaves), 0);

	/* Nothing there, nothing kept. */
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr, &word, 8), -EFAULT);
	odp_test_reap(region);
	KUNIT_EXPECT_EQ(test, odp_test_windows(), 0);
	odp_region_destroy(region);
}

static void odp_test_prefetch(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr, LEN, true);
	u64 word = 9, faults;

	KUNIT_EXPECT_EQ(test, odp_region_prefetch(region, addr, LEN,
						  ODP_PREFETCH_NO_FAULT), 0);
	KUNIT_EXPECT_EQ(test, odp_test_entries(), 0);
	odp_test_reap(region);
	KUNIT_EXPECT_EQ(test, odp_test_windows(), 0);

	KUNIT_EXPECT_EQ(test, odp_region_prefetch(region, addr, LEN,
						  ODP_PREFETCH_WRITE), 0);
	faults = odp_test_stat(region, ODP_STAT_FAULTS);
	KUNIT_EXPECT_EQ(test, odp_test_write(region, addr + LEN / 2, &word, 8),
			0);
	KUNIT_EXPECT_EQ(test, odp_test_stat(region, ODP_STAT_FAULTS), faults);

	KUNIT_EXPECT_EQ(test, odp_region_prefetch(region, addr, LEN,
						  ODP_PREFETCH_ASYNC), 0);
	odp_region_destroy(region);
	odp_test_unmap(test, addr, LEN);
}

/* What lay under a write through the region must be dirty. */
static void odp_test_dirty(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, PAGE_SIZE, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr, PAGE_SIZE, true);
	struct page *page;
	u64 word = 1;
	int locked = 1;

	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr, &word, 8), 0);
	word = 7;
	KUNIT_EXPECT_EQ(test, odp_test_write(region, addr, &word, 8), 0);

	mmap_read_lock(current->mm);
	KUNIT_EXPECT_EQ(test, get_user_pages_remote(current->mm, addr, 1, 0,
						    &page, &locked), 1L);
	if (locked)
		mmap_read_unlock(current->mm);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(page_folio(page)));
	put_page(page);

	odp_region_destroy(region);
	odp_test_unmap(test, addr, PAGE_SIZE);
}

/* One thread unmaps and maps, another one reads: old bytes must not appear. */
struct odp_test_race {
	struct odp_region	*region;
	struct mm_struct	*mm;
	unsigned long		addr;
	u64			reads;
	u64			wrong;
};

static int odp_test_reader(void *arg)
{
	struct odp_test_race *race = arg;
	u64 word;
	int ret;

	while (!kthread_should_stop()) {
		ret = odp_test_read(race->region, race->addr, &word, 8);
		race->reads++;
		if (ret ? ret != -EFAULT : word & 1)
			race->wrong++;
		cond_resched();
	}
	return 0;
}

static void odp_test_unmap_race(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_test_race race = { .addr = addr };
	struct task_struct *task;
	struct page *page;
	unsigned long again;
	u64 round;

	race.region = odp_test_region(test, addr, LEN, true);
	task = kthread_run(odp_test_reader, &race, "odp_test_reader");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	for (round = 2; round < 4000; round += 2) {
		KUNIT_EXPECT_EQ(test, put_user(round, (u64 __user *)addr), 0);
		KUNIT_EXPECT_EQ(test, vm_munmap(addr, LEN), 0);
		/* Most likely the page just freed: its new owner writes odd. */
		page = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		memset(page_address(page), 0xff, PAGE_SIZE);
		again = vm_mmap(NULL, addr, LEN, ODP_TEST_RW,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
		KUNIT_ASSERT_EQ(test, again, addr);
		__free_page(page);
		cond_resched();
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, race.wrong, 0ULL);
	KUNIT_EXPECT_GT(test, race.reads, 0ULL);
	odp_region_destroy(race.region);
	odp_test_unmap(test, addr, LEN);
}

static struct kunit_case odp_fault_cases[] = {
	KUNIT_CASE(odp_test_invalidate),
	KUNIT_CASE(odp_test_reaped),
	KUNIT_CASE(odp_test_prefetch),
	KUNIT_CASE(odp_test_dirty),
	KUNIT_CASE_SLOW(odp_test_unmap_race),
	{}
};

static struct kunit_suite odp_fault_suite = {
	.name = "odp_fault",
	.init = odp_test_init,
	.exit = odp_test_exit,
	.test_cases = odp_fault_cases,
};
kunit_test_suite(odp_fault_suite);
