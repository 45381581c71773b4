// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Lives: of regions with faults in flight, of owners, of the module. */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/user_namespace.h>

#include "check_engine.h"

START_TEST(a_slow_page_arrives)
{
	struct reader r = { .region = slow_region(), .va = ARENA };
	struct task_struct *task = reader_start(&r);

	stub_run_all();
	ck_assert_int_eq(r.ret, 12345);
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 1);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_join(task);
	ck_assert_int_eq(r.ret, 7);
	odp_region_destroy(r.region);
}
END_TEST

START_TEST(kill_wakes_who_waits)
{
	struct reader r = { .region = slow_region(), .va = ARENA };
	struct task_struct *task = reader_start(&r);
	unsigned long before = jiffies;

	stub_run_all();
	odp_region_kill(r.region);
	stub_join(task);
	ck_assert_int_eq(r.ret, -ESHUTDOWN);
	ck_assert_uint_eq(jiffies, before);
	ck_assert_int_eq(peek(r.region, ARENA), -ESHUTDOWN);
	ck_assert_int_eq(poke(r.region, ARENA + PAGE_SIZE, 1), -ESHUTDOWN);
	/* The fault still waits, the region goes all the same. */
	odp_region_destroy(r.region);
	ck_assert_int_eq(atomic_long_read(&odp_gauges.regions), 1);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_run_all();
	ck_assert_int_eq(atomic_long_read(&odp_gauges.regions), 0);
	ck_assert_int_eq(entries(), 0);
}
END_TEST

START_TEST(killed_means_refused_also_for_pages_that_are_there)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	odp_region_kill(region);
	ck_assert_int_eq(peek(region, ARENA), -ESHUTDOWN);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA + PAGE_SIZE, 1, 0),
			 -ESHUTDOWN);
	odp_region_revive(region);
	ck_assert_int_eq(peek(region, ARENA), 1);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_fault_queued_before_the_kill_does_nothing)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, MIB,
					     ODP_PREFETCH_ASYNC), 0);
	odp_region_kill(region);
	stub_run_all();
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(windows(), 0);
	ck_assert_int_eq(stub_pages_used(), 0);
	odp_region_destroy(region);
}
END_TEST

START_TEST(destroyed_with_a_prefetch_in_flight)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + 4 * MIB, STUB_RW);
	region = world_region(ARENA, 4 * MIB, true);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 4 * MIB,
					     ODP_PREFETCH_ASYNC), 0);
	odp_region_destroy(region);
	stub_run_all();
	ck_assert_int_eq(atomic_long_read(&odp_gauges.regions), 0);
}
END_TEST

static void prefetch_run(void *arg)
{
	struct reader *r = arg;

	r->ret = odp_region_prefetch(r->region, r->va, PAGE_SIZE,
				     ODP_PREFETCH_WRITE);
}

static struct task_struct *prefetch_start(struct reader *r)
{
	r->ret = NOT_YET;
	return stub_spawn("prefetch", world_mm, prefetch_run, r);
}

START_TEST(a_killed_caller_returns)
{
	struct reader r = { .region = slow_region(), .va = ARENA };
	struct task_struct *task = prefetch_start(&r);

	stub_run_all();
	stub_kill(task);
	stub_join(task);
	ck_assert_int_eq(r.ret, -EINTR);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_run_all();
	ck_assert_int_eq(peek(r.region, ARENA), 7);
	odp_region_destroy(r.region);
}
END_TEST

START_TEST(a_prefetch_waits_as_long_as_it_takes)
{
	struct reader r = { .region = slow_region(), .va = ARENA };
	struct task_struct *task = prefetch_start(&r);

	stub_run_all();
	stub_advance(1000 * HZ);
	stub_run_all();
	ck_assert_int_eq(r.ret, NOT_YET);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_join(task);
	ck_assert_int_eq(r.ret, 0);
	odp_region_destroy(r.region);
}
END_TEST

START_TEST(a_prefetch_ends_with_its_region)
{
	struct reader r = { .region = slow_region(), .va = ARENA };
	struct task_struct *task = prefetch_start(&r);
	unsigned long before = jiffies;

	stub_run_all();
	odp_region_kill(r.region);
	stub_join(task);
	ck_assert_int_eq(r.ret, -ESHUTDOWN);
	ck_assert_uint_eq(jiffies, before);
	odp_region_destroy(r.region);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_run_all();
}
END_TEST

