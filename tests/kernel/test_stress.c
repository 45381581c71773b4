// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What programs with registration caches are known to break on: forks in numbers, munmap and mmap at
 * the same address in numbers, an allocator that gives memory back all the time, and too little memory.
 *
 * ODPREG_STRESS_SECONDS: how long each runs.
 */
#include <malloc.h>
#include <sys/wait.h>

#include "traffic.h"

#define MIB	(1ul << 20)
#define THREADS	3

static struct rig *rig;

static double seconds(void)
{
	const char *env = getenv("ODPREG_STRESS_SECONDS");

	return env ? atof(env) : 4;
}

static void setup(void)
{
	rig = rig_open(NULL);
	rig_dmesg_mark();
}

static void teardown(void)
{
	rig_dmesg_clean();
	rig_close(rig);
}

static void verdict(struct traffic *t)
{
	printf("%ju operations, %ju bytes checked\n", (uintmax_t)traffic_ops(t),
	       (uintmax_t)t->checked);
	ck_assert_msg(!t->bad, "%ju bad bytes; %s", (uintmax_t)t->bad, t->first);
	ck_assert_msg(!t->failed && !t->excused, "%ju operations failed; %s",
		      (uintmax_t)(t->failed + t->excused), t->first);
	ck_assert_msg(traffic_ops(t) > 10, "only %ju operations", (uintmax_t)traffic_ops(t));
}

/* ------------------------------------------------------------------ forks in numbers */

#define CHILDREN	4

struct bomb {
	struct traffic *t;
	struct rig_rand rnd;
	uint64_t forks;
	uint64_t bad;
	double end;
	pthread_t thread;
};

/* A child of some milliseconds: writes to copies of pages, then finds there what it has written. */
static void short_life(const struct bomb *b, size_t first)
{
	uint8_t *mem = b->t->mem + first * RIG_PAGE;
	const size_t len = 16 * RIG_PAGE;

	memset(mem, (int)getpid() | 1, len);
	/* Time for the traffic of the parent to come where it must not. */
	rig_sleep(2e-3);
	_exit(rig_diff_byte(mem, len, (uint8_t)(getpid() | 1)) >= 0);
}

static void *drop_bombs(void *arg)
{
	struct bomb *b = arg;
	pid_t pid[CHILDREN];
	int i, status;

	while (rig_now() < b->end) {
		for (i = 0; i < CHILDREN; i++) {
			size_t first = rig_below(&b->rnd, b->t->len / RIG_PAGE - 16);

			pid[i] = fork();
			if (!pid[i])
				short_life(b, first);
		}
		for (i = 0; i < CHILDREN; i++) {
			if (pid[i] < 0 || waitpid(pid[i], &status, 0) != pid[i])
				continue;
			b->forks++;
			b->bad += status != 0;
		}
	}
	return NULL;
}

static void fork_bombs(bool huge)
{
	struct traffic *t = traffic_new(rig, 4 * MIB, huge, rig_seed());
	struct bomb bomb[2];
	int i;

	fflush(NULL);
	traffic_start(t);
	for (i = 0; i < 2; i++) {
		bomb[i] = (struct bomb){ .t = t, .rnd = rig_rand(rig_seed() + 10 + (uint64_t)i),
					 .end = rig_now() + seconds() };
		ck_assert_int_eq(pthread_create(&bomb[i].thread, NULL, drop_bombs, &bomb[i]), 0);
	}
	for (i = 0; i < 2; i++)
		pthread_join(bomb[i].thread, NULL);
	traffic_stop(t);
	printf("%ju children; ", (uintmax_t)(bomb[0].forks + bomb[1].forks));
	verdict(t);
	ck_assert_msg(bomb[0].forks + bomb[1].forks > 10, "only %ju forks",
		      (uintmax_t)(bomb[0].forks + bomb[1].forks));
	ck_assert_msg(!(bomb[0].bad + bomb[1].bad),
		      "%ju children did not find what they had written",
		      (uintmax_t)(bomb[0].bad + bomb[1].bad));
	traffic_free(t);
}

START_TEST(test_fork_bombs)
{
	RIG_NEEDS_ODP(rig);
	fork_bombs(_i);
}
END_TEST

/* ------------------------------------------------------------------ the same address again and again */

#define SLOT	(64ul << 10)

struct slots {
	uint8_t *mem;			/* THREADS slots, each of one thread */
	struct rig_mr *mr;
	uint8_t *buf;
	struct rig_mr *local;
};

