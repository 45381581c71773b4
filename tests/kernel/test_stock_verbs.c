// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Defects of the distribution's ODP that plain use of the verbs shows: S1, S6, S7 and S8 of
 * docs/stock-defects.md. A defect is a test case of its own, so that CK_RUN_CASE=S6 runs it alone:
 * S6 and S7 oops the distribution's driver.
 */
#include "rig.h"

#define KIB	1024ull
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)
#define TIB	(1024 * GIB)

#define LEN	(256 * KIB)

static struct rig *rig;
static uint8_t *a, *b;
static struct rig_mr *ma;	/* pinned, over a */

static void setup(void)
{
	rig = rig_open(NULL);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	rig_dmesg_mark();
}

static void teardown(void)
{
	rig_dmesg_clean();
	rig_dereg(ma);
	rig_close(rig);
}

/* ------------------------------------------------------------------ S1 */

/* What stock gets wrong: an offset inside the page, more than one packet, a page boundary. */
static const struct {
	const char *what;
	uint64_t at;
	uint32_t len;
} piece[] = {
	{ "offset 100 in a page", 100, 500 },
	{ "one page in packets of 1024", 4096, 4096 },
	{ "across a page", 2 * 4096 - 10, 20 },
	{ "several pages from an odd offset", 5 * 4096 + 63, 40000 },
};

#define PIECES	((int)(sizeof(piece) / sizeof(piece[0])))

START_TEST(test_s1_remote_write)
{
	struct rig_pair *p;
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	p = rig_pair(rig, IBV_QPT_RC);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	rig_fill(b, LEN, 2, 0);
	RIG_OK(rig_write(p, rig_at(ma, piece[_i].at, piece[_i].len),
			 rig_at(mb, piece[_i].at, piece[_i].len)));
	rig_expect(b, piece[_i].at, 2, 0, "%s: before the write", piece[_i].what);
	rig_expect(b + piece[_i].at, piece[_i].len, 1, piece[_i].at, "%s", piece[_i].what);
	rig_expect(b + piece[_i].at + piece[_i].len, LEN - piece[_i].at - piece[_i].len, 2,
		   piece[_i].at + piece[_i].len, "%s: behind the write", piece[_i].what);
	rig_unpair(p);
	rig_dereg(mb);
}
END_TEST

START_TEST(test_s1_remote_read)
{
	struct rig_pair *p;
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	p = rig_pair(rig, IBV_QPT_RC);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	rig_fill(b, LEN, 2, 0);
	RIG_OK(rig_read(p, rig_at(ma, 0, piece[_i].len), rig_at(mb, piece[_i].at, piece[_i].len)));
	rig_expect(a, piece[_i].len, 2, piece[_i].at, "%s", piece[_i].what);
	rig_unpair(p);
	rig_dereg(mb);
}
END_TEST

START_TEST(test_s1_local_send)
{
	struct rig_pair *p;
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	p = rig_pair(rig, IBV_QPT_RC);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	rig_fill(b, LEN, 2, 0);
	RIG_OK(rig_send(p, rig_at(mb, piece[_i].at, piece[_i].len), rig_at(ma, 0, LEN)));
	rig_expect(a, piece[_i].len, 2, piece[_i].at, "%s: from ODP memory", piece[_i].what);
	rig_fill(a, LEN, 3, 0);
	RIG_OK(rig_send(p, rig_at(ma, 0, piece[_i].len),
			rig_at(mb, piece[_i].at, piece[_i].len)));
	rig_expect(b + piece[_i].at, piece[_i].len, 3, 0, "%s: into ODP memory", piece[_i].what);
	rig_unpair(p);
	rig_dereg(mb);
}
END_TEST

/* ------------------------------------------------------------------ S6 */

#define LOAD		IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH
#define LOAD_WRITE	IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE
#define FLUSH		IB_UVERBS_ADVISE_MR_FLAG_FLUSH

#define ADVISE(want, rig, advice, list, count) do {						\
	int i_, err_;										\
	for (i_ = 0; i_ < 2; i_++) {								\
		err_ = rig_advise(rig, advice, i_ ? 0 : FLUSH, list, count);			\
		ck_assert_msg(err_ == (want), "advice %d, %s: %s instead of %s", advice,	\
			      i_ ? "asynchronous" : "synchronous",				\
			      err_ ? strerror(err_) : "success",				\
			      (want) ? strerror(want) : "success");				\
	}											\
} while (0)

