// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Threads, for ThreadSanitizer
 *
 * Each traffic thread has a stripe of every page for itself and checks it
 * against what it wrote there last, while one thread moves, swaps out and
 * cleans the pages under it, and another makes and destroys regions over the
 * same memory.  A page that is copied out or freed during an access is a data
 * race to ThreadSanitizer, whatever the bytes happen to be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <linux/sched.h>

#include "world.h"

#define TRAFFIC		3
#define PAGES		8
#define STRIPE		64
#define MIB		(1UL << 20)
/* Four pages on either side of a window's border. */
#define ARENA		((1UL << 40) + 64 * MIB - PAGES / 2 * PAGE_SIZE)
#define ARENA_END	(ARENA + PAGES * PAGE_SIZE)
/* Mapped and unmapped while it is read. */
#define WILD		(ARENA + 512 * MIB)

static struct odp_region *region;
static bool stop;
static long done[TRAFFIC + 2];

struct player {
	int id;
	unsigned int seed;
	unsigned char model[PAGES][STRIPE];
};

static void expect(bool ok, const char *what)
{
	if (!ok)
		stub_bug("wrong result", what);
}

static void expect_ok(int ret, const char *what)
{
	if (ret)
		fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	expect(!ret, what);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static unsigned long stripe(const struct player *p, unsigned int page)
{
	return ARENA + page * PAGE_SIZE + p->id * STRIPE;
}

static void traffic_step(struct player *p)
{
	unsigned int page = rand_r(&p->seed) % PAGES;
	unsigned long va = stripe(p, page);
	unsigned char buf[STRIPE];

	switch (rand_r(&p->seed) % 4) {
	case 0:
	case 1:
		memset(p->model[page], rand_r(&p->seed), STRIPE);
		expect_ok(world_write(region, va, p->model[page], STRIPE),
			  "write");
		break;
	case 2:
		expect_ok(world_read(region, va, buf, STRIPE), "read");
		expect(!memcmp(buf, p->model[page], STRIPE), "read bytes");
		break;
	case 3:
		expect_ok(stub_user_copy(world_mm, va, buf, STRIPE, false),
			  "owner reads");
		expect(!memcmp(buf, p->model[page], STRIPE), "owner's bytes");
		break;
	}
}

static void traffic(void *arg)
{
	struct player *p = arg;

	for (; !stopped(); done[p->id]++)
		traffic_step(p);
}

static void events(void *arg)
{
	static const struct timespec pause = { .tv_nsec = 200000 };
	struct player *p = arg;
	unsigned long va;

	for (; !stopped(); done[p->id]++) {
		/* Without a pause no fault would ever get through. */
		if (done[p->id] % 4 == 0)
			nanosleep(&pause, NULL);
		va = ARENA + rand_r(&p->seed) % PAGES * PAGE_SIZE;
		switch (rand_r(&p->seed) % 6) {
		case 0:
		case 1:
			stub_migrate(world_mm, va);
			break;
		case 2:
			stub_swap_out(world_mm, va);
			break;
		case 3:
			stub_clean(world_mm, va);
			break;
		case 4:
			stub_munmap(world_mm, WILD, WILD + 4 * PAGE_SIZE);
			break;
		case 5:
			stub_mmap(world_mm, WILD, WILD + 4 * PAGE_SIZE,
				  STUB_RW);
			break;
		}
	}
}

static void churn_step(struct player *p)
{
	struct odp_region *r = world_region(0, TASK_SIZE, true);
	char buf[8];
	int ret;

	if (rand_r(&p->seed) % 2)
		odp_region_prefetch(r, ARENA, PAGES * PAGE_SIZE,
				    ODP_PREFETCH_ASYNC);
	ret = world_read(r, ARENA + PAGE_SIZE - 16, buf, 8);
	expect_ok(ret, "read through another region");
	ret = world_write(r, WILD + PAGE_SIZE, buf, 8);
	expect_ok(ret == -EFAULT ? 0 : ret, "write to what comes and goes");
	if (rand_r(&p->seed) % 16 == 0)
		stub_sleep(HZ + HZ / 2, "let the reaper in");
	odp_region_destroy(r);
}

static void churn(void *arg)
{
	struct player *p = arg;

	for (; !stopped(); done[p->id]++)
		churn_step(p);
}

int main(int argc, char **argv)
{
	static struct player player[TRAFFIC + 2];
	struct task_struct *task[TRAFFIC + 2];
	int i, seconds = argc > 1 ? atoi(argv[1]) : 5;
	unsigned int seed = argc > 2 ? atoi(argv[2]) : 1;
	struct timespec t = { .tv_sec = seconds };
	const char *left;

	world_up();
	stub_mmap(world_mm, ARENA, ARENA_END, STUB_RW);
	region = world_region(ARENA, PAGES * PAGE_SIZE, true);
	for (i = 0; i < TRAFFIC + 2; i++) {
		player[i].id = i;
		player[i].seed = seed * 100 + i;
		task[i] = stub_spawn("thread", world_mm,
				     i < TRAFFIC ? traffic :
				     i == TRAFFIC ? events : churn, &player[i]);
	}
	nanosleep(&t, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < TRAFFIC + 2; i++)
		stub_join(task[i]);
	printf("stress: seed %u, %ld accesses, %ld events, %ld regions, %lld collisions\n",
	       seed, done[0] + done[1] + done[2], done[TRAFFIC],
	       done[TRAFFIC + 1],
	       atomic64_read(&odp_gauges.stat[ODP_STAT_COLLISIONS]));
	odp_region_destroy(region);
	left = world_down();
	if (left)
		stub_bug("leak", left);
	return 0;
}
