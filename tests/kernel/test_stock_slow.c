// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Defects of the distribution's ODP in what must not wait and what must not be held: S5, S11 and
 * S12 of docs/stock-defects.md. CK_RUN_CASE=S5 runs one alone.
 *
 * A fault is made slow by swap on a disk with a delay. ODPREG_SLOW_SECONDS says how long; beyond
 * 50 the distribution's driver frees a region that is still in use, so that is for a guest of its
 * own.
 */
#include <signal.h>
#include <sys/wait.h>

#include "disk.h"
#include "reaper.h"
#include "rig.h"

#define MIB	(1ul << 20)
#define GIB	(1ul << 30)
#define TIB	(1ul << 40)
#define LEN	(8 * MIB)
#define COLD	(64 * RIG_PAGE)		/* the first of it are swapped out */
#define QUICK	3.0

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b;
static struct rig_mr *ma, *mb;
static double slow;
static char no_disk[200];

static double slow_seconds(void)
{
	const char *env = getenv("ODPREG_SLOW_SECONDS");

	return env ? atof(env) : 6;
}

static void setup(void)
{
	rig = rig_open(NULL);
	if (!rig_has_odp(rig))
		return;
	/* A hang is when nothing comes for long after the slow fault is over. */
	slow = slow_seconds();
	rig->deadline += 2 * (unsigned int)slow;
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(a, LEN, 1, 0);
	rig_fill(b, LEN, 2, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
}

/*
 * What was written out stays in the swap cache for a while. Mapped again from there it is clean,
 * and leaves for good the next time.
 */
static void push_out(uint8_t *mem, size_t len)
{
	double end = rig_now() + 20 * rig_pace();
	volatile uint8_t sink;
	size_t i;

	for (;;) {
		madvise(mem, len, MADV_PAGEOUT);
		if (!rig_in_core(mem, len))
			return;
		if (rig_now() > end)
			ck_abort_msg("MADV_PAGEOUT leaves %zu pages", rig_in_core(mem, len));
		rig_sleep(0.1);
		for (i = 0; i < len; i += RIG_PAGE)
			sink = mem[i];
	}
	(void)sink;
}

static void cold_setup(void)
{
	setup();
	no_disk[0] = '\0';
	if (!mb || !disk_swap_on(32 * MIB, no_disk, sizeof(no_disk)))
		return;
	push_out(b, COLD);
	rig_dmesg_mark();
	disk_delay(slow);
}

static void teardown(void)
{
	if (!ma)
		return;
	if (mb)
		rig_dereg(mb);
	rig_dereg(ma);
	rig_unpair(pair);
	rig_close(rig);
	rig_dmesg_clean();
}

static void cold_teardown(void)
{
	if (ma && !no_disk[0])
		disk_delay(0);
	teardown();
	disk_swap_off();
}

#define NEEDS_DISK() do {									\
	RIG_NEEDS_ODP(rig);									\
	if (no_disk[0])										\
		RIG_SKIP(no_disk);								\
} while (0)

/* ------------------------------------------------------------------ S5 */

static double timed_dereg(void)
{
	double start = rig_now();

	rig_dereg(mb);
	mb = NULL;
	start = rig_now() - start;
	printf("deregistration took %.3f s beside a fault of %.0f s\n", start, slow);
	return start;
}

/* New regions in place of the old one's memory, and data through them. */
static void use_what_was_freed(void)
{
	struct rig_mr *mr;
	int i;

	disk_delay(0);	/* waits for the commands under way */
	rig_reconnect(pair);
	for (i = 0; i < 50; i++) {
		mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
		RIG_OK(rig_write(pair, rig_at(ma, 0, 1000), rig_at(mr, COLD, 1000)));
		rig_expect(b + COLD, 1000, 1, 0, "after the slow fault");
		rig_dereg(mr);
	}
	rig_expect(b, COLD, 2, 0, "what was swapped out");
}

static void check_quick(double took)
{
	ck_assert_msg(took < QUICK, "deregistration took %.1f s beside a fault of %.0f s", took, slow);
}

static void post_cold(enum rig_verb verb)
{
	struct rig_span here = rig_at(verb == RIG_SEND ? mb : ma, 0, 64);
	struct rig_op op = { .verb = verb, .sg = &here, .nsg = 1 };
	struct rig_span there = rig_at(ma, 4096, 64);
	struct ibv_wc wc;

	if (verb == RIG_SEND)
		ck_assert_int_eq(rig_post_recv(pair, RIG_B, &there, 1, 0), 0);
	else
		op.remote = rig_at(mb, 0, 64);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	rig_sleep(1);
	if (rig_poll(pair->end[RIG_A].scq, &wc, 1))
		ck_abort_msg("the fault is not slow: %s", rig_status_name(wc.status));
}