struct storm {
	const struct slots *slots;
	int number;
	struct rig_pair *pair;
	double end;
	uint64_t rounds;
	uint64_t refused;
	char bad[200];
	pthread_t thread;
};

static void compare(struct storm *s, const uint8_t *have, uint64_t seed, const char *what)
{
	ssize_t at = rig_diff(have, SLOT, seed, 0);

	if (at >= 0 && !s->bad[0])
		snprintf(s->bad, sizeof(s->bad),
			 "thread %d, round %ju: %s: the byte at %#zx differs",
			 s->number, (uintmax_t)s->rounds, what, (size_t)at);
}

static void must(struct storm *s, struct rig_res res, const char *what)
{
	if (!rig_res_ok(res) && !s->bad[0])
		snprintf(s->bad, sizeof(s->bad), "thread %d, round %ju: %s: %s", s->number,
			 (uintmax_t)s->rounds, what, rig_status_name(res.status));
}

/* With nothing there that may be read: refused, and the queue pair is of no use any more. */
static void must_refuse(struct storm *s, struct rig_span local, struct rig_span there,
			const char *what)
{
	struct rig_res res = rig_read(s->pair, local, there);

	s->refused++;
	if (res.status != IBV_WC_REM_ACCESS_ERR && !s->bad[0])
		snprintf(s->bad, sizeof(s->bad), "thread %d, round %ju: read from %s memory: %s",
			 s->number, (uintmax_t)s->rounds, what, rig_status_name(res.status));
}

/* A queue pair's queues are mappings, which must not come where another thread has a hole. */
static void reconnect(struct storm *s)
{
	pthread_mutex_lock(&traffic_maps);
	rig_reconnect(s->pair);
	pthread_mutex_unlock(&traffic_maps);
}

static void map_slot(uint8_t *mem, int fixed)
{
	if (mmap(mem, SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1,
		 0) != mem)
		ck_abort_msg("mmap: %s", strerror(errno));
}

/* New memory at the same address: in one go, or unmapped first, which every other time is looked at. */
static void renew(struct storm *s, uint8_t *mem, struct rig_span local, struct rig_span there)
{
	bool looked = s->rounds % 4 == 1;

	if (!(s->rounds % 2)) {
		map_slot(mem, MAP_FIXED);
		return;
	}
	pthread_mutex_lock(&traffic_maps);
	if (munmap(mem, SLOT))
		ck_abort_msg("munmap: %s", strerror(errno));
	if (looked)
		must_refuse(s, local, there, "unmapped");
	map_slot(mem, MAP_FIXED_NOREPLACE);
	pthread_mutex_unlock(&traffic_maps);
	if (looked)
		reconnect(s);
}

/* New memory with other bytes: what the wire brings must be these. */
static void one_round(struct storm *s)
{
	size_t at = (size_t)s->number * SLOT;
	uint8_t *mem = s->slots->mem + at, *buf = s->slots->buf + at;
	struct rig_span local = rig_at(s->slots->local, at, SLOT), there = rig_at(s->slots->mr, at,
										  SLOT);
	uint64_t seed = ((uint64_t)s->number << 32) + 2 * s->rounds;

	renew(s, mem, local, there);
	rig_fill(mem, SLOT, seed, 0);
	must(s, rig_read(s->pair, local, there), "read");
	compare(s, buf, seed, "read from the new memory");
	rig_fill(buf, SLOT, seed + 1, 0);
	must(s, rig_write(s->pair, local, there), "write");
	compare(s, mem, seed + 1, "written to the new memory");
	s->rounds++;
	if (s->rounds % 4)
		return;
	/* And a while without: refused, the queue pair made anew. */
	if (mprotect(mem, SLOT, PROT_NONE))
		ck_abort_msg("mprotect: %s", strerror(errno));
	must_refuse(s, local, there, "inaccessible");
	reconnect(s);
}

static void *run_storm(void *arg)
{
	struct storm *s = arg;

	while (rig_now() < s->end && !s->bad[0])
		one_round(s);
	return NULL;
}