START_TEST(test_s6_pinned_region)
{
	struct rig_span span = rig_at(ma, 0, LEN);

	RIG_NEEDS_ODP(rig);
	ADVISE(ENOENT, rig, LOAD, &span, 1);
	ADVISE(ENOENT, rig, LOAD_WRITE, &span, 1);
}
END_TEST

START_TEST(test_s6_dead_key)
{
	struct rig_span span, wild = rig_raw((uintptr_t)b, 4096, 0xbad00);
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	span = rig_at(mb, 0, LEN);
	rig_dereg(mb);
	ADVISE(ENOENT, rig, LOAD, &span, 1);
	ADVISE(ENOENT, rig, LOAD, &wild, 1);
	ck_assert_uint_eq(rig_resident(b, LEN), 0);
}
END_TEST

START_TEST(test_s6_other_domain)
{
	struct rig other;
	struct rig_span span;
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	other = *rig;
	other.pd = ibv_alloc_pd(rig->ctx);
	ck_assert_ptr_nonnull(other.pd);
	mb = rig_reg(&other, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	span = rig_at(mb, 0, LEN);
	ADVISE(EPERM, rig, LOAD, &span, 1);
	ADVISE(EPERM, rig, LOAD_WRITE, &span, 1);
	ck_assert_uint_eq(rig_resident(b, LEN), 0);
	ADVISE(0, &other, LOAD_WRITE, &span, 1);
	ck_assert_uint_eq(rig_resident(b, LEN), LEN / RIG_PAGE);
	rig_dereg(mb);
	ck_assert_int_eq(ibv_dealloc_pd(other.pd), 0);
}
END_TEST

START_TEST(test_s6_read_only_region)
{
	struct rig_span span;
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_READ_ONLY, true);
	span = rig_at(mb, 0, LEN);
	ADVISE(EPERM, rig, LOAD_WRITE, &span, 1);
	ck_assert_uint_eq(rig_resident(b, LEN), 0);
	ADVISE(0, rig, LOAD, &span, 1);
	rig_dereg(mb);
}
END_TEST

START_TEST(test_s6_outside_the_region)
{
	struct rig_span span[4];
	struct rig_mr *mb;
	int i;

	RIG_NEEDS_ODP(rig);
	mb = rig_reg(rig, b + 4096, LEN - 8192, RIG_IOVA_SAME, RIG_RW, true);
	for (i = 0; i < 4; i++)
		span[i] = rig_at(mb, 0, 4096);
	span[0].addr = (uintptr_t)b + 4095;
	span[1].addr = (uintptr_t)b + LEN - 8191;
	span[2].addr = UINT64_MAX - 4095;
	span[3].len = UINT32_MAX;
	for (i = 0; i < 4; i++)
		ADVISE(EFAULT, rig, LOAD_WRITE, &span[i], 1);
	ck_assert_uint_eq(rig_resident(b, LEN), 0);
	rig_dereg(mb);
}
END_TEST

/* One bad element anywhere in the list: the error of that element, and not a page touched. */
START_TEST(test_s6_one_bad_element)
{
	struct rig_span list[5];
	struct rig_mr *mb;
	int bad, i;

	RIG_NEEDS_ODP(rig);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	for (bad = 0; bad < 5; bad++) {
		for (i = 0; i < 5; i++)
			list[i] = rig_at(mb, i * 8192ul, 8192);
		list[bad] = rig_at(ma, 0, 4096);
		ADVISE(ENOENT, rig, LOAD_WRITE, list, 5);
		list[bad] = rig_at(mb, LEN - 1, 2);
		ADVISE(EFAULT, rig, LOAD_WRITE, list, 5);
		ck_assert_uint_eq(rig_resident(b, LEN), 0);
	}
	list[4] = rig_at(mb, 4 * 8192, 8192);
	ADVISE(0, rig, LOAD_WRITE, list, 5);
	ck_assert_uint_eq(rig_resident(b, LEN), 10);
	rig_dereg(mb);
}
END_TEST