/* No access waits: what is there is done, and how far that goes is said. */
START_TEST(a_try_stops_at_the_page_that_is_absent)
{
	struct odp_region *region = slow_region();
	unsigned char buf[2 * 4096] = {};
	u64 done, orig = 99;

	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	ck_assert_int_eq(odp_region_try_copy(region, ARENA, buf, 1, false,
					     &done), -EAGAIN);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(peek(region, ARENA), 7);
	ck_assert_int_eq(odp_region_try_copy(region, ARENA + 4, buf,
					     2 * PAGE_SIZE, false, &done),
			 -EAGAIN);
	ck_assert_uint_eq(done, PAGE_SIZE - 4);
	ck_assert_uint_eq(buf[0], 7);
	ck_assert_int_eq(odp_region_try_copy(region, ARENA, buf, PAGE_SIZE,
					     false, &done), 0);
	ck_assert_uint_eq(done, PAGE_SIZE);
	ck_assert_int_eq(odp_region_try_copy(region, ARENA + MIB - 1, buf, 2,
					     false, &done), -EINVAL);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(odp_region_try_atomic64(region, ARENA + PAGE_SIZE,
						 false, 0, 1, &orig), -EAGAIN);
	ck_assert_int_eq(odp_region_try_store64(region, ARENA + PAGE_SIZE, 1),
			 -EAGAIN);
	ck_assert_int_eq(odp_region_try_flush(region, ARENA + PAGE_SIZE, 8,
					      &done), -EAGAIN);
	ck_assert_uint_eq(orig, 99);
	/* Nobody was asked for anything. */
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 0);
	odp_region_kill(region);
	ck_assert_int_eq(odp_region_try_copy(region, ARENA, buf, 1, false,
					     &done), -ESHUTDOWN);
	odp_region_destroy(region);
}
END_TEST

START_TEST(faults_for_others_go_on_meanwhile)
{
	struct reader r = { .region = slow_region(), .va = ARENA };
	struct odp_region *other;
	struct task_struct *task;

	stub_mmap(world_mm, ARENA + GIB, ARENA + 2 * GIB, STUB_RW);
	other = world_region(ARENA + GIB, GIB, true);
	task = reader_start(&r);
	stub_run_all();
	ck_assert_int_eq(poke(other, ARENA + GIB, 3), 0);
	/* Also unmapping where somebody waits. */
	stub_munmap(world_mm, ARENA + PAGE_SIZE, ARENA + 2 * PAGE_SIZE);
	stub_munmap(world_mm, ARENA, ARENA + MIB);
	stub_wake_up(&world_mm->uffd_wait, "handler closed");
	stub_join(task);
	ck_assert_int_eq(r.ret, -EFAULT);
	odp_region_destroy(other);
	odp_region_destroy(r.region);
}
END_TEST

/* Whoever makes a user namespace answers for all the ids inside. */
START_TEST(ids_of_a_namespace_are_its_owners)
{
	struct user_namespace outer = { .parent = stub_user_ns, .owner = { 1000 } };
	struct user_namespace inner = { .parent = &outer, .owner = { 100000 } };
	struct odp_region *region[3];
	unsigned int i;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	stub_uid.val = 1000;
	region[0] = world_region(ARENA, MIB, true);
	stub_uid.val = 100007;
	stub_user_ns = &outer;
	region[1] = world_region(ARENA, MIB, true);
	stub_user_ns = &inner;
	region[2] = world_region(ARENA, MIB, true);
	stub_user_ns = outer.parent;
	stub_uid.val = 0;
	/* Three regions and one user. */
	ck_assert_int_eq(stub_objects_live(), 4);
	for (i = 0; i < 3; i++)
		odp_region_destroy(region[i]);
}
END_TEST

START_TEST(owner_exits)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	world_exit_process();
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(stub_pages_used(), 0);
	ck_assert_int_eq(peek(region, ARENA), -ESRCH);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 1, 0), -ESRCH);
	odp_region_destroy(region);
}
END_TEST

START_TEST(owner_exits_with_a_fault_in_flight)
{
	struct reader r = { .region = slow_region(), .va = ARENA };
	struct task_struct *task = reader_start(&r);

	stub_run_all();
	world_exit_process();		/* the fault holds the address space */
	ck_assert_int_eq(world_mm->users, 1);
	odp_region_kill(r.region);
	stub_join(task);
	odp_region_destroy(r.region);
	stub_paint(world_mm, ARENA, ARENA + MIB, 0);
	stub_wake_up(&world_mm->uffd_wait, "handler closed");
	stub_run_all();
	ck_assert_int_eq(world_mm->users, 0);
}
END_TEST

