// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Buffers between guard pages, patterns, and what the CPU's page table says about them. */
#include <fcntl.h>
#include <stdarg.h>
#include <time.h>

#include "rig.h"

#define PAGEMAP_PRESENT	(1ull << 63)
#define PAGEMAP_SWAPPED	(1ull << 62)
#define PAGEMAP_PFN	((1ull << 55) - 1)

const char *rig_backing_name(enum rig_backing backing)
{
	static const char *const name[] = {
		[RIG_ANON] = "private anonymous", [RIG_SHARED] = "memfd",
		[RIG_FILE] = "shared file", [RIG_FILE_PRIVATE] = "private file",
	};

	return name[backing];
}

static int backing_file(size_t size)
{
	const char *dir = getenv("TMPDIR");
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/odpreg.XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		ck_abort_msg("cannot create %s: %s", path, strerror(errno));
	unlink(path);
	if (ftruncate(fd, (off_t)size))
		ck_abort_msg("cannot make %s %zu bytes long: %s", path, size, strerror(errno));
	return fd;
}

static size_t whole_pages(size_t size)
{
	return (size + RIG_PAGE - 1) & ~(RIG_PAGE - 1);
}

/* An inaccessible, unreserved stretch; the caller maps into its inside. */
static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ck_abort_msg("cannot reserve %zu bytes of address space: %s", size, strerror(errno));
	return p;
}

/* Gives back what of the reservation lies further than one guard page from [at, at + size). */
static void trim(char *base, size_t total, char *at, size_t size)
{
	char *low = at - RIG_PAGE, *high = at + size + RIG_PAGE;

	if (low > base)
		munmap(base, (size_t)(low - base));
	if (high < base + total)
		munmap(high, (size_t)(base + total - high));
}

static void *place(size_t size, size_t align, size_t before)
{
	size_t total = size + 2 * align + 2 * RIG_PAGE;
	char *base = reserve(total);
	char *at = base + RIG_PAGE + before;

	at = (char *)(((uintptr_t)at + align - 1) & ~(uintptr_t)(align - 1)) - before;
	trim(base, total, at, size);
	return at;
}