START_TEST(test_mmap_storms)
{
	struct slots slots = {
		.mem = rig_map(THREADS * SLOT, 2 * MIB, RIG_ANON), .buf = rig_map(THREADS * SLOT, 0,
										  RIG_ANON),
	};
	struct storm storm[THREADS];
	int i;

	RIG_NEEDS_ODP(rig);
	if (_i && !rig_has_implicit(rig))
		RIG_SKIP("the device has no implicit on-demand paging");
	slots.local = rig_reg(rig, slots.buf, THREADS * SLOT, RIG_IOVA_SAME, RIG_RW, false);
	rig_set_implicit(_i);
	slots.mr = rig_reg(rig, slots.mem, THREADS * SLOT, RIG_IOVA_SAME, RIG_RW, true);
	for (i = 0; i < THREADS; i++)
		storm[i] = (struct storm){ .slots = &slots, .number = i, .pair = rig_pair(rig, IBV_QPT_RC),
					   .end = rig_now() + seconds() };
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&storm[i].thread, NULL, run_storm, &storm[i]), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(storm[i].thread, NULL);
	for (i = 0; i < THREADS; i++) {
		printf("thread %d: %ju rounds, %ju refusals\n", i, (uintmax_t)storm[i].rounds,
		       (uintmax_t)storm[i].refused);
		ck_assert_msg(!storm[i].bad[0], "%s", storm[i].bad);
		ck_assert_msg(storm[i].rounds > 3, "thread %d: only %ju rounds", i,
			      (uintmax_t)storm[i].rounds);
		rig_unpair(storm[i].pair);
	}
	rig_dereg(slots.mr);
	rig_dereg(slots.local);
}
END_TEST

/* ------------------------------------------------------------------ an allocator */

#define BLOCKS	24
#define LARGEST	(96ul << 10)

struct user {
	struct rig_mr *all;
	struct rig_mr *local;
	uint8_t *buf;
	struct rig_pair *pair;
	struct rig_rand rnd;
	double end;
	uint64_t rounds;
	char bad[200];
	pthread_t thread;
};

struct block {
	uint8_t *mem;
	size_t len;
	uint64_t seed;
};

static void check_block(struct user *u, const struct block *b, const uint8_t *have,
			const char *what)
{
	ssize_t at = rig_diff(have, b->len, b->seed, 0);

	if (at >= 0 && !u->bad[0])
		snprintf(u->bad, sizeof(u->bad), "%s: %zu bytes at %p: the byte at %zd differs",
			 what, b->len,
			 (const void *)b->mem, at);
}

/* Filled by the CPU and read by RDMA, or the other way round. */
static void use_block(struct user *u, struct block *b)
{
	struct rig_span there = rig_raw((uintptr_t)b->mem, (uint32_t)b->len, u->all->mr->rkey);
	struct rig_span local = rig_at(u->local, 0, (uint32_t)b->len);
	bool write = rig_below(&u->rnd, 2);
	struct rig_res res;

	b->seed = rig_next(&u->rnd);
	rig_fill(write ? u->buf : b->mem, b->len, b->seed, 0);
	res = write ? rig_write(u->pair, local, there) : rig_read(u->pair, local, there);
	if (!rig_res_ok(res) && !u->bad[0])
		snprintf(u->bad, sizeof(u->bad), "%s of %zu bytes at %p: %s", write ? "write" :
			 "read",
			 b->len, (void *)b->mem, rig_status_name(res.status));
	check_block(u, b, write ? b->mem : u->buf, write ? "written" : "read");
}

static void *allocate(void *arg)
{
	struct block block[BLOCKS] = { { 0 } };
	struct user *u = arg;
	size_t i;

	for (; rig_now() < u->end && !u->bad[0]; u->rounds++) {
		struct block *b = &block[rig_below(&u->rnd, BLOCKS)];

		if (b->mem) {
			check_block(u, b, b->mem, "kept for a while");
			free(b->mem);
			b->mem = NULL;
			continue;
		}
		b->len = 1 + rig_below(&u->rnd, rig_below(&u->rnd, 3) ? 3000 : LARGEST);
		b->mem = malloc(b->len);
		if (b->mem)
			use_block(u, b);
	}
	for (i = 0; i < BLOCKS; i++)
		free(block[i].mem);
	return NULL;
}

