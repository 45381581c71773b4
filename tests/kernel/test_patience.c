// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A page that is late costs RNR NAKs and never a transport retry, whatever the timeouts of the two
 * ends are. A requester of 34 ms and retry count 3 would have an error after 0.2 s.
 *
 * A machine that is busy stalls for longer than such a timeout now and then, which costs a retry
 * as well. So one retry to ten RNR NAKs is let pass, and a case has passed when one of some
 * attempts has; a responder that keeps a packet for longer than its peer waits has one to each.
 * And what this machine is not good for is found by a receiver that is not ready, for which stock
 * code answers.
 */
#include "waiting.h"

#define RESPONDER	18	/* its own timeout says nothing about that of its peer */
#define RETRIES		3
#define ATTEMPTS	5
#define LATE_BY		3.0

/* 34, 67, 134, 537 ms, 1.1 and 4.3 s. */
static const uint8_t timeouts[] = { 13, 14, 15, 17, 18, 20 };

#define TIMEOUTS	((int)(sizeof(timeouts) / sizeof(timeouts[0])))

enum { LATE_THERE, LATE_HERE, LATE_INSIDE, PLACES };

static const char *const place_name[] = {
	"at the responder", "at the requester", "in the middle of a message",
};

static struct rig_pair *impatient(uint8_t timeout)
{
	struct rig_pair *p = rig_pair_loose(rig, IBV_QPT_RC);

	rig->attr.retry_cnt = RETRIES;
	rig->attr.timeout = timeout;
	rig_join(p, RIG_A, p->end[RIG_B].qp->qp_num);
	rig->attr.timeout = RESPONDER;
	rig_join(p, RIG_B, p->end[RIG_A].qp->qp_num);
	return p;
}

/* ---------------------------------------------------------------- what this machine is good for */

/* Retries of a send to a receiver that has nothing posted for that long; -1: that was too many. */
static int64_t retries_of_stock(uint8_t timeout, double by)
{
	struct rig_span here = at_a(0, 1000), there = at_a(1, 1000);
	struct rig_op op = { .verb = RIG_SEND, .sg = &here, .nsg = 1 };
	struct rig_pair *p = impatient(timeout);
	int64_t before = port_counter(counter[RETRY]);
	struct ibv_wc wc;

	ck_assert_int_eq(rig_post(p, &op), 0);
	rig_sleep(by);
	ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "a send without a receive");
	rig_unpair(p);
	return wc.status == IBV_WC_SUCCESS ? port_counter(counter[RETRY]) - before : -1;
}

static bool is_too_busy_for(uint8_t timeout)
{
	int i, clean = 0;

	for (i = 0; i < 3; i++)
		clean += !retries_of_stock(timeout, LATE_BY / 3);
	return !clean;
}

/* ------------------------------------------------------------------ requests for late pages */

static const struct {
	const char *name;
	enum rig_verb verb;
} verbs[] = {
	{ "write", RIG_WRITE }, { "read", RIG_READ }, { "send", RIG_SEND },
	{ "fetch and add", RIG_FADD }, { "atomic write", RIG_ATOMIC_WRITE },
};

#define VERBS	((int)(sizeof(verbs) / sizeof(verbs[0])))
#define LONG	(8 * RIG_PAGE)

/* Pages of one request: the first is late, or the last but one of many. */
static size_t page_of(int verb)
{
	return (size_t)verb * 2 * LONG / RIG_PAGE;
}

static uint32_t length_of(int verb, int place)
{
	bool word = verbs[verb].verb == RIG_FADD || verbs[verb].verb == RIG_ATOMIC_WRITE;

	return word ? 8 : place == LATE_INSIDE ? LONG : 1000;
}

static void post_verb(struct rig_pair *p, int verb, int place)
{
	const uint32_t len = length_of(verb, place);
	struct rig_span warm = at_a(page_of(verb), len), cold = at_b(page_of(verb), len);
	struct rig_span here, there;
	struct rig_op op = { .verb = verbs[verb].verb, .sg = &here, .value = 1 };

	here = place == LATE_HERE ? cold : warm;
	there = place == LATE_HERE ? warm : cold;
	op.nsg = op.verb != RIG_ATOMIC_WRITE;
	op.remote = there;
	if (op.verb == RIG_SEND)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
}

