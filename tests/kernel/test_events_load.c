// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What happens to memory under an ODP region, under load: each event in a loop while RDMA traffic in
 * all directions runs on the same pages and checks every byte (lib/traffic.h). The same rows as
 * test_events.c, and row 9 with an owner that dies in the middle of it.
 *
 * ODPREG_LOAD_SECONDS: how long each runs.
 */
#include <signal.h>
#include <sys/wait.h>

#include "traffic.h"

#define LANES	2	/* 4 KiB pages, and huge ones */
#define LEN	(2ul << 20)
#define SWAP	(128ul << 20)

static struct rig *rig;
static struct traffic *lane[LANES];

static double seconds(void)
{
	const char *env = getenv("ODPREG_LOAD_SECONDS");

	return env ? atof(env) : 4;
}

static void setup(void)
{
	char why[200];
	int i;

	rig = rig_open(NULL);
	if (!rig_has_odp(rig))
		return;
	/* Without swap, MADV_PAGEOUT does nothing: no harm to the rows that do not need it. */
	if (!rig_swap_on(SWAP, why, sizeof(why)))
		printf("no swap: %s\n", why);
	rig_dmesg_mark();
	for (i = 0; i < LANES; i++)
		lane[i] = traffic_new(rig, LEN, i, rig_seed() + (uint64_t)i);
}

static void teardown(void)
{
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i])
			traffic_free(lane[i]);
	if (lane[0]) {
		rig_dmesg_clean();
	}
	rig_close(rig);
	rig_swap_off();
}

/* The hole of munmap() and what mprotect() forbids may refuse an operation; nothing else may. */
static void verdict(bool may_refuse)
{
	struct traffic *t;
	int i;

	for (i = 0; i < LANES; i++) {
		t = lane[i];
		printf("%s pages: %ju operations, %ju refused, %ju bytes checked\n", i ? "huge" : "4 KiB",
		       (uintmax_t)traffic_ops(t), (uintmax_t)t->excused, (uintmax_t)t->checked);
		ck_assert_msg(!t->bad, "%ju bad bytes; %s", (uintmax_t)t->bad, t->first);
		ck_assert_msg(!t->failed, "%ju operations failed; %s", (uintmax_t)t->failed, t->first);
		ck_assert_msg(!atomic_load(&t->child_bad), "%ju bad bytes across a fork",
			      (uintmax_t)atomic_load(&t->child_bad));
		ck_assert_msg(may_refuse || !t->excused, "%ju operations failed over a transient event",
			      (uintmax_t)t->excused);
		ck_assert_msg(traffic_ops(t) > 20, "only %ju operations", (uintmax_t)traffic_ops(t));
	}
}

static void storm(const enum traffic_event *event, unsigned int count, bool may_refuse)
{
	struct rig_rand rnd = rig_rand(rig_seed() + 77);
	int64_t heard = rig_odp_counter("page_invalidations");
	double end = rig_now() + seconds();
	unsigned int i, n = 0;

	for (i = 0; i < LANES; i++)
		traffic_start(lane[i]);
	for (; rig_now() < end; n++) {
		traffic_event(lane[n % LANES], event[rig_below(&rnd, count)], &rnd);
		rig_sleep(1e-3);
	}
	for (i = 0; i < LANES; i++)
		traffic_stop(lane[i]);
	printf("%u events, ", n);
	verdict(may_refuse);
	if (heard >= 0)
		ck_assert_msg(rig_odp_counter("page_invalidations") > heard, "nothing was heard of it");
}

#define ROW(name, may_refuse, ...)								\
START_TEST(name)										\
{												\
	static const enum traffic_event event[] = { __VA_ARGS__ };				\
												\
	RIG_NEEDS_ODP(rig);									\
	storm(event, sizeof(event) / sizeof(event[0]), may_refuse);				\
}												\
END_TEST

ROW(row_1_munmap_under_load, true, EVENT_UNMAP)
ROW(row_1_replace_under_load, false, EVENT_REPLACE)
ROW(row_4_dontneed_under_load, false, EVENT_DONTNEED)
ROW(row_4_free_under_load, false, EVENT_FREE)
ROW(row_6_protect_under_load, true, EVENT_PROTECT, EVENT_NONE)
ROW(row_7_fork_under_load, false, EVENT_FORK)
ROW(row_15_swap_under_load, false, EVENT_PAGEOUT)
ROW(everything_under_load, true, EVENT_UNMAP, EVENT_REPLACE, EVENT_DONTNEED, EVENT_FREE,
    EVENT_PROTECT, EVENT_NONE, EVENT_FORK, EVENT_PAGEOUT)

