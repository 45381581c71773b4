// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The soak: threads that pick rows at random, over memory of every kind at once, while traffic of all
 * verbs runs on all of it and checks every byte (lib/traffic.h). Ends after a number of operations,
 * events and transfers together, or after a time. The seed is printed; it decides which rows and parts
 * come in each thread, in which order, and the kinds of the transfers. How the threads interleave, and
 * which transfers go where an event is about to come, it does not.
 *
 * Several threads are at the same memory at a time: each has a third of it for its events, but for
 * those that take all of it, or its end, which wait until they are alone there.
 */
#include <ctype.h>
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
	atomic_uint_fast64_t done[MOST_ROWS];
	atomic_uint_fast64_t regions;	/* that were registered and deregistered in between */
	int rows;
	pthread_rwlock_t alone;	/* to write: an event on all of the memory */
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

/* A thread that makes events. */
struct worker {
	int number;
	struct rig_rand rnd;
	uint8_t deck[LANES][MOST_ROWS + 1];	/* of each lane: what has not come yet this time */
	int left[LANES];
	pthread_t thread;
	struct rig_pair *pair;
	uint8_t *buf;
	struct rig_mr *pinned;
};

static uint64_t ops = 1000000;
static double seconds;		/* 0: until the operations are done */
static bool implicit;
static bool allow_missing;
static struct worker worker[EVENT_THREADS];
static const struct row *neighbour;	/* the first of the rows that have another process do it */
static pthread_mutex_t one_order = PTHREAD_MUTEX_INITIALIZER;	/* to that process */
static atomic_bool stop;
static atomic_uint_fast64_t events;
static bool has_swap, has_nodes;

/* It is done by another process, which is made before the memory and takes one order at a time. */
static bool by_neighbour(const struct row *row)
{
	static const char *const name[] = { "their-cold", "their-write", "their-mem", "poke" };
	size_t i;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(row->name, name[i]))
			return true;
	return false;
}

/* What these prepare is good for every other row of the same memory. */
static bool harmless(const struct row *row)
{
	static const char *const name[] = {
		"guard", "thp-collapse", "soft-dirty", "swap-shared", "writeback-drop", "page-idle",
		"pkey",
	};
	size_t i;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(row->name, name[i]))
			return true;
	return false;
}

/* Rows that leave the memory for the next, and need nothing that another must not have. */
static bool fits(const struct lane *l, const struct row *row)
{
	const unsigned int never = ROW_NO_LOAD | ROW_SLOW | ROW_OWNS_MEM | ROW_READS | ROW_FEW;

	if (row->run || row->backing != l->backing || !(row->pages & l->pages) || row->flags & never)
		return false;
	if (row->prepare == prepare_swap && !has_swap)
		return false;
	if (row->prepare == machine_two_nodes)
		return has_nodes;
	if (by_neighbour(row))
		return neighbour;
	return harmless(row) || (!row->ready && (!row->prepare || row->prepare == prepare_swap));
}

/* With the memory, before the region. */
static bool is_ready(struct lane *l, const struct row *row)
{
	bool prepared = !row->prepare || row->prepare == prepare_swap ||
			row->prepare == machine_two_nodes || by_neighbour(row) || row->prepare(&l->s);

	if (prepared && (!row->ready || row->ready(&l->s)))
		return true;
	printf("%s: without %s: %s\n", l->name, row->name, l->s.why);
	return false;
}

static void choose_rows(struct lane *l)
{
	const struct row *const *group, *row;

	for (group = row_groups; *group; group++)
		for (row = *group; row->number; row++)
			if (l->rows < MOST_ROWS && fits(l, row) && is_ready(l, row))
				l->row[l->rows++] = row;
}