static void check_verb(int verb, int place)
{
	const uint8_t *warm = a + page_of(verb) * RIG_PAGE, *cold = b + page_of(verb) * RIG_PAGE;
	const uint32_t len = length_of(verb, place);
	uint64_t was, now;

	if (len > 8) {
		/* Before, the one was of another pattern than the other. */
		ck_assert_msg(!memcmp(warm, cold, len), "%s, late %s: wrong data", verbs[verb].name,
			      place_name[place]);
		return;
	}
	if (verbs[verb].verb == RIG_ATOMIC_WRITE || place == LATE_HERE)
		return;
	/* Once: what has come back, and one more. */
	memcpy(&was, warm, 8);
	memcpy(&now, cold, 8);
	ck_assert_uint_eq(now, was + 1);
}

/* Fresh pages, of which some are late. */
static struct late *make_late(int place)
{
	const size_t all = (size_t)VERBS * 2 * LONG;
	int i;

	ck_assert_int_eq(madvise(b, all, MADV_DONTNEED), 0);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(a, LEN, 1, 0);
	if (place == LATE_INSIDE)
		for (i = 0; i < VERBS; i++)
			if (length_of(i, place) > 8)
				rig_fill(b + page_of(i) * RIG_PAGE, 6 * RIG_PAGE, 5, 0);
	return late_pages(b, all, LATE_BY, SEED, why, sizeof(why));
}

/* Whether hardly a retry was needed, and no request has failed. */
static bool one_attempt(uint8_t timeout, int place)
{
	int64_t before[COUNTERS], now[COUNTERS];
	struct rig_pair *p[VERBS];
	bool fine = true;
	struct ibv_wc wc;
	int i;

	late = make_late(place);
	ck_assert_msg(late, "%s", why);
	for (i = 0; i < VERBS; i++)
		p[i] = impatient(timeout);
	counters(before);
	for (i = 0; i < VERBS; i++)
		post_verb(p[i], i, place);
	for (i = 0; i < VERBS; i++) {
		rig_reap(rig, p[i]->end[RIG_A].scq, &wc, 1, verbs[i].name);
		if (wc.status == IBV_WC_SUCCESS) {
			check_verb(i, place);
			continue;
		}
		printf("timeout %.0f ms, late %s: %s: %s\n", 4.096e-3 * (1 << timeout),
		       place_name[place], verbs[i].name, rig_status_name(wc.status));
		ck_assert_int_eq(wc.status, IBV_WC_RETRY_EXC_ERR);
		fine = false;
	}
	counters(now);
	printf("timeout %.0f ms, late %s: %jd RNR NAKs, %jd retries, %jd duplicates\n",
	       4.096e-3 * (1 << timeout), place_name[place], (intmax_t)(now[RNR] - before[RNR]),
	       (intmax_t)(now[RETRY] - before[RETRY]),
	       (intmax_t)(now[DUPLICATE] - before[DUPLICATE]));
	for (i = 0; i < VERBS; i++)
		rig_unpair(p[i]);
	late_end(late);
	late = NULL;
	return fine && 10 * (now[RETRY] - before[RETRY]) <= now[RNR] - before[RNR];
}

START_TEST(test_late_costs_no_retry)
{
	uint8_t timeout = timeouts[_i % TIMEOUTS];
	int i, place = _i / TIMEOUTS;

	RIG_NEEDS_ODP(rig);
	late = make_late(place);
	if (!late)
		RIG_SKIP(why);
	late_end(late);
	late = NULL;
	for (i = 0; i < ATTEMPTS; i++)
		if (one_attempt(timeout, place))
			return;
	if (is_too_busy_for(timeout))
		RIG_SKIP("this machine stalls for longer than that timeout again and again");
	ck_abort_msg("timeout %.0f ms, late %s: retries, or an error, in each of %d attempts",
		     4.096e-3 * (1 << timeout), place_name[place], ATTEMPTS);
}
END_TEST

