// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What is explored.  An actor that sees what must not be calls stub_bug(). */
#include <limits.h>
#include <stdio.h>

#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "explore.h"
#include "world.h"

#define ARENA	(1UL << 40)
#define MIB	(1UL << 20)

static struct odp_region *region;
static bool flag;		/* what one actor tells the others */
static int result;
static unsigned long started;	/* jiffies; only time that passes moves them */

static void expect(bool ok, const char *what)
{
	if (!ok)
		stub_bug("wrong result", what);
}

static int peek(unsigned long va)
{
	unsigned char byte;
	int ret = world_read(region, va, &byte, 1);

	return ret ? ret : byte;
}

static int poke(unsigned long va, unsigned char value)
{
	return world_write(region, va, &value, 1);
}

static int cpu_peek(unsigned long va)
{
	unsigned char byte;
	int ret = stub_user_copy(world_mm, va, &byte, 1, false);

	return ret ? ret : byte;
}

static void cpu_poke(unsigned long va, unsigned char value)
{
	expect(!stub_user_copy(world_mm, va, &value, 1, true), "owner writes");
}

/* Set-ups */

static void set_up_flags(unsigned int flags)
{
	flag = false;
	result = 12345;
	started = jiffies;
	stub_mmap(world_mm, ARENA, ARENA + 2 * MIB, flags);
	region = world_region(ARENA, 2 * MIB, true);
}

static void set_up_mapped(void)
{
	set_up_flags(STUB_RW);
	cpu_poke(ARENA, 1);
}

static void set_up_present(void)
{
	set_up_mapped();
	expect(poke(ARENA, 1) == 0, "set up");
}

/* Translated by a read after it came back from swap: writable and clean. */
static void set_up_clean(void)
{
	set_up_mapped();
	expect(stub_swap_out(world_mm, ARENA), "set up");
	expect(peek(ARENA) == 1, "set up");
}

static void set_up_emptied(void)
{
	set_up_present();
	expect(stub_migrate(world_mm, ARENA), "set up");
}

/* The page is mapped, its window is there: the short way. */
static void set_up_short(void)
{
	set_up_mapped();
	expect(poke(ARENA + PAGE_SIZE, 4) == 0, "set up");
}

/* The window before this one is there, and will be busy. */
static void set_up_border(void)
{
	flag = false;
	started = jiffies;
	stub_mmap(world_mm, ARENA - PAGE_SIZE, ARENA + PAGE_SIZE, STUB_RW);
	region = world_region(ARENA - MIB, 2 * MIB, true);
	expect(poke(ARENA - 1, 4) == 0, "set up");
	cpu_poke(ARENA, 1);
}

/* A write to the zero page copies it in the caller's context; its neighbour is mapped. */
static void set_up_copy(void)
{
	set_up_flags(STUB_RW);
	expect(peek(ARENA) == 0, "set up");
	cpu_poke(ARENA + PAGE_SIZE, 1);
}

static void set_up_untouched(void)
{
	set_up_flags(STUB_RW);
}

static void set_up_slow(void)
{
	set_up_flags(STUB_RW | STUB_UFFD);
}

static void set_up_huge(void)
{
	set_up_flags(STUB_RW | STUB_THP);
	cpu_poke(ARENA + 7 * PAGE_SIZE, 1);
	expect(peek(ARENA + 7 * PAGE_SIZE) == 1, "set up");
}

/* Actors */

static void read_one(void *unused)
{
	expect(peek(ARENA) == 1, "a read saw neither page");
}

static void write_two(void *unused)
{
	expect(poke(ARENA, 2) == 0, "a write failed");
}

static void write_three(void *unused)
{
	expect(poke(ARENA + 1, 3) == 0, "a write failed");
}

static void write_next_page(void *unused)
{
	expect(poke(ARENA + PAGE_SIZE, 4) == 0, "a write failed");
}

static void write_huge(void *unused)
{
	expect(poke(ARENA + 7 * PAGE_SIZE, 2) == 0, "a write failed");
}

static void add_one(void *unused)
{
	u64 orig;

	expect(!world_fetch_add64(region, ARENA + 8, 1, &orig),
	       "an atomic failed");
}

