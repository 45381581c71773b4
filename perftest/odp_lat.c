// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How long does one operation take, from posting it to its completion, when everything is present?
 * One message at a time; buffers of the same kind of memory on both sides.
 */
#include "bench.h"

static const char *const verb_words[] = { "write", "read", "send", "atomic", NULL };

static unsigned int verbs = (1u << VERBS) - 1;
static struct bench_list sizes = { 3, { 8, 4ul << 10, 64ul << 10 } };
static uint64_t samples = 500;

static const struct bench_option options[] = {
	{ "verbs", BENCH_WORDS, &verbs, "LIST", "what to measure", 0, 0, verb_words },
	{ "sizes", BENCH_NUMBERS, &sizes, "LIST", "of messages (atomics have 8 bytes)", 1, 4ul << 20,
	  NULL },
	{ "samples", BENCH_NUMBER, &samples, "N", "operations of each repetition", 1, 10000000,
	  NULL },
};

#define LEN	(4ul << 20)

static struct bench_pair pair;
static char *from, *to;
static struct ibv_mr *from_mr[MEM_KINDS], *to_mr[MEM_KINDS];

static void measure(enum bench_verb verb, uint64_t size, enum bench_memory memory)
{
	double *v = malloc(samples * sizeof(*v));
	struct bench_flow f;
	uint64_t i;

	if (!v)
		bench_die("out of memory");
	bench_flow_init(&f, &pair, verb, from, from_mr[memory], to, to_mr[memory]);
	f.size = size;
	for (i = 0; i < 10; i++)
		bench_one(&f);
	for (i = 0; i < samples; i++)
		v[i] = bench_one(&f);
	bench_add_latency(verb_words[verb], bench_memory_name[memory], (double)size, v, samples);
	free(v);
}

static void measure_size(enum bench_verb verb, uint64_t size)
{
	unsigned int order[MEM_KINDS], i;

	bench_shuffle(order, MEM_KINDS);
	for (i = 0; i < MEM_KINDS; i++)
		if (order[i] != MEM_NONE && bench_has((enum bench_memory)order[i]))
			measure(verb, size, (enum bench_memory)order[i]);
}

static void measure_verb(enum bench_verb verb)
{
	unsigned int i;

	if (verb == VERB_ATOMIC) {
		measure_size(verb, 8);
		return;
	}
	for (i = 0; i < sizes.n; i++)
		measure_size(verb, sizes.value[i]);
}

static const struct bench_program program = {
	.name = "odp_lat",
	.purpose = "Latency of one operation on memory that is present.",
	.baseline = "pinned",
	.options = options, .noptions = ARRAY_SIZE(options),
	.memory = MEM_BIT(MEM_PINNED) | MEM_ODP,
	.reps = 7,
};

int main(int argc, char **argv)
{
	unsigned int verb;
	uint64_t rep;

	bench_start(argc, argv, &program);
	bench_open();
	from = bench_map(LEN, false);
	to = bench_map(LEN, false);
	memset(from, 1, LEN);
	memset(to, 2, LEN);
	bench_reg_kinds(from, LEN, from_mr);
	bench_reg_kinds(to, LEN, to_mr);
	bench_connect(&pair, 4);
	for (rep = 0; rep < bench.reps; rep++)
		for (verb = 0; verb < VERBS; verb++)
			if (verbs & 1u << verb)
				measure_verb((enum bench_verb)verb);
	bench_disconnect(&pair);
	bench_dereg_kinds(from_mr);
	bench_dereg_kinds(to_mr);
	bench_close();
	return bench_finish();
}