/* _i: the fault is the responder's (write, read) or the requester's (send). */
START_TEST(test_s5_dereg_during_a_fault)
{
	const enum rig_verb verb[] = { RIG_WRITE, RIG_READ, RIG_SEND };
	struct ibv_wc wc;
	double took;

	NEEDS_DISK();
	post_cold(verb[_i]);
	took = timed_dereg();
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "what waited for the fault");
	if (took < QUICK)
		ck_assert_msg(wc.status != IBV_WC_SUCCESS, "%s by a region that is gone succeeded",
			      rig_verb_name(verb[_i]));
	use_what_was_freed();
	check_quick(took);
}
END_TEST

START_TEST(test_s5_dereg_during_a_prefetch)
{
	struct rig_span span;
	double took;
	int i;

	NEEDS_DISK();
	for (i = 0; i < 8; i++) {
		span = rig_at(mb, i * (COLD / 8), COLD / 8);
		ck_assert_int_eq(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, &span,
					    1), 0);
	}
	rig_sleep(1);
	took = timed_dereg();
	use_what_was_freed();
	check_quick(took);
}
END_TEST

/* ------------------------------------------------------------------ S11 */

#define MANY	64

static void registration_memory(uint64_t len)
{
	static const char *const part[] = { "windows", "leaves", "entries" };
	uint8_t *mem = rig_map_bare(len, 0, true);
	int64_t before[3], free_before, used;
	struct rig_mr *mr[MANY];
	double start;
	int i;

	mr[0] = rig_reg(rig, mem, len, RIG_IOVA_SAME, RIG_RW, true);
	for (i = 0; i < 3; i++)
		before[i] = rig_odp_counter(part[i]);
	free_before = rig_meminfo("MemAvailable");
	start = rig_now();
	for (i = 1; i < MANY; i++)
		mr[i] = rig_reg(rig, mem, len, RIG_IOVA_SAME, RIG_RW, true);
	start = rig_now() - start;
	used = free_before - rig_meminfo("MemAvailable");
	printf("%ju MiB untouched: %.3f ms and %jd bytes of memory a registration\n",
	       (uintmax_t)(len / MIB), start * 1e3 / (MANY - 1), (intmax_t)(used / (MANY - 1)));
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(rig_odp_counter(part[i]), before[i]);
	for (i = 0; i < MANY; i++)
		rig_dereg(mr[i]);
	ck_assert_msg(used < (int64_t)(MANY * 64 * 1024), "%d regions of %ju MiB took %jd KiB", MANY - 1,
		      (uintmax_t)(len / MIB), (intmax_t)(used / 1024));
	rig_unmap(mem, len);
}

START_TEST(test_s11_untouched_regions_take_no_memory)
{
	RIG_NEEDS_ODP(rig);
	rig_dmesg_mark();
	registration_memory(MIB);
	registration_memory(GIB);
	registration_memory(TIB);
}
END_TEST

/* Operations of a pair on its own part of the region, warm and fresh, for a while. */
static unsigned int work_on(struct rig_pair *p, size_t from, size_t to, double *worst)
{
	double start, took;
	unsigned int n = 0;
	size_t at;

	/* One packet at the start of a page: S1 is not the question. */
	for (at = from; at + 1000 <= to; at += 2 * RIG_PAGE, n++) {
		start = rig_now();
		RIG_OK(rig_write(p, rig_at(ma, at, 1000), rig_at(mb, at, 1000)));
		took = rig_now() - start;
		if (took > *worst)
			*worst = took;
		rig_expect(b + at, 1000, 1, at, "beside a slow fault");
	}
	return n;
}

START_TEST(test_s11_no_lock_on_the_whole_region)
{
	struct rig_pair *p, *q;
	unsigned int n = 0;
	double worst = 0;
	struct ibv_wc wc;

	NEEDS_DISK();
	p = rig_pair(rig, IBV_QPT_RC);
	q = rig_pair(rig, IBV_QPT_RC);
	/* The last quarter has not been touched by anybody. */
	madvise(b + LEN / 4 * 3, LEN / 4, MADV_DONTNEED);
	post_cold(RIG_WRITE);
	n += work_on(p, COLD, LEN / 2, &worst);
	n += work_on(q, LEN / 2, LEN, &worst);
	printf("%u operations beside a fault of %.0f s, the longest took %.3f s\n", n, slow, worst);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "what waited for the fault");
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "what waited for the fault: %s",
		      rig_status_name(wc.status));
	rig_expect(b, 64, 1, 0, "what waited for the fault");
	rig_expect(b + 64, COLD - 64, 2, 64, "beside it");
	ck_assert_msg(worst < slow / 2, "an operation elsewhere in the region took %.1f s", worst);
	rig_unpair(p);
	rig_unpair(q);
}
END_TEST

