// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The library's own test: one operation of every verb on pinned memory, and that failures show. */
#include "cover.h"
#include "rig.h"

#define LEN	(64u << 10)

static struct rig *rig;
static uint8_t *a, *b;
static struct rig_mr *ma, *mb;

static void setup(void)
{
	rig = rig_open(NULL);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	rig_fill(b, LEN, 2, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW_FLUSH, false);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW_FLUSH, false);
}

static void teardown(void)
{
	rig_dereg(ma);
	rig_dereg(mb);
	rig_close(rig);
	rig_unmap(a, LEN);
	rig_unmap(b, LEN);
}

START_TEST(every_verb_once)
{
	struct rig_pair *p = rig_pair(rig, IBV_QPT_RC);
	uint64_t old = 0, word = 40;

	RIG_OK(rig_write(p, rig_at(ma, 100, 5000), rig_at(mb, 63, 5000)));
	rig_expect(b + 63, 5000, 1, 100, "write");
	rig_expect(b, 63, 2, 0, "before the write");
	rig_expect(b + 5063, LEN - 5063, 2, 5063, "behind the write");
	RIG_OK(rig_read(p, rig_at(ma, 0, 5000), rig_at(mb, 10000, 5000)));
	rig_expect(a, 5000, 2, 10000, "read");
	RIG_OK(rig_send(p, rig_at(ma, 30000, 3000), rig_at(mb, 1, 4000)));
	rig_expect(b + 1, 3000, 1, 30000, "send");
	RIG_OK(rig_write_imm(p, rig_at(ma, 40000, 7), rig_at(mb, 9, 7), 0x12345678));
	rig_expect(b + 9, 7, 1, 40000, "write with immediate");

	memcpy(b + 8, &word, 8);
	RIG_OK(rig_fadd(p, rig_at(ma, 0, 8), rig_at(mb, 8, 8), 2));
	memcpy(&old, a, 8);
	memcpy(&word, b + 8, 8);
	ck_assert_uint_eq(old, 40);
	ck_assert_uint_eq(word, 42);
	RIG_OK(rig_cas(p, rig_at(ma, 0, 8), rig_at(mb, 8, 8), 42, 7));
	memcpy(&word, b + 8, 8);
	ck_assert_uint_eq(word, 7);
	RIG_OK(rig_atomic_write(p, rig_at(mb, 16, 8), 0x1122334455667788));
	memcpy(&word, b + 16, 8);
	ck_assert_uint_eq(word, 0x1122334455667788);
	RIG_OK(rig_flush(p, rig_at(mb, 0, 100), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
	RIG_OK(rig_flush(p, rig_at(mb, 0, 0), IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
	rig_unpair(p);
}
END_TEST

START_TEST(other_transports)
{
	struct rig_pair *uc = rig_pair(rig, IBV_QPT_UC), *ud = rig_pair(rig, IBV_QPT_UD);

	RIG_OK(rig_write(uc, rig_at(ma, 0, 3000), rig_at(mb, 5, 3000)));
	RIG_OK(rig_send(uc, rig_at(ma, 3000, 3000), rig_at(mb, 4096, 3000)));
	rig_expect(b + 4096, 3000, 1, 3000, "UC send");
	rig_expect(b + 5, 3000, 1, 0, "UC write");
	RIG_OK(rig_send(ud, rig_at(ma, 77, 1000), rig_at(mb, 8000, 1040)));
	rig_expect(b + 8000 + RIG_GRH, 1000, 1, 77, "UD send");
	rig_unpair(uc);
	rig_unpair(ud);
}
END_TEST

START_TEST(failure_shows_and_the_pair_comes_back)
{
	struct rig_pair *p = rig_pair(rig, IBV_QPT_RC);
	struct rig_span nowhere = rig_raw((uintptr_t)b, 8, 0xbad00);

	RIG_FAILS(rig_write(p, rig_at(ma, 0, 8), nowhere), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(p);
	RIG_FAILS(rig_write_imm(p, rig_at(ma, 0, 8), nowhere, 1), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(p);
	RIG_OK(rig_write(p, rig_at(ma, 0, 8), rig_at(mb, 0, 8)));
	rig_expect(b, 8, 1, 0, "after the failures");
	rig_unpair(p);
}
END_TEST

/* What never completes is given up when its time is over, and not before. */
START_TEST(waits_end)
{
	struct rig_pair *p = rig_pair(rig, IBV_QPT_RC);
	double start = rig_now();
	struct ibv_wc wc;

	ck_assert(!rig_try_reap(p->end[RIG_A].scq, &wc, 1, 0.3));
	ck_assert_msg(rig_now() - start >= 0.3, "given up after %.3f s", rig_now() - start);
	ck_assert_msg(rig_now() - start < 10 * rig_pace(), "given up after %.3f s", rig_now() - start);
	rig_unpair(p);
}
END_TEST

START_TEST(patterns_tell_every_byte)
{
	uint8_t *p = rig_map(4096, 0, RIG_ANON);
	size_t i;

	rig_fill(p, 4096, 5, 13);
	ck_assert_int_eq(rig_diff(p, 4096, 5, 13), -1);
	ck_assert_int_eq(rig_diff(p + 7, 1000, 5, 20), -1);
	for (i = 0; i < 4096; i += 41) {
		p[i] ^= 0x10;
		ck_assert_int_eq(rig_diff(p, 4096, 5, 13), (ssize_t)i);
		p[i] ^= 0x10;
	}
	rig_unmap(p, 4096);
}
END_TEST

START_TEST(covers_meet_every_pair)
{
	const int levels[] = { 8, 12, 5, 7, 7, 4, 2, 1, 3 };
	const int params = sizeof(levels) / sizeof(levels[0]);
	struct cover *c = cover_make(levels, params);
	int p, q, v, w, i;

	for (p = 0; p < params; p++)
		for (q = p + 1; q < params; q++)
			for (v = 0; v < levels[p]; v++)
				for (w = 0; w < levels[q]; w++) {
					for (i = 0; i < c->rows; i++)
						if (c->row[i][p] == v && c->row[i][q] == w)
							break;
					ck_assert_msg(i < c->rows, "%d=%d never meets %d=%d", p, v,
						      q, w);
				}
	/* At least the largest product, and not much more. */
	ck_assert_int_ge(c->rows, 12 * 8);
	ck_assert_int_le(c->rows, 12 * 8 * 2);
	cover_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rig");
	TCase *tc = rig_tcase(s, "rig", 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_verb_once);
	tcase_add_test(tc, other_transports);
	tcase_add_test(tc, failure_shows_and_the_pair_comes_back);
	tcase_add_test(tc, waits_end);
	tcase_add_test(tc, patterns_tell_every_byte);
	tcase_add_test(tc, covers_meet_every_pair);
	return rig_main(&s, 1);
}
