// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Verbs on one aligned 64-bit word: compare and swap, fetch and add, atomic write; and flush. */
#include <pthread.h>

#include "rig.h"

#define LEN	(64 * RIG_PAGE)
#define MIDDLE	(LEN / 2)	/* the border of two windows */

static const size_t offsets[] = {
	0, 8, 64, 104, 4000, RIG_PAGE - 8, RIG_PAGE, MIDDLE - 8, MIDDLE, LEN - 8,
};

#define OFFSETS	(sizeof(offsets) / sizeof(offsets[0]))

enum touch { WARM, REFILLED, UNTOUCHED, TOUCHES };

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *target, *result;

static void setup(void)
{
	rig = rig_open(NULL);
	pair = rig_pair(rig, IBV_QPT_RC);
	target = rig_map_across(LEN, RIG_WINDOW);
	result = rig_map(LEN, 0, RIG_ANON);
}

static void teardown(void)
{
	rig_unmap(target, LEN);
	rig_unmap(result, LEN);
	rig_unpair(pair);
	rig_close(rig);
}

static uint64_t get(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* Everything but the word at off must be as it was filled. */
static void check_around(const uint8_t *p, size_t off, bool zeros, uint64_t seed)
{
	if (zeros) {
		ck_assert_int_eq(rig_diff_byte(p, off, 0), -1);
		ck_assert_int_eq(rig_diff_byte(p + off + 8, LEN - off - 8, 0), -1);
		return;
	}
	rig_expect(p, off, seed, 0, "before the word at %zu", off);
	rig_expect(p + off + 8, LEN - off - 8, seed, off + 8, "behind the word at %zu", off);
}

/* The word's value before the operation. Pinned memory stays where it is. */
static uint64_t prepare(uint8_t *p, size_t off, enum touch touch, bool pinned, uint64_t seed)
{
	if (touch != WARM && !pinned)
		ck_assert_int_eq(madvise(p, LEN, MADV_DONTNEED), 0);
	if (touch == UNTOUCHED && !pinned)
		return 0;
	rig_fill(p, LEN, seed, 0);
	return get(p + off);
}

static struct rig_res one(enum rig_verb verb, struct rig_span res, struct rig_span word, uint64_t old,
			  uint64_t value)
{
	switch (verb) {
	case RIG_CAS: return rig_cas(pair, res, word, old, value);
	case RIG_FADD: return rig_fadd(pair, res, word, value);
	default: return rig_atomic_write(pair, word, value);
	}
}

static void check_word(enum rig_verb verb, struct rig_mr *mt, struct rig_mr *mres, size_t off,
		       enum touch touch)
{
	const uint64_t value = 0x0123456789abcdefull + off;
	bool answers = verb != RIG_ATOMIC_WRITE;
	size_t roff = LEN - 8 - off;
	uint64_t old;

	if (touch == WARM)
		RIG_OK(one(verb, rig_at(mres, roff, 8), rig_at(mt, off, 8), 0, 1));
	old = prepare(target, off, touch, !mt->odp, 7);
	prepare(result, roff, touch, !mres->odp, 9);
	RIG_OK(one(verb, rig_at(mres, roff, 8), rig_at(mt, off, 8), old, value));
	ck_assert_msg(get(target + off) == (verb == RIG_FADD ? old + value : value),
		      "%s at %zu: the word is %#jx, was %#jx", rig_verb_name(verb), off,
		      (uintmax_t)get(target + off), (uintmax_t)old);
	check_around(target, off, touch == UNTOUCHED && mt->odp, 7);
	if (answers) {
		ck_assert_msg(get(result + roff) == old, "%s at %zu: answers %#jx instead of %#jx",
			      rig_verb_name(verb), off, (uintmax_t)get(result + roff),
			      (uintmax_t)old);
		check_around(result, roff, touch == UNTOUCHED && mres->odp, 9);
	}
	if (verb != RIG_CAS)
		return;
	/* And one that must not swap. */
	RIG_OK(rig_cas(pair, rig_at(mres, roff, 8), rig_at(mt, off, 8), old, ~value));
	ck_assert_uint_eq(get(target + off), value);
	ck_assert_uint_eq(get(result + roff), value);
}

static const enum rig_verb words[] = { RIG_CAS, RIG_FADD, RIG_ATOMIC_WRITE };

static void cross_words(enum rig_verb verb, bool todp, bool rodp)
{
	const uint64_t iovas[] = { RIG_IOVA_SAME, RIG_PAGE, 0xfffffffff0000000ull };
	struct rig_mr *mt, *mres;
	size_t i, k;
	int touch;

	for (k = 0; k < 3; k++) {
		mt = rig_reg(rig, target, LEN, iovas[k], RIG_RW, todp);
		mres = rig_reg(rig, result, LEN, iovas[(k + 1) % 3], RIG_RW, rodp);
		for (touch = WARM; touch < (todp || rodp ? TOUCHES : REFILLED); touch++)
			for (i = 0; i < OFFSETS; i++)
				check_word(verb, mt, mres, offsets[i], (enum touch)touch);
		rig_dereg(mt);
		rig_dereg(mres);
	}
}

START_TEST(word_pinned)
{
	cross_words(words[_i], false, false);
}
END_TEST

START_TEST(word_odp)
{
	RIG_NEEDS_ODP(rig);
	cross_words(words[_i], true, true);
}
END_TEST

START_TEST(word_mixed)
{
	RIG_NEEDS_ODP(rig);
	cross_words(words[_i], true, false);
	cross_words(words[_i], false, true);
}
END_TEST

/* ------------------------------------------------------------------ atomicity between queue pairs */

#define ADDERS	4
#define ROUNDS	200

struct adder {
	pthread_t thread;
	struct rig_pair *pair;
	struct rig_mr *word;
	struct rig_mr *res;
	uint64_t add;
	size_t slot;
};

static void *add_many(void *arg)
{
	struct adder *a = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct rig_res res = rig_fadd(a->pair, rig_at(a->res, a->slot, 8),
					      rig_at(a->word, 4088, 8), a->add);

		if (!rig_res_ok(res))
			return (void *)rig_status_name(res.status);
	}
	return NULL;
}