static bool open_lane(struct lane *l, struct rig *rig, uint64_t seed)
{
	struct scene *s = &l->s;
	int access = rig->caps.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_GLOBAL ? RIG_RW_FLUSH : RIG_RW;

	l->home = (struct row){ .number = 1, .backing = l->backing };
	*s = (struct scene){
		.row = &l->home, .pages = l->pages, .loaded = true, .implicit = implicit, .rig = rig,
		.unit = l->pages == PAGES_HUGETLB ? HUGE : RIG_PAGE,
		.len = l->pages == PAGES_4K ? MIB : EVENT_THREADS * HUGE,
		.seed = seed, .rnd = rig_rand(seed),
	};
	if (!scene_map(s)) {
		printf("%s: left out: %s\n", l->name, s->why);
		return false;
	}
	choose_rows(l);
	s->odp = rig_reg(rig, s->mem, s->len, RIG_IOVA_SAME, access, true);
	s->traffic = traffic_over(rig, s->odp, s->mem, s->len, 1);
	s->traffic->rnd = rig_rand(seed + 1);
	s->traffic->all = access == RIG_RW_FLUSH;
	pthread_rwlock_init(&l->alone, NULL);
	return true;
}

static void close_lane(struct lane *l)
{
	traffic_free(l->s.traffic);
	l->s.row = &l->home;
	scene_unmap(&l->s);
	rig_dereg(l->s.odp);
}

/* Every huge page is back, and none is reserved for what is no more. */
static void expect_whole_pool(void)
{
	double end = rig_now() + 10;

	while (rig_meminfo("HugePages_Free") != rig_meminfo("HugePages_Total") ||
	       rig_meminfo("HugePages_Rsvd") > 0) {
		ck_assert_msg(rig_now() < end, "the memory is unmapped; %s", rig_huge_text());
		rig_sleep(0.1);
	}
}

static bool takes_all(const struct row *row)
{
	return row && row->flags & (ROW_ALL | ROW_TAIL);
}

/* In the thread's own third, if the event does not take what others have. */
static void part_of(const struct lane *l, const struct row *row, struct worker *w, size_t *at,
		    size_t *len)
{
	size_t units = l->s.len / l->s.unit, from = 0;
	size_t count = 1 + rig_below(&w->rnd, l->s.unit == HUGE ? 1 : 16);

	if (!takes_all(row)) {
		from = (size_t)w->number * units / EVENT_THREADS;
		units = ((size_t)w->number + 1) * units / EVENT_THREADS - from;
	}
	*len = count * l->s.unit;
	*at = (from + rig_below(&w->rnd, units - count + 1)) * l->s.unit;
	if (!takes_all(row))
		return;
	if (row->flags & ROW_ALL) {
		*at = 0;
		*len = l->s.len;
	} else {
		*at = l->s.len - *len;
	}
	/* What shrinks a mapping leaves something of it. */
	if (row->flags & ROW_TAIL && !*at) {
		*at = l->s.unit;
		*len -= l->s.unit;
	}
}

static void cause(struct scene *s, const struct row *row, size_t at, size_t len)
{
	if (by_neighbour(row))
		pthread_mutex_lock(&one_order);
	row->cause(s, at, len);
	if (by_neighbour(row))
		pthread_mutex_unlock(&one_order);
}

static void one_event(struct lane *l, const struct row *row, struct worker *w)
{
	const struct row shape = { .name = row->name, .backing = l->backing, .flags = row->flags };
	bool holes = row_forbids(row), tells = row_tells(row);
	/* What is refused now stays so for a while: one in eight until the traffic has found out. */
	bool knock = !rig_below(&w->rnd, 8);
	struct traffic *t = l->s.traffic;
	struct scene s = l->s;
	size_t at, len;

	s.row = &shape;
	part_of(l, row, w, &at, &len);
	traffic_aim(t, at / RIG_PAGE, len / RIG_PAGE);
	rig_sleep(100e-6);
	if (tells)
		traffic_begin(t, at / RIG_PAGE, len / RIG_PAGE, holes);
	cause(&s, row, at, len);
	if (row_shuts(row))
		row_hole(row, t, at, len, knock);
	if (row->restore)
		row->restore(&s, at, len);
	if (tells)
		traffic_end(t, at / RIG_PAGE, len / RIG_PAGE, holes);
}

/*
 * A region of its own for a moment: registered, read or sent from, deregistered, while the rest goes on.
 * What came is what the CPU sees, if that was the same before and after.
 */