static void migrate(void *unused)
{
	stub_migrate(world_mm, ARENA);
}

/* One request for both pages, so that nothing comes between copy and look. */
static void write_over_border(void *unused)
{
	expect(world_write(region, ARENA + PAGE_SIZE - 1, "\2\1", 2) == 0,
	       "a write failed");
}

static void migrate_next(void *unused)
{
	stub_migrate(world_mm, ARENA + PAGE_SIZE);
}

static void migrate_twice(void *unused)
{
	stub_migrate(world_mm, ARENA);
	stub_migrate(world_mm, ARENA);
}

static void swap_out(void *unused)
{
	stub_swap_out(world_mm, ARENA);
}

static void clean(void *unused)
{
	stub_clean(world_mm, ARENA);
}

static void split_and_migrate(void *unused)
{
	stub_split(world_mm, ARENA);
	stub_migrate(world_mm, ARENA + 7 * PAGE_SIZE);
}

static void time_passes(void *unused)
{
	stub_advance(HZ + 1);
	stub_point("time passes");
}

static void unmap(void *unused)
{
	stub_munmap(world_mm, ARENA, ARENA + 2 * MIB);
}

static void replace(void *unused)
{
	stub_mmap(world_mm, ARENA, ARENA + 2 * MIB, STUB_RW);
	cpu_poke(ARENA, 9);
	flag = true;
}

static void drop(void *unused)
{
	stub_dontneed(world_mm, ARENA - PAGE_SIZE, ARENA + PAGE_SIZE);
	flag = true;
}

static void read_dropped(void *unused)
{
	bool dropped = flag;
	int v = peek(ARENA);

	expect(v == 0 || (v == 1 && !dropped), "a read saw a page that is gone");
}

static void owner_writes(void *unused)
{
	cpu_poke(ARENA, 9);
	flag = true;
}

static void read_either(void *unused)
{
	bool replaced = flag;
	int v = peek(ARENA);

	if (replaced)
		expect(v == 9, "a read after the new mapping saw the old one");
	else
		expect(v == 1 || v == 0 || v == 9 || v == -EFAULT,
		       "a read saw what never was there");
}

static void protect(void *unused)
{
	stub_mprotect(world_mm, ARENA, ARENA + 2 * MIB, STUB_READ);
	flag = true;
}

static void write_unless_protected(void *unused)
{
	bool protected = flag;

	result = poke(ARENA, 2);
	expect(result == 0 || result == -EFAULT, "a write failed");
	expect(!protected || result, "a write after mprotect was let through");
}

static void kill(void *unused)
{
	odp_region_kill(region);
	flag = true;
}

static void read_unless_killed(void *unused)
{
	bool killed = flag;
	int v = peek(ARENA);

	expect(v == 1 || v == -ESHUTDOWN, "a read failed");
	expect(!killed || v == -ESHUTDOWN, "a read after the end");
}

static void prefetch_till_killed(void *unused)
{
	result = odp_region_prefetch(region, ARENA, 1, 0);
	expect(result == -ESHUTDOWN && jiffies == started,
	       "the end does not wake who waits");
}

static bool result_known(void *unused)
{
	return result != 12345;
}

static void handle_late(void *unused)
{
	static const char page[4096];

	stub_big_wait(result_known, NULL, ULONG_MAX, "handler");
	stub_uffd_copy(world_mm, ARENA, page);
}

/* An invalidation that lasts until the reader has got its answer. */
static void invalidate_long(void *unused)
{
	stub_mn_start(world_mm, ARENA, ARENA + PAGE_SIZE, true);
	stub_big_wait(result_known, NULL, ULONG_MAX, "long invalidation");
	stub_mn_end(world_mm);
}

static void read_beside_kill(void *unused)
{
	int v = peek(ARENA);

	expect(v == 1 || v == -ESHUTDOWN, "a read failed");
	expect(jiffies == started, "the end does not wake who waits");
	result = v;
}

static void read_slow(void *unused)
{
	result = peek(ARENA);
	expect(result == 5, "a page that arrives is not seen");
	expect(jiffies == started, "a wake-up is lost");
}