START_TEST(overlapping_regions)
{
	struct odp_region *a, *b;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	a = world_region(ARENA, MIB, true);
	b = world_region(0, TASK_SIZE, false);
	ck_assert_int_eq(poke(a, ARENA, 4), 0);
	ck_assert_int_eq(peek(b, ARENA), 4);
	ck_assert(stub_migrate(world_mm, ARENA));
	ck_assert_int_eq(poke(a, ARENA, 5), 0);
	ck_assert_int_eq(peek(b, ARENA), 5);
	odp_region_destroy(a);
	ck_assert_int_eq(peek(b, ARENA), 5);
	odp_region_destroy(b);
}
END_TEST

START_TEST(region_destroyed_with_its_reaper_due)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	stub_dontneed(world_mm, ARENA, ARENA + MIB);
	odp_region_destroy(region);
	world_reap();
	ck_assert_int_eq(stub_works(), 0);
}
END_TEST

START_TEST(unloaded_with_a_fault_in_flight)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, MIB,
					     ODP_PREFETCH_ASYNC), 0);
	odp_region_destroy(region);
	/* The fixture unloads: it must wait for the fault. */
}
END_TEST

struct told {
	unsigned int times;
	u64 arg;
	int ret;
};

static void tell(void *ctx, u64 arg, int ret)
{
	struct told *told = ctx;

	told->times++;
	told->arg = arg;
	told->ret = ret;
}

static int request(struct odp_region *region, unsigned long va, size_t len,
		   struct told *told)
{
	struct odp_notify notify = { .fn = tell, .ctx = told, .arg = 1234567890123 };

	*told = (struct told) {};
	return odp_region_request(region, va, len, true, &notify);
}

START_TEST(a_request_is_told_of)
{
	struct odp_region *region = slow_region();
	struct told told;

	ck_assert(!odp_region_ready(region, ARENA, 1, true));
	ck_assert_int_eq(request(region, ARENA, 2 * PAGE_SIZE, &told),
			 -EINPROGRESS);
	stub_run_all();
	ck_assert_uint_eq(told.times, 0);
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_run_all();
	ck_assert_uint_eq(told.times, 0);
	ck_assert(!odp_region_ready(region, ARENA, 2 * PAGE_SIZE, true));
	stub_uffd_copy(world_mm, ARENA + PAGE_SIZE, page_of_seven);
	stub_run_all();
	ck_assert_uint_eq(told.times, 1);
	ck_assert_uint_eq(told.arg, 1234567890123);
	ck_assert_int_eq(told.ret, 0);
	ck_assert(odp_region_ready(region, ARENA, 2 * PAGE_SIZE, true));
	ck_assert_uint_eq(odp_region_ready_bytes(region, ARENA + 5, MIB, true),
			  2 * PAGE_SIZE - 5);
	ck_assert_uint_eq(odp_region_ready_bytes(region, ARENA, 100, true),
			  100);
	ck_assert_uint_eq(odp_region_ready_bytes(region, ARENA - 1, 100, true),
			  0);
	ck_assert(odp_region_ready(region, ARENA + 5, 0, false));
	/* What is there needs no telling. */
	ck_assert_int_eq(request(region, ARENA, PAGE_SIZE, &told), 0);
	odp_region_destroy(region);
	ck_assert_uint_eq(told.times, 0);
}
END_TEST

START_TEST(ready_is_ready_for_what_is_asked)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(peek(region, ARENA), 0);
	ck_assert(odp_region_ready(region, ARENA, 1, false));
	ck_assert(!odp_region_ready(region, ARENA, 1, true));
	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert(odp_region_ready(region, ARENA, 1, true));
	/* A page of two is not enough. */
	ck_assert(!odp_region_ready(region, ARENA, PAGE_SIZE + 1, false));
	stub_munmap(world_mm, ARENA, ARENA + PAGE_SIZE);
	ck_assert(!odp_region_ready(region, ARENA, 1, false));
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_request_that_cannot_be)
{
	struct odp_region *region;
	struct told told;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_READ);
	region = world_region(ARENA, MIB, true);
	ck_assert_int_eq(request(region, ARENA, 0, &told), -EINVAL);
	ck_assert_int_eq(request(region, ARENA + MIB - 1, 2, &told), -EINVAL);
	ck_assert_int_eq(request(region, ARENA - 1, 1, &told), -EINVAL);
	ck_assert(!odp_region_ready(region, ARENA + MIB - 1, 2, false));
	ck_assert_uint_eq(told.times, 0);
	/* The map forbids it: that takes a look at the map. */
	ck_assert_int_eq(request(region, ARENA, 1, &told), -EINPROGRESS);
	stub_run_all();
	ck_assert_uint_eq(told.times, 1);
	ck_assert_int_eq(told.ret, -EFAULT);
	odp_region_kill(region);
	ck_assert_int_eq(request(region, ARENA, 1, &told), -ESHUTDOWN);
	odp_region_destroy(region);

	region = world_region(ARENA, MIB, false);
	ck_assert_int_eq(request(region, ARENA, 1, &told), -EACCES);
	ck_assert(!odp_region_ready(region, ARENA, 1, true));
	odp_region_destroy(region);
	ck_assert_uint_eq(told.times, 0);
}
END_TEST