static void one_region(struct lane *l, struct worker *w)
{
	uint8_t before[RIG_PAGE], after[RIG_PAGE];
	struct rig_span got = rig_at(w->pinned, 0, RIG_PAGE);
	struct rig_mr *mr;
	size_t at, len, i;

	part_of(l, NULL, w, &at, &len);
	mr = rig_reg(l->s.rig, l->s.mem + at, len, RIG_IOVA_SAME,
		     rig_below(&w->rnd, 2) ? RIG_RW : RIG_READ_ONLY, true);
	for (i = 0; i < len && i < 4 * RIG_PAGE; i += RIG_PAGE) {
		struct rig_span page = rig_at(mr, i, RIG_PAGE);

		memset(w->buf, 0x5a, RIG_PAGE);
		memcpy(before, l->s.mem + at + i, RIG_PAGE);
		if (rig_below(&w->rnd, 2))
			RIG_OK(rig_read(w->pair, got, page));
		else
			RIG_OK(rig_send(w->pair, page, got));
		memcpy(after, l->s.mem + at + i, RIG_PAGE);
		ck_assert_msg(memcmp(before, after, RIG_PAGE) || !memcmp(before, w->buf, RIG_PAGE),
			      "%s: a region that is new reads other bytes than the CPU, at %#zx",
			      l->name, at + i);
	}
	rig_dereg(mr);
}

/* All the rows of a lane, and a region as the last of them, come before any comes again. */
static int draw(struct worker *w, int l)
{
	uint8_t *deck = w->deck[l];
	int *left = &w->left[l], chosen;
	uint64_t at;

	if (!*left)
		for (; *left <= lane[l].rows; ++*left)
			deck[*left] = (uint8_t)*left;
	at = rig_below(&w->rnd, (uint64_t)*left);
	chosen = deck[at];
	deck[at] = deck[--*left];
	return chosen;
}

static void *make_events(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		int where = (int)rig_below(&w->rnd, (uint64_t)LANES), chosen;
		struct lane *l = &lane[where];
		const struct row *row;

		if (!l->open)
			continue;
		chosen = draw(w, where);
		row = chosen < l->rows ? l->row[chosen] : NULL;
		if (takes_all(row))
			pthread_rwlock_wrlock(&l->alone);
		else
			pthread_rwlock_rdlock(&l->alone);
		if (row)
			one_event(l, row, w);
		else
			one_region(l, w);
		pthread_rwlock_unlock(&l->alone);
		atomic_fetch_add(row ? &l->done[chosen] : &l->regions, 1);
		atomic_fetch_add(&events, 1);
	}
	return NULL;
}

static void open_worker(struct worker *w, struct rig *rig, uint64_t seed)
{
	w->rnd = rig_rand(seed);
	w->pair = rig_pair(rig, IBV_QPT_RC);
	w->buf = rig_map(RIG_PAGE, 0, RIG_ANON);
	w->pinned = rig_reg(rig, w->buf, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, false);
}

static void close_worker(struct worker *w)
{
	rig_unpair(w->pair);
	rig_dereg(w->pinned);
	rig_unmap(w->buf, RIG_PAGE);
}

static uint64_t events_of(const struct lane *l)
{
	uint64_t sum = atomic_load(&l->regions);
	int i;

	for (i = 0; i < l->rows; i++)
		sum += atomic_load(&l->done[i]);
	return sum;
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
	printf("%6.0f s: %ju operations, %ju of them events; %s\n", rig_now() - start,
	       (uintmax_t)done(), (uintmax_t)atomic_load(&events), rig_huge_text());
}

static bool all_well(void)
{
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i].open && (lane[i].s.traffic->bad || lane[i].s.traffic->failed))
			return false;
	return true;
}

/* The least that is asked of a run of any length. */
static bool all_busy(void)
{
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i].open && (traffic_ops(lane[i].s.traffic) < 20 || !events_of(&lane[i])))
			return false;
	return true;
}

static bool over(double start)
{
	if (!all_well())
		return true;
	if (done() < ops && (seconds <= 0 || rig_now() < start + seconds))
		return false;
	return all_busy() || rig_now() > start + seconds + 60;
}

