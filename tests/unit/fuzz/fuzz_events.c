// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * libFuzzer: sequences of events against a model of bytes
 *
 * The input is a list of three-byte instructions.  The model knows what every
 * byte of a few pages is, and what may be done to every page; after each
 * instruction the engine's answer must be the model's.  What is queued in the
 * background runs when the input says so, also in the middle of an access.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/sched.h>

#include "world.h"

#define MIB		(1UL << 20)
#define SMALL		12	/* pages around a window's border */
#define HUGE		4	/* pages within one huge page */
#define PAGES		(SMALL + HUGE)
#define REGIONS		2
#define ARENA		((1UL << 40) + 64 * MIB - SMALL / 2 * PAGE_SIZE)
#define ARENA_HUGE	((1UL << 40) + 256 * MIB)
#define BYTES		48	/* watched at either end of a page */

struct page_model {
	unsigned int flags;
	unsigned char byte[4096] __attribute__((aligned(8)));
};

static struct page_model model[PAGES];
static struct odp_region *region[REGIONS];
static bool writable[REGIONS];
static unsigned int switches;
static bool narrow;		/* only four pages: more happens to each */
static bool huge_touched;	/* looking at a huge page costs 2 MiB */

static void expect(bool ok, const char *what)
{
	if (!ok)
		stub_bug("the engine is not what the model holds", what);
}

static unsigned long page_va(unsigned int page)
{
	return page < SMALL ? ARENA + page * PAGE_SIZE :
			      ARENA_HUGE + (page - SMALL) * PAGE_SIZE;
}

/* Now and then let another task overtake, as the input's first byte says. */
static int choose(int n, bool free)
{
	switches = switches * 1103515245u + 12345u;
	return (switches >> 16) % 16 ? 0 : (switches >> 20) % n;
}

static unsigned int page_of(uint8_t byte)
{
	return narrow ? SMALL / 2 - 2 + byte % 4 : byte % PAGES;
}

/* A range of one or two pages, as three bytes say. */
struct span {
	unsigned int page;
	unsigned int offset;
	unsigned int len;
};

static struct span span_of(const uint8_t *in)
{
	struct span s = {
		.page = page_of(in[1]),
		.offset = in[2] & 1 ? 4096 - BYTES : in[2] % BYTES,
	};

	s.len = 1 + in[2] / 2 % BYTES;
	/* Over the end of the page, where the next is its neighbour. */
	if ((in[2] & 3) == 3 && s.page != SMALL - 1 && s.page != PAGES - 1)
		s.len += BYTES;
	else if (s.offset + s.len > 4096)
		s.len = 4096 - s.offset;
	return s;
}

static unsigned char *model_at(const struct span *s, unsigned int i)
{
	unsigned int at = s->offset + i;

	huge_touched |= s->page >= SMALL;
	return &model[s->page + at / 4096].byte[at % 4096];
}

static bool allowed(const struct span *s, unsigned int flags)
{
	unsigned int last = s->page + (s->offset + s->len - 1) / 4096;

	return (model[s->page].flags & flags) == flags &&
	       (model[last].flags & flags) == flags;
}

static unsigned long span_va(const struct span *s)
{
	return page_va(s->page) + s->offset;
}

/* What an access may answer when memory was failed or not. */
static void expect_status(int ret, bool allow)
{
	if (stub_fail_hits && ret == -ENOMEM)
		return;
	expect(ret == (allow ? 0 : -EFAULT), "status");
}

static void do_read(struct odp_region *r, const struct span *s)
{
	unsigned char buf[2 * BYTES + 1];
	unsigned int i;
	int ret;

	ret = r ? world_read(r, span_va(s), buf, s->len) :
		  stub_user_copy(world_mm, span_va(s), buf, s->len, false);
	expect_status(ret, allowed(s, STUB_READ));
	for (i = 0; !ret && i < s->len; i++)
		expect(buf[i] == *model_at(s, i), "bytes read");
}

/* After a write that failed, each byte is the old or the new one. */
static void settle(const struct span *s, unsigned char value)
{
	unsigned char byte;
	unsigned int i;

	stub_fail_nth = 0;
	for (i = 0; i < s->len; i++) {
		if (stub_user_copy(world_mm, span_va(s) + i, &byte, 1, false))
			continue;
		expect(byte == *model_at(s, i) || byte == value,
		       "bytes of a write that failed");
		*model_at(s, i) = byte;
	}
}

static void do_write(struct odp_region *r, const struct span *s,
		     unsigned char value)
{
	unsigned char buf[2 * BYTES + 1];
	unsigned int i;
	int ret;

	memset(buf, value, sizeof(buf));
	ret = r ? world_write(r, span_va(s), buf, s->len) :
		  stub_user_copy(world_mm, span_va(s), buf, s->len, true);
	expect_status(ret, allowed(s, STUB_RW));
	if (ret) {
		settle(s, value);
		return;
	}
	for (i = 0; i < s->len; i++)
		*model_at(s, i) = value;
}

static void do_add(struct odp_region *r, unsigned int page, u64 add)
{
	u64 orig, *word = (u64 *)model[page].byte;
	int ret;

	huge_touched |= page >= SMALL;
	ret = world_fetch_add64(r, page_va(page), add, &orig);
	expect_status(ret, (model[page].flags & STUB_RW) == STUB_RW);
	if (ret)
		return;
	expect(orig == *word, "the word before an addition");
	*word += add;
}

static void set_pages(unsigned int first, unsigned int n, unsigned int flags,
		      bool clear)
{
	for (; n && first < PAGES; n--, first++) {
		model[first].flags = flags;
		if (clear)
			memset(model[first].byte, 0, 4096);
	}
}

