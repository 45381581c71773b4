// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What becomes of the pages of a part. They are noted before its event. When it has freed them, fresh
 * memory is filled that gets as many as it can of the very same ones; in the end what is mapped nowhere
 * any more is held by nobody.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>

#include "scene.h"

/* /proc/kpageflags */
#define FLAG_MMAP	(1ull << 11)
#define FLAG_ANON	(1ull << 12)
#define FLAG_SWAPCACHE	(1ull << 13)
#define FLAG_HWPOISON	(1ull << 19)
#define FLAG_KSM	(1ull << 21)

static bool read_words(int fd, uint64_t first, uint64_t *word, size_t count)
{
	return pread(fd, word, count * 8, (off_t)(first * 8)) == (ssize_t)(count * 8);
}

static void pages_of(const uint8_t *mem, uint64_t *pfn, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t i;

	if (fd < 0 || !read_words(fd, (uintptr_t)mem / RIG_PAGE, pfn, pages))
		memset(pfn, 0, pages * 8);
	if (fd >= 0)
		close(fd);
	for (i = 0; i < pages; i++)
		pfn[i] = pfn[i] >> 63 ? pfn[i] & ((1ull << 55) - 1) : 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool among(const uint64_t *pfn, size_t pages, uint64_t one)
{
	return one && bsearch(&one, pfn, pages, 8, by_number);
}

/* In order: where each was does not matter afterwards. */
void capture_note(struct capture *c, uint8_t *mem, size_t len)
{
	int status = -1;
	void *page = mem;

	memset(c, 0, sizeof(*c));
	c->mem = mem;
	c->len = len;
	c->pages = len / RIG_PAGE;
	c->pfn = calloc(c->pages, 8);
	ck_assert_ptr_nonnull(c->pfn);
	pages_of(mem, c->pfn, c->pages);
	qsort(c->pfn, c->pages, 8, by_number);
	syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0);
	c->node = status;
}

/* ------------------------------------------------------------------ who gets them */

uint8_t *take_freed(size_t len)
{
	uint8_t *mem = rig_map(len, 0, RIG_ANON);

	rig_fill(mem, len, REUSE, 0);
	return mem;
}

/* Memory of the kind that the pages were of, and of their node. */
static uint8_t *fresh(const struct capture *c, unsigned int kind)
{
	unsigned long mask = 1ul << c->node;
	uint8_t *mem;

	if (kind == PAGES_HUGETLB) {
		mem = mmap(NULL, c->len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		if (mem == MAP_FAILED)
			return NULL;
	} else {
		mem = rig_map(c->len, HUGE, RIG_ANON);
		madvise(mem, c->len, kind == PAGES_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	}
	if (c->node >= 0)
		syscall(SYS_mbind, mem, c->len, MPOL_PREFERRED, &mask, 8ul, 0);
	return mem;
}

/* What has just been freed is in a list of the processor that did it. */
static void run_on(unsigned int turn, const cpu_set_t *allowed)
{
	int cpu, skip = (int)(turn % (unsigned int)CPU_COUNT(allowed));
	cpu_set_t one;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, allowed) || skip--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

/* The parts of a huge page may have been freed one by one: then small pages get them. */
void capture_take(struct capture *c, unsigned int kind)
{
	uint64_t *pfn = calloc(c->pages, 8);
	cpu_set_t allowed;
	size_t i;

	ck_assert_ptr_nonnull(pfn);
	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	c->kind = kind;
	while (c->count < CAPTURES && !c->got) {
		bool small = kind == PAGES_THP && c->count >= CAPTURES / 2;
		uint8_t *mem = fresh(c, small ? PAGES_4K : kind);

		if (!mem)
			break;
		run_on(c->count, &allowed);
		rig_fill(mem, c->len, REUSE, 0);
		pages_of(mem, pfn, c->pages);
		for (i = 0; i < c->pages; i++)
			c->got += among(c->pfn, c->pages, pfn[i]);
		c->fresh[c->count++] = mem;
	}
	sched_setaffinity(0, sizeof(allowed), &allowed);
	free(pfn);
	printf("captured %zu of %zu pages\n", c->got, c->pages);
}

void capture_kept(struct capture *c)
{
	while (c->count) {
		uint8_t *mem = c->fresh[--c->count];

		rig_expect(mem, c->len, REUSE, 0, "whoever has the freed pages");
		if (c->kind == PAGES_HUGETLB)
			munmap(mem, c->len);
		else
			rig_unmap(mem, c->len);
	}
}

/* ------------------------------------------------------------------ who holds them */

/*
 * Anonymous pages that are mapped nowhere any more and are not free: somebody holds them. In the swap
 * cache they wait for their next user; a poisoned one is nobody's.
 */
static size_t held(int fd, const uint64_t *pfn, size_t pages)
{
	const uint64_t fine = FLAG_MMAP | FLAG_KSM | FLAG_SWAPCACHE | FLAG_HWPOISON;
	size_t i, count = 0;
	uint64_t flags;

	for (i = 0; i < pages; i++)
		if (pfn[i] && read_words(fd, pfn[i], &flags, 1))
			count += (flags & FLAG_ANON) && !(flags & fine);
	return count;
}

void capture_end(struct capture *c, const char *what)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	double end = rig_now() + 20 * rig_pace();
	size_t left = 0;

	if (fd < 0)
		printf("who holds pages cannot be seen: no /proc/kpageflags\n");
	while (fd >= 0 && (left = held(fd, c->pfn, c->pages)) && rig_now() < end) {
		/* Freed pages wait in lists of each processor; this empties them. */
		rig_write_file("/proc/sys/vm/drop_caches", "1");
		rig_sleep(0.1);
	}
	if (fd >= 0)
		close(fd);
	free(c->pfn);
	c->pfn = NULL;
	ck_assert_msg(!left, "%s, and somebody holds %zu pages of it", what, left);
}
