// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Defects of the distribution's ODP that need reclaim: S2, S3 and S4 of docs/stock-defects.md.
 * CK_RUN_CASE=S2 runs one alone. All writes are of whole pages in one packet, or of 8 bytes at the
 * start of a page: what the distribution's driver can do when nothing else is wrong.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "disk.h"
#include "rig.h"

#define PAGES	1024u
#define LEN	(PAGES * RIG_PAGE)
#define SWAP	(256ul << 20)
#define DISK	(32ul << 20)

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b;
static struct rig_mr *ma, *mb;
static char no_swap[200];

static void prepare(bool disk)
{
	struct rig_attr attr = rig_attr();

	attr.mtu = 4096;
	rig = rig_open(&attr);
	if (!rig_has_odp(rig))
		return;
	no_swap[0] = '\0';
	if (disk ? !disk_swap_on(DISK, no_swap, sizeof(no_swap)) :
		   !rig_swap_on(SWAP, no_swap, sizeof(no_swap)))
		return;
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	/* One page more is in the region, and forbidden. */
	b = rig_map(LEN + RIG_PAGE, 0, RIG_ANON);
	mprotect(b + LEN, RIG_PAGE, PROT_NONE);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mb = rig_reg(rig, b, LEN + RIG_PAGE, RIG_IOVA_SAME, RIG_RW, true);
	rig_dmesg_mark();
}

static void on_zram(void)
{
	prepare(false);
}

static void on_disk(void)
{
	prepare(true);
}

static void teardown(void)
{
	if (!mb)
		return;
	rig_dmesg_clean();
	rig_unpair(pair);
	rig_dereg(ma);
	rig_dereg(mb);
	rig_close(rig);
	rig_swap_off();
	disk_swap_off();
}

#define NEEDS_SWAP() do {									\
	RIG_NEEDS_ODP(rig);									\
	if (no_swap[0])										\
		RIG_SKIP(no_swap);								\
} while (0)

/* Push b out until next to nothing of it is mapped; say how many pages still are. */
static size_t push_out(void)
{
	double end = rig_now() + 20 * rig_pace();
	size_t left;

	do {
		madvise(b, LEN, MADV_PAGEOUT);
		left = rig_resident(b, LEN);
		if (left <= PAGES / 50)
			break;
		rig_sleep(0.05);
	} while (rig_now() < end);
	return left;
}

static void write_all(uint64_t seed)
{
	unsigned int i;

	rig_fill(a, LEN, seed, 0);
	for (i = 0; i < PAGES; i++)
		RIG_OK(rig_write(pair, rig_at(ma, i * RIG_PAGE, RIG_PAGE),
				 rig_at(mb, i * RIG_PAGE, RIG_PAGE)));
}

static unsigned int lost_pages(uint64_t seed)
{
	unsigned int i, lost = 0;

	for (i = 0; i < PAGES; i++)
		lost += rig_diff(b + i * RIG_PAGE, RIG_PAGE, seed, i * RIG_PAGE) >= 0;
	return lost;
}

/* How the pages come back from swap, clean but writable. */
static void read_back(bool rdma)
{
	volatile uint8_t sink;
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		if (rdma)
			RIG_OK(rig_read(pair, rig_at(ma, i * RIG_PAGE, 8),
					rig_at(mb, i * RIG_PAGE, 8)));
		else
			sink = b[i * RIG_PAGE];
	}
	(void)sink;
}

/* _i: pages come back by the CPU, or by an RDMA read. */
START_TEST(test_s2_write_after_swap_in)
{
	unsigned int lost;

	NEEDS_SWAP();
	rig_fill(b, LEN, 1, 0);
	ck_assert_msg(push_out() <= PAGES / 50, "MADV_PAGEOUT leaves too many pages");
	read_back(_i);
	write_all(2);
	ck_assert_msg(push_out() <= PAGES / 50, "MADV_PAGEOUT leaves too many pages");
	lost = lost_pages(2);
	ck_assert_msg(!lost, "%u of %u pages lost what was written after they were swapped in by a "
		      "%s", lost, PAGES, _i ? "RDMA read" : "read of the CPU");
}
END_TEST

/* The same for the local side: an RDMA read and a receive write into the region. */
START_TEST(test_s2_local_side)
{
	unsigned int i, lost;

	NEEDS_SWAP();
	rig_fill(b, LEN, 1, 0);
	ck_assert_msg(push_out() <= PAGES / 50, "MADV_PAGEOUT leaves too many pages");
	read_back(false);
	rig_fill(a, LEN, 3, 0);
	for (i = 0; i < PAGES; i++) {
		struct rig_span from = rig_at(ma, i * RIG_PAGE, RIG_PAGE);
		struct rig_span to = rig_at(mb, i * RIG_PAGE, RIG_PAGE);

		if (i & 1)
			RIG_OK(rig_read(pair, to, from));
		else
			RIG_OK(rig_send(pair, from, to));
	}
	ck_assert_msg(push_out() <= PAGES / 50, "MADV_PAGEOUT leaves too many pages");
	lost = lost_pages(3);
	ck_assert_msg(!lost, "%u of %u pages lost what was received after the swap-in", lost, PAGES);
}
END_TEST

/* _i: the translations are there when the pages are freed, or not. */
START_TEST(test_s3_write_after_free)
{
	unsigned int lost;

	NEEDS_SWAP();
	rig_fill(b, LEN, 1, 0);
	if (_i)
		write_all(1);
	/* Only pages that are clean and not in a batch on their way to a list can be freed lazily. */
	ck_assert_int_eq(madvise(b, LEN, MADV_FREE), 0);
	write_all(2);
	push_out();
	lost = lost_pages(2);
	ck_assert_msg(!lost, "%u of %u pages lost what was written after MADV_FREE", lost, PAGES);
}
END_TEST