/* Mapping events come for one small page, or for all of the huge one. */
static void do_map(const uint8_t *in)
{
	unsigned int page = narrow ? page_of(in[1]) : in[1] % (SMALL + 1);
	unsigned int n = page == SMALL ? HUGE : 1;
	unsigned long start = page_va(page);
	unsigned long end = start + (n == 1 ? PAGE_SIZE : 2 * MIB);
	unsigned int thp = n == 1 ? 0 : STUB_THP;

	switch (in[2] % 5) {
	case 0:
		stub_munmap(world_mm, start, end);
		set_pages(page, n, 0, true);
		break;
	case 1:
		stub_mmap(world_mm, start, end, STUB_RW | thp);
		set_pages(page, n, STUB_RW, true);
		break;
	case 2:
		if (!model[page].flags)
			break;
		stub_mprotect(world_mm, start, end, STUB_READ | thp);
		set_pages(page, n, STUB_READ, false);
		break;
	case 3:
		if (!model[page].flags)
			break;
		stub_mprotect(world_mm, start, end, STUB_RW | thp);
		set_pages(page, n, STUB_RW, false);
		break;
	case 4:
		stub_dontneed(world_mm, start, end);
		set_pages(page, n, model[page].flags, true);
		break;
	}
}

static void do_event(const uint8_t *in)
{
	unsigned long va = page_va(page_of(in[1]));

	switch (in[2] % 6) {
	case 0:
		stub_migrate(world_mm, va);
		break;
	case 1:
		stub_swap_out(world_mm, va);
		break;
	case 2:
		stub_clean(world_mm, va);
		break;
	case 3:
		stub_split(world_mm, va);
		break;
	case 4:
		stub_advance(HZ + 1);
		stub_run_all();
		break;
	case 5:
		stub_run_all();
		break;
	}
}

static void do_region(const uint8_t *in)
{
	unsigned int i = in[1] % REGIONS;

	if (region[i]) {
		odp_region_destroy(region[i]);
		region[i] = NULL;
		return;
	}
	writable[i] = in[2] & 1;
	region[i] = in[2] & 2 ? world_region(0, TASK_SIZE, writable[i]) :
				world_region(ARENA, ARENA_HUGE + MIB - ARENA,
					     writable[i]);
}

static void do_prefetch(struct odp_region *r, bool may_write, const uint8_t *in)
{
	struct span s = span_of(in);
	unsigned int flags = in[1] >> 5;
	int ret = odp_region_prefetch(r, span_va(&s), s.len, flags);

	if (!may_write && (flags & ODP_PREFETCH_WRITE))
		expect(ret == -EACCES, "prefetch without the right");
	else if (flags & (ODP_PREFETCH_NO_FAULT | ODP_PREFETCH_ASYNC))
		expect(!ret || (stub_fail_hits && ret == -ENOMEM), "prefetch");
	else
		expect_status(ret, allowed(&s, flags & ODP_PREFETCH_WRITE ?
					       STUB_RW : STUB_READ));
}

static void do_access(const uint8_t *in)
{
	unsigned int i = in[0] >> 7;
	struct odp_region *r = region[i];
	struct span s = span_of(in);

	switch (in[0] % 4) {
	case 0:
		do_read(r, &s);
		break;
	case 1:
		if (r && !writable[i])
			expect(world_write(r, span_va(&s), "", 1) ==
			       -EACCES, "a write without the right");
		else
			do_write(r, &s, in[1] ^ in[2]);
		break;
	case 2:
		if (r && writable[i])
			do_add(r, page_of(in[1]), in[2]);
		break;
	case 3:
		if (r)
			do_prefetch(r, writable[i], in);
		break;
	}
}

static void step(const uint8_t *in)
{
	stub_fail_hits = 0;
	switch (in[0] / 4 % 8) {
	case 0:
		do_region(in);
		break;
	case 1:
		do_map(in);
		break;
	case 2:
	case 3:
		do_event(in);
		break;
	case 4:
		stub_fail_nth = 1 + in[2] % 8;
		do_access(in);
		break;
	default:
		do_access(in);
		break;
	}
	stub_fail_nth = 0;
}

/* In the end the owner must see the model. */
static void finish(void)
{
	struct span s = { .offset = 0, .len = BYTES };
	const char *left;
	unsigned int i;

	stub_fail_hits = 0;
	for (s.page = 0; s.page < (huge_touched ? PAGES : SMALL); s.page++)
		do_read(NULL, &s);
	stub_chooser = NULL;
	for (i = 0; i < REGIONS; i++) {
		if (region[i])
			odp_region_destroy(region[i]);
		region[i] = NULL;
	}
	left = world_down();
	if (left)
		stub_bug("leak", left);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/*
 * Random instructions are all valid, and what libFuzzer makes of short inputs
 * are mostly zeros: now and then begin, or go on, with random ones.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	size_t from;

	if (seed % 4)
		return LLVMFuzzerMutate(data, size, max);
	from = seed / 4 % 2 ? size : 0;
	for (; from < max; from++)
		data[from] = rand_r(&seed) >> 8;
	return max;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t make[3] = { 0, 0, 1 };
	size_t i;

	if (size < 4)
		return 0;
	memset(model, 0, sizeof(model));
	huge_touched = false;
	world_up();
	stub_mmap(world_mm, ARENA, ARENA + SMALL * PAGE_SIZE, STUB_RW);
	stub_mmap(world_mm, ARENA_HUGE, ARENA_HUGE + 2 * MIB,
		  STUB_RW | STUB_THP);
	set_pages(0, PAGES, STUB_RW, true);
	do_region(make);
	narrow = data[0] & 1;
	switches = data[0];
	stub_chooser = data[0] & 2 ? choose : NULL;
	for (i = 1; i + 3 <= size; i += 3)
		step(data + i);
	finish();
	return 0;
}