static void fill_in(void *at, size_t size, int prot, int flags, int fd)
{
	if (mmap(at, size, prot, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		ck_abort_msg("cannot map %zu bytes at %p: %s", size, at, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void *rig_map(size_t size, size_t align, enum rig_backing backing)
{
	int rw = PROT_READ | PROT_WRITE, fd;
	void *at;

	size = whole_pages(size);
	at = place(size, align < RIG_PAGE ? RIG_PAGE : align, 0);
	switch (backing) {
	case RIG_SHARED:
		fd = memfd_create("odpreg", 0);
		if (fd < 0 || ftruncate(fd, (off_t)size))
			ck_abort_msg("memfd of %zu bytes: %s", size, strerror(errno));
		fill_in(at, size, rw, MAP_SHARED, fd);
		break;
	case RIG_FILE:
		fill_in(at, size, rw, MAP_SHARED, backing_file(size));
		break;
	case RIG_FILE_PRIVATE:
		fill_in(at, size, rw, MAP_PRIVATE, backing_file(size));
		break;
	default:
		fill_in(at, size, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	}
	return at;
}

void *rig_map_bare(size_t size, size_t align, bool rw)
{
	void *at;

	size = whole_pages(size);
	at = place(size, align < RIG_PAGE ? RIG_PAGE : align, 0);
	fill_in(at, size, rw ? PROT_READ | PROT_WRITE : PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	return at;
}

void *rig_map_across(size_t size, size_t align)
{
	void *at;

	size = whole_pages(size);
	if (size / 2 % RIG_PAGE)
		size += RIG_PAGE;
	at = place(size, align, size / 2);
	fill_in(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	return at;
}

void rig_unmap(void *addr, size_t size)
{
	munmap((char *)addr - RIG_PAGE, whole_pages(size) + 2 * RIG_PAGE);
}

/* The eight bytes of a pattern at word index i: a mix in which every input bit moves every output. */
static uint64_t word_at(uint64_t seed, uint64_t i)
{
	uint64_t x = seed + i * 0xd1342543de82ef95ull;

	x ^= x >> 32;
	x *= 0xda942042e4dd58b5ull;
	x ^= x >> 29;
	x *= 0x9fb21c651e98df25ull;
	return x ^ (x >> 32);
}

static uint8_t byte_at(uint64_t seed, uint64_t pos)
{
	return (uint8_t)(word_at(seed, pos / 8) >> (pos % 8 * 8));
}

void rig_fill(void *addr, size_t len, uint64_t seed, uint64_t pos)
{
	uint8_t *p = addr;
	uint64_t w;

	for (; len && pos % 8; len--)
		*p++ = byte_at(seed, pos++);
	for (; len >= 8; len -= 8, pos += 8, p += 8) {
		w = word_at(seed, pos / 8);
		memcpy(p, &w, 8);
	}
	for (; len; len--)
		*p++ = byte_at(seed, pos++);
}

ssize_t rig_diff(const void *addr, size_t len, uint64_t seed, uint64_t pos)
{
	const uint8_t *p = addr;
	uint64_t w, have;
	size_t i = 0;

	while (i < len) {
		if ((pos + i) % 8 == 0 && len - i >= 8) {
			w = word_at(seed, (pos + i) / 8);
			memcpy(&have, p + i, 8);
			if (w == have) {
				i += 8;
				continue;
			}
		}
		if (p[i] != byte_at(seed, pos + i))
			return (ssize_t)i;
		i++;
	}
	return -1;
}

ssize_t rig_diff_byte(const void *addr, size_t len, uint8_t value)
{
	const uint8_t *p = addr;
	size_t i;

	if (!len || (p[0] == value && !memcmp(p, p + 1, len - 1)))
		return -1;
	for (i = 0; p[i] == value; i++)
		;
	return (ssize_t)i;
}

void rig_expect_at(const char *file, int line, const void *addr, size_t len, uint64_t seed,
		   uint64_t pos, const char *fmt, ...)
{
	ssize_t at = rig_diff(addr, len, seed, pos);
	size_t i, bad = 0;
	char what[300];
	va_list ap;

	if (at < 0)
		return;
	for (i = (size_t)at; i < len; i++)
		bad += ((const uint8_t *)addr)[i] != byte_at(seed, pos + i);
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	_ck_assert_failed(file, line, "wrong data",
			  "%s: %zu of %zu bytes differ, the first at offset %zd (address %p): "
			  "%#04x instead of %#04x", what, bad, len, at, (const char *)addr + at,
			  ((const uint8_t *)addr)[at], byte_at(seed, pos + (size_t)at));
}

struct rig_rand rig_rand(uint64_t seed)
{
	return (struct rig_rand){ word_at(seed, 1) | 1 };
}

uint64_t rig_next(struct rig_rand *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dull;
}

uint64_t rig_below(struct rig_rand *r, uint64_t bound)
{
	return (rig_next(r) >> 11) % bound;
}

uint64_t rig_seed(void)
{
	static uint64_t seed;
	const char *env = getenv("ODPREG_SEED");
	struct timespec ts;

	if (seed)
		return seed;
	if (env) {
		seed = strtoull(env, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		seed = word_at((uint64_t)ts.tv_sec, (uint64_t)ts.tv_nsec) >> 32;
	}
	seed += !seed;
	printf("seed %#jx (replay: ODPREG_SEED=%#jx)\n", (uintmax_t)seed, (uintmax_t)seed);
	fflush(stdout);
	return seed;
}

static uint64_t pagemap_entry(int fd, const void *addr)
{
	uint64_t entry;

	if (pread(fd, &entry, 8, (off_t)((uintptr_t)addr / RIG_PAGE * 8)) != 8)
		ck_abort_msg("cannot read /proc/self/pagemap for %p: %s", addr, strerror(errno));
	return entry;
}

static size_t count_pages(const void *addr, size_t len, uint64_t bit)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	const char *p = (const char *)((uintptr_t)addr & ~(RIG_PAGE - 1));
	const char *end = (const char *)addr + len;
	size_t count = 0;

	if (fd < 0)
		ck_abort_msg("cannot open /proc/self/pagemap: %s", strerror(errno));
	for (; p < end; p += RIG_PAGE)
		count += !!(pagemap_entry(fd, p) & bit);
	close(fd);
	return count;
}

size_t rig_resident(const void *addr, size_t len)
{
	return count_pages(addr, len, PAGEMAP_PRESENT);
}

size_t rig_swapped(const void *addr, size_t len)
{
	return count_pages(addr, len, PAGEMAP_SWAPPED);
}

size_t rig_in_core(const void *addr, size_t len)
{
	char *start = (char *)((uintptr_t)addr & ~(RIG_PAGE - 1));
	size_t pages = whole_pages((size_t)((const char *)addr + len - start)) / RIG_PAGE, i;
	unsigned char *vec = malloc(pages);
	size_t count = 0;

	if (!vec || mincore(start, pages * RIG_PAGE, vec))
		ck_abort_msg("mincore of %zu pages at %p: %s", pages, (void *)start, strerror(errno));
	for (i = 0; i < pages; i++)
		count += vec[i] & 1;
	free(vec);
	return count;
}

uint64_t rig_pfn(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	if (fd < 0)
		ck_abort_msg("cannot open /proc/self/pagemap: %s", strerror(errno));
	entry = pagemap_entry(fd, addr);
	close(fd);
	return entry & PAGEMAP_PRESENT ? entry & PAGEMAP_PFN : 0;
}