/* It is the responder that says when to come back: not more often than that. */
START_TEST(test_min_rnr_timer)
{
	struct rig_span here = at_a(0, 1000);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = at_b(0, 1000) };
	const uint8_t timer = 24;	/* 40.96 ms */
	int64_t count[COUNTERS];
	struct rig_pair *p;
	struct ibv_wc wc;
	double start;

	NEEDS_LATE(0, 2);
	rig->attr.min_rnr_timer = timer;
	p = rig_pair(rig, IBV_QPT_RC);
	counters(count);
	start = rig_now();
	ck_assert_int_eq(rig_post(p, &op), 0);
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "the write");
	start = rig_now() - start;
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	counters_since(count, "a timer of 41 ms");
	ck_assert_int_ge(count[RNR], 1);
	ck_assert_int_le(count[RNR], (int64_t)(start / 0.04096) + 1);
	rig_unpair(p);
}
END_TEST

/* ------------------------------------------------------------------ without acknowledgment */

#define STREAM	3000
#define SIZE	200u

/* Writes with immediate, numbered, as fast as they complete. */
static void post_stream(struct rig_pair *p)
{
	struct rig_op op = { .verb = RIG_WRITE_IMM, .nsg = 1 };
	struct rig_span here;
	struct ibv_wc wc;
	int i, under_way = 0;

	op.sg = &here;
	for (i = 0; i < STREAM; i++) {
		here = rig_at(ma, (uint64_t)i * SIZE, SIZE);
		op.remote = rig_at(mb, (uint64_t)i * SIZE, SIZE);
		op.imm = (uint32_t)i;
		if (under_way == 100) {
			rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "a write");
			ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
			under_way--;
		}
		ck_assert_int_eq(rig_post(p, &op), 0);
		under_way++;
	}
	while (under_way--)
		rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "a write");
}

/*
 * Over loopback the only backpressure that a UC sender feels is its own packets in flight: while a
 * page comes within 200 ms none of 3,000 is lost. _i: the first page is late, all are.
 */
START_TEST(test_unreliable_stream_loses_nothing)
{
	const size_t all = ((size_t)STREAM * SIZE + RIG_PAGE - 1) / RIG_PAGE * RIG_PAGE;
	struct rig_pair *p;
	struct ibv_wc wc;
	int i;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	if (!_i)
		memset(b + RIG_PAGE, 0, all - RIG_PAGE);
	late = late_pages(b, _i ? all : RIG_PAGE, _i ? 0.02 : 0.2, SEED, why, sizeof(why));
	if (!late)
		RIG_SKIP(why);
	rig->attr.rq_depth = STREAM + 1;
	rig->attr.cq_depth = STREAM + 1;
	p = rig_pair_mtu(rig, IBV_QPT_UC, 256);
	for (i = 0; i < STREAM; i++)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, NULL, 0, (uint64_t)i), 0);
	post_stream(p);
	for (i = 0; i < STREAM; i++) {
		if (!rig_try_reap(p->end[RIG_B].rcq, &wc, 1, rig->deadline))
			ck_abort_msg("%d of %d packets are lost", STREAM - i, STREAM);
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
		ck_assert_msg(be32toh(wc.imm_data) == (uint32_t)i, "write %u instead of %d",
			      be32toh(wc.imm_data), i);
	}
	rig_expect(b, (size_t)STREAM * SIZE, 1, 0, "what was written");
	rig_unpair(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("patience");
	TCase *tc = new_case(s, "patience");

	tcase_add_loop_test(tc, test_late_costs_no_retry, 0, PLACES * TIMEOUTS);
	tcase_add_test(tc, test_min_rnr_timer);
	tcase_add_loop_test(tc, test_unreliable_stream_loses_nothing, 0, 2);
	return rig_main(&s, 1);
}
