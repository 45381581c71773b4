// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The soak: threads that pick rows at random, over memory of every kind at once, while traffic of all
 * verbs runs on all of it and checks every byte (lib/traffic.h). Ends after a number of operations,
 * events and transfers together, or after a time. The seed is printed; it decides which rows, parts
 * and transfers come in each thread, in which order. How the threads interleave it does not.
 */
#include <getopt.h>
#include <malloc.h>

#include "scene.h"

#define EVENT_THREADS	3
#define MOST_ROWS	80

struct lane {
	const char *name;
	unsigned int pages;
	enum backing backing;
	struct scene s;
	struct row home;	/* what scene_map() goes by */
	const struct row *row[MOST_ROWS];
	uint64_t done[MOST_ROWS];
	int rows;
	pthread_mutex_t one_event;
	bool open;
};

static struct lane lane[] = {
	{ .name = "private memory", .pages = PAGES_4K, .backing = ON_ANON },
	{ .name = "transparent huge pages", .pages = PAGES_THP, .backing = ON_ANON },
	{ .name = "memfd", .pages = PAGES_4K, .backing = ON_MEMFD },
	{ .name = "private file", .pages = PAGES_4K, .backing = ON_PRIVATE },
	{ .name = "shared file", .pages = PAGES_4K, .backing = ON_DISK },
	{ .name = "tmpfs", .pages = PAGES_4K, .backing = ON_TMPFS },
	{ .name = "hugetlb", .pages = PAGES_HUGETLB, .backing = ON_ANON },
};

#define LANES	((int)(sizeof(lane) / sizeof(lane[0])))

static uint64_t ops = 1000000;
static double seconds;		/* 0: until the operations are done */
static bool implicit;
static atomic_bool stop;
static atomic_uint_fast64_t events;
static bool has_swap, has_nodes;

/* Rows that need no preparation but swap, and leave the memory for the next. */
static bool fits(const struct lane *l, const struct row *row)
{
	const unsigned int never = ROW_NO_LOAD | ROW_SLOW | ROW_OWNS_MEM | ROW_READS | ROW_FEW;

	return !row->run && row->backing == l->backing && row->pages & l->pages && !(row->flags & never) &&
	       !row->ready && (!row->prepare || (row->prepare == prepare_swap && has_swap) ||
			       (row->prepare == machine_two_nodes && has_nodes));
}

static void choose_rows(struct lane *l)
{
	const struct row *const *group, *row;

	for (group = row_groups; *group; group++)
		for (row = *group; row->number; row++)
			if (fits(l, row) && l->rows < MOST_ROWS)
				l->row[l->rows++] = row;
}

static bool open_lane(struct lane *l, struct rig *rig, uint64_t seed)
{
	struct scene *s = &l->s;
	int access = rig->caps.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_GLOBAL ? RIG_RW_FLUSH : RIG_RW;

	l->home = (struct row){ .number = 1, .backing = l->backing };
	*s = (struct scene){
		.row = &l->home, .pages = l->pages, .loaded = true, .implicit = implicit, .rig = rig,
		.unit = l->pages == PAGES_HUGETLB ? HUGE : RIG_PAGE, .len = l->pages == PAGES_4K ? MIB : 2 * HUGE,
		.seed = seed, .rnd = rig_rand(seed),
	};
	if (!scene_map(s)) {
		printf("%s: left out: %s\n", l->name, s->why);
		return false;
	}
	s->odp = rig_reg(rig, s->mem, s->len, RIG_IOVA_SAME, access, true);
	s->traffic = traffic_over(rig, s->odp, s->mem, s->len, 1);
	s->traffic->rnd = rig_rand(seed + 1);
	s->traffic->all = access == RIG_RW_FLUSH;
	pthread_mutex_init(&l->one_event, NULL);
	choose_rows(l);
	return l->rows > 0;
}

static void close_lane(struct lane *l)
{
	traffic_free(l->s.traffic);
	l->s.row = &l->home;
	scene_unmap(&l->s);
	rig_dereg(l->s.odp);
}

static void part_of(struct lane *l, const struct row *row, struct rig_rand *rnd, size_t *at,
		    size_t *len)
{
	size_t units = l->s.len / l->s.unit, count = 1 + rig_below(rnd, l->s.unit == HUGE ? 1 : 16);

	*len = count * l->s.unit;
	*at = rig_below(rnd, units - count + 1) * l->s.unit;
	if (row->flags & ROW_ALL) {
		*at = 0;
		*len = l->s.len;
	} else if (row->flags & ROW_TAIL) {
		*at = l->s.len - *len;
	}
	/* What shrinks a mapping leaves something of it. */
	if (row->flags & ROW_TAIL && !*at) {
		*at = l->s.unit;
		*len -= l->s.unit;
	}
}

static void one_event(struct lane *l, struct rig_rand *rnd)
{
	int chosen = (int)rig_below(rnd, (uint64_t)l->rows);
	const struct row *row = l->row[chosen];
	struct traffic *t = l->s.traffic;
	bool holes, keeps;
	size_t at, len;

	part_of(l, row, rnd, &at, &len);
	holes = row->outcome == GONE || row->outcome == READ_ONLY || row->flags & ROW_HOLE;
	keeps = row->outcome == KEPT && !(row->flags & ROW_HOLE);
	l->s.row = &(struct row){ .backing = l->backing, .flags = row->flags };
	if (!keeps)
		traffic_begin(t, at / RIG_PAGE, len / RIG_PAGE, holes);
	row->cause(&l->s, at, len);
	if (row->restore)
		row->restore(&l->s, at, len);
	if (!keeps)
		traffic_end(t, at / RIG_PAGE, len / RIG_PAGE, holes);
	l->done[chosen]++;
	atomic_fetch_add(&events, 1);
}