static void prefetch_slow(void *unused)
{
	result = odp_region_prefetch(region, ARENA, 1, 0);
	expect(result == 0, "a page that arrives is not seen");
	expect(jiffies == started, "a wake-up is lost");
}

static void handle(void *unused)
{
	static const char page[4096] = { 5 };

	stub_uffd_copy(world_mm, ARENA, page);
}

static void prefetch_and_destroy(void *unused)
{
	expect(!odp_region_prefetch(region, ARENA, PAGE_SIZE,
				    ODP_PREFETCH_ASYNC), "prefetch");
	odp_region_destroy(region);
	region = NULL;
}

static void destroy(void *unused)
{
	odp_region_destroy(region);
	region = NULL;
}

static void prefetch(void *unused)
{
	expect(!odp_region_prefetch(region, ARENA, 2 * PAGE_SIZE,
				    ODP_PREFETCH_WRITE), "prefetch");
}

static void owner_exits(void *unused)
{
	mmput(world_mm);
	flag = true;
}

static void read_of_the_dead(void *unused)
{
	bool dead = flag;
	int v = peek(ARENA);

	expect(v == 1 || v == -ESRCH, "a read of an exiting owner");
	expect(!dead || v == -ESRCH, "a read after the owner's exit");
}

static void oom_reap(void *unused)
{
	stub_oom_reap(world_mm);
}

static void read_zero_or_one(void *unused)
{
	int v = peek(ARENA);

	expect(v == 0 || v == 1, "a read saw a page that is gone");
}

/*
 * Requests: whoever asks for one is told once, with the page there or an error,
 * and never after the region has been destroyed.
 */
static unsigned int told;
static bool destroyed;

static void tell(void *ctx, u64 arg, int ret)
{
	expect(ctx == &told && arg == 99, "somebody else is told");
	expect(!destroyed, "told after the end of the region");
	expect(++told == 1, "told twice");
	result = ret;
}

static const struct odp_notify told_to = { .fn = tell, .ctx = &told, .arg = 99 };

static void set_up_request(void)
{
	told = 0;
	destroyed = false;
	set_up_untouched();
}

static void set_up_request_slow(void)
{
	told = 0;
	destroyed = false;
	set_up_slow();
}

static void request(void *unused)
{
	int ret = odp_region_request(region, ARENA, 1, true, &told_to);

	expect(ret == -EINPROGRESS || ret == -ESHUTDOWN || ret == 0,
	       "a request fails");
	if (ret != -EINPROGRESS)
		told = 1;
}

static void request_and_look(void *unused)
{
	bool ready;

	request(NULL);
	stub_big_wait(result_known, NULL, ULONG_MAX, "told");
	expect(result == 0, "the page is there and it is not said");
	/* It may be gone again: only a hint, but one that may be asked for. */
	ready = odp_region_ready(region, ARENA, 1, true);
	expect(poke(ARENA, 2) == 0, "a write");
	(void)ready;
}

static void request_and_destroy(void *unused)
{
	request(NULL);
	odp_region_destroy(region);
	region = NULL;
	expect(told == 1, "nobody was told of the end");
	destroyed = true;
}

static void request_till_killed(void *unused)
{
	request(NULL);
	stub_big_wait(result_known, NULL, ULONG_MAX, "told");
	expect(result == -ESHUTDOWN && jiffies == started,
	       "the end does not tell who waits");
}

static void kill_when_asked(void *unused)
{
	while (!told && result == 12345 &&
	       !atomic_long_read(&odp_gauges.faults))
		stub_yield("asked");
	odp_region_kill(region);
	expect(told == 1, "killed, and nobody was told");
}

/* Ends */

static void finish(void);

static void finish_told(void)
{
	stub_run_all();
	expect(told == 1, "not told in the end");
	finish();
}

/* Whatever is empty in the end must go when time passes. */
static void finish(void)
{
	if (!region)
		return;
	stub_run_all();
	if (!odp_region_dead(region) && current->mm) {
		stub_oom_reap(world_mm);
		stub_advance(HZ + 1);
		stub_run_all();
		expect(!atomic_long_read(&odp_gauges.windows),
		       "an empty window is not reaped");
	}
	odp_region_destroy(region);
	stub_run_all();
}