/* ------------------------------------------------------------------ S7 */

static void move_data(struct rig_pair *p, struct rig_mr *mb, uint64_t at, uint32_t len)
{
	uint64_t word;

	rig_fill(b, LEN, 2, 0);
	RIG_OK(rig_write(p, rig_at(ma, at, len), rig_at(mb, at, len)));
	rig_expect(b + at, len, 1, at, "write, iova %#jx", (uintmax_t)mb->iova);
	rig_expect(b, at, 2, 0, "before the write, iova %#jx", (uintmax_t)mb->iova);
	RIG_OK(rig_read(p, rig_at(ma, 0, LEN), rig_at(mb, 0, LEN)));
	ck_assert_msg(!memcmp(a, b, LEN), "read, iova %#jx", (uintmax_t)mb->iova);
	RIG_OK(rig_send(p, rig_at(mb, 0, LEN), rig_at(ma, 0, LEN)));
	ck_assert_msg(!memcmp(a, b, LEN), "send, iova %#jx", (uintmax_t)mb->iova);
	memset(b + LEN - 8, 0, 8);
	RIG_OK(rig_fadd(p, rig_at(ma, 0, 8), rig_at(mb, LEN - 8, 8), 77));
	memcpy(&word, b + LEN - 8, 8);
	ck_assert_msg(word == 77, "fetch and add, iova %#jx", (uintmax_t)mb->iova);
	rig_fill(a, LEN, 1, 0);
}

START_TEST(test_s7_iova_is_not_the_address)
{
	/* The core wants the same offset in the page; anything else may differ. */
	const uint64_t iova[] = {
		0, 4096, (uintptr_t)b + 4096, (uintptr_t)b - 4096, (uintptr_t)b + 64 * GIB,
		1ull << 62, 0ull - 2 * LEN,
	};
	struct rig_pair *p;
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	p = rig_pair(rig, IBV_QPT_RC);
	mb = rig_reg(rig, b, LEN, iova[_i], RIG_RW, true);
	/* From the start of a page and within one packet: S1 has its own tests. */
	move_data(p, mb, 4096, 1000);
	move_data(p, mb, 4000, 10000);
	RIG_FAILS(rig_write(p, rig_at(ma, 0, 2), rig_at(mb, LEN - 1, 2)), IBV_WC_REM_ACCESS_ERR);
	rig_unpair(p);
	rig_dereg(mb);
}
END_TEST

/* ------------------------------------------------------------------ S8 */

#define PLACES	40
#define CELL	200u