static void *make_events(void *arg)
{
	struct rig_rand rnd = rig_rand((uint64_t)(uintptr_t)arg);
	struct lane *l;

	while (!atomic_load(&stop)) {
		l = &lane[rig_below(&rnd, (uint64_t)LANES)];
		if (!l->open || pthread_mutex_trylock(&l->one_event))
			continue;
		one_event(l, &rnd);
		pthread_mutex_unlock(&l->one_event);
		rig_sleep(100e-6);
	}
	return NULL;
}

static uint64_t done(void)
{
	uint64_t sum = atomic_load(&events);
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			sum += traffic_ops(lane[i].s.traffic);
	return sum;
}

static void say(double start)
{
	printf("%6.0f s: %ju operations, %ju of them events\n", rig_now() - start,
	       (uintmax_t)done(),
	       (uintmax_t)atomic_load(&events));
}

static bool all_well(void)
{
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i].open && (lane[i].s.traffic->bad || lane[i].s.traffic->failed))
			return false;
	return true;
}

static void run_threads(uint64_t seed)
{
	double start = rig_now(), told = start;
	pthread_t thread[EVENT_THREADS];
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			traffic_start(lane[i].s.traffic);
	for (i = 0; i < EVENT_THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, make_events,
						(void *)(uintptr_t)(seed + 100 + (uint64_t)i)), 0);
	while (done() < ops && (seconds <= 0 || rig_now() < start + seconds) && all_well()) {
		rig_sleep(0.2);
		if (rig_now() > told + 30) {
			told = rig_now();
			say(start);
		}
	}
	atomic_store(&stop, true);
	for (i = 0; i < EVENT_THREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			traffic_stop(lane[i].s.traffic);
	say(start);
}

static void tell_lane(const struct lane *l)
{
	const struct traffic *t = l->s.traffic;
	int i;

	printf("%s: %ju transfers, %ju refused, %ju bytes checked;", l->name,
	       (uintmax_t)traffic_ops(t),
	       (uintmax_t)t->excused, (uintmax_t)t->checked);
	for (i = 0; i < l->rows; i++)
		printf(" %s %ju", l->row[i]->name, (uintmax_t)l->done[i]);
	printf("\n");
}

static void verdict(void)
{
	const struct traffic *t;
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			tell_lane(&lane[i]);
	for (i = 0; i < LANES; i++) {
		if (!lane[i].open)
			continue;
		t = lane[i].s.traffic;
		ck_assert_msg(!t->bad, "%s: %ju bad bytes; %s", lane[i].name, (uintmax_t)t->bad,
			      t->first);
		ck_assert_msg(!t->failed, "%s: %ju operations failed; %s", lane[i].name,
			      (uintmax_t)t->failed, t->first);
	}
}

START_TEST(test_soak)
{
	static const struct row bystander = { .number = 1, .backing = ON_ANON };
	struct scene quiet = { .row = &bystander, .pages = PAGES_4K, .unit = RIG_PAGE, .len = MIB };
	uint64_t seed = rig_seed();
	int i, open = 0;

	rig_set_implicit(implicit);
	quiet.rig = rig_open(NULL);
	if (!rig_has_odp(quiet.rig))
		RIG_SKIP("the device has no on-demand paging");
	ck_assert(scene_map(&quiet));
	stage_open_over(&quiet.stage, quiet.rig, quiet.mem, quiet.len, RIG_RW, false);
	has_swap = machine_swap(&quiet, 256 * MIB);
	has_nodes = machine_two_nodes(&quiet);
	for (i = 0; i < LANES; i++)
		open += lane[i].open = open_lane(&lane[i], quiet.rig, seed + 10 * (uint64_t)i);
	ck_assert_int_gt(open, 0);
	/* What was said so far was said of swap and disks. */
	rig_dmesg_mark();
	run_threads(seed);
	verdict();
	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			close_lane(&lane[i]);
	stage_works(&quiet.stage, 0, quiet.len, "beside it all");
	scene_unmap(&quiet);
	/* That of the engine is empty, and the kernel has nothing to say. */
	stage_close(&quiet.stage);
	machine_put_back();
}
END_TEST

static void parse(int argc, char **argv)
{
	static const struct option option[] = {
		{ "ops", 1, NULL, 'o' }, { "seed", 1, NULL, 's' }, { "seconds", 1, NULL, 't' },
		{ "implicit", 0, NULL, 'i' }, { NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", option, NULL)) != -1) {
		switch (c) {
		case 'o': ops = strtoull(optarg, NULL, 0); break;
		case 's': setenv("ODPREG_SEED", optarg, 1); break;
		case 't': seconds = atof(optarg); break;
		case 'i': implicit = true; break;
		default:
			fprintf(stderr, "usage: soak [--ops N] [--seed S] [--seconds T] [--implicit]\n");
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	Suite *suite = suite_create("soak");

	/* Without an argument: what ./odpreg test runs of it. */
	if (argc == 1)
		seconds = 180;
	parse(argc, argv);
	machine_init();
	tcase_add_test(rig_tcase(suite, "soak", seconds > 0 ? 300 + seconds : 6 * 3600), test_soak);
	return rig_main(&suite, 1);
}