/* The owner pays for its requests, and has credit for a number that is bounded. */
START_TEST(requests_are_paid_for)
{
	struct odp_region *region = slow_region();
	unsigned int share = odp_owner_share, i, count;
	long before = world_mm->memcg.charged;
	static struct told told[2000];

	odp_owner_share = 2;
	ck_assert_int_eq(request(region, ARENA, 1, &told[0]), -EINPROGRESS);
	ck_assert_int_eq(world_mm->memcg.charged, before + 1);
	stub_memcg_full = true;
	odp_region_ahead(region, ARENA, PAGE_SIZE, true);
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 2);
	for (count = 2; count < 1 + 1024; count++)
		ck_assert_int_eq(request(region, ARENA, 1, &told[count]),
				 -EINPROGRESS);
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), count);
	/* One more meets no error; it is notified to try again. */
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(request(region, ARENA, 1, &told[count]),
				 -EINPROGRESS);
		ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), count);
		stub_run_all();
		ck_assert_uint_eq(told[count].times, 0);
		stub_advance(HZ / 10);
		stub_run_all();
		ck_assert_uint_eq(told[count].times, 1);
		ck_assert_int_eq(told[count].ret, 0);
	}
	/* Room is made in the cgroup for nobody: a worker would have to wait. */
	stub_memcg_has_cache = true;
	odp_region_ahead(region, ARENA, PAGE_SIZE, true);
	ck_assert_int_eq(request(region, ARENA, 1, &told[count]), -EINPROGRESS);
	ck_assert_int_eq(world_mm->memcg.charged, before + 1);
	/* But for a prefetch, which its caller waits for. */
	ck_assert_int_eq(odp_region_prefetch(region, ARENA + MIB - 1, 1,
					     ODP_PREFETCH_ASYNC), 0);
	ck_assert_int_eq(world_mm->memcg.charged, before + 2);
	stub_memcg_has_cache = false;
	stub_memcg_full = false;
	ck_assert_int_eq(request(region, ARENA, 1, &told[++count]), -EINPROGRESS);
	stub_advance(HZ / 10);
	stub_run_all();
	stub_uffd_copy(world_mm, ARENA, page_of_seven);
	stub_uffd_copy(world_mm, ARENA + MIB - PAGE_SIZE, page_of_seven);
	stub_run_all();
	for (i = 0; i <= count; i++)
		ck_assert_uint_eq(told[i].times, i != 1);
	/* What was on credit is paid back. Hints have half of it. */
	stub_memcg_full = true;
	for (count = 0; count < 1024; count++) {
		ck_assert_int_eq(request(region, ARENA + PAGE_SIZE, 1, &told[count]),
				 -EINPROGRESS);
		if (count == 511)
			odp_region_ahead(region, ARENA + PAGE_SIZE, PAGE_SIZE, true);
	}
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 1024);
	stub_memcg_full = false;
	odp_region_destroy(region);
	stub_uffd_copy(world_mm, ARENA + PAGE_SIZE, page_of_seven);
	stub_run_all();
	ck_assert_int_eq(world_mm->memcg.charged, 0);
	odp_owner_share = share;
}
END_TEST

