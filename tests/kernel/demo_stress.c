// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * demo_stress [--seconds N] [--seed S]
 *
 * Fork, munmap and swapping out under RDMA traffic in all directions on ODP regions, with every
 * byte checked; lib/traffic.h says how. Prints a table; exit code 0: not a byte was wrong.
 */
#include <getopt.h>

#include "traffic.h"

#define LANES	3
#define LEN	(2ul << 20)
#define SWAP	(128ul << 20)

static unsigned int seconds = 10;

/* What the threads of events do, in turn: forks and holes cost most, so they are not the rule. */
static const enum traffic_event menu[] = {
	EVENT_FORK, EVENT_PAGEOUT, EVENT_UNMAP, EVENT_DONTNEED, EVENT_PAGEOUT, EVENT_REPLACE,
	EVENT_FREE, EVENT_PAGEOUT,
};

struct eventful {
	struct traffic **lane;
	struct rig_rand rnd;
	pthread_t thread;
	atomic_bool stop;
};

static void *events(void *arg)
{
	struct eventful *e = arg;
	unsigned int i = (unsigned int)rig_below(&e->rnd, 8);

	while (!atomic_load(&e->stop)) {
		traffic_event(e->lane[rig_below(&e->rnd, LANES)], menu[i++ % 8], &e->rnd);
		rig_sleep(2e-3);
	}
	return NULL;
}

static void row(const char *name, uint64_t value)
{
	printf("  %-34s %12ju\n", name, (uintmax_t)value);
}

static void counter(const char *title, const char *name, int64_t before)
{
	int64_t now = rig_odp_counter(name);

	if (now < 0)
		printf("  %-34s %12s\n", title, "not counted");
	else
		row(title, (uint64_t)(now - before));
}

static uint64_t report(struct traffic **lane)
{
	uint64_t bad = 0, failed = 0, child = 0, checked = 0, excused = 0, sum;
	int i, k;

	printf("RDMA operations\n");
	for (k = 0; k < TRAFFIC_KINDS; k++) {
		for (i = 0, sum = 0; i < LANES; i++)
			sum += lane[i]->ops[k];
		row(traffic_kind_name(k), sum);
	}
	printf("events\n");
	for (k = 0; k < TRAFFIC_EVENTS; k++) {
		for (i = 0, sum = 0; i < LANES; i++)
			sum += atomic_load(&lane[i]->events[k]);
		if (sum)
			row(traffic_event_name(k), sum);
	}
	for (i = 0; i < LANES; i++) {
		bad += lane[i]->bad;
		failed += lane[i]->failed;
		excused += lane[i]->excused;
		checked += lane[i]->checked;
		child += atomic_load(&lane[i]->child_bad);
	}
	printf("checks\n");
	row("operations refused in a hole", excused);
	row("operations that failed otherwise", failed);
	row("bytes checked", checked);
	row("bad bytes", bad);
	row("bad bytes across a fork", child);
	for (i = 0; i < LANES; i++)
		if (lane[i]->first[0])
			printf("  first trouble of lane %d: %s\n", i, lane[i]->first);
	return bad + failed + child;
}

/* The lane in the middle asks for huge pages, which swapping and forking split. */
static void run_all(struct rig *rig, struct traffic **lane, uint64_t seed)
{
	struct eventful e = { .lane = lane, .rnd = rig_rand(seed + 100) };
	int i;

	for (i = 0; i < LANES; i++)
		lane[i] = traffic_new(rig, LEN, i == 1, seed + (uint64_t)i);
	for (i = 0; i < LANES; i++)
		traffic_start(lane[i]);
	pthread_create(&e.thread, NULL, events, &e);
	rig_sleep(seconds);
	atomic_store(&e.stop, true);
	pthread_join(e.thread, NULL);
	for (i = 0; i < LANES; i++)
		traffic_stop(lane[i]);
}

START_TEST(stress)
{
	static const char *const name[] = {
		"page_faults", "page_faults_handled", "page_invalidations",
		"page_invalidations_handled",
	};
	int64_t before[4], swapped;
	struct traffic *lane[LANES];
	uint64_t trouble, seed = rig_seed();
	struct rig *rig = rig_open(NULL);
	char why[200];
	int i;

	RIG_NEEDS_ODP(rig);
	if (!rig_swap_on(SWAP, why, sizeof(why)))
		RIG_SKIP(why);
	for (i = 0; i < 4; i++)
		before[i] = rig_odp_counter(name[i]);
	swapped = rig_vmstat("pswpout");
	printf("%u s of fork, munmap and swapping out under traffic on %d regions of %lu MiB\n",
	       seconds, LANES, LEN >> 20);
	run_all(rig, lane, seed);
	trouble = report(lane);
	row("pages swapped out", (uint64_t)(rig_vmstat("pswpout") - swapped));
	counter("page faults", name[0], before[0]);
	counter("pages they brought", name[1], before[1]);
	counter("invalidations", name[2], before[2]);
	counter("pages they took", name[3], before[3]);
	for (i = 0; i < LANES; i++)
		traffic_free(lane[i]);
	rig_close(rig);
	rig_swap_off();
	printf("%s\n", trouble ? "CORRUPTED" : "every byte was right");
	ck_assert_msg(!trouble, "the memory does not hold what it should");
}
END_TEST

int main(int argc, char **argv)
{
	static const struct option option[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	Suite *suite = suite_create("stress");
	TCase *tc;
	int c;

	while ((c = getopt_long(argc, argv, "", option, NULL)) != -1) {
		if (c == 's' && atoi(optarg) > 0) {
			seconds = (unsigned int)atoi(optarg);
		} else if (c == 'r') {
			setenv("ODPREG_SEED", optarg, 1);
		} else {
			fprintf(stderr, "usage: demo_stress [--seconds N] [--seed S]\n");
			return 2;
		}
	}
	tc = rig_tcase(suite, "stress", seconds + 120.0);
	tcase_add_test(tc, stress);
	return rig_main(&suite, 1);
}