static void finish_one(void)
{
	expect(cpu_peek(ARENA) == 1, "the owner sees something else");
	finish();
}

/* A last reclaim: what nobody called dirty is lost. */
static void finish_two(void)
{
	stub_swap_out(world_mm, ARENA);
	expect(cpu_peek(ARENA) == 2, "a write is lost");
	finish();
}

static void finish_two_three(void)
{
	stub_swap_out(world_mm, ARENA);
	expect(cpu_peek(ARENA) == 2 && cpu_peek(ARENA + 1) == 3,
	       "a write is lost");
	finish();
}

static void finish_two_pages(void)
{
	expect(cpu_peek(ARENA) == 2 && cpu_peek(ARENA + PAGE_SIZE) == 4,
	       "a write is lost");
	expect(atomic_long_read(&odp_gauges.windows) <= 1, "two windows");
	finish();
}

/* What was installed from a page on its way out would be seen here. */
static void finish_copy(void)
{
	expect(peek(ARENA + PAGE_SIZE) == 1, "a read saw neither page");
	expect(cpu_peek(ARENA + PAGE_SIZE - 1) == 2 &&
	       cpu_peek(ARENA + PAGE_SIZE) == 1, "a write is lost");
	finish();
}

static void finish_sum(void)
{
	expect(cpu_peek(ARENA + 8) == 2, "an addition is lost");
	finish();
}

static void finish_result(void)
{
	expect(cpu_peek(ARENA) == (result ? 1 : 2),
	       "what was written is not what was said");
	finish();
}

static void finish_huge(void)
{
	expect(cpu_peek(ARENA + 7 * PAGE_SIZE) == 2, "a write is lost");
	finish();
}

static void finish_exit(void)
{
	current->mm = NULL;
	finish();
}