/* Half of the adders reach the word through another region of the same memory. */
static void add_concurrently(bool odp)
{
	struct rig_mr *mt[2], *mres = rig_reg(rig, result, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct adder adder[ADDERS];
	uint64_t sum = 0;
	void *bad;
	size_t i;

	memset(target, 0, LEN);
	mt[0] = rig_reg(rig, target, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	mt[1] = rig_reg(rig, target, LEN, RIG_PAGE, RIG_RW, odp);
	for (i = 0; i < ADDERS; i++) {
		adder[i] = (struct adder){
			.pair = rig_pair(rig, IBV_QPT_RC), .word = mt[i % 2], .res = mres,
			.add = 1ull << (16 * i), .slot = i * RIG_PAGE + 8,
		};
		sum += ROUNDS * adder[i].add;
		ck_assert_int_eq(pthread_create(&adder[i].thread, NULL, add_many, &adder[i]), 0);
	}
	for (i = 0; i < ADDERS; i++) {
		pthread_join(adder[i].thread, &bad);
		ck_assert_msg(!bad, "adder %zu: %s", i, (const char *)bad);
	}
	ck_assert_msg(get(target + 4088) == sum, "the sum is %#jx instead of %#jx",
		      (uintmax_t)get(target + 4088), (uintmax_t)sum);
	for (i = 0; i < ADDERS; i++)
		rig_unpair(adder[i].pair);
	rig_dereg(mt[0]);
	rig_dereg(mt[1]);
	rig_dereg(mres);
}

START_TEST(adders_pinned)
{
	add_concurrently(false);
}
END_TEST

START_TEST(adders_odp)
{
	RIG_NEEDS_ODP(rig);
	add_concurrently(true);
}
END_TEST

/* ------------------------------------------------------------------ flush */

/* A flush for global visibility ends well for every piece and changes nothing. */
static void flush_visibility(bool odp)
{
	static const struct { size_t off; uint32_t len; } piece[] = {
		{ 0, 1 }, { 4095, 2 }, { 100, 5000 }, { MIDDLE - 1, 2 }, { 0, LEN }, { LEN - 1, 1 },
	};
	struct rig_mr *mt = rig_reg(rig, target, LEN, RIG_PAGE, RIG_RW_FLUSH, odp);
	struct rig_mr *ms = rig_reg(rig, result, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	size_t i;

	rig_fill(result, LEN, 21, 0);
	if (!odp)
		rig_fill(target, LEN, 20, 0);
	for (i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
		struct rig_span there = rig_at(mt, piece[i].off, piece[i].len);
		struct rig_span here = rig_at(ms, piece[i].off, piece[i].len);

		RIG_OK(rig_write(pair, here, there));
		RIG_OK(rig_flush(pair, there, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
		RIG_OK(rig_flush(pair, there, IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
		rig_expect(target + piece[i].off, piece[i].len, 21, piece[i].off, "flushed piece");
	}
	rig_expect(target, LEN, 21, 0, "after the flushes");
	/* Also of pages that nobody ever touched. */
	ck_assert_int_eq(madvise(target, LEN, MADV_DONTNEED), 0);
	RIG_OK(rig_flush(pair, rig_at(mt, 0, LEN), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
	RIG_OK(rig_flush(pair, rig_at(mt, 0, 0), IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
	rig_dereg(mt);
	rig_dereg(ms);
}

START_TEST(flush_pinned)
{
	flush_visibility(false);
}
END_TEST

START_TEST(flush_odp)
{
	RIG_NEEDS_ODP(rig);
	flush_visibility(true);
}
END_TEST

/* A region without the right must not be flushed, and one out of range neither. */
static void flush_refused(bool odp)
{
	struct rig_mr *plain = rig_reg(rig, target, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct rig_mr *right = rig_reg(rig, target, LEN, RIG_IOVA_SAME, RIG_RW_FLUSH, odp);

	RIG_FAILS(rig_flush(pair, rig_at(plain, 0, 64), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE),
		  IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	/* The whole address space has no end to pass. */
	if (!odp || !rig_by_implicit()) {
		RIG_FAILS(rig_flush(pair, rig_at(right, LEN - 8, 16), IBV_FLUSH_GLOBAL,
				    IBV_FLUSH_RANGE), IBV_WC_REM_ACCESS_ERR);
		rig_reconnect(pair);
	}
	RIG_FAILS(rig_flush(pair, rig_at(right, 0, 64), IBV_FLUSH_PERSISTENT, IBV_FLUSH_RANGE),
		  IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	RIG_OK(rig_flush(pair, rig_at(right, 0, 64), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
	rig_dereg(plain);
	rig_dereg(right);
}

START_TEST(flush_refused_pinned)
{
	flush_refused(false);
}
END_TEST

START_TEST(flush_refused_odp)
{
	RIG_NEEDS_ODP(rig);
	flush_refused(true);
}
END_TEST

/* Ordinary memory cannot be made persistent: a pinned region is refused when it is registered. */
START_TEST(persistence_refused_pinned)
{
	struct rig_mr *mr;
	int err;

	err = rig_try_reg(rig, target, LEN, RIG_IOVA_SAME, RIG_RW | IBV_ACCESS_FLUSH_PERSISTENT,
			  false, &mr);
	ck_assert_int_eq(err, EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("data: words");
	TCase *tc = rig_tcase(s, "words", 120);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, word_pinned, 0, 3);
	tcase_add_loop_test(tc, word_odp, 0, 3);
	tcase_add_loop_test(tc, word_mixed, 0, 3);
	tcase_add_test(tc, adders_pinned);
	tcase_add_test(tc, adders_odp);
	tcase_add_test(tc, flush_pinned);
	tcase_add_test(tc, flush_odp);
	tcase_add_test(tc, flush_refused_pinned);
	tcase_add_test(tc, flush_refused_odp);
	tcase_add_test(tc, persistence_refused_pinned);
	return rig_main(&s, 1);
}
