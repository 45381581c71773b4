// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How slow is this machine now?
 *
 * Measures what tests spend their time on, beside a reference: a plain two-core
 * machine, or, with --guest, an emulated guest of it.  Prints the factor in
 * percent, at least 100 and at most 800, and what was measured; time limits of
 * tests are multiplied by it.  Wall-clock time, so that load counts, too.
 *
 *	pace [--guest]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LEAST	100
#define MOST	800
#define SHARE	0.1	/* seconds that are given to each measurement */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Not getpid(): libraries and sandboxes may know the result. */
static void system_call(void)
{
	syscall(SYS_getppid);
}

static void map_page(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("pace: mmap");
		exit(2);
	}
	*(volatile char *)p = 1;
	munmap(p, page);
}

static volatile uint64_t kept;

static void compute(void)
{
	uint64_t x = 88172645463325252ULL;
	int i;

	for (i = 0; i < 10000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	kept = x;
}

/* Microseconds of one call. */
static double measure(void (*what)(void))
{
	const double start = now();
	double took;
	long n = 0;
	int i;

	do {
		for (i = 0; i < 10; i++)
			what();
		n += 10;
		took = now() - start;
	} while (took < SHARE);
	return took / (double)n * 1e6;
}

/* So that what is dear on one machine by far does not count alone. */
static double geometric_mean(const double *x)
{
	const double product = x[0] * x[1] * x[2];
	double root = product;
	int i;

	for (i = 0; i < 200; i++)
		root = (2 * root + product / (root * root)) / 3;
	return root;
}

int main(int argc, char **argv)
{
	/* Microseconds: a system call, a mapping, the computation. */
	static const double machine[] = { 0.2, 2, 20 }, guest[] = { 1, 40, 30 };
	const double *reference = machine;
	double call, map, work, times[3], percent;

	if (argc == 2 && !strcmp(argv[1], "--guest"))
		reference = guest;
	else if (argc != 1)
		return fprintf(stderr, "usage: pace [--guest]\n"), 2;
	call = measure(system_call);
	map = measure(map_page);
	work = measure(compute);
	times[0] = call / reference[0];
	times[1] = map / reference[1];
	times[2] = work / reference[2];
	percent = 100 * geometric_mean(times);
	if (percent < LEAST)
		percent = LEAST;
	if (percent > MOST)
		percent = MOST;
	printf("%.0f a system call %.2f us (reference %.1f), a page mapped and unmapped %.1f us (%.0f), "
	       "a computation %.0f us (%.0f): limits are those of the reference times %.1f\n",
	       percent, call, reference[0], map, reference[1], work, reference[2], percent / 100);
	return 0;
}