/* ------------------------------------------------------------------ S4 */

#define SAMPLE	32u

static double race_seconds(void)
{
	const char *env = getenv("ODPREG_RACE_SECONDS");

	return env ? atof(env) : 5;
}

/* 8 bytes to the start of some pages; how many of them the CPU does not see. */
static unsigned int unseen_writes(struct rig_rand *rnd, uint64_t nonce)
{
	size_t first = rig_below(rnd, PAGES - SAMPLE);
	struct ibv_wc wc[SAMPLE];
	unsigned int i, unseen = 0;
	uint64_t word;

	for (i = 0; i < SAMPLE; i++) {
		struct rig_span from = rig_at(ma, i * 8, 8);
		struct rig_op op = {
			.verb = RIG_WRITE, .sg = &from, .nsg = 1,
			.remote = rig_at(mb, (first + i) * RIG_PAGE, 8),
		};

		word = nonce + i;
		memcpy(a + i * 8, &word, 8);
		ck_assert_int_eq(rig_post(pair, &op), 0);
	}
	rig_reap(rig, pair->end[RIG_A].scq, wc, SAMPLE, "writes after a race");
	for (i = 0; i < SAMPLE; i++) {
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "write after a race: %s",
			      rig_status_name(wc[i].status));
		memcpy(&word, b + (first + i) * RIG_PAGE, 8);
		unseen += word != nonce + i;
	}
	return unseen;
}

static void busy_wait(double seconds)
{
	double end = rig_now() + seconds;

	while (rig_now() < end)
		;
}

static void prefetch(size_t len)
{
	struct rig_span span = rig_at(mb, 0, (uint32_t)len);
	int err = rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, &span, 1);

	ck_assert_msg(!err, "prefetch: %s", strerror(err));
}

/*
 * A prefetch is on its way through pages that are all there when all of them are dropped: whatever
 * it found before must not be used after. _i: it ends well, or at a page that forbids it, with what
 * it has found until then.
 */
START_TEST(test_s4_prefetch_against_invalidation)
{
	uint64_t rounds, bad_rounds = 0, unseen = 0;
	double end = rig_now() + race_seconds();
	struct rig_rand rnd;
	unsigned int n;

	NEEDS_SWAP();
	rnd = rig_rand(rig_seed());
	for (rounds = 0; rig_now() < end; rounds++) {
		memset(b, 0x33, LEN);
		prefetch(LEN + (_i ? RIG_PAGE : 0));
		busy_wait((double)rig_below(&rnd, 1000) * 1e-6);
		madvise(b, LEN, MADV_DONTNEED);
		/* Until the prefetch is over. */
		rig_sleep(20e-3);
		n = unseen_writes(&rnd, rounds << 20 | 1);
		bad_rounds += n > 0;
		unseen += n;
	}
	printf("%ju rounds of %u writes\n", (uintmax_t)rounds, SAMPLE);
	ck_assert_msg(!unseen, "%ju acknowledged writes in %ju of %ju rounds are not seen by the CPU",
		      (uintmax_t)unseen, (uintmax_t)bad_rounds, (uintmax_t)rounds);
}
END_TEST

static atomic_bool over;

static void *reclaimer(void *arg)
{
	struct rig_rand rnd = rig_rand((uintptr_t)arg);
	size_t part = LEN / 8;

	while (!atomic_load(&over))
		madvise(b + rig_below(&rnd, 8) * part, part, MADV_PAGEOUT);
	return NULL;
}

/* Memory is short all the time: pages go, and prefetches bring them back. */
START_TEST(test_s4_prefetch_against_reclaim)
{
	double end = rig_now() + race_seconds();
	uint64_t rounds, unseen = 0;
	struct rig_rand rnd;
	pthread_t thread;

	NEEDS_SWAP();
	rnd = rig_rand(rig_seed());
	pthread_create(&thread, NULL, reclaimer, (void *)3ul);
	for (rounds = 0; rig_now() < end; rounds++) {
		prefetch(LEN + (rounds & 1 ? RIG_PAGE : 0));
		busy_wait((double)rig_below(&rnd, 1000) * 1e-6);
		unseen += unseen_writes(&rnd, rounds << 20 | 1);
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	printf("%ju rounds of %u writes\n", (uintmax_t)rounds, SAMPLE);
	ck_assert_msg(!unseen, "%ju acknowledged writes are not seen by the CPU", (uintmax_t)unseen);
}
END_TEST

static TCase *add_case(Suite *s, const char *name, SFun setup)
{
	TCase *tc = rig_tcase(s, name, 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("stock reclaim");
	TCase *tc = add_case(s, "S2", on_disk);

	tcase_add_loop_test(tc, test_s2_write_after_swap_in, 0, 2);
	tcase_add_test(tc, test_s2_local_side);
	tc = add_case(s, "S2-zram", on_zram);
	tcase_add_loop_test(tc, test_s2_write_after_swap_in, 0, 2);
	tc = add_case(s, "S3", on_zram);
	tcase_add_loop_test(tc, test_s3_write_after_free, 0, 2);
	tc = add_case(s, "S4", on_zram);
	tcase_add_loop_test(tc, test_s4_prefetch_against_invalidation, 0, 2);
	tcase_add_test(tc, test_s4_prefetch_against_reclaim);
	return rig_main(&s, 1);
}
