// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Minor faults: what can be had at once is had in the caller's context. */
#include <linux/sched.h>

#include "check_engine.h"

static unsigned int told;

static void tell(void *ctx, u64 arg, int ret)
{
	told++;
}

static int request(struct odp_region *region, unsigned long va, u64 len,
		   bool write)
{
	struct odp_notify notify = { .fn = tell };

	return odp_region_request(region, va, len, write, &notify);
}

/* A window is made by a job, once: here by one for other pages. */
static struct odp_region *region_of(unsigned int flags)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + 8 * MIB, flags);
	stub_mmap(world_mm, ARENA + 8 * MIB, ARENA + 9 * MIB, STUB_RW);
	region = world_region(ARENA, 9 * MIB, true);
	told = 0;
	ck_assert_int_eq(request(region, ARENA + 8 * MIB, 1, false),
			 -EINPROGRESS);
	stub_run_all();
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(windows(), 1);
	told = 0;
	return region;
}

/* Served at once, and nothing is left to be done by anybody. */
static void at_once(struct odp_region *region, unsigned long va, u64 len,
		    bool write)
{
	ck_assert_int_eq(request(region, va, len, write), 0);
	ck_assert(odp_region_ready(region, va, len, write));
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 0);
}

static void by_a_job(struct odp_region *region, unsigned long va, u64 len,
		     bool write)
{
	told = 0;
	ck_assert_int_eq(request(region, va, len, write), -EINPROGRESS);
	stub_run_all();
	ck_assert_uint_eq(told, 1);
	ck_assert(odp_region_ready(region, va, len, write));
}

START_TEST(memory_never_touched)
{
	struct odp_region *region = region_of(STUB_RW);

	at_once(region, ARENA, 1, false);
	at_once(region, ARENA + PAGE_SIZE, 1, true);
	at_once(region, ARENA + 2 * PAGE_SIZE + 7, 3 * PAGE_SIZE, true);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS_SHORT), 3);
	/* More than a handful is a job's. */
	by_a_job(region, ARENA + MIB, 5 * PAGE_SIZE, true);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_huge_page_counts_as_one)
{
	struct odp_region *region = region_of(STUB_RW | STUB_THP);

	at_once(region, ARENA + MIB, 1, true);
	ck_assert(odp_region_ready(region, ARENA, 2 * MIB, true));
	ck_assert_int_eq(entries(), 2);
	odp_region_destroy(region);
}
END_TEST

/* To copy a page is to invalidate the old one, and the window is idle again. */
START_TEST(copies_one_after_the_other)
{
	struct odp_region *region = region_of(STUB_RW);
	unsigned int i;

	for (i = 0; i < 8; i++)
		at_once(region, ARENA + i * PAGE_SIZE, 1, false);
	for (i = 0; i < 8; i++)
		at_once(region, ARENA + i * PAGE_SIZE, 1, true);
	ck_assert_int_eq(region_stat(region, ODP_STAT_INVALIDATIONS), 8);
	ck_assert_int_eq(poke(region, ARENA, 3), 0);
	ck_assert_int_eq(cpu_peek(ARENA), 3);
	odp_region_destroy(region);
}
END_TEST

/* After somebody else's invalidation it takes a job to know that it is over. */
START_TEST(invalidations_of_others)
{
	struct odp_region *region = region_of(STUB_RW);

	at_once(region, ARENA, 1, true);
	ck_assert(stub_migrate(world_mm, ARENA));
	by_a_job(region, ARENA, 1, true);
	at_once(region, ARENA + PAGE_SIZE, 1, true);
	odp_region_destroy(region);
}
END_TEST

START_TEST(nothing_is_waited_for)
{
	struct odp_region *region = region_of(STUB_RW | STUB_UFFD);
	static const char page[4096];

	/* userfaultfd. */
	ck_assert_int_eq(request(region, ARENA, 1, true), -EINPROGRESS);
	stub_run_all();
	ck_assert_uint_eq(told, 0);
	stub_uffd_copy(world_mm, ARENA, page);
	stub_run_all();
	ck_assert_uint_eq(told, 1);
	odp_region_destroy(region);

	/* What is swapped out. */
	region = region_of(STUB_RW);
	at_once(region, ARENA, 1, true);
	at_once(region, ARENA + PAGE_SIZE, 1, true);
	ck_assert(stub_swap_out(world_mm, ARENA));
	by_a_job(region, ARENA + PAGE_SIZE, 1, true);
	by_a_job(region, ARENA, 1, true);
	/* Reclaim. */
	stub_memory_short = true;
	by_a_job(region, ARENA + 2 * PAGE_SIZE, 1, true);
	stub_memory_short = false;
	/* mmap_lock. */
	stub_mmap_write_lock(world_mm);
	told = 0;
	ck_assert_int_eq(request(region, ARENA + 3 * PAGE_SIZE, 1, true),
			 -EINPROGRESS);
	stub_mmap_write_unlock(world_mm);
	stub_run_all();
	ck_assert_uint_eq(told, 1);
	/* Whatever else minor.c knows of. */
	stub_minor_none = true;
	by_a_job(region, ARENA + 4 * PAGE_SIZE, 1, true);
	stub_minor_none = false;
	odp_region_destroy(region);
}
END_TEST

/* Errors are for a job to find, which looks as long as it takes. */
START_TEST(errors_are_not_guessed)
{
	struct odp_region *region = region_of(STUB_READ);

	ck_assert_int_eq(request(region, ARENA, 1, true), -EINPROGRESS);
	stub_munmap(world_mm, ARENA, ARENA + MIB);
	ck_assert_int_eq(request(region, ARENA, 1, false), -EINPROGRESS);
	stub_run_all();
	ck_assert_uint_eq(told, 2);
	/* A region that has ended faults nothing in. */
	at_once(region, ARENA + 8 * MIB + PAGE_SIZE, 1, true);
	odp_region_kill(region);
	ck_assert_int_eq(request(region, ARENA + 8 * MIB + 2 * PAGE_SIZE, 1,
				 true), -ESHUTDOWN);
	odp_region_destroy(region);
}
END_TEST

Suite *suite_minor(void)
{
	Suite *suite = suite_create("minor");
	TCase *tc = case_new("minor");

	tcase_add_test(tc, memory_never_touched);
	tcase_add_test(tc, a_huge_page_counts_as_one);
	tcase_add_test(tc, copies_one_after_the_other);
	tcase_add_test(tc, invalidations_of_others);
	tcase_add_test(tc, nothing_is_waited_for);
	tcase_add_test(tc, errors_are_not_guessed);
	suite_add_tcase(suite, tc);
	return suite;
}
