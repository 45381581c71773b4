// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdlib.h>

#include "check_engine.h"

static void set_up(void)
{
	world_up();
}

static void tear_down(void)
{
	const char *left = world_down();

	ck_assert_msg(!left, "%s", left);
}

TCase *case_new(const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	return tc;
}

int peek(struct odp_region *region, unsigned long va)
{
	unsigned char byte;
	int ret = world_read(region, va, &byte, 1);

	return ret ? ret : byte;
}

int poke(struct odp_region *region, unsigned long va, unsigned char value)
{
	return world_write(region, va, &value, 1);
}

int cpu_peek(unsigned long va)
{
	unsigned char byte;
	int ret = stub_user_copy(world_mm, va, &byte, 1, false);

	return ret ? ret : byte;
}

void cpu_poke(unsigned long va, unsigned char value)
{
	ck_assert_int_eq(stub_user_copy(world_mm, va, &value, 1, true), 0);
}

static void reader_run(void *arg)
{
	struct reader *r = arg;

	r->ret = r->write ? poke(r->region, r->va, 1) : peek(r->region, r->va);
}

struct task_struct *reader_start(struct reader *r)
{
	r->ret = NOT_YET;
	return stub_spawn("reader", world_mm, reader_run, r);
}

const char page_of_seven[4096] = { 7, 7, 7, 7, 7, 7, 7, 7 };

struct odp_region *slow_region(void)
{
	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW | STUB_UFFD);
	return world_region(ARENA, MIB, true);
}

long windows(void)
{
	return atomic_long_read(&odp_gauges.windows);
}

long leaves(void)
{
	return atomic_long_read(&odp_gauges.leaves);
}

long entries(void)
{
	return atomic_long_read(&odp_gauges.entries);
}

long region_stat(const struct odp_region *region, enum odp_region_stat stat)
{
	return atomic64_read(&region->stat[stat]);
}

int main(void)
{
	SRunner *runner = srunner_create(suite_ranges());
	int failed;

	srunner_add_suite(runner, suite_table());
	srunner_add_suite(runner, suite_window());
	srunner_add_suite(runner, suite_access());
	srunner_add_suite(runner, suite_life());
	srunner_add_suite(runner, suite_share());
	srunner_add_suite(runner, suite_minor());
	srunner_add_suite(runner, suite_failure());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
