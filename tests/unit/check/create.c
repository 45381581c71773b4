// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What a region may cover, and where ranges end. */
#include <linux/sched.h>

#include "check_engine.h"

static long create_error(unsigned long start, u64 length)
{
	struct odp_region_attr attr = { .start = start, .length = length };
	struct odp_region *region = odp_region_create(&attr);

	if (IS_ERR(region))
		return PTR_ERR(region);
	odp_region_destroy(region);
	return 0;
}

START_TEST(ranges_that_are_refused)
{
	ck_assert_int_eq(create_error(ARENA, 0), -EINVAL);
	ck_assert_int_eq(create_error(ARENA, ~0ULL), -EINVAL);
	ck_assert_int_eq(create_error(-PAGE_SIZE, PAGE_SIZE), -EINVAL);
	ck_assert_int_eq(create_error(1, ~0ULL - 1), -EINVAL);
	ck_assert_int_eq(create_error(TASK_SIZE - 1, 2), -EFAULT);
	ck_assert_int_eq(create_error(TASK_SIZE, 1), -EFAULT);
	ck_assert_int_eq(create_error(0, TASK_SIZE + 1), -EFAULT);
	current->mm = NULL;
	ck_assert_int_eq(create_error(ARENA, 1), -EINVAL);
	current->mm = world_mm;
}
END_TEST

START_TEST(ranges_that_are_allowed)
{
	ck_assert_int_eq(create_error(0, TASK_SIZE), 0);
	ck_assert_int_eq(create_error(0, 1), 0);
	ck_assert_int_eq(create_error(TASK_SIZE - 1, 1), 0);
	ck_assert_int_eq(create_error(ARENA + 1, TIB), 0);
}
END_TEST

START_TEST(registration_touches_nothing)
{
	struct odp_region *region = world_region(ARENA, TIB, true);

	ck_assert_int_eq(stub_objects_live(), 2);	/* its user is one */
	ck_assert_int_eq(windows(), 0);
	ck_assert_int_eq(world_mm->mn_subscriptions, 0);
	ck_assert_int_eq(stub_pages_used(), 0);
	odp_region_destroy(region);
}
END_TEST

START_TEST(last_page_of_the_address_space)
{
	unsigned long va = TASK_SIZE - PAGE_SIZE;
	struct odp_region *region;

	stub_mmap(world_mm, va, TASK_SIZE, STUB_RW);
	region = world_region(0, TASK_SIZE, true);
	ck_assert_int_eq(poke(region, TASK_SIZE - 1, 7), 0);
	ck_assert_int_eq(cpu_peek(TASK_SIZE - 1), 7);
	ck_assert_int_eq(peek(region, TASK_SIZE), -EINVAL);
	ck_assert_int_eq(peek(region, ~0UL), -EINVAL);
	stub_munmap(world_mm, va, TASK_SIZE);
	ck_assert_int_eq(peek(region, TASK_SIZE - 1), -EFAULT);
	odp_region_destroy(region);
}
END_TEST

START_TEST(first_page_of_the_address_space)
{
	struct odp_region *region = world_region(0, TASK_SIZE, true);

	ck_assert_int_eq(peek(region, 0), -EFAULT);
	stub_mmap(world_mm, 0, PAGE_SIZE, STUB_RW);
	ck_assert_int_eq(poke(region, 0, 9), 0);
	ck_assert_int_eq(cpu_peek(0), 9);
	odp_region_destroy(region);
}
END_TEST

/* Write over a boundary, byte by byte and at once, and read it back. */
static void cross(struct odp_region *region, unsigned long boundary)
{
	char out[64], in[64];

	memset(out, boundary >> 21, sizeof(out));
	ck_assert_int_eq(world_write(region, boundary - 32, out, 64), 0);
	ck_assert_int_eq(stub_user_copy(world_mm, boundary - 32, in, 64, false),
			 0);
	ck_assert_mem_eq(in, out, 64);
	ck_assert_int_eq(world_read(region, boundary - 32, in, 64), 0);
	ck_assert_mem_eq(in, out, 64);
	ck_assert_int_eq(poke(region, boundary - 1, 1), 0);
	ck_assert_int_eq(poke(region, boundary, 2), 0);
	ck_assert_int_eq(cpu_peek(boundary - 1), 1);
	ck_assert_int_eq(cpu_peek(boundary), 2);
}

START_TEST(boundaries_inside)
{
	static const unsigned long at[] = {
		PAGE_SIZE, 2 * MIB, 64 * MIB, GIB, TIB - PAGE_SIZE,
	};
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + TIB, STUB_RW);
	region = world_region(ARENA, TIB, true);
	cross(region, ARENA + at[_i]);
	odp_region_destroy(region);
}
END_TEST

START_TEST(boundaries_of_the_region)
{
	unsigned long start = ARENA + 2 * MIB - 3, length = 62 * MIB + 6;
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + 128 * MIB, STUB_RW);
	region = world_region(start, length, true);
	ck_assert_int_eq(poke(region, start, 1), 0);
	ck_assert_int_eq(poke(region, start + length - 1, 2), 0);
	ck_assert_int_eq(poke(region, start - 1, 3), -EINVAL);
	ck_assert_int_eq(poke(region, start + length, 3), -EINVAL);
	ck_assert_int_eq(cpu_peek(start), 1);
	ck_assert_int_eq(cpu_peek(start + length - 1), 2);
	ck_assert_int_eq(cpu_peek(start - 1), 0);
	ck_assert_int_eq(cpu_peek(start + length), 0);
	ck_assert_int_eq(windows(), 2);
	/* Both edge pages are told about, though the region has parts of them. */
	ck_assert(stub_swap_out(world_mm, start));
	ck_assert(stub_swap_out(world_mm, start + length));
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(peek(region, start), 1);
	odp_region_destroy(region);
}
END_TEST

START_TEST(lengths_that_wrap)
{
	struct odp_region *region;
	char byte;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(world_read(region, ARENA + 1, &byte, ~0UL),
			 -EINVAL);
	ck_assert_int_eq(world_read(region, ARENA + 1, &byte, MIB),
			 -EINVAL);
	ck_assert_int_eq(world_read(region, ~0ULL, &byte, 2), -EINVAL);
	ck_assert_int_eq(world_read(region, ARENA + MIB, &byte, 0), 0);
	ck_assert_int_eq(world_read(region, ARENA + MIB + 1, &byte, 0),
			 -EINVAL);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, ~0ULL, 0), -EINVAL);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 0, 0), -EINVAL);
	odp_region_destroy(region);
}
END_TEST

Suite *suite_ranges(void)
{
	Suite *suite = suite_create("ranges");
	TCase *tc = case_new("create");

	tcase_add_test(tc, ranges_that_are_refused);
	tcase_add_test(tc, ranges_that_are_allowed);
	tcase_add_test(tc, registration_touches_nothing);
	tcase_add_test(tc, last_page_of_the_address_space);
	tcase_add_test(tc, first_page_of_the_address_space);
	tcase_add_loop_test(tc, boundaries_inside, 0, 5);
	tcase_add_test(tc, boundaries_of_the_region);
	tcase_add_test(tc, lengths_that_wrap);
	suite_add_tcase(suite, tc);
	return suite;
}
