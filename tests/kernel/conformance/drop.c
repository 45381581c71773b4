// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Row 4: pages that are dropped, pushed out, brought in or guarded by madvise. */
#include <fcntl.h>

#include "scene.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define SWAP	(128 * MIB)

static void must_madvise(struct scene *s, size_t at, size_t len, int advice, const char *name)
{
	int err = scene_madvise(s, at, len, advice, name);

	ck_assert_msg(!err, "madvise(%s) of %zu KiB at %#zx: %s", name, len / KIB, at,
		      strerror(err));
}

void cause_dontneed(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_DONTNEED, "MADV_DONTNEED");
}

static bool ready_locked(struct scene *s)
{
	if (mlock(s->mem, s->len))
		return scene_skip(s, "mlock of %zu KiB: %s", s->len / KIB, strerror(errno));
	return true;
}

static void cause_dontneed_locked(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_DONTNEED_LOCKED, "MADV_DONTNEED_LOCKED");
}

bool prepare_swap(struct scene *s)
{
	return machine_swap(s, SWAP);
}

/*
 * Freed lazily, and the memory is asked for at once: until somebody writes, a page has either the old
 * bytes or zeros (the kernel need not get at each); a touch by the CPU ends that, and what it sees is it.
 */
static void cause_free(struct scene *s, size_t at, size_t len)
{
	size_t i;

	must_madvise(s, at, len, MADV_FREE, "MADV_FREE");
	rig_sleep(1e-3);
	must_madvise(s, at, len, MADV_PAGEOUT, "MADV_PAGEOUT");
	for (i = 0; i < len; i += RIG_PAGE)
		__atomic_fetch_or(&s->mem[at + i], 0, __ATOMIC_SEQ_CST);
}

/* What is written after MADV_FREE is not lost when the memory is asked for. Idle only. */
static void cause_free_written(struct scene *s, size_t at, size_t len)
{
	uint32_t n = (uint32_t)(len < STAGE_WAY / 2 ? len : STAGE_WAY / 2);
	uint8_t *copy = malloc(n);

	must_madvise(s, at, len, MADV_FREE, "MADV_FREE");
	stage_writes(&s->stage, at, n, "after MADV_FREE");
	memcpy(copy, s->mem + at, n);
	must_madvise(s, at, len, MADV_PAGEOUT, "MADV_PAGEOUT");
	ck_assert_msg(!memcmp(copy, s->mem + at, s->whole && n > 4 * RIG_PAGE ? 4 * RIG_PAGE : n),
		      "what was written after MADV_FREE is lost");
	free(copy);
}

static void cause_remove(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_REMOVE, "MADV_REMOVE");
}

void cause_pageout(struct scene *s, size_t at, size_t len)
{
	double end = rig_now() + 20;

	do {
		must_madvise(s, at, len, MADV_PAGEOUT, "MADV_PAGEOUT");
	} while (!s->loaded && !rig_swapped(s->mem + at, len) && rig_now() < end);
	ck_assert_msg(s->loaded || rig_swapped(s->mem + at, len), "MADV_PAGEOUT swaps nothing out");
}

static void cause_cold(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_COLD, "MADV_COLD");
}

static void cause_willneed(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_PAGEOUT, "MADV_PAGEOUT");
	must_madvise(s, at, len, MADV_WILLNEED, "MADV_WILLNEED");
}

static void cause_populate(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_POPULATE_READ, "MADV_POPULATE_READ");
	must_madvise(s, at, len, MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE");
}

static void cause_drop_populate(struct scene *s, size_t at, size_t len)
{
	cause_dontneed(s, at, len);
	cause_populate(s, at, len);
}

static bool ready_guard(struct scene *s)
{
	if (madvise(s->mem, RIG_PAGE, MADV_GUARD_INSTALL))
		return scene_skip(s, "the kernel has no guard pages (MADV_GUARD_INSTALL: %s)",
				  strerror(errno));
	must_madvise(s, 0, RIG_PAGE, MADV_GUARD_REMOVE, "MADV_GUARD_REMOVE");
	rig_fill(s->mem, RIG_PAGE, 1, 0);
	return true;
}

static void cause_guard(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_GUARD_INSTALL, "MADV_GUARD_INSTALL");
}

static void restore_guard(struct scene *s, size_t at, size_t len)
{
	must_madvise(s, at, len, MADV_GUARD_REMOVE, "MADV_GUARD_REMOVE");
}


const struct row drop_rows[] = {
	{ 4, "dontneed", "MADV_DONTNEED", "clear", PAGES_SMALL, ON_ANON, ZEROS, ROW_PIN,
	  .cause = cause_dontneed },
	{ 4, "dontneed-shared", "MADV_DONTNEED of a shared mapping", "clear", PAGES_SMALL, ON_MEMFD,
	  KEPT, 0, .cause = cause_dontneed },
	{ 4, "dontneed-private-file", "MADV_DONTNEED of a private file mapping", "clear", PAGES_4K,
	  ON_PRIVATE, ZEROS, ROW_PIN, .cause = cause_dontneed },
	{ 4, "dontneed-locked", "MADV_DONTNEED_LOCKED of locked memory", "clear", PAGES_SMALL,
	  ON_ANON, ZEROS, ROW_PIN, .ready = ready_locked, .cause = cause_dontneed_locked },
	{ 4, "free", "MADV_FREE, then MADV_PAGEOUT", "clear", PAGES_SMALL, ON_ANON, CHANGED,
	  ROW_REUSE, .prepare = prepare_swap, .cause = cause_free },
	{ 4, "free-written", "MADV_FREE, written, then MADV_PAGEOUT", "clear", PAGES_SMALL, ON_ANON,
	  CHANGED, ROW_NO_LOAD, .prepare = prepare_swap, .cause = cause_free_written },
	{ 4, "remove", "MADV_REMOVE of a shared mapping", "clear|unmap", PAGES_ANY, ON_MEMFD, ZEROS,
	  ROW_PIN | ROW_HUGE_UNIT, .cause = cause_remove },
	{ 4, "pageout", "MADV_PAGEOUT", "clear", PAGES_SMALL, ON_ANON, KEPT, ROW_REUSE,
	  .prepare = prepare_swap, .cause = cause_pageout },
	{ 4, "cold", "MADV_COLD", NULL, PAGES_SMALL, ON_ANON, KEPT, 0, .cause = cause_cold },
	{ 4, "willneed", "MADV_PAGEOUT, MADV_WILLNEED", "clear", PAGES_SMALL, ON_ANON, KEPT,
	  ROW_REUSE, .prepare = prepare_swap, .cause = cause_willneed },
	{ 4, "populate", "MADV_POPULATE_READ and _WRITE of what is there", "", PAGES_ANY, ON_ANON,
	  KEPT, 0, .cause = cause_populate },
	{ 4, "drop-populate", "MADV_DONTNEED, MADV_POPULATE_*", "clear", PAGES_ANY, ON_ANON, ZEROS,
	  ROW_PIN, .cause = cause_drop_populate },
	{ 4, "guard", "MADV_GUARD_INSTALL and _REMOVE", "clear", PAGES_SMALL, ON_ANON, GONE,
	  ROW_PIN | ROW_ZERO_AFTER, .ready = ready_guard, .cause = cause_guard,
	  .restore = restore_guard },
	{ 0 }
};
