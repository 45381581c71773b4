// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What does on-demand memory cost when everything is present?
 *
 * Bandwidth of each verb between two buffers of the same kind of memory, touched before. memcpy is
 * a plain copy of messages of that size in this process: nothing here can be faster.
 */
#include "bench.h"

#define MAX_PAIRS	64u

static const char *const verb_words[] = { "write", "read", "send", "atomic", NULL };

static unsigned int verbs = (1u << VERBS) - 1;
static struct bench_list sizes = { 3, { 4ul << 10, 64ul << 10, 1ul << 20 } };
static struct bench_list qps = { 1, { 1 } };
static struct bench_list depths = { 1, { 16 } };
static uint64_t buffer = 4ul << 20;
static uint64_t amount = 16ul << 20;
static uint64_t atomics = 2000;

static const struct bench_option options[] = {
	{ "verbs", BENCH_WORDS, &verbs, "LIST", "what to measure", 0, 0, verb_words },
	{ "sizes", BENCH_NUMBERS, &sizes, "LIST", "of messages (atomics have 8 bytes)", 1,
	  1ull << 30, NULL },
	{ "qps", BENCH_NUMBERS, &qps, "LIST", "queue pairs at once", 1, MAX_PAIRS, NULL },
	{ "depths", BENCH_NUMBERS, &depths, "LIST", "messages under way on each of them", 1, 1024,
	  NULL },
	{ "buffer", BENCH_NUMBER, &buffer, "N", "memory that each queue pair goes through", PAGE,
	  1ull << 40, NULL },
	{ "bytes", BENCH_NUMBER, &amount, "N", "bytes of each measurement", 1, 1ull << 50, NULL },
	{ "atomics", BENCH_NUMBER, &atomics, "N", "atomic operations of each measurement", 1,
	  1ull << 40, NULL },
};

struct point {
	enum bench_verb verb;
	uint64_t size;
	unsigned int n;		/* queue pairs */
	unsigned int depth;
	char label[40];
};

static struct bench_pair pairs[MAX_PAIRS];
static char *from, *to;
static struct ibv_mr *from_mr[MEM_KINDS], *to_mr[MEM_KINDS];

static uint64_t messages(const struct point *p)
{
	uint64_t n = p->verb == VERB_ATOMIC ? atomics : amount / p->size;

	n /= p->n;
	return n > p->depth ? n : p->depth;
}

static double run(const struct point *p, enum bench_memory memory, uint64_t count)
{
	struct bench_flow flow[MAX_PAIRS];
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		bench_flow_init(&flow[i], &pairs[i], p->verb, from + i * buffer, from_mr[memory],
				to + i * buffer, to_mr[memory]);
		flow[i].size = p->size;
		flow[i].local_span = buffer;
		flow[i].remote_span = buffer;
		flow[i].depth = p->depth;
		flow[i].count = count;
	}
	return bench_run(flow, p->n);
}

static void measure(const struct point *p)
{
	unsigned int order[MEM_KINDS], i;
	uint64_t count = messages(p);
	enum bench_memory memory;
	double seconds;

	bench_shuffle(order, MEM_KINDS);
	for (i = 0; i < MEM_KINDS; i++) {
		memory = (enum bench_memory)order[i];
		if (memory == MEM_NONE || !bench_has(memory))
			continue;
		run(p, memory, p->depth);
		seconds = run(p, memory, count);
		if (p->verb == VERB_ATOMIC)
			bench_add(p->label, bench_memory_name[memory], (double)p->size, "operations",
				  "1/s", (double)(count * p->n) / seconds);
		else
			bench_add(p->label, bench_memory_name[memory], (double)p->size, "rate",
				  "MB/s", (double)(count * p->n * p->size) / seconds / 1e6);
	}
}

static void measure_copy(uint64_t size)
{
	uint64_t i, n = amount / size, at = 0;
	double start = bench_now();

	for (i = 0; i < n; i++) {
		memcpy(to + at, from + at, size);
		/* the copy is not to be left out because nobody looks */
		__asm__ volatile("" ::: "memory");
		at = at + 2 * size <= buffer ? at + size : 0;
	}
	bench_add("copy", "memcpy", (double)size, "rate", "MB/s",
		  (double)(n * size) / (bench_now() - start) / 1e6);
}

static void measure_depth(struct point *p, unsigned int depth)
{
	unsigned int i;
	char tail[20] = "";

	p->depth = depth;
	for (i = 0; i < qps.n; i++) {
		p->n = (unsigned int)qps.value[i];
		if (qps.n > 1 || depths.n > 1)
			snprintf(tail, sizeof(tail), " %u qp depth %u", p->n, p->depth);
		snprintf(p->label, sizeof(p->label), "%s%s", verb_words[p->verb], tail);
		measure(p);
	}
}

static void measure_verb(enum bench_verb verb)
{
	struct point p = { .verb = verb };
	unsigned int s, d;

	for (s = 0; s < sizes.n; s++) {
		p.size = verb == VERB_ATOMIC ? 8 : sizes.value[s];
		for (d = 0; d < depths.n; d++)
			measure_depth(&p, (unsigned int)depths.value[d]);
		if (verb == VERB_ATOMIC)
			break;
	}
}

static uint64_t largest(const struct bench_list *list)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < list->n; i++)
		if (list->value[i] > v)
			v = list->value[i];
	return v;
}

static const char *check(void)
{
	return largest(&sizes) > buffer ? "--buffer: smaller than the largest of --sizes" : NULL;
}

static const struct bench_program program = {
	.name = "odp_bw",
	.purpose = "Bandwidth on memory that is present: pinned, on demand, implicit.",
	.baseline = "pinned",
	.options = options, .noptions = ARRAY_SIZE(options),
	.memory = MEM_BIT(MEM_PINNED) | MEM_ODP,
	.reps = 7,
	.check = check,
};

static void set_up(unsigned int most, size_t len)
{
	unsigned int i;

	from = bench_map(len, false);
	to = bench_map(len, false);
	memset(from, 1, len);
	memset(to, 2, len);
	bench_reg_kinds(from, len, from_mr);
	bench_reg_kinds(to, len, to_mr);
	for (i = 0; i < most; i++)
		bench_connect(&pairs[i], (unsigned int)largest(&depths));
}

static void tear_down(unsigned int most)
{
	unsigned int i;

	for (i = 0; i < most; i++)
		bench_disconnect(&pairs[i]);
	bench_dereg_kinds(from_mr);
	bench_dereg_kinds(to_mr);
}

int main(int argc, char **argv)
{
	unsigned int i, verb, most;
	uint64_t rep;

	bench_start(argc, argv, &program);
	bench_open();
	if (largest(&sizes) > bench.max_message)
		bench_die("--sizes: the largest message of %s is %llu bytes", bench.device,
			  (unsigned long long)bench.max_message);
	most = (unsigned int)largest(&qps);
	set_up(most, most * buffer);
	for (rep = 0; rep < bench.reps; rep++) {
		for (i = 0; i < sizes.n; i++)
			measure_copy(sizes.value[i]);
		for (verb = 0; verb < VERBS; verb++)
			if (verbs & 1u << verb)
				measure_verb((enum bench_verb)verb);
	}
	tear_down(most);
	bench_close();
	return bench_finish();
}
