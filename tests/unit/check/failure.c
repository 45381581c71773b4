// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every allocation failed once, in order
 *
 * Each operation is run with its first allocation failing, then its second,
 * until one run meets no failure.  A failure ends in -ENOMEM or is waited out;
 * either way the same operation works right after it, and nothing is left.
 */
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "check_engine.h"

#define FEW	200	/* no operation here allocates as often as that */

static void fail_nth(unsigned long nth)
{
	stub_fail_hits = 0;
	stub_fail_nth = nth;
}

static bool failed(void)
{
	bool hit = stub_fail_hits;

	stub_fail_nth = 0;
	stub_fail_hits = 0;
	return hit;
}

START_TEST(module_load)
{
	unsigned long nth;
	int ret = -1;

	stub_module_exit();
	for (nth = 1; ret; nth++) {
		fail_nth(nth);
		ret = stub_module_init();
		if (failed())
			ck_assert_int_eq(ret, -ENOMEM);
		ck_assert_uint_lt(nth, FEW);
	}
	ck_assert_uint_ge(nth, 3);
}
END_TEST

START_TEST(create)
{
	struct odp_region_attr attr = { .start = ARENA, .length = MIB };
	struct odp_region *region;

	fail_nth(1);
	region = odp_region_create(&attr);
	ck_assert(failed());
	ck_assert_int_eq(PTR_ERR(region), -ENOMEM);
	ck_assert_int_eq(stub_objects_live(), 0);
	odp_region_destroy(world_region(ARENA, MIB, true));
}
END_TEST

/* Let the workers end, those too that wait for memory. */
static void drain(void)
{
	while (stub_works()) {
		stub_advance(HZ / 10);
		stub_run_all();
	}
}

/* One operation on fresh memory; the length of the sweep is its result. */
static unsigned long sweep(int (*op)(struct odp_region *), unsigned int flags)
{
	struct odp_region *region;
	unsigned long nth;
	bool hit = true;
	int ret;

	for (nth = 1; hit; nth++) {
		stub_mmap(world_mm, ARENA, ARENA + 4 * MIB, flags);
		region = world_region(ARENA, 4 * MIB, true);
		fail_nth(nth);
		ret = op(region);
		drain();
		hit = failed();
		if (ret)
			ck_assert_int_eq(ret, -ENOMEM);
		ck_assert(hit || !ret);
		ck_assert_int_eq(op(region), 0);
		drain();
		odp_region_destroy(region);
		/* The next run makes the first subscriber's memory again. */
		world_mm->mn_ready = false;
		ck_assert_int_eq(stub_objects_live(), 0);
		ck_assert_uint_lt(nth, FEW);
	}
	return nth - 2;
}

static int op_read(struct odp_region *region)
{
	int ret = peek(region, ARENA);

	return ret < 0 ? ret : 0;
}

static int op_write(struct odp_region *region)
{
	return poke(region, ARENA + 2 * MIB, 1);
}

static int op_prefetch(struct odp_region *region)
{
	return odp_region_prefetch(region, ARENA + 2 * MIB - 8 * PAGE_SIZE,
				   16 * PAGE_SIZE, ODP_PREFETCH_WRITE);
}

static int op_prefetch_async(struct odp_region *region)
{
	return odp_region_prefetch(region, ARENA + 2 * MIB - 8 * PAGE_SIZE,
				   16 * PAGE_SIZE, ODP_PREFETCH_ASYNC);
}

static int op_snapshot(struct odp_region *region)
{
	cpu_poke(ARENA, 1);
	return odp_region_prefetch(region, ARENA, MIB, ODP_PREFETCH_NO_FAULT);
}

START_TEST(first_read)
{
	/* Request, array, window, notifier, xarray, page, leaf, entries. */
	ck_assert_uint_ge(sweep(op_read, STUB_RW), 8);
}
END_TEST

START_TEST(first_write)
{
	ck_assert_uint_ge(sweep(op_write, STUB_RW), 8);
}
END_TEST

START_TEST(first_write_of_a_huge_page)
{
	ck_assert_uint_ge(sweep(op_write, STUB_RW | STUB_THP), 7);
}
END_TEST

START_TEST(prefetch_of_two_leaves)
{
	ck_assert_uint_ge(sweep(op_prefetch, STUB_RW), 24);
}
END_TEST

START_TEST(prefetch_in_the_background)
{
	ck_assert_uint_ge(sweep(op_prefetch_async, STUB_RW), 1);
}
END_TEST

/* The short way gives up where it cannot have memory, the long way waits. */
START_TEST(mapped_page)
{
	struct odp_region *region;
	unsigned long nth;
	bool hit = true;

	stub_mmap(world_mm, ARENA, ARENA + 8 * MIB, STUB_RW);
	region = world_region(ARENA, 8 * MIB, true);
	ck_assert_int_eq(poke(region, ARENA + 4 * MIB, 1), 0);
	for (nth = 1; hit; nth++) {
		cpu_poke(ARENA, nth);
		/* A fault the long way sees that all invalidation is over. */
		ck_assert_int_eq(peek(region, ARENA + 4 * MIB +
				      nth * PAGE_SIZE), 0);
		fail_nth(nth);
		ck_assert_int_eq(peek(region, ARENA), nth);
		hit = failed();
		stub_dontneed(world_mm, ARENA, ARENA + 2 * MIB);
		world_reap();
		ck_assert_uint_lt(nth, FEW);
	}
	ck_assert_uint_ge(nth, 3);
	odp_region_destroy(region);
}
END_TEST

START_TEST(snapshot)
{
	struct odp_region *region;
	unsigned long nth;
	bool hit = true;
	int ret;

	for (nth = 1; hit; nth++) {
		stub_mmap(world_mm, ARENA, ARENA + 4 * MIB, STUB_RW);
		cpu_poke(ARENA, 1);
		region = world_region(ARENA, 4 * MIB, true);
		fail_nth(nth);
		ret = odp_region_prefetch(region, ARENA, MIB,
					  ODP_PREFETCH_NO_FAULT);
		hit = failed();
		ck_assert(!ret || (hit && ret == -ENOMEM));
		ck_assert_int_eq(op_snapshot(region), 0);
		ck_assert_int_eq(entries(), 1);
		odp_region_destroy(region);
		ck_assert_uint_lt(nth, FEW);
	}
}
END_TEST

/* Memory that stays short is an error in the end, not a wait for ever. */
START_TEST(memory_stays_short)
{
	struct odp_region *region;
	unsigned long before = jiffies;
	int ret;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	stub_fail_from = 4;	/* all from the fourth on */
	ret = op_read(region);
	stub_fail_from = 0;
	ck_assert_int_eq(ret, -ENOMEM);
	ck_assert_uint_ge(jiffies - before, HZ);
	ck_assert_int_eq(op_read(region), 0);
	odp_region_destroy(region);
}
END_TEST

Suite *suite_failure(void)
{
	Suite *suite = suite_create("failure");
	TCase *tc = case_new("failure");

	tcase_add_test(tc, module_load);
	tcase_add_test(tc, create);
	tcase_add_test(tc, first_read);
	tcase_add_test(tc, first_write);
	tcase_add_test(tc, first_write_of_a_huge_page);
	tcase_add_test(tc, prefetch_of_two_leaves);
	tcase_add_test(tc, prefetch_in_the_background);
	tcase_add_test(tc, mapped_page);
	tcase_add_test(tc, snapshot);
	tcase_add_test(tc, memory_stays_short);
	suite_add_tcase(suite, tc);
	return suite;
}
