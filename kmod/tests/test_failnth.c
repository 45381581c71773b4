// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * KUnit: every allocation fails once, in order
 *
 * The sweep that user space does through /proc/self/fail-nth, for the paths
 * that run in the engine's workers: the test thread walks them itself.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "test.h"

#define LEN	(4UL << 20)
#define SITES	200

#ifdef CONFIG_FAULT_INJECTION
/* Begin: the @nth allocation from now on fails.  End: did it come to that? */
static void odp_fail_begin(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

static bool odp_fail_end(void)
{
	bool failed = !READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return failed;
}

static void odp_test_fail_create(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region_attr attr = { .start = addr, .length = LEN };
	struct odp_region *region;
	unsigned int nth;
	bool failed;

	for (nth = 1; nth < SITES; nth++) {
		odp_fail_begin(nth);
		region = odp_region_create(&attr);
		failed = odp_fail_end();
		if (!IS_ERR(region))
			odp_region_destroy(region);
		else
			KUNIT_EXPECT_EQ(test, PTR_ERR(region), -ENOMEM);
		KUNIT_EXPECT_TRUE(test, failed || !IS_ERR(region));
		if (!failed)
			break;
	}
	KUNIT_EXPECT_GT(test, nth, 1U);
	KUNIT_EXPECT_LT(test, nth, SITES);
	odp_test_unmap(test, addr, LEN);
}

/* Memory that is short once is not an error: the fault begins again. */
static void odp_test_fail_fault(struct kunit *test)
{
	unsigned int nth;
	bool failed;
	int ret;

	for (nth = 1; nth < SITES; nth++) {
		unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
		struct odp_region *region;
		u64 word = nth;

		region = odp_test_region(test, addr, LEN, true);
		odp_fail_begin(nth);
		ret = odp_populate(region, addr, addr + LEN, ODP_FAULT_WRITE);
		failed = odp_fail_end();
		KUNIT_EXPECT_TRUE_MSG(test, !ret || (failed && ret == -ENOMEM),
				      "allocation %u: %d", nth, ret);
		/* Whatever failed, the next access works. */
		KUNIT_EXPECT_EQ(test, odp_test_write(region, addr, &word, 8), 0);
		odp_region_destroy(region);
		odp_test_unmap(test, addr, LEN);
		if (!failed)
			break;
	}
	KUNIT_EXPECT_GT(test, nth, 1U);
}

static void odp_test_fail_prefetch(struct kunit *test)
{
	unsigned long addr = odp_test_map(test, LEN, ODP_TEST_RW);
	struct odp_region *region = odp_test_region(test, addr, LEN, true);
	unsigned int nth, refused = 0;
	bool failed;
	int ret;

	/* The kernel's own debugging allocates, too, and can do without. */
	for (nth = 1; nth < SITES; nth++) {
		odp_fail_begin(nth);
		ret = odp_region_prefetch(region, addr, LEN, ODP_PREFETCH_ASYNC);
		failed = odp_fail_end();
		KUNIT_EXPECT_TRUE_MSG(test, !ret || (failed && ret == -ENOMEM),
				      "allocation %u: %d", nth, ret);
		refused += ret == -ENOMEM;
		if (!failed)
			break;
	}
	KUNIT_EXPECT_GT(test, refused, 0U);
	odp_region_destroy(region);
	odp_test_unmap(test, addr, LEN);
}
#endif /* CONFIG_FAULT_INJECTION */

static struct kunit_case odp_failnth_cases[] = {
#ifdef CONFIG_FAULT_INJECTION
	KUNIT_CASE(odp_test_fail_create),
	KUNIT_CASE_SLOW(odp_test_fail_fault),
	KUNIT_CASE(odp_test_fail_prefetch),
#endif
	{}
};

static struct kunit_suite odp_failnth_suite = {
	.name = "odp_failnth",
	.init = odp_test_init,
	.exit = odp_test_exit,
	.test_cases = odp_failnth_cases,
};
kunit_test_suite(odp_failnth_suite);