const struct scenario scenarios[] = {
	{ "fault-migrate", 2,
	  "a first read; its page moves twice",
	  set_up_mapped, { { "read", read_one }, { "move", migrate_twice } },
	  finish_one },
	{ "copy-migrate", 2,
	  "a read of a translated page; its page moves",
	  set_up_present, { { "read", read_one }, { "move", migrate_twice } },
	  finish_one },
	{ "write-migrate", 2,
	  "a write to a translated page; its page moves",
	  set_up_present, { { "write", write_two }, { "move", migrate } },
	  finish_two },
	{ "fault-write-migrate", 2,
	  "a first write; its page moves",
	  set_up_mapped, { { "write", write_two }, { "move", migrate } },
	  finish_two },
	{ "write-reclaim", 2,
	  "a write through a clean entry; reclaim",
	  set_up_clean, { { "write", write_two }, { "reclaim", swap_out } },
	  finish_two },
	{ "write-clean", 1,
	  "two writes through a clean entry; writeback",
	  set_up_clean, { { "write", write_two }, { "write2", write_three },
			  { "clean", clean } },
	  finish_two_three },
	{ "read-replace", 2,
	  "a read; another mapping takes the place",
	  set_up_present, { { "read", read_either }, { "replace", replace } },
	  finish },
	{ "fault-replace", 2,
	  "a first read; another mapping takes the place",
	  set_up_mapped, { { "read", read_either }, { "replace", replace } },
	  finish },
	{ "short-migrate", 2,
	  "a read of a page that the owner has mapped; it moves",
	  set_up_short, { { "read", read_one }, { "move", migrate_twice } },
	  finish_one },
	{ "short-replace", 2,
	  "the same; another mapping takes the place",
	  set_up_short, { { "read", read_either }, { "replace", replace } },
	  finish },
	{ "copy-in-caller", 2,
	  "a write that copies in its own context; the next page moves",
	  set_up_copy, { { "write", write_over_border },
			 { "move", migrate_next } },
	  finish_copy },
	{ "window-born", 2,
	  "a window is made while its neighbour and it are invalidated",
	  set_up_border, { { "read", read_dropped }, { "drop", drop } },
	  finish },
	{ "zero-page", 2,
	  "a first read of untouched memory; the owner writes to it",
	  set_up_untouched, { { "read", read_either },
			      { "owner", owner_writes } },
	  finish },
	{ "write-protect", 2,
	  "a write; mprotect takes the right away",
	  set_up_present, { { "write", write_unless_protected },
			    { "protect", protect } },
	  finish_result },
	{ "fault-reap", 1,
	  "a read where the reaper is due; its page moves",
	  set_up_emptied, { { "read", read_one }, { "time", time_passes },
			    { "move", migrate } },
	  finish_one },
	{ "two-faults", 1,
	  "two first writes make one window",
	  set_up_mapped, { { "write", write_two },
			   { "write2", write_next_page } },
	  finish_two_pages },
	{ "atomics-migrate", 1,
	  "two additions to one word; its page moves",
	  set_up_present, { { "add", add_one }, { "add2", add_one },
			    { "move", migrate } },
	  finish_sum },
	{ "kill-access", 2,
	  "a read; the region ends",
	  set_up_present, { { "read", read_unless_killed }, { "kill", kill } },
	  finish_one },
	{ "kill-waiter", 1,
	  "a prefetch that waits for userfaultfd; the region ends",
	  set_up_slow, { { "prefetch", prefetch_till_killed }, { "kill", kill },
			 { "handler", handle_late } },
	  finish },
	{ "kill-invalidating", 1,
	  "a read during a long invalidation; the region ends",
	  set_up_short, { { "read", read_beside_kill }, { "kill", kill },
			  { "invalidate", invalidate_long } },
	  finish },
	{ "slow-page", 2,
	  "a read that waits for userfaultfd; the page arrives",
	  set_up_slow, { { "read", read_slow }, { "handler", handle } },
	  finish },
	{ "slow-prefetch", 2,
	  "a prefetch that waits for userfaultfd; the page arrives",
	  set_up_slow, { { "prefetch", prefetch_slow }, { "handler", handle } },
	  finish },
	{ "destroy-prefetch", 2,
	  "the region goes under a prefetch; the page moves",
	  set_up_mapped, { { "destroy", prefetch_and_destroy },
			   { "move", migrate } },
	  finish },
	{ "destroy-invalidate", 2,
	  "the region goes; so does its memory; the reaper",
	  set_up_present, { { "destroy", destroy }, { "unmap", unmap },
			    { "time", time_passes } },
	  finish },
	{ "destroy-reap", 2,
	  "the region goes; its reaper is due",
	  set_up_emptied, { { "destroy", destroy }, { "time", time_passes } },
	  finish },
	{ "prefetch-reap", 1,
	  "a prefetch where the reaper is due; the page moves",
	  set_up_emptied, { { "prefetch", prefetch }, { "time", time_passes },
			    { "move", migrate } },
	  finish },
	{ "owner-exits", 2,
	  "a read; its owner exits",
	  set_up_present, { { "read", read_of_the_dead },
			    { "exit", owner_exits } },
	  finish_exit },
	{ "owner-exits-fault", 2,
	  "a first read; its owner exits",
	  set_up_mapped, { { "read", read_of_the_dead },
			   { "exit", owner_exits } },
	  finish_exit },
	{ "request-migrate", 2,
	  "a request; its page moves when it is there; then a write",
	  set_up_request, { { "request", request_and_look },
			    { "move", migrate } },
	  finish_told },
	{ "request-kill", 1,
	  "a request for a page of userfaultfd's; the region ends",
	  set_up_request_slow, { { "request", request_till_killed },
				 { "kill", kill_when_asked },
				 { "handler", handle_late } },
	  finish_told },
	{ "request-destroy", 2,
	  "the region goes under a request; the page arrives",
	  set_up_request_slow, { { "destroy", request_and_destroy },
				 { "handler", handle } },
	  finish_told },
	{ "oom", 2,
	  "a read; the OOM reaper takes all",
	  set_up_present, { { "read", read_zero_or_one },
			    { "oom", oom_reap } },
	  finish },
	{ "huge-split", 1,
	  "a write to a huge page that is split and moved",
	  set_up_huge, { { "write", write_huge },
			 { "split", split_and_migrate } },
	  finish_huge },
};

const unsigned int scenarios_n = sizeof(scenarios) / sizeof(scenarios[0]);