/* ------------------------------------------------------------------ row 15, memory cgroup */

START_TEST(row_15_cgroup_under_load)
{
	static const enum traffic_event none[] = { EVENT_PAGEOUT };
	char why[200], path[80];

	RIG_NEEDS_ODP(rig);
	/* What is there is charged to the old group; what comes back from swap is charged to this. */
	if (!rig_memcg(64ul << 20, why, sizeof(why)))
		RIG_SKIP(why);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d/memory.high", (int)getpid());
	rig_write_file(path, "3M");
	storm(none, 1, false);
	rig_memcg(0, why, sizeof(why));
}
END_TEST

/* ------------------------------------------------------------------ row 9 */

struct owner {
	volatile uint32_t rkey;
	volatile uint32_t handle;
	volatile int ready;
};

static pid_t start_owner(struct owner *o, uint8_t *mem, size_t len)
{
	struct rig_mr *mr;
	pid_t pid = fork();

	if (pid) {
		while (!o->ready)
			rig_sleep(1e-3);
		return pid;
	}
	mr = rig_reg(rig, mem, len, RIG_IOVA_SAME, RIG_RW, true);
	o->rkey = mr->mr->rkey;
	o->handle = mr->mr->handle;
	o->ready = 1;
	for (;;)
		memset(mem, (int)rig_now(), len);
}

/* Operations without pause until the first refusal; they succeed before, and never after. */
static void use_until_refused(struct rig_pair *pair, struct traffic *t, struct rig_span there, pid_t pid)
{
	double dead = 0, start = rig_now();
	uint64_t base = there.addr;
	struct rig_res res;
	unsigned int n = 0;

	do {
		if (!dead && rig_now() > start + 0.3) {
			kill(pid, SIGKILL);
			dead = rig_now();
		}
		there.addr = base + n % 1000 * RIG_PAGE;
		res = n & 1 ? rig_read(pair, rig_at(t->pinned, 0, 64), there) :
			      rig_write(pair, rig_at(t->pinned, 0, 64), there);
		n++;
		if (!dead)
			ck_assert_msg(rig_res_ok(res), "operation %u on a living owner: %s", n,
				      rig_status_name(res.status));
	} while (rig_res_ok(res) && rig_now() < start + 20 * rig_pace());
	ck_assert_msg(!rig_res_ok(res), "the region of a dead owner still works");
	ck_assert_msg(res.status == IBV_WC_REM_ACCESS_ERR, "the region of a dead owner: %s",
		      rig_status_name(res.status));
}

START_TEST(row_9_owner_dies_under_load)
{
	const size_t len = 1000 * RIG_PAGE;
	struct owner *o = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			       0);
	struct rig_pair *pair;
	uint8_t *mem;
	pid_t pid;
	int i;

	RIG_NEEDS_ODP(rig);
	pair = rig_pair(rig, IBV_QPT_RC);
	mem = rig_map(len, 0, RIG_ANON);
	for (i = 0; i < 5; i++) {
		o->ready = 0;
		pid = start_owner(o, mem, len);
		use_until_refused(pair, lane[0], rig_raw((uintptr_t)mem, 64, o->rkey), pid);
		waitpid(pid, NULL, 0);
		rig_reconnect(pair);
		RIG_FAILS(rig_read(pair, rig_at(lane[0]->pinned, 0, 64),
				   rig_raw((uintptr_t)mem, 64, o->rkey)), IBV_WC_REM_ACCESS_ERR);
		rig_reconnect(pair);
		ck_assert_int_eq(rig_dereg_handle(rig, o->handle), 0);
	}
	rig_unpair(pair);
	rig_unmap(mem, len);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("events under load");
	TCase *tc = rig_tcase(suite, "load", 120 + 2 * seconds());

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, row_1_munmap_under_load);
	tcase_add_test(tc, row_1_replace_under_load);
	tcase_add_test(tc, row_4_dontneed_under_load);
	tcase_add_test(tc, row_4_free_under_load);
	tcase_add_test(tc, row_6_protect_under_load);
	tcase_add_test(tc, row_7_fork_under_load);
	tcase_add_test(tc, row_15_swap_under_load);
	tcase_add_test(tc, row_15_cgroup_under_load);
	tcase_add_test(tc, everything_under_load);
	tcase_add_test(tc, row_9_owner_dies_under_load);
	return rig_main(&suite, 1);
}
