// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Threads that map, use, drop and unmap memory as fast as they can, so that the addresses that one
 * gives up are given to another at once. Whoever gets keys for memory that it has just mapped and
 * marked must get a registration that holds this very mark.
 *
 *	stress SECONDS [load]		load: by one load only, to see what that does not see
 *
 * Ends with the numbers; exit code 1 if a registration was stale, 77 without userfaultfd.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

#define PAGE	4096ul
#define THREADS	4
#define ALL	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)

static struct fake fake;
static struct odpreg_domain *dom;
static _Atomic bool over;
static _Atomic uint64_t marks;
static _Atomic uint64_t rounds, stale, cached;

static void mark(char *a, size_t pages)
{
	uint64_t value = atomic_fetch_add(&marks, 1) + 1;
	size_t i;

	for (i = 0; i < pages; i++)
		atomic_store_explicit((_Atomic uint64_t *)(a + i * PAGE), value, memory_order_relaxed);
}

static void use(char *a, size_t pages)
{
	struct odpreg_mem m;
	uint64_t want, is;
	size_t i;

	if (odpreg_get(dom, a, pages * PAGE, ALL, &m))
		abort();
	for (i = 0; i < pages; i++) {
		want = *(uint64_t *)(a + i * PAGE);
		is = fake_holds(&m, (uintptr_t)a + i * PAGE);
		if (is != want)
			atomic_fetch_add(&stale, 1);
	}
	atomic_fetch_add_explicit(&cached, m.kind == ODPREG_CACHED, memory_order_relaxed);
	if (odpreg_put(dom, &m))
		abort();
}

static void *worker(void *arg)
{
	unsigned int state = (unsigned int)(uintptr_t)arg * 7919 + 1;
	size_t pages;
	char *a;

	while (!atomic_load(&over)) {
		state = state * 1103515245 + 12345;
		pages = 1 + (state >> 16) % 4;
		a = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
		if (a == MAP_FAILED)
			abort();
		mark(a, pages);
		use(a, pages);
		use(a, pages);
		if (!((state >> 20) % 1024)) {
			madvise(a, pages * PAGE, MADV_DONTNEED);
			mark(a, pages);
			use(a, pages);
		}
		munmap(a, pages * PAGE);
		atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	struct odpreg_stats s = { .size = sizeof(s) };
	unsigned int seconds = argc > 1 ? (unsigned int)atoi(argv[1]) : 4;
	struct process *p = process_get();
	pthread_t thread[THREADS];
	int i;

	if (!p || watch_start(p)) {
		printf("skipped: no userfaultfd on this machine\n");
		return 77;
	}
	if (argc > 2 && !strcmp(argv[2], "load"))
		attr.check = ODPREG_CHECK_LOAD;
	attr.max_regions = 64;
	fake_init(&fake, false, false);
	if (reg_open(&fake.pd, &attr, &fake.ops, &dom))
		abort();
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, worker, (void *)(uintptr_t)i))
			abort();
	sleep(seconds);
	atomic_store(&over, true);
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	odpreg_query_stats(dom, &s);
	printf("%lu rounds, %lu stale pages, %lu cached, %lu hits, %lu misses, %lu changed, %lu evicted, %lu busy\n",
	       rounds, stale, cached, s.hits, s.misses, s.changed, s.evicted, s.busy);
	if (odpreg_close(dom) || fake.alive || fake.pinned) {
		printf("left behind: %d registrations, %lu bytes\n", fake.alive, fake.pinned);
		return 1;
	}
	return stale || !rounds || !cached;
}
