// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Shares: what sleeps for one user takes no worker of another's. */
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "check_engine.h"

/* A user's share of the workers: the rest of the requests waits, others' do not. */
START_TEST(users_have_their_shares)
{
	unsigned int share = odp_owner_share, i;
	struct odp_region *slow, *same, *other;
	struct task_struct *task[4];
	struct reader r[4];

	odp_owner_share = 2;
	slow = slow_region();
	stub_mmap(world_mm, ARENA + GIB, ARENA + 2 * GIB, STUB_RW);
	same = world_region(ARENA + GIB, GIB, true);
	stub_uid.val = 1000;
	other = world_region(ARENA + GIB, GIB, true);
	stub_uid.val = 0;

	for (i = 0; i < 3; i++) {
		r[i] = (struct reader) { .region = slow,
					 .va = ARENA + i * PAGE_SIZE };
		task[i] = reader_start(&r[i]);
	}
	r[3] = (struct reader) { .region = same, .va = ARENA + GIB };
	task[3] = reader_start(&r[3]);
	stub_run_all();
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 4);
	/* Another user is served, this one waits for its turn. */
	ck_assert_int_eq(peek(other, ARENA + GIB + MIB), 0);
	ck_assert_int_eq(r[3].ret, NOT_YET);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_run_all();
	ck_assert_int_eq(r[0].ret, 7);
	/* The third for a slow page came before it. */
	ck_assert_int_eq(r[3].ret, NOT_YET);
	stub_uffd_copy(world_mm, ARENA + PAGE_SIZE, page_of_seven);
	stub_run_all();
	ck_assert_int_eq(r[3].ret, 0);
	/* A region may end while a request of its waits for its turn. */
	stub_uffd_copy(world_mm, ARENA + 2 * PAGE_SIZE, page_of_seven);
	for (i = 0; i < 4; i++)
		stub_join(task[i]);
	for (i = 0; i < 3; i++)
		odp_region_ahead(slow, ARENA + (8 + i) * PAGE_SIZE, 1, true);
	odp_region_destroy(slow);
	odp_region_destroy(same);
	odp_region_destroy(other);
	for (i = 0; i < 2; i++)
		stub_uffd_copy(world_mm, ARENA + (8 + i) * PAGE_SIZE,
			       page_of_seven);
	stub_run_all();
	ck_assert_int_eq(atomic_long_read(&odp_gauges.regions), 0);
	odp_owner_share = share;
}
END_TEST

/* Requests that nobody waits for have half of the share, and come last. */
START_TEST(hints_come_last)
{
	unsigned int share = odp_owner_share, i;
	struct odp_region *slow = slow_region();
	struct task_struct *task[2];
	struct reader r[2];

	odp_owner_share = 2;
	for (i = 0; i < 3; i++)
		odp_region_ahead(slow, ARENA + (20 + i) * PAGE_SIZE, 1, true);
	stub_run_all();
	for (i = 0; i < 2; i++) {
		r[i] = (struct reader) { .region = slow,
					 .va = ARENA + i * PAGE_SIZE };
		task[i] = reader_start(&r[i]);
		stub_run_all();
	}
	/* The first reader has a worker, though three hints were there before. */
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_run_all();
	ck_assert_int_eq(r[0].ret, 7);
	/* And the second has its one, though two of them still wait. */
	stub_uffd_copy(world_mm, ARENA + PAGE_SIZE, page_of_seven);
	stub_run_all();
	ck_assert_int_eq(r[1].ret, 7);
	for (i = 0; i < 3; i++) {
		ck_assert(!odp_region_ready(slow, ARENA + (20 + i) * PAGE_SIZE,
					    1, true));
		stub_uffd_copy(world_mm, ARENA + (20 + i) * PAGE_SIZE,
			       page_of_seven);
		stub_run_all();
		ck_assert(odp_region_ready(slow, ARENA + (20 + i) * PAGE_SIZE,
					   1, true));
	}
	for (i = 0; i < 2; i++)
		stub_join(task[i]);
	odp_region_destroy(slow);
	odp_owner_share = share;
}
END_TEST

/* As many regions as there are workers, and half as many that one user may have. */
#define WORKERS	4

static unsigned int share_before;

static void few_workers(void)
{
	share_before = odp_owner_share;
	odp_owner_share = WORKERS / 2;
	stub_max_active = WORKERS;
}

static void all_workers(void)
{
	odp_owner_share = share_before;
	stub_max_active = 0;
}

/* Somebody else, who has a process and memory of its own. */
struct victim {
	struct mm_struct *mm;
	struct odp_region *region;
};

static struct victim victim_new(void)
{
	struct mm_struct *mine = current->mm;
	struct victim v = { .mm = stub_mm_new() };

	mmgrab(v.mm);
	stub_mmap(v.mm, ARENA, ARENA + MIB, STUB_RW);
	current->mm = v.mm;
	stub_uid.val = 1000;
	v.region = world_region(ARENA, MIB, true);
	stub_uid.val = 0;
	current->mm = mine;
	return v;
}

static void victim_end(struct victim v)
{
	odp_region_destroy(v.region);
	mmput(v.mm);
	ck_assert_int_eq(v.mm->mn_subscriptions, 0);
	mmdrop(v.mm);
}

/* It is served while the other user's jobs sleep. */
static void victim_is_served(struct victim v)
{
	struct reader r = { .region = v.region, .va = ARENA };
	struct task_struct *task = reader_start(&r);

	stub_run_all();
	ck_assert_int_eq(r.ret, 0);
	stub_join(task);
}

