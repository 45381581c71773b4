// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How much longer do munmap and madvise take because memory is registered on demand?
 *
 * beside   a page of the process that no region covers
 * inside   a page of a region that the device has translated
 * sparse   the whole region at once, of which few pages are present ("walk": reading a slot for
 *          every page of it, which is what a flat table costs at least)
 * none is the same without any region. Each measurement is a process of its own, as a process that
 * had regions is not as it was before. With --traffic the device writes into the region all the
 * time (none: into pinned memory).
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

enum call { MUNMAP, DONTNEED, CALLS };
enum where { BESIDE, INSIDE, SPARSE, WHERES };

#define TARGETS		64u		/* pages that are taken in turn */
#define APART		(128ul << 20)
#define TRAFFIC_AREA	(4ul << 20)
#define TRAFFIC_SIZE	(64ul << 10)
#define MAX_REGIONS	64

static const char *const call_words[] = { "munmap", "madvise", NULL };
static const char *const where_words[] = { "beside", "inside", "sparse", NULL };

static unsigned int calls = 1u << MUNMAP | 1u << DONTNEED;
static unsigned int wheres = 1u << BESIDE | 1u << INSIDE;
static struct bench_list region_length = { 1, { 1ul << 30 } };
static struct bench_list region_count = { 1, { 1 } };
static uint64_t present = 1000;
static uint64_t samples = 500;
static bool traffic;
static bool cdf;

static const struct bench_option options[] = {
	{ "calls", BENCH_WORDS, &calls, "LIST", "what takes the pages away", 0, 0, call_words },
	{ "where", BENCH_WORDS, &wheres, "LIST", "which pages", 0, 0, where_words },
	{ "length", BENCH_NUMBERS, &region_length, "LIST", "lengths of the region", 16ul << 20,
	  1ull << 46, NULL },
	{ "regions", BENCH_NUMBERS, &region_count, "LIST",
	  "how many times the memory is registered", 1, MAX_REGIONS, NULL },
	{ "present", BENCH_NUMBER, &present, "N", "pages of it that are present", 0, 1ull << 30,
	  NULL },
	{ "samples", BENCH_NUMBER, &samples, "N", "calls of each repetition", 1, 1000000, NULL },
	{ "traffic", BENCH_FLAG, &traffic, NULL, "while the device writes into the region", 0, 0,
	  NULL },
	{ "cdf", BENCH_FLAG, &cdf, NULL, "add a value for each percentile (x: the percentile)", 0,
	  0, NULL },
};

struct shot {
	enum call call;
	enum where where;
	enum bench_memory memory;
	size_t length;
	unsigned int regions;
	size_t n;		/* samples */
};

/* What a measurement consists of, in its process. */
struct stage {
	const struct shot *shot;
	char *area;		/* the region; its end belongs to the traffic */
	char *beside;
	char *source;
	struct ibv_mr *mr[MAX_REGIONS];
	struct ibv_mr *source_mr;
	struct bench_pair pair;
	pthread_t thread;
	atomic_bool stop;
};

/*
 * The device writes a few bytes to the page through each region. Without regions it writes as many
 * times to pinned memory: who has slept and woken up is not as it was before.
 */
static void touch_by_device(struct stage *s, void *page)
{
	bool none = s->shot->memory == MEM_NONE;
	struct bench_flow f;
	unsigned int i;

	for (i = 0; i < s->shot->regions; i++) {
		bench_flow_init(&f, &s->pair, VERB_WRITE, s->source, s->source_mr,
				none ? s->source + PAGE : page, none ? s->source_mr : s->mr[i]);
		f.size = 8;
		bench_one(&f);
	}
}

static void *make_traffic(void *arg)
{
	struct stage *s = arg;
	bool pinned = s->shot->memory == MEM_NONE;
	size_t span = s->shot->length < TRAFFIC_AREA ? s->shot->length : TRAFFIC_AREA;
	char *target = pinned ? bench_map(TRAFFIC_AREA, false) :
				s->area + s->shot->length - span;
	struct bench_pair pair;
	struct bench_flow f;
	struct ibv_mr *mr;

	bench_queues_make();
	bench_connect(&pair, 32);
	mr = pinned ? bench_reg(target, span, MEM_PINNED) : s->mr[0];
	bench_flow_init(&f, &pair, VERB_WRITE, s->source, s->source_mr, target, mr);
	f.size = TRAFFIC_SIZE;
	f.remote_span = span;
	f.depth = 16;
	f.count = 64;
	while (!atomic_load(&s->stop))
		bench_run(&f, 1);
	bench_disconnect(&pair);
	if (pinned)
		bench_dereg(mr);
	bench_queues_destroy();
	return NULL;
}