/* The largest stretch of address space that this process can still map, in whole TiB. */
static uint64_t largest_map(void)
{
	uint64_t size;
	void *p;

	for (size = 127 * TIB; size > TIB; size -= TIB) {
		p = mmap(NULL, size + GIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			continue;
		munmap(p, size + GIB);
		return size;
	}
	return TIB;
}

/* Begin, end, middle, and around multiples of 2 GiB: where lengths of 31 and 32 bits break. */
static int choose_places(uint64_t len, uint64_t *place)
{
	static const unsigned int factor[] = { 1, 2, 3, 4, 6, 64, 100, 512, 5120, 30000 };
	unsigned int i;
	uint64_t at;
	int n = 0;

	place[n++] = 0;
	place[n++] = len / 2 + 5000;
	place[n++] = len - CELL;
	for (i = 0; i < sizeof(factor) / sizeof(factor[0]); i++) {
		at = factor[i] * 2 * GIB;
		if (at + 64 * KIB > len)
			break;
		place[n++] = at - CELL / 2;
		place[n++] = at + 10 * KIB;
	}
	ck_assert_int_le(n, PLACES);
	return n;
}

static void touch_places(struct rig_mr *mb, uint8_t *mem, uint64_t len)
{
	struct rig_pair *p = rig_pair(rig, IBV_QPT_RC);
	uint64_t place[PLACES];
	int i, n = choose_places(len, place);

	/* All are written before the first is looked at: two that are one show. */
	for (i = 0; i < n; i++)
		RIG_OK(rig_write(p, rig_at(ma, i * CELL, CELL), rig_at(mb, place[i], CELL)));
	for (i = 0; i < n; i++)
		rig_expect(mem + place[i], CELL, 1, i * CELL, "write at %#jx of %#jx",
			   (uintmax_t)place[i], (uintmax_t)len);
	memset(a, 0, LEN);
	for (i = 0; i < n; i++)
		RIG_OK(rig_read(p, rig_at(ma, i * CELL, CELL), rig_at(mb, place[i], CELL)));
	rig_expect(a, (size_t)n * CELL, 1, 0, "read back from %#jx", (uintmax_t)len);
	RIG_FAILS(rig_write(p, rig_at(ma, 0, 2), rig_at(mb, len - 1, 2)), IBV_WC_REM_ACCESS_ERR);
	rig_unpair(p);
}

START_TEST(test_s8_long_regions)
{
	const uint64_t length[] = {
		2 * GIB - 4 * KIB, 2 * GIB, 4 * GIB - 4 * KIB, 4 * GIB, 4 * GIB + 4 * KIB, 16 * GIB, TIB,
		0,
	};
	uint64_t len = length[_i];
	struct rig_mr *mb;
	uint8_t *mem;

	RIG_NEEDS_ODP(rig);
	if (!len)
		len = largest_map();
	printf("region of %ju GiB\n", (uintmax_t)(len / GIB));
	mem = rig_map_bare(len, 0, true);
	/* A touch is to cost a page, not 2 MiB. */
	madvise(mem, len, MADV_NOHUGEPAGE);
	mb = rig_reg(rig, mem, len, RIG_IOVA_SAME, RIG_RW, true);
	touch_places(mb, mem, len);
	rig_dereg(mb);
	/* And so far away from its addresses that base and offset need all 64 bits. */
	madvise(mem, len, MADV_DONTNEED);
	mb = rig_reg(rig, mem, len, (1ull << 63) - (1ull << 40), RIG_RW, true);
	rig_fill(a, LEN, 1, 0);
	touch_places(mb, mem, len);
	rig_dereg(mb);
	rig_unmap(mem, len);
}
END_TEST

/* All that a process can address, mapped or not, as one region. */
START_TEST(test_s8_whole_address_space)
{
	const uint64_t start = RIG_PAGE, len = (1ull << 47) - 2 * RIG_PAGE;
	struct rig_pair *p;
	struct rig_mr *mb;

	RIG_NEEDS_ODP(rig);
	p = rig_pair(rig, IBV_QPT_RC);
	mb = rig_reg(rig, (void *)start, len, RIG_IOVA_SAME, RIG_RW, true);
	RIG_OK(rig_write(p, rig_at(ma, 0, LEN), rig_at(mb, (uintptr_t)b - start, LEN)));
	rig_expect(b, LEN, 1, 0, "write into the whole address space");
	RIG_FAILS(rig_write(p, rig_at(ma, 0, 8), rig_at(mb, 0, 8)), IBV_WC_REM_ACCESS_ERR);
	rig_unpair(p);
	rig_dereg(mb);
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
	Suite *s = suite_create("stock verbs");
	TCase *tc = add_case(s, "S1");

	tcase_add_loop_test(tc, test_s1_remote_write, 0, PIECES);
	tcase_add_loop_test(tc, test_s1_remote_read, 0, PIECES);
	tcase_add_loop_test(tc, test_s1_local_send, 0, PIECES);
	tc = add_case(s, "S6");
	tcase_add_test(tc, test_s6_pinned_region);
	tcase_add_test(tc, test_s6_dead_key);
	tcase_add_test(tc, test_s6_other_domain);
	tcase_add_test(tc, test_s6_read_only_region);
	tcase_add_test(tc, test_s6_outside_the_region);
	tcase_add_test(tc, test_s6_one_bad_element);
	tc = add_case(s, "S7");
	tcase_add_loop_test(tc, test_s7_iova_is_not_the_address, 0, 7);
	tc = add_case(s, "S8");
	tcase_add_loop_test(tc, test_s8_long_regions, 0, 8);
	tcase_add_test(tc, test_s8_whole_address_space);
	return rig_main(&s, 1);
}
