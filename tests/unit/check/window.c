// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Windows: made once, reaped when empty, kept while somebody is inside. */
#include "check_engine.h"

static struct odp_region *mapped_region(u64 length, unsigned int flags)
{
	stub_mmap(world_mm, ARENA, ARENA + length, flags);
	return world_region(ARENA, length, true);
}

START_TEST(an_emptied_window_is_reaped)
{
	struct odp_region *region = mapped_region(GIB, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert_int_eq(poke(region, ARENA + 64 * MIB, 2), 0);
	ck_assert_int_eq(windows(), 2);
	stub_dontneed(world_mm, ARENA, ARENA + PAGE_SIZE);
	ck_assert_int_eq(windows(), 2);
	world_reap();
	ck_assert_int_eq(windows(), 1);
	ck_assert_int_eq(leaves(), 1);
	ck_assert_int_eq(world_mm->mn_subscriptions, 1);
	ck_assert_int_eq(peek(region, ARENA + 64 * MIB), 2);
	ck_assert_int_eq(poke(region, ARENA, 3), 0);
	ck_assert_int_eq(windows(), 2);
	odp_region_destroy(region);
}
END_TEST

/* Two that are found at the same place: each is, whoever was used last or has gone. */
START_TEST(windows_that_share_a_place)
{
	unsigned long far = ARENA + ODP_NEAR_WINDOWS * 64 * MIB;
	struct odp_region *region = mapped_region(2 * GIB, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert_int_eq(poke(region, far, 2), 0);
	ck_assert_int_eq(peek(region, ARENA), 1);
	ck_assert_int_eq(peek(region, far), 2);
	stub_dontneed(world_mm, ARENA, ARENA + PAGE_SIZE);
	world_reap();
	ck_assert_int_eq(windows(), 1);
	ck_assert_int_eq(peek(region, far), 2);
	ck_assert_int_eq(poke(region, ARENA, 3), 0);
	stub_dontneed(world_mm, ARENA, ARENA + PAGE_SIZE);
	world_reap();
	ck_assert_int_eq(windows(), 1);
	ck_assert_int_eq(peek(region, ARENA), 0);
	ck_assert_int_eq(peek(region, far), 2);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_window_with_entries_stays)
{
	struct odp_region *region = mapped_region(64 * MIB, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert_int_eq(poke(region, ARENA + 4 * MIB, 1), 0);
	stub_dontneed(world_mm, ARENA, ARENA + PAGE_SIZE);
	world_reap();
	ck_assert_int_eq(windows(), 1);
	ck_assert_int_eq(leaves(), 1);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(peek(region, ARENA + 4 * MIB), 1);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_window_in_use_is_reaped_later)
{
	struct odp_region *region = mapped_region(64 * MIB, STUB_RW);
	struct odp_window *window;

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	window = odp_window_get(region, ARENA, false);
	stub_dontneed(world_mm, ARENA, ARENA + PAGE_SIZE);
	world_reap();
	ck_assert_int_eq(windows(), 1);
	ck_assert_int_eq(leaves(), 0);
	odp_window_put(window);
	world_reap();
	ck_assert_int_eq(windows(), 0);
	odp_region_destroy(region);
}
END_TEST

/* Accesses and snapshots that leave nothing leave no window either. */
START_TEST(a_window_made_for_nothing_goes)
{
	struct odp_region *region = world_region(ARENA, GIB, true);

	ck_assert_int_eq(peek(region, ARENA), -EFAULT);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA + 128 * MIB, MIB,
					     ODP_PREFETCH_NO_FAULT), 0);
	world_reap();
	ck_assert_int_eq(windows(), 0);
	ck_assert_int_eq(stub_objects_live(), 2);
	odp_region_destroy(region);
}
END_TEST

static void get_window(void *arg)
{
	struct odp_window *window = odp_window_get(arg, ARENA, true);

	ck_assert(!IS_ERR(window));
	odp_window_put(window);
}

/* Preempt the first at its @_i-th step, let the other one overtake it. */
static int preempt_at;

static int overtake(int n, bool free)
{
	return !free && preempt_at-- == 0 ? 1 : 0;
}

START_TEST(two_make_the_same_window)
{
	struct odp_region *region = mapped_region(64 * MIB, STUB_RW);
	struct task_struct *a, *b;

	preempt_at = _i;
	a = stub_spawn("a", world_mm, get_window, region);
	b = stub_spawn("b", world_mm, get_window, region);
	stub_chooser = overtake;
	stub_join(a);
	stub_join(b);
	stub_chooser = NULL;
	ck_assert_int_eq(windows(), 1);
	ck_assert_int_eq(world_mm->mn_subscriptions, 1);
	odp_region_destroy(region);
}
END_TEST

START_TEST(windows_far_away_are_not_called)
{
	struct odp_region *region = mapped_region(GIB, STUB_RW);
	long calls;

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert_int_eq(poke(region, ARENA + 512 * MIB, 1), 0);
	calls = world_mm->mn_calls;
	stub_dontneed(world_mm, ARENA + 128 * MIB, ARENA + 256 * MIB);
	ck_assert_int_eq(world_mm->mn_calls, calls);
	stub_dontneed(world_mm, ARENA, ARENA + PAGE_SIZE);
	ck_assert_int_eq(world_mm->mn_calls, calls + 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_INVALIDATIONS), 1);
	odp_region_destroy(region);
}
END_TEST

START_TEST(everything_goes_at_once)
{
	struct odp_region *region = mapped_region(GIB, STUB_RW);
	unsigned long va;

	for (va = ARENA; va < ARENA + GIB; va += 64 * MIB)
		ck_assert_int_eq(poke(region, va, 1), 0);
	ck_assert_int_eq(windows(), 16);
	stub_oom_reap(world_mm);
	ck_assert_int_eq(entries(), 0);
	world_reap();
	ck_assert_int_eq(windows(), 0);
	odp_region_destroy(region);
}
END_TEST

Suite *suite_window(void)
{
	Suite *suite = suite_create("window");
	TCase *tc = case_new("window");

	tcase_add_test(tc, an_emptied_window_is_reaped);
	tcase_add_test(tc, windows_that_share_a_place);
	tcase_add_test(tc, a_window_with_entries_stays);
	tcase_add_test(tc, a_window_in_use_is_reaped_later);
	tcase_add_test(tc, a_window_made_for_nothing_goes);
	tcase_add_loop_test(tc, two_make_the_same_window, 0, 30);
	tcase_add_test(tc, windows_far_away_are_not_called);
	tcase_add_test(tc, everything_goes_at_once);
	suite_add_tcase(suite, tc);
	return suite;
}