static void set_stage(struct stage *s, const struct shot *shot)
{
	unsigned int i;

	*s = (struct stage){ .shot = shot };
	s->area = bench_map(shot->length, false);
	/* far from it: the next mapping would be merged with the region's */
	s->beside = (char *)bench_map(2 * APART, false) + APART;
	s->source = bench_map(TRAFFIC_SIZE, false);
	memset(s->source, 5, TRAFFIC_SIZE);
	if (bench.ctx) {
		s->source_mr = bench_reg(s->source, TRAFFIC_SIZE, MEM_PINNED);
		bench_connect(&s->pair, 16);
	}
	for (i = 0; shot->memory != MEM_NONE && i < shot->regions; i++)
		s->mr[i] = bench_reg(s->area, shot->length, shot->memory);
	if (traffic && pthread_create(&s->thread, NULL, make_traffic, s))
		bench_die("cannot create a thread");
}

static void strike_stage(struct stage *s)
{
	if (traffic) {
		atomic_store(&s->stop, true);
		pthread_join(s->thread, NULL);
	}
}

/* Pages spread evenly, but for the end, where the traffic is. */
static void touch_present(struct stage *s)
{
	size_t room = s->shot->length - TRAFFIC_AREA, i;
	char *page;

	for (i = 0; i < present; i++) {
		page = s->area + room / present * i / PAGE * PAGE;
		*(volatile char *)page = 1;
		if (s->shot->memory != MEM_NONE)
			touch_by_device(s, page);
	}
}

