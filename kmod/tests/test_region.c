// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * KUnit: regions, rights, data
 */
#include "test.h"

#define LEN	(4UL << 20)

static void odp_test_create_refused(struct kunit *test)
{
	static const struct {
		unsigned long start;
		u64 length;
		int err;
	} bad[] = {
		{ PAGE_SIZE, 0, -EINVAL },
		{ ULONG_MAX - 10, 100, -EINVAL },
		{ PAGE_SIZE, U64_MAX, -EINVAL },
		{ 1UL << 63, PAGE_SIZE, -EFAULT },
		{ 0xffff888000000000UL, PAGE_SIZE, -EFAULT },
	};
	struct odp_region_attr attr;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		attr = (struct odp_region_attr) {
			.start = bad[i].start,
			.length = bad[i].length,
		};
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR(odp_region_create(&attr)),
				    bad[i].err, "case %d", i);
	}
}

static void odp_test_untouched(struct kunit *test)
{
	struct odp_region *region;

	region = odp_test_region(test, PAGE_SIZE, 64ULL << 40, true);
	KUNIT_EXPECT_EQ(test, odp_test_windows(), 0);
	odp_region_destroy(region);
}

/* Through the region and through the page tables, every boundary crossed. */
static void odp_test_data(struct kunit *test)
{
	static const unsigned long at[] = { 0, 1, 63, 100, 4000, 4095, 4088,
					    ODP_LEAF_SIZE - 10 };
	unsigned long addr = odp_test_map(test, 2 * LEN, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr + 3, LEN, true);
	u8 *buf = kunit_kzalloc(test, 3 * PAGE_SIZE, GFP_KERNEL);
	u8 *back = kunit_kzalloc(test, 3 * PAGE_SIZE, GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_NOT_NULL(test, back);
	for (i = 0; i < 3 * PAGE_SIZE; i++)
		buf[i] = i * 31 + 7;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		unsigned long va = addr + 3 + at[i];

		KUNIT_EXPECT_EQ(test, odp_test_write(region, va, buf, 9000), 0);
		KUNIT_ASSERT_EQ(test, copy_from_user(back, (void __user *)va,
						     9000), 0UL);
		KUNIT_EXPECT_MEMEQ(test, back, buf, 9000);
		memset(back, 0, 9000);
		KUNIT_EXPECT_EQ(test, odp_test_read(region, va, back, 9000), 0);
		KUNIT_EXPECT_MEMEQ(test, back, buf, 9000);
		buf[i]++;
	}
	odp_region_destroy(region);
	odp_test_unmap(test, addr, 2 * LEN);
}

static void odp_test_range(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region *region;
	u64 word = 0;

	region = odp_test_region(test, addr + 64, PAGE_SIZE, true);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr + 63, &word, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr + 64 + PAGE_SIZE,
					      &word, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr + 57 + PAGE_SIZE,
					      &word, 8), -EINVAL);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, U64_MAX - 2, &word, 8),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr + 56 + PAGE_SIZE,
					      &word, 8), 0);
	KUNIT_EXPECT_EQ(test, odp_region_prefetch(region, addr + 64, 0, 0),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, odp_test_cmpxchg64(region, addr + 68, 0, 1,
						   &word), -EINVAL);
	KUNIT_EXPECT_EQ(test, odp_test_store64(region, addr + 65, 1), -EINVAL);
	odp_region_destroy(region);
	odp_test_unmap(test, addr, LEN);
}

static void odp_test_atomics(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr, LEN, true);
	u64 orig = 0, now = 0;

	KUNIT_EXPECT_EQ(test, odp_test_store64(region, addr + 8, 5), 0);
	KUNIT_EXPECT_EQ(test, odp_test_fetch_add64(region, addr + 8, U64_MAX,
						     &orig), 0);
	KUNIT_EXPECT_EQ(test, orig, 5ULL);
	KUNIT_EXPECT_EQ(test, odp_test_cmpxchg64(region, addr + 8, 9, 1,
						   &orig), 0);
	KUNIT_EXPECT_EQ(test, orig, 4ULL);
	KUNIT_EXPECT_EQ(test, odp_test_cmpxchg64(region, addr + 8, 4, 77,
						   &orig), 0);
	KUNIT_EXPECT_EQ(test, orig, 4ULL);
	KUNIT_EXPECT_EQ(test, get_user(now, (u64 __user *)(addr + 8)), 0);
	KUNIT_EXPECT_EQ(test, now, 77ULL);
	odp_region_destroy(region);
	odp_test_unmap(test, addr, LEN);
}

static void odp_test_rights(struct kunit *test)
{
	unsigned long ro = odp_test_map(test, LEN, PROT_READ);
	unsigned long none = odp_test_map(test, LEN, PROT_NONE);
	unsigned long rw = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region *region;
	u64 word = 1;

	region = odp_test_region(test, rw, LEN, false);
	KUNIT_EXPECT_EQ(test, odp_test_write(region, rw, &word, 8), -EACCES);
	KUNIT_EXPECT_EQ(test, odp_region_prefetch(region, rw, 8,
						  ODP_PREFETCH_WRITE), -EACCES);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, rw, &word, 8), 0);
	KUNIT_EXPECT_EQ(test, word, 0ULL);
	odp_region_destroy(region);

	region = odp_test_region(test, ro, LEN, true);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, ro, &word, 8), 0);
	KUNIT_EXPECT_EQ(test, odp_test_write(region, ro, &word, 8), -EFAULT);
	odp_region_destroy(region);

	region = odp_test_region(test, none, LEN, true);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, none, &word, 8), -EFAULT);
	odp_region_destroy(region);

	odp_test_unmap(test, ro, LEN);
	odp_test_unmap(test, none, LEN);
	odp_test_unmap(test, rw, LEN);
}

static void odp_test_kill(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr, LEN, true);
	u64 word = 3;

	KUNIT_EXPECT_EQ(test, odp_test_write(region, addr, &word, 8), 0);
	odp_region_kill(region);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr, &word, 8),
			-ESHUTDOWN);
	odp_region_revive(region);
	KUNIT_EXPECT_EQ(test, odp_test_read(region, addr, &word, 8), 0);
	odp_region_destroy(region);
	odp_test_unmap(test, addr, LEN);
}

static struct kunit_case odp_region_cases[] = {
	KUNIT_CASE(odp_test_create_refused),
	KUNIT_CASE(odp_test_untouched),
	KUNIT_CASE(odp_test_data),
	KUNIT_CASE(odp_test_range),
	KUNIT_CASE(odp_test_atomics),
	KUNIT_CASE(odp_test_rights),
	KUNIT_CASE(odp_test_kill),
	{}
};

static struct kunit_suite odp_region_suite = {
	.name = "odp_region",
	.init = odp_test_init,
	.exit = odp_test_exit,
	.test_cases = odp_region_cases,
};
kunit_test_suite(odp_region_suite);
