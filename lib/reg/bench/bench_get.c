// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What odpreg_get() and odpreg_put() of a region in the cache cost, on a device that is not there:
 * the library's own part.
 *
 *	bench_get [THREADS [REGIONS [MILLION]]]		2 threads, 1000 regions, 2 million pairs each
 *
 * Prints nanoseconds for a pair, by kind of region and check, for one thread alone, all on regions
 * of their own, and all on the same region: the median of batches of 1000, so that a busy machine,
 * which takes the processor away now and then, makes little difference.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

#define PAGE	4096ul
#define ALL	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)
#define MAX_THREADS	64
#define BATCH		1000

static struct fake fake;
static struct odpreg_domain *dom;
static char *memory;
static size_t regions;
static unsigned long batches;
static pthread_barrier_t barrier;

struct job {
	pthread_t thread;
	unsigned int number;
	bool same;		/* all threads use one region */
	double *ns;		/* a batch each, of one pair */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Every other page, so that regions do not touch. */
static void *place(size_t region)
{
	return memory + 2 * PAGE * region;
}

static void pair(struct job *job, size_t *region)
{
	struct odpreg_mem m;

	*region = job->same ? 0 : (*region + 97) % regions;
	if (odpreg_get(dom, place(*region), 64, ALL, &m) || m.kind == ODPREG_UNCACHED)
		abort();
	odpreg_put(dom, &m);
}

static void *run(void *arg)
{
	struct job *job = arg;
	size_t region = job->number * 37;
	unsigned long i;
	double start;
	int n;

	pthread_barrier_wait(&barrier);
	for (i = 0; i < batches; i++) {
		start = now();
		for (n = 0; n < BATCH; n++)
			pair(job, &region);
		job->ns[i] = (now() - start) / BATCH;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double measure(unsigned int threads, bool same)
{
	static struct job job[MAX_THREADS];
	double *ns = calloc(threads * batches, sizeof(*ns)), median;
	unsigned int i;

	if (!ns)
		abort();
	pthread_barrier_init(&barrier, NULL, threads);
	for (i = 0; i < threads; i++) {
		job[i] = (struct job){ .number = i, .same = same, .ns = ns + i * batches };
		if (pthread_create(&job[i].thread, NULL, run, &job[i]))
			abort();
	}
	for (i = 0; i < threads; i++)
		pthread_join(job[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	qsort(ns, threads * batches, sizeof(*ns), compare);
	median = ns[threads * batches / 2];
	free(ns);
	return median;
}

static double idle_call(void)
{
	double ns[1000], start;
	int i, n;

	for (i = 0; i < 1000; i++) {
		start = now();
		for (n = 0; n < BATCH; n++)
			syscall(SYS_getppid);
		ns[i] = (now() - start) / BATCH;
	}
	qsort(ns, 1000, sizeof(ns[0]), compare);
	return ns[500];
}

static void line(const char *name, bool odp, enum odpreg_check check, unsigned int threads)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	struct odpreg_mem m;
	size_t i;

	attr.check = check;
	attr.max_regions = regions + 1;
	fake_init(&fake, odp, false);
	if (reg_open(&fake.pd, &attr, &fake.ops, &dom))
		abort();
	for (i = 0; i < regions; i++) {
		if (odpreg_get(dom, place(i), 64, ALL, &m))
			abort();
		odpreg_put(dom, &m);
	}
	printf("%-24s %12.0f %12.0f %12.0f\n", name, measure(1, false), measure(threads, false),
	       measure(threads, true));
	odpreg_close(dom);
}

int main(int argc, char **argv)
{
	unsigned int threads = argc > 1 ? (unsigned int)atoi(argv[1]) : 2;
	struct process *p = process_get();

	regions = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	batches = (argc > 3 ? strtoul(argv[3], NULL, 10) : 2) * (1000000 / BATCH);
	if (!threads || threads > MAX_THREADS || !regions || !batches) {
		fprintf(stderr, "usage: bench_get [THREADS (1-%d) [REGIONS [MILLION]]]\n", MAX_THREADS);
		return 2;
	}
	memory = mmap(NULL, 2 * PAGE * regions, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		abort();
	printf("a system call that does nothing: %.0f ns\n", idle_call());
	printf("ns for get and put, %zu regions   1 thread   %2u threads   on one region\n", regions,
	       threads);
	line("explicit", true, ODPREG_CHECK_FULL, threads);
	if (!p || watch_start(p)) {
		printf("cached: no userfaultfd on this machine\n");
		return 0;
	}
	line("cached, one load", false, ODPREG_CHECK_LOAD, threads);
	line("cached, full check", false, ODPREG_CHECK_FULL, threads);
	return 0;
}