static double take(enum call call, void *addr, size_t len)
{
	double start = bench_now();
	int err = call == MUNMAP ? munmap(addr, len) : madvise(addr, len, MADV_DONTNEED);
	double seconds = bench_now() - start;

	if (err)
		bench_die("%s: %s", call_words[call], strerror(errno));
	if (call != MUNMAP)
		return seconds;
	if (mmap(addr, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		bench_die("mmap: %s", strerror(errno));
	madvise(addr, len, MADV_NOHUGEPAGE);
	return seconds;
}

static void strike_pages(struct stage *s, double *out)
{
	const struct shot *shot = s->shot;
	char *page;
	size_t i;

	for (i = 0; i < shot->n; i++) {
		page = shot->where == BESIDE ? s->beside :
		       traffic && shot->call == DONTNEED ? s->area + shot->length - TRAFFIC_AREA :
							   s->area + (1ul << 20);
		page += i % TARGETS * PAGE;
		*(volatile char *)page = 1;
		if (shot->where == INSIDE)
			touch_by_device(s, page);
		out[i] = take(shot->call, page, PAGE);
	}
}

static void strike_all(struct stage *s, double *out)
{
	size_t i, length = s->shot->length;

	if (traffic)
		length -= TRAFFIC_AREA;
	for (i = 0; i < s->shot->n; i++) {
		if (i)
			touch_present(s);
		out[i] = take(s->shot->call, s->area, length);
	}
}

static void in_process(void *arg, double *out)
{
	const struct shot *shot = arg;
	struct stage s;

	set_stage(&s, shot);
	touch_present(&s);
	if (shot->where == SPARSE)
		strike_all(&s, out);
	else
		strike_pages(&s, out);
	strike_stage(&s);
}

static void can_register(void *arg, double *out)
{
	const struct shot *shot = arg;
	void *area = bench_map(shot->length, false);

	out[0] = bench_try_reg(area, shot->length, shot->memory) ? 0 : errno;
}

static void add_cdf(const char *label, const char *memory, const double *v, size_t n)
{
	unsigned int percent;

	for (percent = 0; percent <= 100; percent++)
		bench_add(label, memory, percent, "quantile", "us",
			  bench_quantile(v, n, percent / 100.0) * 1e6);
}

static void label_of(char *label, size_t size, const struct shot *shot)
{
	int n = snprintf(label, size, "%s %s%s", call_words[shot->call], where_words[shot->where],
			 traffic ? " traffic" : "");

	if (shot->regions > 1)
		snprintf(label + n, size - (size_t)n, " x%u", shot->regions);
}

static void measure(struct shot *shot)
{
	double *v = malloc(samples * sizeof(*v)), error = 0, x = (double)shot->length;
	char label[40];

	if (!v)
		bench_die("out of memory");
	shot->n = shot->where == SPARSE && samples > 10 ? samples / 10 : samples;
	label_of(label, sizeof(label), shot);
	if (shot->memory != MEM_NONE)
		bench_fork(can_register, shot, &error, 1, true);
	if (error != 0) {
		bench_note(label, bench_memory_name[shot->memory], x, "registration fails: %s",
			   strerror((int)error));
	} else {
		bench_fork(in_process, shot, v, shot->n,
			   shot->memory != MEM_NONE ||
			   shot->where == INSIDE || traffic);
		bench_add_latency(label, bench_memory_name[shot->memory], x, v, shot->n);
		if (cdf)
			add_cdf(label, bench_memory_name[shot->memory], v, shot->n);
	}
	free(v);
}

/* The least a table with a slot for each page costs: reading them. */
static void measure_walk(size_t length)
{
	size_t slots = length / PAGE, i, found = 0;
	volatile uint64_t *slot;
	double seconds;

	if ((int64_t)(slots * sizeof(*slot)) > bench_meminfo("MemAvailable") / 2) {
		bench_note("walk", "walk", (double)length, "its slots do not fit in memory");
		return;
	}
	slot = bench_map(slots * sizeof(*slot), false);
	memset((void *)slot, 0, slots * sizeof(*slot));
	for (i = 0; i < present; i++)
		slot[slots / present * i] = 1;
	seconds = bench_now();
	for (i = 0; i < slots; i++)
		found += slot[i];
	seconds = bench_now() - seconds;
	if (found != present)
		bench_die("--present: too many for the length");
	bench_unmap((void *)slot, slots * sizeof(*slot));
	bench_add("walk", "walk", (double)length, "p50", "us", seconds * 1e6);
}

static void measure_kinds(struct shot *shot)
{
	unsigned int order[MEM_KINDS], i;

	bench_shuffle(order, MEM_KINDS);
	for (i = 0; i < MEM_KINDS; i++) {
		shot->memory = (enum bench_memory)order[i];
		if (shot->memory != MEM_PINNED && bench_has(shot->memory))
			measure(shot);
	}
}

static void measure_length(size_t length)
{
	struct shot shot = { .length = length };
	unsigned int i, call, where;

	for (where = 0; where < WHERES; where++) {
		if (!(wheres & 1u << where))
			continue;
		shot.where = (enum where)where;
		for (call = 0; call < CALLS; call++) {
			shot.call = (enum call)call;
			for (i = 0; (calls & 1u << call) && i < region_count.n; i++) {
				shot.regions = (unsigned int)region_count.value[i];
				measure_kinds(&shot);
			}
		}
		if (where == SPARSE)
			measure_walk(length);
	}
}

static const char *check(void)
{
	unsigned int i;

	for (i = 0; i < region_length.n; i++)
		if (present > region_length.value[i] / PAGE / 2)
			return "--present: more than half of the pages of --length";
	return NULL;
}

static const struct bench_program program = {
	.name = "odp_inval",
	.purpose = "Latency of munmap and madvise because of regions on demand.",
	.baseline = "none",
	.options = options, .noptions = ARRAY_SIZE(options),
	.memory = MEM_BIT(MEM_NONE) | MEM_ODP,
	.reps = 5,
	.check = check,
};

int main(int argc, char **argv)
{
	unsigned int i;
	uint64_t rep;

	bench_start(argc, argv, &program);
	/* for what the device can do */
	bench_open();
	bench_close();
	for (rep = 0; rep < bench.reps; rep++)
		for (i = 0; i < region_length.n; i++)
			measure_length(region_length.value[i]);
	return bench_finish();
}
