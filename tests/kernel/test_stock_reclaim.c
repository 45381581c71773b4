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
	const char *line;

	if (!mb)
		return;
	line = rig_dmesg_new();
	ck_assert_msg(!line, "kernel log: %s", line);
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
	double end = rig_now() + 20;
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

#define CHUNK_PAGES	8u
#define CHUNK		(CHUNK_PAGES * RIG_PAGE)
#define CHUNKS		4u
#define ARENA		(b + LEN - CHUNKS * CHUNK)	/* the end of the region */

/*
 * Prefetches that go well; prefetches that end at the page that forbids them, with all that they
 * have found before; and prefetches while the pages are being reclaimed instead of dropped.
 */
enum race_kind { RACE_PLAIN, RACE_FAILING, RACE_RECLAIM, RACES };

static atomic_bool over;
static atomic_ulong prefetches;

static void *prefetcher(void *arg)
{
	enum race_kind kind = *(enum race_kind *)arg;
	struct rig_span span = rig_at(mb, LEN - CHUNKS * CHUNK, CHUNKS * CHUNK);

	if (kind == RACE_FAILING)
		span.len += RIG_PAGE;
	while (!atomic_load(&over)) {
		if (rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, &span, 1))
			break;
		/* There is no telling when it is done: give them time, or they pile up. */
		if (atomic_fetch_add(&prefetches, 1) % 8 == 0)
			rig_sleep(1e-3);
	}
	return NULL;
}

/* Contents do not change by this, wherever it hits. */
static void *reclaimer(void *arg)
{
	struct rig_rand rnd = rig_rand((uintptr_t)arg);

	while (!atomic_load(&over))
		madvise(ARENA + rig_below(&rnd, CHUNKS) * CHUNK, CHUNK, MADV_PAGEOUT);
	return NULL;
}

static void drop_chunk(uint8_t *at, unsigned int how)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	if (how > 1) {
		madvise(at, CHUNK, MADV_DONTNEED);
		return;
	}
	if (how == 1) {
		/* With a hole: a prefetch that sees it gives up. */
		munmap(at, CHUNK);
		flags |= MAP_FIXED_NOREPLACE;
	}
	if (mmap(at, CHUNK, PROT_READ | PROT_WRITE, flags, -1, 0) != at)
		ck_abort_msg("cannot map a chunk again: %s", strerror(errno));
	madvise(at, CHUNK, MADV_NOHUGEPAGE);
}

/* 8 bytes to every page of a chunk that was dropped a moment ago; how many the CPU does not see. */
static unsigned int round_of_writes(uint64_t chunk, uint64_t nonce)
{
	struct ibv_wc wc[CHUNK_PAGES];
	unsigned int i, unseen = 0;
	uint64_t word;

	for (i = 0; i < CHUNK_PAGES; i++) {
		struct rig_span from = rig_at(ma, i * 8, 8);
		struct rig_op op = {
			.verb = RIG_WRITE, .sg = &from, .nsg = 1,
			.remote = rig_at(mb, LEN - (CHUNKS - chunk) * CHUNK + i * RIG_PAGE, 8),
		};

		word = nonce + i;
		memcpy(a + i * 8, &word, 8);
		ck_assert_int_eq(rig_post(pair, &op), 0);
	}
	rig_reap(rig, pair->end[RIG_A].scq, wc, CHUNK_PAGES, "writes to a fresh chunk");
	for (i = 0; i < CHUNK_PAGES; i++) {
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "write to a fresh page: %s",
			      rig_status_name(wc[i].status));
		memcpy(&word, ARENA + chunk * CHUNK + i * RIG_PAGE, 8);
		unseen += word != nonce + i;
	}
	return unseen;
}

static void race(double seconds, enum race_kind kind)
{
	struct rig_rand rnd = rig_rand(rig_seed());
	uint64_t rounds, bad_rounds = 0, unseen = 0, chunk, n;
	double end = rig_now() + seconds;
	int i, threads = 1;
	pthread_t thread[2];

	pthread_create(&thread[0], NULL, prefetcher, &kind);
	if (kind == RACE_RECLAIM)
		pthread_create(&thread[threads++], NULL, reclaimer, (void *)3ul);
	for (rounds = 0; rig_now() < end; rounds++) {
		chunk = rig_below(&rnd, CHUNKS);
		if (kind != RACE_RECLAIM)
			drop_chunk(ARENA + chunk * CHUNK, (unsigned int)rig_below(&rnd, 6));
		n = round_of_writes(chunk, rounds << 20 | 1);
		bad_rounds += n > 0;
		unseen += n;
	}
	atomic_store(&over, true);
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("%ju rounds of %u writes, %lu prefetches\n", (uintmax_t)rounds, CHUNK_PAGES,
	       atomic_load(&prefetches));
	ck_assert_msg(!unseen, "%ju acknowledged writes in %ju of %ju rounds are not seen by the CPU",
		      (uintmax_t)unseen, (uintmax_t)bad_rounds, (uintmax_t)rounds);
}

/* _i: enum race_kind. */
START_TEST(test_s4_prefetch_against_invalidation)
{
	const char *env = getenv("ODPREG_RACE_SECONDS");

	NEEDS_SWAP();
	race(env ? atof(env) : 8, (enum race_kind)_i);
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
	tc = add_case(s, "S2 on zram", on_zram);
	tcase_add_loop_test(tc, test_s2_write_after_swap_in, 0, 2);
	tc = add_case(s, "S3", on_zram);
	tcase_add_loop_test(tc, test_s3_write_after_free, 0, 2);
	tc = add_case(s, "S4", on_zram);
	tcase_add_loop_test(tc, test_s4_prefetch_against_invalidation, 0, RACES);
	return rig_main(&s, 1);
}