static void run_threads(void)
{
	double start = rig_now(), told = start;
	int i;

	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			traffic_start(lane[i].s.traffic);
	for (i = 0; i < EVENT_THREADS; i++)
		ck_assert_int_eq(pthread_create(&worker[i].thread, NULL, make_events, &worker[i]), 0);
	while (!over(start)) {
		rig_sleep(0.2);
		if (rig_now() > told + 30) {
			told = rig_now();
			say(start);
		}
	}
	atomic_store(&stop, true);
	for (i = 0; i < EVENT_THREADS; i++)
		pthread_join(worker[i].thread, NULL);
	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			traffic_stop(lane[i].s.traffic);
	say(start);
}

static void tell_lane(const struct lane *l)
{
	const struct traffic *t = l->s.traffic;
	int i;

	printf("%s: %ju transfers, %ju beside an event, %ju refused (%ju in a hole from beginning to "
	       "end), %ju bytes checked; regions %ju",
	       l->name, (uintmax_t)traffic_ops(t), (uintmax_t)t->raced, (uintmax_t)t->excused,
	       (uintmax_t)t->knocks, (uintmax_t)t->checked, (uintmax_t)l->regions);
	for (i = 0; i < l->rows; i++)
		printf(" %s %ju", l->row[i]->name, (uintmax_t)l->done[i]);
	printf("\n");
}

/*
 * Each kind of memory had transfers and events. When there were so many that one of the threads has been
 * through its rows there, each row has come; and events and transfers must have met.
 */
static void demand(const struct lane *l)
{
	const struct traffic *t = l->s.traffic;
	uint64_t count = events_of(l);
	int i;

	ck_assert_msg(!t->bad, "%s: %ju bad bytes; %s", l->name, (uintmax_t)t->bad, t->first);
	ck_assert_msg(!t->failed, "%s: %ju operations failed, or came through; %s", l->name,
		      (uintmax_t)t->failed, t->first);
	ck_assert_msg(traffic_ops(t) >= 20 && count, "%s: only %ju transfers and %ju events", l->name,
		      (uintmax_t)traffic_ops(t), (uintmax_t)count);
	if (count < EVENT_THREADS * ((uint64_t)l->rows + 1)) {
		printf("%s: %ju events are too few to ask for each of %d rows\n", l->name,
		       (uintmax_t)count, l->rows);
		return;
	}
	for (i = 0; i < l->rows; i++)
		ck_assert_msg(l->done[i], "%s: %s never came, in %ju events", l->name, l->row[i]->name,
			      (uintmax_t)count);
	ck_assert_msg(l->regions && t->raced, "%s: %ju regions, and %ju transfers beside an event",
		      l->name, (uintmax_t)l->regions, (uintmax_t)t->raced);
}

static void verdict(void)
{
	uint64_t knocks = 0, sum = 0;
	int i;

	for (i = 0; i < LANES; i++) {
		if (!lane[i].open)
			continue;
		tell_lane(&lane[i]);
		knocks += lane[i].s.traffic->knocks;
		sum += events_of(&lane[i]);
	}
	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			demand(&lane[i]);
	ck_assert_msg(knocks || sum < 1000, "no transfer began and ended in a hole, in %ju events",
		      (uintmax_t)sum);
}

/* Swap, nodes, another process: for all kinds of memory, before them. The number of what is missing. */
static int prepare_machine(struct scene *s)
{
	const struct row *const *group, *row;

	has_swap = machine_swap(s, 256 * MIB);
	if (!has_swap)
		printf("rows with swap are left out: %s\n", s->why);
	has_nodes = machine_two_nodes(s);
	if (!has_nodes)
		printf("rows with two nodes are left out: %s\n", s->why);
	for (group = row_groups; *group; group++)
		for (row = *group; row->number; row++)
			if (!neighbour && by_neighbour(row) && row->prepare(s))
				neighbour = row;
	return !has_swap + !has_nodes + !neighbour;
}

