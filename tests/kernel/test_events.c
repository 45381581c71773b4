// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What happens to memory under an ODP region, idle: the event comes between two accesses. Rows of
 * the table of events: 1 munmap, 4 dropped pages, 6 protection, 7 fork, 15 swap. Each with 4 KiB
 * pages (loop 0) and with huge pages (loop 1). test_events_load.c has the same under load, and
 * test_owner.c row 9, the end of the owner.
 */
#include <sys/wait.h>

#include "disk.h"
#include "stage.h"

#define KIB	1024ul
#define MIB	(1024 * KIB)

static struct stage s;

static void teardown(void)
{
	stage_close(&s);
	rig_swap_off();
	disk_swap_off();
}

#define OPEN() do {										\
	if (!stage_open(&s, _i))								\
		RIG_SKIP("the device has no on-demand paging");					\
	stage_works(&s, 0, s.len, "before");							\
} while (0)

static void map_at(size_t at, size_t len)
{
	void *p = mmap(s.mem + at, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_msg(p == s.mem + at, "mmap of the hole: %s", strerror(errno));
	madvise(p, len, s.huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* ------------------------------------------------------------------ row 1 */

struct hole {
	size_t at;
	size_t len;
};

static const struct hole hole[] = {
	{ 0, STAGE_LEN },				/* everything */
	{ 0, 64 * KIB },				/* the beginning */
	{ STAGE_LEN - 64 * KIB, 64 * KIB },		/* the end */
	{ MIB + 4 * KIB, 4 * KIB },			/* one page */
	{ 2 * MIB - 32 * KIB, 64 * KIB },		/* across two huge pages */
};

#define HOLES	(sizeof(hole) / sizeof(hole[0]))

static void unmap_and_back(struct hole h)
{
	uint32_t len = (uint32_t)(h.len < STAGE_WAY ? h.len : STAGE_WAY);
	bool before = h.at > 0, behind = h.at + h.len < s.len;

	stage_works(&s, h.at, h.len, "before munmap");
	stage_ghost(&s, h.at, len);
	stage_mark(&s);
	ck_assert_int_eq(munmap(s.mem + h.at, h.len), 0);
	ck_assert_msg(stage_invalidated(&s), "munmap was not heard");
	stage_refused(&s, h.at, 100, false, "in the hole, its first bytes");
	stage_refused(&s, h.at + h.len - 100, 100, false, "in the hole, its last bytes");
	if (before) {
		stage_refused(&s, h.at - 50, 100, false, "into the hole");
		stage_works(&s, h.at - 4096, 4096, "right before the hole");
	}
	if (behind)
		stage_works(&s, h.at + h.len, 4096, "right behind the hole");
	map_at(h.at, h.len);
	stage_ghost_is_gone(&s, "mapped again");
	stage_works(&s, h.at, h.len, "mapped again");
	ck_assert_int_eq(rig_diff_byte(s.mem + h.at, 0, 0), -1);
}

START_TEST(row_1_munmap)
{
	size_t i;

	OPEN();
	for (i = 0; i < HOLES; i++)
		unmap_and_back(hole[i]);
}
END_TEST

/* Mapped again before anybody looks: the fresh page must be found, and it is zero. */
START_TEST(row_1_munmap_and_mmap)
{
	size_t i;

	OPEN();
	for (i = 0; i < HOLES; i++) {
		uint32_t len = (uint32_t)(hole[i].len < STAGE_WAY ? hole[i].len : STAGE_WAY);

		stage_works(&s, hole[i].at, hole[i].len, "before");
		stage_ghost(&s, hole[i].at, len);
		stage_mark(&s);
		munmap(s.mem + hole[i].at, hole[i].len);
		map_at(hole[i].at, hole[i].len);
		ck_assert_msg(stage_invalidated(&s), "munmap was not heard");
		stage_reads(&s, hole[i].at, len, "fresh");
		ck_assert_int_eq(rig_diff_byte(s.buf + STAGE_WAY, len, 0), -1);
		stage_ghost_is_gone(&s, "fresh");
	}
}
END_TEST

/* Never touched: nobody has asked to hear of it. */
START_TEST(row_1_untouched_is_silent)
{
	struct rig_mr *far;
	uint8_t *mem;

	OPEN();
	mem = rig_map(64 * MIB, 64 * MIB, RIG_ANON);
	far = rig_reg(s.rig, mem, 64 * MIB, RIG_IOVA_SAME, RIG_RW, true);
	mem[0] = 1;
	stage_mark(&s);
	munmap(mem, 64 * MIB);
	if (s.invalidations >= 0)
		ck_assert_msg(!stage_invalidated(&s), "an untouched region heard of munmap");
	rig_dereg(far);
}
END_TEST

/* ------------------------------------------------------------------ row 4 */

START_TEST(row_4_dontneed)
{
	size_t i;

	OPEN();
	for (i = 0; i < HOLES; i++) {
		uint32_t len = (uint32_t)(hole[i].len < STAGE_WAY ? hole[i].len : STAGE_WAY);

		stage_works(&s, hole[i].at, hole[i].len, "before");
		stage_ghost(&s, hole[i].at, len);
		stage_mark(&s);
		ck_assert_int_eq(madvise(s.mem + hole[i].at, hole[i].len, MADV_DONTNEED), 0);
		ck_assert_msg(stage_invalidated(&s), "MADV_DONTNEED was not heard");
		stage_reads(&s, hole[i].at, len, "dropped");
		ck_assert_int_eq(rig_diff_byte(s.buf + STAGE_WAY, len, 0), -1);
		stage_ghost_is_gone(&s, "dropped");
		stage_works(&s, hole[i].at, hole[i].len, "dropped");
	}
}
END_TEST

/* Freed: the old contents or zeros, until the first write, which stays. */
START_TEST(row_4_free)
{
	const size_t at = 512 * KIB, len = 128 * KIB;
	char why[200];
	int i;

	OPEN();
	if (!rig_swap_on(64 * MIB, why, sizeof(why)))
		RIG_SKIP(why);
	rig_dmesg_mark();
	for (i = 0; i < 5; i++) {
		stage_works(&s, at, len, "before");
		stage_mark(&s);
		ck_assert_int_eq(madvise(s.mem + at, len, MADV_FREE), 0);
		ck_assert_msg(stage_invalidated(&s), "MADV_FREE was not heard");
		stage_writes(&s, at, 60 * KIB, "freed");
		madvise(s.mem + at, len, MADV_PAGEOUT);
		/* stage_writes() ends with a receive of this pattern and an addition to a word. */
		rig_expect(s.mem + at + 8, 60 * KIB - 8, s.nonce, 8, "written after MADV_FREE");
		stage_works(&s, at, len, "freed");
	}
}
END_TEST

/* Memory of somebody else, filled, to be given what was freed; checked after. */
static void others_take_it(uint8_t *mem, size_t len, uint64_t seed)
{
	rig_fill(mem, len, seed, 0);
}

static void swap_cycle(size_t at, size_t len)
{
	uint8_t *copy = malloc(len), *others = rig_map(len, 0, RIG_ANON);
	double end = rig_now() + 20 * rig_pace();

	stage_works(&s, at, len, "before");
	memcpy(copy, s.mem + at, len);
	stage_mark(&s);
	do {
		ck_assert_int_eq(madvise(s.mem + at, len, MADV_PAGEOUT), 0);
	} while (!rig_swapped(s.mem + at, len) && rig_now() < end);
	ck_assert_msg(rig_swapped(s.mem + at, len), "MADV_PAGEOUT swaps nothing out");
	ck_assert_msg(stage_invalidated(&s), "swapping out was not heard");
	others_take_it(others, len, 77);
	/* The first accesses bring the pages back, by reading and by writing. */
	stage_reads(&s, at, (uint32_t)STAGE_WAY / 2, "swapped out");
	ck_assert_msg(!memcmp(copy, s.mem + at, len), "the contents changed");
	madvise(s.mem + at, len, MADV_PAGEOUT);
	stage_writes(&s, at, (uint32_t)STAGE_WAY / 2, "swapped out again");
	stage_works(&s, at, len, "swapped in");
	rig_expect(others, len, 77, 0, "whoever has the pages now");
	free(copy);
	rig_unmap(others, len);
}

START_TEST(row_4_and_15_swap_on_zram)
{
	char why[200];
	int i;

	OPEN();
	if (!rig_swap_on(64 * MIB, why, sizeof(why)))
		RIG_SKIP(why);
	rig_dmesg_mark();
	for (i = 0; i < 4; i++)
		swap_cycle(i * 512 * KIB, 256 * KIB);
	swap_cycle(0, s.len);
}
END_TEST

START_TEST(row_15_swap_on_a_disk)
{
	char why[200];
	int i;

	OPEN();
	if (!disk_swap_on(16 * MIB, why, sizeof(why)))
		RIG_SKIP(why);
	rig_dmesg_mark();
	for (i = 0; i < 4; i++)
		swap_cycle(i * 512 * KIB, 256 * KIB);
	swap_cycle(0, s.len);
}
END_TEST

/* ------------------------------------------------------------------ row 6 */

static void protect(size_t at, size_t len, int prot)
{
	stage_mark(&s);
	ck_assert_int_eq(mprotect(s.mem + at, len, prot), 0);
	if (prot != (PROT_READ | PROT_WRITE))
		ck_assert_msg(stage_invalidated(&s), "mprotect was not heard");
}

START_TEST(row_6_mprotect)
{
	const size_t at = 2 * MIB - 16 * KIB, len = 32 * KIB;
	int i;

	OPEN();
	for (i = 0; i < 3; i++) {
		stage_works(&s, at, len, "before");
		protect(at, len, PROT_READ);
		stage_refused(&s, at + 10, 100, true, "read-only");
		stage_reads(&s, at, len, "read-only");
		stage_works(&s, at - 4096, 4096, "before what is read-only");
		stage_works(&s, at + len, 4096, "behind what is read-only");
		protect(at, len, PROT_READ | PROT_WRITE);
		stage_works(&s, at, len, "writable again");
		protect(at, len, PROT_NONE);
		stage_refused(&s, at + 10, 100, false, "no access");
		stage_refused(&s, at + len - 4, 8, false, "from no access to some");
		protect(at, len, PROT_READ | PROT_WRITE);
		stage_works(&s, at, len, "writable again");
	}
}
END_TEST

/* ------------------------------------------------------------------ row 7 */

/* A child that looks at a piece, and writes to it, when it is told to through a pipe. */
struct child {
	pid_t pid;
	int go[2];
	int done[2];
	size_t at;
	size_t len;
};

static void child_main(struct child *c, uint64_t seed)
{
	uint8_t answer;
	char order;

	while (read(c->go[0], &order, 1) == 1) {
		answer = 0;
		if (order == 'w')
			rig_fill(s.mem + c->at, c->len, seed, 0);
		else
			answer = rig_diff(s.mem + c->at, c->len, seed, 0) >= 0;
		if (write(c->done[1], &answer, 1) != 1)
			break;
	}
	_exit(0);
}

static void fork_child(struct child *c, size_t at, size_t len, uint64_t seed)
{
	c->at = at;
	c->len = len;
	ck_assert_int_eq(pipe(c->go), 0);
	ck_assert_int_eq(pipe(c->done), 0);
	stage_mark(&s);
	c->pid = fork();
	ck_assert_int_ge(c->pid, 0);
	if (!c->pid) {
		close(c->go[1]);
		child_main(c, seed);
	}
	ck_assert_msg(stage_invalidated(&s), "fork was not heard");
}

static bool child_does(struct child *c, char order)
{
	uint8_t answer = 1;

	ck_assert_int_eq(write(c->go[1], &order, 1), 1);
	ck_assert_int_eq(read(c->done[0], &answer, 1), 1);
	return !answer;
}

static void end_child(struct child *c)
{
	close(c->go[1]);
	waitpid(c->pid, NULL, 0);
	close(c->go[0]);
	close(c->done[0]);
	close(c->done[1]);
}

/* RDMA writes to the parent after a fork: the child keeps what was there when it was born. */
START_TEST(row_7_remote_writes_stay_in_the_parent)
{
	const size_t at = 100 * KIB, len = 64 * KIB;
	struct child c;
	int i;

	OPEN();
	for (i = 0; i < 4; i++) {
		rig_fill(s.mem + at, len, 50 + i, 0);
		stage_reads(&s, at, len, "before the fork");
		fork_child(&c, at, len, 50 + i);
		stage_writes(&s, at, len / 2, "forked");
		ck_assert_msg(child_does(&c, 'c'), "a child saw what was written to its parent");
		stage_reads(&s, at, len, "forked");
		stage_writes(&s, at, len, "forked");
		ck_assert_msg(child_does(&c, 'c'), "a child saw what was written to its parent");
		end_child(&c);
		stage_works(&s, at, len, "the child has exited");
	}
}
END_TEST

/* The child writes: the parent, and its RDMA, keep what they had. */
START_TEST(row_7_child_writes)
{
	const size_t at = 2 * MIB - 32 * KIB, len = 64 * KIB;
	struct child c;
	int i;

	OPEN();
	for (i = 0; i < 4; i++) {
		rig_fill(s.mem + at, len, 50 + i, 0);
		stage_reads(&s, at, len, "before the fork");
		fork_child(&c, at, len, 90 + i);
		child_does(&c, 'w');
		rig_expect(s.mem + at, len, 50 + i, 0, "the parent after its child wrote");
		stage_reads(&s, at, len, "the child has written");
		stage_writes(&s, at, len, "the child has written");
		ck_assert_msg(child_does(&c, 'c'), "a child saw what was written to its parent");
		end_child(&c);
		stage_works(&s, at, len, "the child has exited");
	}
}
END_TEST

/* The parent's CPU writes first and breaks the sharing: RDMA must find the parent's new page. */
START_TEST(row_7_parent_writes)
{
	const size_t at = 300 * KIB, len = 64 * KIB;
	struct child c;
	int i;

	OPEN();
	for (i = 0; i < 4; i++) {
		rig_fill(s.mem + at, len, 50 + i, 0);
		stage_works(&s, at + len, len, "before the fork");
		fork_child(&c, at, len, 50 + i);
		stage_reads(&s, at, len, "forked");
		rig_fill(s.mem + at, len, 70 + i, 0);
		stage_reads(&s, at, len, "the parent has written");
		ck_assert_msg(child_does(&c, 'c'), "a child saw what its parent wrote");
		child_does(&c, 'w');
		end_child(&c);
		rig_expect(s.mem + at, len, 70 + i, 0, "the parent");
		stage_works(&s, at, len, "the child has exited");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("events");
	TCase *tc = rig_tcase(suite, "events", 0);

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, row_1_munmap, 0, 2);
	tcase_add_loop_test(tc, row_1_munmap_and_mmap, 0, 2);
	tcase_add_loop_test(tc, row_1_untouched_is_silent, 0, 2);
	tcase_add_loop_test(tc, row_4_dontneed, 0, 2);
	tcase_add_loop_test(tc, row_4_free, 0, 2);
	tcase_add_loop_test(tc, row_4_and_15_swap_on_zram, 0, 2);
	tcase_add_loop_test(tc, row_15_swap_on_a_disk, 0, 2);
	tcase_add_loop_test(tc, row_6_mprotect, 0, 2);
	tcase_add_loop_test(tc, row_7_remote_writes_stay_in_the_parent, 0, 2);
	tcase_add_loop_test(tc, row_7_child_writes, 0, 2);
	tcase_add_loop_test(tc, row_7_parent_writes, 0, 2);
	return rig_main(&suite, 1);
}