/* One for which there was no memory at all is told of the end like any other. */
START_TEST(the_end_tells_the_starved)
{
	struct odp_region *region = slow_region();
	struct told told[2];

	stub_fail_from = 1;
	ck_assert_int_eq(request(region, ARENA, 1, &told[0]), -EINPROGRESS);
	ck_assert_int_eq(request(region, ARENA, 1, &told[1]), -EINPROGRESS);
	stub_fail_from = 0;
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 0);
	odp_region_kill(region);
	ck_assert_uint_eq(told[0].times + told[1].times, 2);
	ck_assert_int_eq(told[0].ret, -ESHUTDOWN);
	odp_region_revive(region);
	stub_fail_from = 1;
	ck_assert_int_eq(request(region, ARENA, 1, &told[0]), -EINPROGRESS);
	stub_fail_from = 0;
	/* With its timer due, and all at once. */
	odp_region_destroy(region);
	ck_assert_uint_eq(told[0].times, 1);
	stub_run_all();
	ck_assert_int_eq(stub_works(), 0);
	stub_advance(HZ);
	stub_run_all();
	ck_assert_uint_eq(told[0].times + told[1].times, 2);
}
END_TEST

START_TEST(the_end_tells_every_request_once)
{
	struct odp_region *region = slow_region();
	struct told told[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(request(region, ARENA + i * PAGE_SIZE, 1,
					 &told[i]), -EINPROGRESS);
	stub_run_all();
	odp_region_kill(region);
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(told[i].times, 1);
		ck_assert_int_eq(told[i].ret, -ESHUTDOWN);
	}
	odp_region_destroy(region);
	for (i = 0; i < 3; i++)
		stub_uffd_copy(world_mm, ARENA + i * PAGE_SIZE, page_of_seven);
	stub_run_all();
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(told[i].times, 1);
}
END_TEST

START_TEST(ahead_of_an_access)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, true);
	/* Outside, or of no length: nothing to do, nothing to say. */
	odp_region_ahead(region, ARENA - 1, 10, true);
	odp_region_ahead(region, ARENA + MIB, 10, true);
	odp_region_ahead(region, ARENA, 0, true);
	stub_run_all();
	ck_assert_int_eq(entries(), 0);
	/* Over the end: as far as the region goes. */
	odp_region_ahead(region, ARENA + MIB - 2 * PAGE_SIZE, 8 * MIB, true);
	stub_run_all();
	ck_assert_int_eq(entries(), 2);
	ck_assert(odp_region_ready(region, ARENA + MIB - PAGE_SIZE, PAGE_SIZE,
				   true));
	odp_region_kill(region);
	odp_region_ahead(region, ARENA, MIB, true);
	stub_run_all();
	ck_assert_int_eq(entries(), 2);
	odp_region_destroy(region);

	region = world_region(ARENA, MIB, false);
	odp_region_ahead(region, ARENA, MIB, true);
	stub_run_all();
	ck_assert_int_eq(entries(), 0);
	odp_region_destroy(region);
}
END_TEST

Suite *suite_life(void)
{
	Suite *suite = suite_create("life");
	TCase *tc = case_new("life");

	tcase_add_test(tc, a_slow_page_arrives);
	tcase_add_test(tc, kill_wakes_who_waits);
	tcase_add_test(tc, killed_means_refused_also_for_pages_that_are_there);
	tcase_add_test(tc, a_fault_queued_before_the_kill_does_nothing);
	tcase_add_test(tc, destroyed_with_a_prefetch_in_flight);
	tcase_add_test(tc, a_killed_caller_returns);
	tcase_add_test(tc, a_prefetch_waits_as_long_as_it_takes);
	tcase_add_test(tc, a_prefetch_ends_with_its_region);
	tcase_add_test(tc, a_try_stops_at_the_page_that_is_absent);
	tcase_add_test(tc, faults_for_others_go_on_meanwhile);
	tcase_add_test(tc, ids_of_a_namespace_are_its_owners);
	tcase_add_test(tc, owner_exits);
	tcase_add_test(tc, owner_exits_with_a_fault_in_flight);
	tcase_add_test(tc, overlapping_regions);
	tcase_add_test(tc, region_destroyed_with_its_reaper_due);
	tcase_add_test(tc, unloaded_with_a_fault_in_flight);
	tcase_add_test(tc, a_request_is_told_of);
	tcase_add_test(tc, ready_is_ready_for_what_is_asked);
	tcase_add_test(tc, a_request_that_cannot_be);
	tcase_add_test(tc, requests_are_paid_for);
	tcase_add_test(tc, the_end_tells_every_request_once);
	tcase_add_test(tc, the_end_tells_the_starved);
	tcase_add_test(tc, ahead_of_an_access);
	suite_add_tcase(suite, tc);
	return suite;
}