START_TEST(test_soak)
{
	static const struct row bystander = { .number = 1, .backing = ON_ANON };
	struct scene quiet = { .row = &bystander, .pages = PAGES_4K, .unit = RIG_PAGE, .len = MIB };
	uint64_t seed = rig_seed();
	int i, missing;

	rig_set_implicit(implicit);
	quiet.rig = rig_open(NULL);
	if (!rig_has_odp(quiet.rig))
		RIG_SKIP("the device has no implicit regions");
	ck_assert(scene_map(&quiet));
	stage_open_over(&quiet.stage, quiet.rig, quiet.mem, quiet.len, RIG_RW, false);
	missing = prepare_machine(&quiet);
	for (i = 0; i < LANES; i++) {
		lane[i].open = open_lane(&lane[i], quiet.rig, seed + 10 * (uint64_t)i);
		missing += !lane[i].open;
	}
	ck_assert_msg(!missing || allow_missing,
		      "%d things are left out (above): run with --allow-missing to do without", missing);
	for (i = 0; i < EVENT_THREADS; i++) {
		worker[i].number = i;
		open_worker(&worker[i], quiet.rig, seed + 100 + (uint64_t)i);
	}
	/* What was said so far was said of swap and disks. */
	rig_dmesg_mark();
	run_threads();
	verdict();
	for (i = 0; i < EVENT_THREADS; i++)
		close_worker(&worker[i]);
	for (i = 0; i < LANES; i++)
		if (lane[i].open)
			close_lane(&lane[i]);
	expect_whole_pool();
	if (neighbour)
		neighbour->finish(&quiet);
	stage_works(&quiet.stage, 0, quiet.len, "beside it all");
	scene_unmap(&quiet);
	/* That of the engine is empty, and the kernel has nothing to say. */
	stage_close(&quiet.stage);
	machine_put_back();
}
END_TEST

static void usage(FILE *f)
{
	fprintf(f, "usage: soak [--ops N] [--seed S] [--seconds T] [--implicit] [--allow-missing]\n"
		"Ends after N operations (1,000,000), or after T seconds.\n"
		"--allow-missing: with the kinds of memory and the events that this machine has\n");
}

static void bad_option(const char *name, const char *text, const char *want)
{
	fprintf(stderr, "soak: --%s %s: say %s\n", name, text, want);
	exit(2);
}

static uint64_t number(const char *name, const char *text, const char *want)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (!isdigit((unsigned char)*text) || *end || errno)
		bad_option(name, text, want);
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option option[] = {
		{ "ops", 1, NULL, 'o' }, { "seed", 1, NULL, 's' }, { "seconds", 1, NULL, 't' },
		{ "implicit", 0, NULL, 'i' }, { "allow-missing", 0, NULL, 'm' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", option, NULL)) != -1) {
		switch (c) {
		case 'o':
			ops = number("ops", optarg, "a number of operations, 1 or more");
			if (!ops)
				bad_option("ops", optarg, "a number of operations, 1 or more");
			break;
		case 's':
			number("seed", optarg, "a number");
			setenv("ODPREG_SEED", optarg, 1);
			break;
		case 't':
			seconds = strtod(optarg, &end);
			if (end == optarg || *end || !(seconds > 0 && seconds < 1e7))
				bad_option("seconds", optarg, "a number above 0");
			break;
		case 'i': implicit = true; break;
		case 'm': allow_missing = true; break;
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
	if (optind == argc)
		return;
	fprintf(stderr, "soak: '%s' is no option\n", argv[optind]);
	usage(stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	Suite *suite = suite_create("soak");
	char why[300];
	int code;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A thread's own arena is a mapping, which may take a hole that a row has just made. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	/* Without an argument: what ./odpreg test runs of it. */
	if (argc == 1)
		seconds = 180;
	parse(argc, argv);
	code = rig_pick_device(why, sizeof(why));
	if (code) {
		fprintf(stderr, "soak: %s\n", why);
		return code;
	}
	machine_init();
	tcase_add_test(rig_tcase(suite, "soak", seconds > 0 ? 300 + seconds : 6 * 3600), test_soak);
	return rig_main(&suite, 1);
}
