// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two ranks of MPI whose memory comes and goes between messages, for a library under them that
 * keeps registrations: one that outlived its memory would send what was there before, or receive
 * to where nobody looks any more. Every byte of every message is checked.
 *
 *	mpi_exchange STOP-FILE
 *
 * Rounds of all kinds of memory and all sizes until there is a file by that name, then one with
 * memory that changes by bare system calls. A library that has put its hooks into the functions of
 * libc does not see that, and is right on on-demand memory only. The last line says what went well.
 */
#include <mpi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"

#define TAG		7
#define ADDS		20
/* Twice the largest size and more: there is where pages are moved to. */
#define ARENA		(8ul << 20)
#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

static const size_t sizes[] = { 8, 5000, 100001, 2ul << 20 };

static int me, peer, round_no;
static uint64_t messages, bytes, seed;
static char *arena[2];

/* Memory of one kind, two pieces of it at a time, and what happens to it between two uses. */
struct kind {
	const char *name;
	char *(*get)(int which, size_t size);
	/* another life of it, maybe at another address; contents need not stay */
	char *(*change)(int which, char *addr, size_t size);
	void (*put)(char *addr, size_t size);
};

static void die(const char *kind, size_t size, const char *what)
{
	fprintf(stderr, "rank %d, round %d, %s, %zu bytes: %s\n", me, round_no, kind, size, what);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

static char *must(void *addr, const char *what)
{
	if (!addr || addr == MAP_FAILED) {
		perror(what);
		MPI_Abort(MPI_COMM_WORLD, 1);
	}
	return addr;
}

static char *heap_get(int which, size_t size)
{
	(void)which;
	return must(malloc(size), "malloc");
}

/* Grown, which moves it, then freed: its places are given out again. */
static char *heap_change(int which, char *addr, size_t size)
{
	free(must(realloc(addr, 2 * size), "realloc"));
	return heap_get(which, size);
}

static void heap_put(char *addr, size_t size)
{
	(void)size;
	free(addr);
}

static char *map_at(char *addr, size_t size, int flags)
{
	return must(mmap(addr, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0), "mmap");
}

static char *map_get(int which, size_t size)
{
	(void)which;
	return map_at(NULL, size, 0);
}

/* The kernel gives the same address out again. */
static char *map_change(int which, char *addr, size_t size)
{
	(void)which;
	munmap(addr, size);
	return map_at(NULL, size, 0);
}

static void map_put(char *addr, size_t size)
{
	munmap(addr, size);
}

static char *arena_get(int which, size_t size)
{
	(void)size;
	return arena[which];
}

static char *over_change(int which, char *addr, size_t size)
{
	(void)which;
	return map_at(addr, size, MAP_FIXED);
}

static char *over_unseen(int which, char *addr, size_t size)
{
	(void)which;
	return must((char *)syscall(SYS_mmap, addr, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), "mmap");
}

static size_t pages(size_t size)
{
	return (size + 4095) & ~4095ul;
}

static char *drop_change(int which, char *addr, size_t size)
{
	(void)which;
	if (madvise(addr, pages(size), MADV_DONTNEED))
		must(NULL, "madvise");
	return addr;
}

static char *drop_unseen(int which, char *addr, size_t size)
{
	(void)which;
	if (syscall(SYS_madvise, addr, pages(size), MADV_DONTNEED))
		must(NULL, "madvise");
	return addr;
}

/* The pages go elsewhere, and others come to where they were. */
static char *move_change(int which, char *addr, size_t size)
{
	(void)which;
	must(mremap(addr, pages(size), pages(size), MREMAP_MAYMOVE | MREMAP_FIXED,
		    addr + ARENA / 2), "mremap");
	return map_at(addr, size, MAP_FIXED);
}

static void arena_put(char *addr, size_t size)
{
	(void)addr;
	(void)size;
}

static const struct kind kinds[] = {
	{ "heap", heap_get, heap_change, heap_put },
	{ "mmap", map_get, map_change, map_put },
	{ "mapped over", arena_get, over_change, arena_put },
	{ "dropped", arena_get, drop_change, arena_put },
	{ "moved away", arena_get, move_change, arena_put },
}, unseen[] = {
	{ "mapped over unseen", arena_get, over_unseen, arena_put },
	{ "dropped unseen", arena_get, drop_unseen, arena_put },
};

static void expect(const struct kind *kind, const char *addr, size_t size, uint64_t its_seed,
		   const char *what)
{
	ssize_t at = rig_diff(addr, size, its_seed, 0);
	char text[160];

	bytes += size;
	if (at < 0)
		return;
	snprintf(text, sizeof(text), "%s: wrong from byte %zd on: %#x", what, at,
		 (unsigned char)addr[at]);
	die(kind->name, size, text);
}

static void swap(const char *from, char *to, size_t size)
{
	messages += 2;
	MPI_Sendrecv(from, (int)size, MPI_BYTE, peer, TAG, to, (int)size, MPI_BYTE, peer, TAG,
		     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* There and back. */
static void exchange(const struct kind *kind, char *out, char *in, size_t size)
{
	uint64_t mine = seed + (uint64_t)me, theirs = seed + (uint64_t)peer;

	rig_fill(out, size, mine, 0);
	memset(in, 0xee, size);
	swap(out, in, size);
	expect(kind, in, size, theirs, "there");
	memset(out, 0xdd, size);
	swap(in, out, size);
	expect(kind, out, size, mine, "back");
	seed += 2;
}

/* One's own memory is written by the other, and read by it. */
static void window(const struct kind *kind, char *own, char *other, size_t size)
{
	uint64_t mine = seed + (uint64_t)me, theirs = seed + (uint64_t)peer;
	MPI_Win win;

	memset(own, 0xee, size);
	rig_fill(other, size, mine, 0);
	MPI_Win_create(own, (MPI_Aint)size, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &win);
	MPI_Win_fence(0, win);
	MPI_Put(other, (int)size, MPI_BYTE, peer, 0, (int)size, MPI_BYTE, win);
	MPI_Win_fence(0, win);
	expect(kind, own, size, theirs, "put");
	memset(other, 0xdd, size);
	MPI_Win_fence(0, win);
	MPI_Get(other, (int)size, MPI_BYTE, peer, 0, (int)size, MPI_BYTE, win);
	MPI_Win_fence(0, win);
	expect(kind, other, size, mine, "get");
	MPI_Win_free(&win);
	seed += 2;
	messages += 4;
}

/* Both ranks count up the number in rank 0's memory; together they have seen each of its values. */
static void count_up(const struct kind *kind)
{
	int64_t one = 1, last = -1, seen, sum = 0, all;
	char *own = kind->get(0, 8);
	MPI_Win win;
	int i;

	memset(own, 0, 8);
	MPI_Win_create(own, 8, 8, MPI_INFO_NULL, MPI_COMM_WORLD, &win);
	MPI_Win_lock_all(0, win);
	for (i = 0; i < ADDS; i++) {
		MPI_Fetch_and_op(&one, &seen, MPI_INT64_T, 0, 0, MPI_SUM, win);
		MPI_Win_flush(0, win);
		if (seen <= last)
			die(kind->name, 8, "fetch and add went back");
		last = seen;
		sum += seen;
	}
	MPI_Win_unlock_all(win);
	MPI_Allreduce(&sum, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
	MPI_Win_free(&win);
	memcpy(&seen, own, 8);
	if (all != ADDS * (2 * ADDS - 1) || (!me && seen != 2 * ADDS))
		die(kind->name, 8, "fetch and add lost some");
	kind->put(own, 8);
	messages += ADDS;
}

static void all_uses(const struct kind *kind, size_t size)
{
	char *a = kind->get(0, size), *b = kind->get(1, size);

	exchange(kind, a, b, size);
	a = kind->change(0, a, size);
	b = kind->change(1, b, size);
	exchange(kind, a, b, size);
	b = kind->change(1, b, size);
	window(kind, a, b, size);
	kind->put(a, size);
	kind->put(b, size);
}

/* The same answer for both: the other one must not wait for what does not come. */
static bool stopped(const char *file)
{
	int there = !access(file, F_OK);

	MPI_Bcast(&there, 1, MPI_INT, 0, MPI_COMM_WORLD);
	return there;
}

static void all_of(const struct kind *some, size_t count)
{
	size_t k, s;

	for (k = 0; k < count; k++) {
		for (s = 0; s < COUNT(sizes); s++)
			all_uses(&some[k], sizes[s]);
		count_up(&some[k]);
	}
	round_no++;
}

int main(int argc, char **argv)
{
	int ranks;

	if (argc != 2) {
		fputs("usage: mpi_exchange STOP-FILE, as two ranks of MPI\n", stderr);
		return 2;
	}
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &me);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	if (ranks != 2) {
		fputs("mpi_exchange: is for two ranks (mpirun -n 2)\n", stderr);
		MPI_Abort(MPI_COMM_WORLD, 2);
	}
	peer = !me;
	arena[0] = map_at(NULL, ARENA, 0);
	arena[1] = map_at(NULL, ARENA, 0);
	do
		all_of(kinds, COUNT(kinds));
	while (!stopped(argv[1]));
	all_of(unseen, COUNT(unseen));
	printf("rank %d: %d rounds, %llu messages, %llu bytes, all as they were sent\n", me,
	       round_no, (unsigned long long)messages, (unsigned long long)bytes);
	MPI_Finalize();
	return 0;
}