/* ------------------------------------------------------------------ S12 */

struct victim {
	pid_t pid;
	volatile uint32_t rkey;
	volatile uint32_t handle;
	volatile int ready;
	volatile int eat;
};

#define VICTIM_LIMIT	(48 * MIB)

/* The owner: a region all present, then more memory than its group may have. */
static void be_victim(struct victim *v)
{
	struct rig_span span;
	char why[200], path[80];
	struct rig_mr *mr;
	uint8_t *mem;

	if (!rig_memcg(VICTIM_LIMIT, why, sizeof(why)))
		_exit(2);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d/memory.swap.max", (int)getpid());
	if (rig_write_file(path, "0"))
		_exit(2);
	/* b itself is charged to the parent until it is written to. */
	rig_fill(b, LEN, 9, 0);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	span = rig_at(mr, 0, LEN);
	if (rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, IB_UVERBS_ADVISE_MR_FLAG_FLUSH,
		       &span, 1))
		_exit(3);
	v->rkey = mr->mr->rkey;
	v->handle = mr->mr->handle;
	v->ready = 1;
	while (!v->eat)
		rig_sleep(0.01);
	mem = mmap(NULL, 2 * VICTIM_LIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(mem, 1, 2 * VICTIM_LIMIT);
	_exit(4);
}

static void start_victim(struct victim *v)
{
	pid_t pid = fork();

	if (!pid)
		be_victim(v);
	v->pid = pid;
	while (!v->ready) {
		ck_assert_msg(!waitpid(v->pid, NULL, WNOHANG), "the victim ended too early");
		rig_sleep(0.01);
	}
}

START_TEST(test_s12_oom_reaper)
{
	struct victim *v = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				-1, 0);
	struct rig_span there;
	unsigned long rss = 0;
	const char *line;

	RIG_NEEDS_ODP(rig);
	rig_write_file("/proc/sys/vm/oom_dump_tasks", "0");
	rig_dmesg_mark();
	start_victim(v);
	there = rig_raw((uintptr_t)b, 64, v->rkey);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 64), there));
	reaper_hold(v->pid, &v->eat);
	line = reaper_says();
	ck_assert_msg(line, "the OOM reaper says nothing");
	printf("%s\n", line);
	ck_assert_msg(strstr(line, "reaped process"), "not reaped: %s", line);
	ck_assert_int_eq(sscanf(strstr(line, "anon-rss:"), "anon-rss:%lukB", &rss), 1);
	ck_assert_msg(rss < 1024, "the reaper left %lu KiB of %lu", rss, LEN / 1024);
	RIG_FAILS(rig_write(pair, rig_at(ma, 0, 64), there), IBV_WC_REM_ACCESS_ERR);
	reaper_release(v->pid);
	waitpid(v->pid, NULL, 0);
	rig_reconnect(pair);
	RIG_FAILS(rig_write(pair, rig_at(ma, 0, 64), there), IBV_WC_REM_ACCESS_ERR);
	ck_assert_int_eq(rig_dereg_handle(rig, v->handle), 0);
	/* The OOM killer's report is no defect; from here on there must be nothing. */
	while ((line = rig_dmesg_new()))
		ck_assert_msg(!strstr(line, "WARNING") && !strstr(line, "BUG"), "kernel log: %s", line);
}
END_TEST

int main(void)
{
	double seconds = slow_seconds();
	Suite *s = suite_create("stock slow");
	TCase *tc = rig_tcase(s, "S5", 180 + 4 * seconds);

	tcase_add_checked_fixture(tc, cold_setup, cold_teardown);
	tcase_add_loop_test(tc, test_s5_dereg_during_a_fault, 0, 3);
	tcase_add_test(tc, test_s5_dereg_during_a_prefetch);
	tc = rig_tcase(s, "S11", 180 + 4 * seconds);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_s11_untouched_regions_take_no_memory);
	tc = rig_tcase(s, "S11-slow", 180 + 4 * seconds);
	tcase_add_checked_fixture(tc, cold_setup, cold_teardown);
	tcase_add_test(tc, test_s11_no_lock_on_the_whole_region);
	tc = rig_tcase(s, "S12", 0);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_s12_oom_reaper);
	return rig_main(&s, 1);
}