/* An arena a thread, each given back to the kernel as soon as there is something to give. */
START_TEST(test_allocator_in_an_implicit_region)
{
	struct user user[THREADS];
	struct rig_mr *all;
	int64_t taken;
	int i;

	if (!rig_has_implicit(rig))
		RIG_SKIP("the device has no implicit on-demand paging");
	mallopt(M_ARENA_MAX, THREADS + 1);
	mallopt(M_TRIM_THRESHOLD, 16 << 10);
	mallopt(M_TOP_PAD, 0);
	mallopt(M_MMAP_THRESHOLD, 48 << 10);
	rig_set_implicit(true);
	all = rig_reg(rig, &all, 8, RIG_IOVA_SAME, RIG_RW, true);
	rig_set_implicit(false);
	for (i = 0; i < THREADS; i++) {
		struct user *u = &user[i];

		*u = (struct user){ .all = all, .pair = rig_pair(rig, IBV_QPT_RC),
				    .rnd = rig_rand(rig_seed() + (uint64_t)i), .end = rig_now() + seconds() };
		u->buf = rig_map(LARGEST, 0, RIG_ANON);
		u->local = rig_reg(rig, u->buf, LARGEST, RIG_IOVA_SAME, RIG_RW, false);
	}
	taken = rig_odp_counter("page_invalidations");
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&user[i].thread, NULL, allocate, &user[i]), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(user[i].thread, NULL);
	if (taken >= 0) {
		taken = rig_odp_counter("page_invalidations") - taken;
		printf("%jd times memory was given back under the region\n", (intmax_t)taken);
		ck_assert_msg(taken > THREADS,
			      "memory was given back under the region %jd times only",
			      (intmax_t)taken);
	}
	for (i = 0; i < THREADS; i++) {
		printf("thread %d: %ju blocks\n", i, (uintmax_t)user[i].rounds);
		ck_assert_msg(!user[i].bad[0], "thread %d: %s", i, user[i].bad);
		ck_assert_msg(user[i].rounds > 20, "only %ju blocks", (uintmax_t)user[i].rounds);
		rig_unpair(user[i].pair);
		rig_dereg(user[i].local);
	}
	rig_dereg(all);
}
END_TEST

/* ------------------------------------------------------------------ too little memory */

#define WORKING_SET	(32 * MIB)

#define OFTEN	((int64_t)(WORKING_SET / RIG_PAGE / 4))

/*
 * What is in swap of the memory under traffic, at most, while it runs; in pages. A slow machine is
 * given time until pages have left and come back often enough.
 */
static size_t run_in_swap(struct traffic *t, int64_t out, int64_t in)
{
	double end = rig_now() + 2 * seconds();
	size_t most = 0, now;

	while (rig_now() < end ||
	       ((rig_vmstat("pswpout") < out + OFTEN || rig_vmstat("pswpin") < in + OFTEN) &&
		rig_now() < end + 90 * rig_pace())) {
		now = rig_swapped(t->mem, t->len);
		most = now > most ? now : most;
		rig_sleep(0.1);
	}
	return most;
}

START_TEST(test_half_of_the_working_set)
{
	struct traffic *t;
	char why[200];
	size_t most;
	int64_t out, in;

	RIG_NEEDS_ODP(rig);
	if (!rig_swap_on(128 * MIB, why, sizeof(why)) || !rig_memcg(WORKING_SET / 2 + 8 * MIB, why,
								    sizeof(why)))
		RIG_SKIP(why);
	rig_dmesg_mark();
	t = traffic_new(rig, WORKING_SET, _i, rig_seed());
	/* Not of the filling, but of the traffic. */
	out = rig_vmstat("pswpout");
	in = rig_vmstat("pswpin");
	traffic_start(t);
	most = run_in_swap(t, out, in);
	out = rig_vmstat("pswpout") - out;
	in = rig_vmstat("pswpin") - in;
	traffic_stop(t);
	printf("%jd pages swapped out, %jd in, %zu of the region in swap at most; ", (intmax_t)out,
	       (intmax_t)in, most);
	verdict(t);
	ck_assert_msg(out >= OFTEN && in >= OFTEN,
		      "only %jd pages were swapped out under the traffic, %jd in",
		      (intmax_t)out, (intmax_t)in);
	ck_assert_msg(most > WORKING_SET / RIG_PAGE / 16,
		      "only %zu pages of the region were in swap", most);
	traffic_free(t);
	rig_memcg(0, why, sizeof(why));
	/* The end of the swap device is told there too. */
	rig_dmesg_clean();
	rig_swap_off();
	rig_dmesg_mark();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stress");
	TCase *tc = rig_tcase(suite, "stress", 180 + 3 * seconds());

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_fork_bombs, 0, 2);
	tcase_add_loop_test(tc, test_mmap_storms, 0, 2);
	tcase_add_test(tc, test_allocator_in_an_implicit_region);
	tcase_add_loop_test(tc, test_half_of_the_working_set, 0, 2);
	return rig_main(&suite, 1);
}
