// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Defects of the distribution's ODP that need reclaim: S2, S3 and S4 of docs/stock-defects.md.
 * CK_RUN_CASE=S2 runs one alone. All writes are of whole pages in one packet, or of 8 bytes at the
 * start of a page: what the distribution's driver can do when nothing else is wrong.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "rig.h"

#define PAGES	1024u
#define LEN	(PAGES * RIG_PAGE)
#define SPACE	(16ul << 20)	/* the region; S2 and S3 use the first LEN of it */
#define SWAP	(256ul << 20)

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b;
static struct rig_mr *ma, *mb;
static char no_swap[200];

static void setup(void)
{
	struct rig_attr attr = rig_attr();

	attr.mtu = 4096;
	rig = rig_open(&attr);
	if (!rig_has_odp(rig))
		return;
	no_swap[0] = '\0';
	if (!rig_swap_on(SWAP, no_swap, sizeof(no_swap)))
		return;
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(SPACE, 0, RIG_ANON);
	madvise(b, SPACE, MADV_NOHUGEPAGE);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mb = rig_reg(rig, b, SPACE, RIG_IOVA_SAME, RIG_RW, true);
	rig_dmesg_mark();
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

#define CHUNK		(16 * RIG_PAGE)
#define CHUNKS		(SPACE / CHUNK)
/* Of the memory cgroup: not all chunks fit into the first; the second is out of reach. */
#define RACE_HIGH	"8M"
#define RACE_MAX	(128ul << 20)

/* One chunk is one turn: whoever holds its lock alone decides what is in it. */
static pthread_mutex_t turn[CHUNKS];
static atomic_bool over;
static uint64_t prefetches;

static void *prefetcher(void *arg)
{
	struct rig_rand rnd = rig_rand((uintptr_t)arg);
	struct rig_span span;

	while (!atomic_load(&over)) {
		span = rig_at(mb, rig_below(&rnd, CHUNKS) * CHUNK, CHUNK);
		if (rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, &span, 1))
			break;
		prefetches++;
		if (prefetches % 8 == 0)
			rig_sleep(200e-6);
	}
	return NULL;
}

static void invalidate(uint8_t *at, unsigned int how)
{
	switch (how) {
	case 0:
		madvise(at, CHUNK, MADV_DONTNEED);
		break;
	case 1:
		madvise(at, CHUNK, MADV_PAGEOUT);
		break;
	default:
		/* In one call, or another thread's mapping might take the place. */
		if (mmap(at, CHUNK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			ck_abort_msg("mmap: %s", strerror(errno));
		madvise(at, CHUNK, MADV_NOHUGEPAGE);
	}
}

static void *invalidator(void *arg)
{
	struct rig_rand rnd = rig_rand((uintptr_t)arg);
	unsigned int chunk;

	while (!atomic_load(&over)) {
		chunk = (unsigned int)rig_below(&rnd, CHUNKS);
		pthread_mutex_lock(&turn[chunk]);
		invalidate(b + chunk * CHUNK, (unsigned int)rig_below(&rnd, 3));
		pthread_mutex_unlock(&turn[chunk]);
	}
	return NULL;
}

/* Write to every page of a chunk, 8 bytes each; nobody else writes or drops anything meanwhile. */
static unsigned int round_of_writes(unsigned int chunk, uint64_t nonce)
{
	unsigned int i, unseen = 0;
	uint64_t word, want;

	pthread_mutex_lock(&turn[chunk]);
	for (i = 0; i < CHUNK; i += RIG_PAGE) {
		want = nonce + i;
		memcpy(a + i, &want, 8);
		RIG_OK(rig_write(pair, rig_at(ma, i, 8), rig_at(mb, chunk * CHUNK + i, 8)));
	}
	for (i = 0; i < CHUNK; i += RIG_PAGE) {
		want = nonce + i;
		memcpy(&word, b + chunk * CHUNK + i, 8);
		unseen += word != want;
	}
	pthread_mutex_unlock(&turn[chunk]);
	return unseen;
}

/* Pressure by memory.high: at memory.max a burst of prefetches would summon the OOM killer. */
static bool squeeze(char *why, size_t len)
{
	char path[80];
	int err;

	if (!rig_memcg(RACE_MAX, why, len))
		return false;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d/memory.high", (int)getpid());
	err = rig_write_file(path, RACE_HIGH);
	if (err)
		snprintf(why, len, "%s: %s", path, strerror(err));
	return !err;
}

START_TEST(test_s4_prefetch_against_invalidation)
{
	const char *env = getenv("ODPREG_RACE_SECONDS");
	double end = rig_now() + (env ? atof(env) : 15);
	uint64_t rounds = 0, bad_rounds = 0, unseen = 0, n;
	pthread_t thread[3];
	struct rig_rand rnd;
	char why[200];
	unsigned int i;

	NEEDS_SWAP();
	rnd = rig_rand(rig_seed());
	if (!squeeze(why, sizeof(why)))
		RIG_SKIP(why);
	for (i = 0; i < CHUNKS; i++)
		pthread_mutex_init(&turn[i], NULL);
	pthread_create(&thread[0], NULL, prefetcher, (void *)1ul);
	pthread_create(&thread[1], NULL, prefetcher, (void *)2ul);
	pthread_create(&thread[2], NULL, invalidator, (void *)3ul);
	for (; rig_now() < end; rounds++) {
		n = round_of_writes((unsigned int)rig_below(&rnd, CHUNKS), rounds << 20 | 1);
		bad_rounds += n > 0;
		unseen += n;
	}
	atomic_store(&over, true);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	rig_memcg(0, why, sizeof(why));
	printf("%ju rounds of %lu writes, about %ju prefetches\n", (uintmax_t)rounds,
	       CHUNK / RIG_PAGE, (uintmax_t)prefetches);
	ck_assert_msg(!unseen, "%ju acknowledged writes in %ju of %ju rounds are not seen by the CPU",
		      (uintmax_t)unseen, (uintmax_t)bad_rounds, (uintmax_t)rounds);
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *tc = rig_tcase(s, name, 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("stock reclaim");
	TCase *tc = add_case(s, "S2");

	tcase_add_loop_test(tc, test_s2_write_after_swap_in, 0, 2);
	tcase_add_test(tc, test_s2_local_side);
	tc = add_case(s, "S3");
	tcase_add_loop_test(tc, test_s3_write_after_free, 0, 2);
	tc = add_case(s, "S4");
	tcase_add_test(tc, test_s4_prefetch_against_invalidation);
	return rig_main(&s, 1);
}
