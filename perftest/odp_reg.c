// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What does it cost to register memory, and to deregister it, as its length grows?
 *
 * On-demand memory is untouched address space, pinned memory is touched (registration would touch
 * it otherwise, which is another question). Kernel memory is what the whole machine has less of
 * while many regions are held, less what this process grew by, divided by their number: or what
 * its slabs have grown by if that is more, as free pages that wait at a CPU count as used.
 */
#include "bench.h"

#define HOLD_MEMORY	(64l << 20)	/* enough of a difference; more regions are not needed */
#define HOLD_PINNED	(2ul << 30)	/* bytes pinned in all: that takes long */

static struct bench_list lengths = {
	7, { 1ul << 20, 16ul << 20, 64ul << 20, 512ul << 20, 4ul << 30, 64ul << 30, 1ul << 40 }
};
static uint64_t hold = 10000;
static uint64_t inner = 5;

static const struct bench_option options[] = {
	{ "lengths", BENCH_NUMBERS, &lengths, "LIST", "lengths to register", PAGE, 1ull << 46,
	  NULL },
	{ "times", BENCH_NUMBER, &inner, "N",
	  "registrations a repetition, of which the median is taken", 1, 10000, NULL },
	{ "hold", BENCH_NUMBER, &hold, "N",
	  "regions held at once to measure kernel memory, at most", 1, 100000, NULL },
};

static bool fits(size_t len, enum bench_memory memory)
{
	return memory != MEM_PINNED || (int64_t)len < bench_meminfo("MemAvailable") / 3;
}

static bool measure_time(void *area, size_t len, enum bench_memory memory, double x)
{
	double in[inner], out[inner], start;
	const char *name = bench_memory_name[memory];
	struct ibv_mr *mr;
	uint64_t i;

	for (i = 0; i < inner; i++) {
		start = bench_now();
		mr = bench_try_reg(area, len, memory);
		in[i] = bench_now() - start;
		if (!mr) {
			bench_note("register", name, x, "fails: %s", strerror(errno));
			return false;
		}
		start = bench_now();
		bench_dereg(mr);
		out[i] = bench_now() - start;
	}
	bench_add("register", name, x, "time", "us", bench_median(in, inner) * 1e6);
	bench_add("deregister", name, x, "time", "us", bench_median(out, inner) * 1e6);
	return true;
}

static void measure_memory(void *area, size_t len, enum bench_memory memory, double x)
{
	struct ibv_mr **mr = calloc(hold, sizeof(*mr));
	int64_t before, rss, slab, used = 0;
	uint64_t i, n = 0, most = hold;

	if (memory == MEM_PINNED && most > HOLD_PINNED / len)
		most = HOLD_PINNED / len ? HOLD_PINNED / len : 1;
	if (!mr)
		bench_die("out of memory");
	memset(mr, 1, hold * sizeof(*mr));
	before = bench_meminfo("MemFree");
	slab = bench_meminfo("Slab");
	rss = bench_rss();
	while (n < most && used < HOLD_MEMORY) {
		mr[n] = bench_try_reg(area, len, memory);
		if (!mr[n])
			break;
		n++;
		if (n % 16 == 0 || len > 64ul << 20)
			used = before - bench_meminfo("MemFree");
	}
	used = before - bench_meminfo("MemFree") - (bench_rss() - rss);
	slab = bench_meminfo("Slab") - slab;
	if (slab > used)
		used = slab;
	if (n)
		bench_add("memory", bench_memory_name[memory], x, "kernel", "KiB",
			  (double)used / 1024 / (double)n);
	for (i = 0; i < n; i++)
		bench_dereg(mr[i]);
	free(mr);
}

static void measure(size_t len, enum bench_memory memory, bool with_memory)
{
	double x = (double)len;
	void *area;

	if (!bench_has(memory))
		return;
	if (!fits(len, memory)) {
		bench_note("register", bench_memory_name[memory], x, "more than a third of free memory");
		return;
	}
	area = bench_map(len, false);
	if (memory == MEM_PINNED)
		memset(area, 1, len);
	if (measure_time(area, len, memory, x) && with_memory)
		measure_memory(area, len, memory, x);
	bench_unmap(area, len);
}

static const struct bench_program program = {
	.name = "odp_reg",
	.purpose = "Time and kernel memory of registration and deregistration, against length.",
	.options = options, .noptions = ARRAY_SIZE(options),
	.memory = MEM_BIT(MEM_PINNED) | MEM_ODP,
	.reps = 5,
};

int main(int argc, char **argv)
{
	unsigned int order[BENCH_LIST], i;
	uint64_t rep;

	bench_start(argc, argv, &program);
	bench_open();
	for (rep = 0; rep < bench.reps; rep++) {
		bench_shuffle(order, lengths.n);
		for (i = 0; i < lengths.n; i++) {
			measure(lengths.value[order[i]], MEM_PINNED, rep < 3);
			measure(lengths.value[order[i]], MEM_EXPLICIT, rep < 3);
		}
		measure(PAGE, MEM_IMPLICIT, rep < 3);
	}
	bench_close();
	return bench_finish();
}