/* Regions whose windows are empty, and one that makes an invalidation be waited for. */
START_TEST(reapers_take_only_their_users_workers)
{
	struct odp_region *region[2 * WORKERS], *keep;
	struct victim v = victim_new();
	struct task_struct *task;
	struct reader r;
	unsigned int i;

	few_workers();
	stub_mmap(world_mm, ARENA, ARENA + 2 * GIB, STUB_RW);
	for (i = 0; i < ARRAY_SIZE(region); i++) {
		region[i] = world_region(ARENA, MIB, true);
		ck_assert_int_eq(poke(region[i], ARENA, 1), 0);
	}
	keep = world_region(ARENA + GIB, MIB, true);
	ck_assert_int_eq(poke(keep, ARENA + GIB, 1), 0);
	stub_munmap(world_mm, ARENA, ARENA + MIB);
	stub_mn_start(world_mm, ARENA + GIB, ARENA + GIB + PAGE_SIZE, true);
	world_reap();
	ck_assert_int_eq(windows(), ARRAY_SIZE(region) + 1);
	victim_is_served(v);
	/* Its own faults come before its reapers, which have half of its share. */
	r = (struct reader) { .region = keep, .va = ARENA + GIB + PAGE_SIZE };
	task = reader_start(&r);
	stub_run_all();
	ck_assert_int_eq(r.ret, NOT_YET);	/* its window is being invalidated */
	victim_is_served(v);
	stub_mn_end(world_mm);
	stub_run_all();
	ck_assert_int_eq(r.ret, 0);
	stub_join(task);
	/* Every one of them had its turn. */
	world_reap();
	ck_assert_int_eq(windows(), 2);
	all_workers();
	for (i = 0; i < ARRAY_SIZE(region); i++)
		odp_region_destroy(region[i]);
	odp_region_destroy(keep);
	victim_end(v);
}
END_TEST

static void told_nothing(void *ctx, u64 arg, int ret)
{
}

/* Regions that are gone but for a fault in flight: the last put is the fault's. */
START_TEST(last_puts_take_only_their_users_workers)
{
	struct odp_notify notify = { .fn = told_nothing };
	struct odp_region *region[2 * WORKERS], *keep;
	struct victim v = victim_new();
	unsigned int i;

	few_workers();
	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW | STUB_UFFD);
	stub_mmap(world_mm, ARENA + GIB, ARENA + 2 * GIB, STUB_RW);
	keep = world_region(ARENA + GIB, MIB, true);
	ck_assert_int_eq(poke(keep, ARENA + GIB, 1), 0);
	for (i = 0; i < ARRAY_SIZE(region); i++) {
		region[i] = world_region(ARENA, 2 * GIB, true);
		ck_assert_int_eq(poke(region[i], ARENA + GIB, 1), 0);
	}
	for (i = 0; i < ARRAY_SIZE(region); i++)
		ck_assert_int_eq(odp_region_request(region[i], ARENA, 1, true,
						    &notify), -EINPROGRESS);
	stub_run_all();
	for (i = 0; i < ARRAY_SIZE(region); i++)
		odp_region_destroy(region[i]);
	/* Waited for by who removes a window, of that region or of another. */
	stub_mn_start(world_mm, ARENA + GIB, ARENA + GIB + PAGE_SIZE, true);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_run_all();
	ck_assert_int_ge(atomic_long_read(&odp_gauges.regions),
			 2 + WORKERS / 2);
	victim_is_served(v);
	stub_mn_end(world_mm);
	stub_run_all();
	ck_assert_int_eq(atomic_long_read(&odp_gauges.regions), 2);
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 0);
	all_workers();
	odp_region_destroy(keep);
	victim_end(v);
}
END_TEST

/* A reaper in flight holds its region, and goes on without the driver. */
START_TEST(destroyed_with_its_reaper_asleep)
{
	struct odp_region *region, *keep;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	stub_mmap(world_mm, ARENA + GIB, ARENA + GIB + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	keep = world_region(ARENA + GIB, MIB, true);
	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert_int_eq(poke(keep, ARENA + GIB, 1), 0);
	stub_munmap(world_mm, ARENA, ARENA + MIB);
	stub_mn_start(world_mm, ARENA + GIB, ARENA + GIB + PAGE_SIZE, true);
	world_reap();
	ck_assert_int_eq(stub_works(), 2);	/* the other region is empty too */
	odp_region_destroy(region);
	/* Does not wait for what the reaper waits for. */
	ck_assert_int_eq(atomic_long_read(&odp_gauges.regions), 2);
	stub_mn_end(world_mm);
	stub_run_all();
	ck_assert_int_eq(atomic_long_read(&odp_gauges.regions), 1);
	ck_assert_int_eq(windows(), 0);
	odp_region_destroy(keep);
}
END_TEST

/* The module goes when the last job has, those that wait for their turn too. */
START_TEST(unloaded_with_jobs_in_the_backlog)
{
	struct odp_region *region;
	unsigned int i;

	few_workers();
	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	for (i = 0; i < 2 * WORKERS; i++)
		odp_region_ahead(region, ARENA + i * PAGE_SIZE, PAGE_SIZE, true);
	odp_region_destroy(region);
	odp_owner_share = share_before;
	/* The fixture unloads. */
}
END_TEST

Suite *suite_share(void)
{
	Suite *suite = suite_create("share");
	TCase *tc = case_new("share");

	tcase_add_test(tc, users_have_their_shares);
	tcase_add_test(tc, hints_come_last);
	tcase_add_test(tc, reapers_take_only_their_users_workers);
	tcase_add_test(tc, last_puts_take_only_their_users_workers);
	tcase_add_test(tc, destroyed_with_its_reaper_asleep);
	tcase_add_test(tc, unloaded_with_jobs_in_the_backlog);
	suite_add_tcase(suite, tc);
	return suite;
}
