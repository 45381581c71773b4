// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What happens to the memory of the traffic. */
#include <sched.h>
#include <sys/wait.h>

#include "traffic.h"

#define CHILD_PAGES	16u

const char *traffic_event_name(enum traffic_event event)
{
	static const char *const name[] = {
		[EVENT_FORK] = "fork", [EVENT_PAGEOUT] = "swap out",
		[EVENT_DONTNEED] = "MADV_DONTNEED", [EVENT_FREE] = "MADV_FREE",
		[EVENT_REPLACE] = "mmap over it", [EVENT_UNMAP] = "munmap, mmap",
		[EVENT_PROTECT] = "read-only for a while", [EVENT_NONE] = "no access for a while",
	};

	return name[event];
}

/* Pages [first, first + count) of the region. */
struct part {
	size_t first;
	size_t count;
	uint8_t *addr;
	size_t len;
};

static struct part choose_part(const struct traffic *t, struct rig_rand *rnd, size_t most)
{
	size_t pages = t->len / RIG_PAGE;
	struct part part;

	part.count = 1 + rig_below(rnd, most < pages ? most : pages);
	part.first = rig_below(rnd, pages - part.count + 1);
	part.addr = t->mem + part.first * RIG_PAGE;
	part.len = part.count * RIG_PAGE;
	return part;
}

static void step(atomic_uint *word, size_t first, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		atomic_fetch_add(&word[first + i], 1);
}

static bool touched(struct traffic *t, size_t first, size_t count)
{
	uint64_t at = atomic_load(&t->touched);

	return (uint32_t)at && at >> 32 < first + count && first < (at >> 32) + (uint32_t)at;
}

/* Odd: contents are about to go, when the traffic's CPU has left; even: they have. */
void traffic_begin(struct traffic *t, size_t first, size_t count, bool hole)
{
	if (hole)
		step(t->hole, first, count);
	step(t->seq, first, count);
	while (touched(t, first, count))
		sched_yield();
}

void traffic_end(struct traffic *t, size_t first, size_t count, bool hole)
{
	step(t->seq, first, count);
	if (hole)
		step(t->hole, first, count);
}

void traffic_shut(struct traffic *t, size_t first, size_t count, enum traffic_shut shut)
{
	size_t i;

	for (i = 0; i < count; i++)
		atomic_store(&t->shut[first + i], (unsigned char)shut);
}

void traffic_aim(struct traffic *t, size_t first, size_t count)
{
	atomic_store(&t->aim, (uint64_t)first << 32 | count);
}

bool traffic_wait_knock(struct traffic *t, uint64_t knocks, double seconds)
{
	double end = rig_now() + seconds;

	while (atomic_load(&t->knocks) == knocks) {
		if (atomic_load(&t->waits) || rig_now() > end)
			return false;
		rig_sleep(100e-6);
	}
	return true;
}

static void begin(struct traffic *t, const struct part *part, bool hole)
{
	traffic_begin(t, part->first, part->count, hole);
}

static void end(struct traffic *t, const struct part *part, bool hole)
{
	traffic_end(t, part->first, part->count, hole);
}

/* A child's pages are its own: nothing comes in, and what it writes does not get out. */
static size_t child(const struct part *part)
{
	static uint8_t before[CHILD_PAGES * RIG_PAGE];
	size_t i, bad = 0;

	memcpy(before, part->addr, part->len);
	rig_sleep(3e-3);
	for (i = 0; i < part->len; i++)
		bad += part->addr[i] != before[i];
	memset(part->addr, 0xc1, part->len);
	rig_sleep(3e-3);
	for (i = 0; i < part->len; i++)
		bad += part->addr[i] != 0xc1;
	return bad;
}

static void event_fork(struct traffic *t, struct rig_rand *rnd)
{
	struct part part = choose_part(t, rnd, CHILD_PAGES);
	int pipe_end[2];
	size_t bad = 0;
	pid_t pid;

	if (pipe(pipe_end))
		ck_abort_msg("pipe: %s", strerror(errno));
	/* There is no hole in the map, which the child would find: one event at a time is served. */
	pid = fork();
	if (pid < 0)
		ck_abort_msg("fork: %s", strerror(errno));
	if (!pid) {
		bad = child(&part);
		_exit(write(pipe_end[1], &bad, sizeof(bad)) != sizeof(bad));
	}
	close(pipe_end[1]);
	if (read(pipe_end[0], &bad, sizeof(bad)) != sizeof(bad))
		ck_abort_msg("the child of a fork died");
	close(pipe_end[0]);
	waitpid(pid, NULL, 0);
	atomic_fetch_add(&t->child_bad, bad);
}

