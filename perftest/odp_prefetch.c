// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What does it cost to make memory present in advance?
 *
 * ibv_advise_mr(PREFETCH_WRITE, FLUSH) of a buffer never touched, beside MADV_POPULATE_WRITE of
 * such a buffer, which is the least that anybody can need. again: all is present already.
 * mapped: the process has touched it, only the device has not.
 */
#include "bench.h"

enum page { SMALL, LARGE };

static const char *const page_words[] = { "small", "thp", NULL };

static uint64_t bytes = 256ul << 20;
static unsigned int pages = 1u << SMALL | 1u << LARGE;

static const struct bench_option options[] = {
	{ "bytes", BENCH_NUMBER, &bytes, "N", "size of the buffer", PAGE, 1ull << 40, NULL },
	{ "pages", BENCH_WORDS, &pages, "LIST", "size of the pages", 0, 0, page_words },
};

static void add(const char *what, unsigned int page, const char *memory, double seconds)
{
	char label[40];

	snprintf(label, sizeof(label), "%s %s", what, page_words[page]);
	bench_add(label, memory, (double)bytes, "time", "us", seconds * 1e6);
}

static bool prefetch(const char *what, unsigned int page, enum bench_memory memory,
		     struct ibv_mr *mr, void *area)
{
	double start = bench_now();
	int err = bench_prefetch(mr, area, bytes, true);

	if (!err) {
		add(what, page, bench_memory_name[memory], bench_now() - start);
		return true;
	}
	bench_note(what, bench_memory_name[memory], (double)bytes, "fails: %s", strerror(err));
	return false;
}

static void measure(unsigned int page, enum bench_memory memory)
{
	void *area = bench_map(bytes, page == LARGE);
	struct ibv_mr *mr = bench_reg(area, bytes, memory);
	bool good = prefetch("prefetch", page, memory, mr, area);

	if (good)
		prefetch("again", page, memory, mr, area);
	bench_dereg(mr);
	bench_unmap(area, bytes);
	if (!good)
		return;
	area = bench_map(bytes, page == LARGE);
	memset(area, 1, bytes);
	mr = bench_reg(area, bytes, memory);
	prefetch("mapped", page, memory, mr, area);
	bench_dereg(mr);
	bench_unmap(area, bytes);
}

static void measure_populate(unsigned int page)
{
	void *area = bench_map(bytes, page == LARGE);
	double start = bench_now();

	if (madvise(area, bytes, MADV_POPULATE_WRITE))
		bench_note("prefetch", "populate", (double)bytes, "fails: %s", strerror(errno));
	else
		add("prefetch", page, "populate", bench_now() - start);
	start = bench_now();
	if (!madvise(area, bytes, MADV_POPULATE_WRITE))
		add("again", page, "populate", bench_now() - start);
	bench_unmap(area, bytes);
}

static void measure_cpu(unsigned int page)
{
	volatile char *area = bench_map(bytes, page == LARGE);
	double start = bench_now();
	size_t i;

	for (i = 0; i < bytes; i += PAGE)
		area[i] = 1;
	add("prefetch", page, "cpu", bench_now() - start);
	bench_unmap((void *)area, bytes);
}

/* What a registration does that pins: the other way to have the memory there. */
static void measure_pinned(unsigned int page)
{
	void *area = bench_map(bytes, page == LARGE);
	double start = bench_now();
	struct ibv_mr *mr = bench_reg(area, bytes, MEM_PINNED);

	add("prefetch", page, "pinned", bench_now() - start);
	bench_dereg(mr);
	bench_unmap(area, bytes);
}

static void measure_one(unsigned int page, unsigned int how)
{
	if (how == 0)
		measure_populate(page);
	else if (how == 1)
		measure_cpu(page);
	else if (how == 2 && bench_has(MEM_PINNED))
		measure_pinned(page);
	else if (how == 3 && bench_has(MEM_EXPLICIT))
		measure(page, MEM_EXPLICIT);
	else if (how == 4 && bench_has(MEM_IMPLICIT))
		measure(page, MEM_IMPLICIT);
}

static const struct bench_program program = {
	.name = "odp_prefetch",
	.purpose = "Prefetching on-demand memory, beside populating it by the kernel and by the CPU.",
	.baseline = "populate",
	.options = options, .noptions = ARRAY_SIZE(options),
	.memory = MEM_BIT(MEM_PINNED) | MEM_ODP,
	.reps = 5,
};

int main(int argc, char **argv)
{
	unsigned int order[5], i, page;
	uint64_t rep;

	bench_start(argc, argv, &program);
	bench_open();
	if ((int64_t)bytes > bench_meminfo("MemAvailable") / 2)
		bench_die("--bytes: %llu are more than half of the free memory",
			  (unsigned long long)bytes);
	for (rep = 0; rep < bench.reps; rep++) {
		for (page = SMALL; page <= LARGE; page++) {
			if (!(pages & 1u << page))
				continue;
			bench_shuffle(order, ARRAY_SIZE(order));
			for (i = 0; i < ARRAY_SIZE(order); i++)
				measure_one(page, order[i]);
		}
	}
	bench_close();
	return bench_finish();
}