static void must_madvise(const struct part *part, int advice, const char *name)
{
	if (madvise(part->addr, part->len, advice))
		ck_abort_msg("madvise(%s) of %zu pages: %s", name, part->count, strerror(errno));
}

/* Until somebody writes to it, a freed page may go at any time: do that before the event is over. */
static void event_free(struct traffic *t, const struct part *part)
{
	size_t i;

	begin(t, part, false);
	must_madvise(part, MADV_FREE, "MADV_FREE");
	rig_sleep(1e-3);
	must_madvise(part, MADV_PAGEOUT, "MADV_PAGEOUT");
	for (i = 0; i < part->len; i += RIG_PAGE)
		__atomic_fetch_or(&part->addr[i], 0, __ATOMIC_SEQ_CST);
	end(t, part, false);
}

static void map_again(const struct traffic *t, const struct part *part)
{
	void *p = mmap(part->addr, part->len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p == MAP_FAILED)
		ck_abort_msg("mmap of %zu pages: %s", part->count, strerror(errno));
	madvise(part->addr, part->len, t->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* The hole is there, and stays for a while. */
static void keep_shut(struct traffic *t, const struct part *part, enum traffic_shut shut)
{
	traffic_shut(t, part->first, part->count, shut);
	rig_sleep(1e-3);
	traffic_shut(t, part->first, part->count, TRAFFIC_OPEN);
}

static void event_unmap(struct traffic *t, const struct part *part)
{
	begin(t, part, true);
	/*
	 * An inaccessible mapping takes the place as soon as the pages are gone. Between the two calls
	 * nobody may make another: a queue pair's would be put right there, under the region.
	 */
	pthread_mutex_lock(&traffic_maps);
	if (munmap(part->addr, part->len))
		ck_abort_msg("munmap of %zu pages: %s", part->count, strerror(errno));
	if (mmap(part->addr, part->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0) != part->addr)
		ck_abort_msg("the hole was taken by another mapping: %s", strerror(errno));
	pthread_mutex_unlock(&traffic_maps);
	keep_shut(t, part, TRAFFIC_SHUT);
	map_again(t, part);
	end(t, part, true);
}

static void event_protect(struct traffic *t, const struct part *part, int prot)
{
	begin(t, part, true);
	if (mprotect(part->addr, part->len, prot))
		ck_abort_msg("mprotect of %zu pages: %s", part->count, strerror(errno));
	keep_shut(t, part, prot == PROT_NONE ? TRAFFIC_SHUT : TRAFFIC_SHUT_WRITES);
	if (mprotect(part->addr, part->len, PROT_READ | PROT_WRITE))
		ck_abort_msg("mprotect of %zu pages: %s", part->count, strerror(errno));
	end(t, part, true);
}

static void drop(struct traffic *t, const struct part *part, enum traffic_event event)
{
	begin(t, part, false);
	if (event == EVENT_DONTNEED)
		must_madvise(part, MADV_DONTNEED, "MADV_DONTNEED");
	else
		map_again(t, part);
	end(t, part, false);
}

void traffic_event(struct traffic *t, enum traffic_event event, struct rig_rand *rnd)
{
	struct part part = choose_part(t, rnd, event == EVENT_PAGEOUT ? 128 : 32);

	pthread_mutex_lock(&t->one_event);
	traffic_aim(t, part.first, part.count);
	switch (event) {
	case EVENT_FORK:
		event_fork(t, rnd);
		break;
	case EVENT_PAGEOUT:
		must_madvise(&part, MADV_PAGEOUT, "MADV_PAGEOUT");
		break;
	case EVENT_FREE:
		event_free(t, &part);
		break;
	case EVENT_UNMAP:
		event_unmap(t, &part);
		break;
	case EVENT_PROTECT:
		event_protect(t, &part, PROT_READ);
		break;
	case EVENT_NONE:
		event_protect(t, &part, PROT_NONE);
		break;
	default:
		drop(t, &part, event);
	}
	pthread_mutex_unlock(&t->one_event);
	atomic_fetch_add(&t->events[event], 1);
}
