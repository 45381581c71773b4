// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A worker that waits for a page itself, with a packet in hand: nobody waits with it. That happens when
 * a page goes between the look at it and the copy, which a test cannot have at will; and when a program
 * changes where its request goes more often than the driver follows.
 */
#include <poll.h>

#include "queues.h"
#include "waiting.h"

#define FOLLOWED	4u	/* places of one request that the driver waits for at a time */
#define BEHIND		(FOLLOWED + 8)	/* requests behind one of an unreliable peer, each stuck, too */
#define ADDEND		0x0123456789abcdefull

/* Whose worker it is, and what brings it to the page. */
static const struct {
	const char *name;
	enum rig_verb verb;
	enum rig_side side;
	enum ibv_qp_type type;
	uint32_t len;
} stuck[] = {
	{ "requester", RIG_WRITE, RIG_A, IBV_QPT_RC, 1000 },
	{ "completer", RIG_READ, RIG_A, IBV_QPT_RC, 1000 },
	{ "responder", RIG_SEND, RIG_B, IBV_QPT_RC, 1000 },
	/* With these for what is different about them only. */
	{ "responder of a write", RIG_WRITE, RIG_B, IBV_QPT_RC, 1000 },
	{ "responder of a read", RIG_READ, RIG_B, IBV_QPT_RC, 1000 },
	{ "responder of a fetch and add", RIG_FADD, RIG_B, IBV_QPT_RC, 8 },
	{ "responder of a flush", RIG_FLUSH, RIG_B, IBV_QPT_RC, 1000 },
	{ "unreliable responder", RIG_SEND, RIG_B, IBV_QPT_UC, 1000 },
};

#define WORKERS		((int)(sizeof(stuck) / sizeof(stuck[0])))
#define ALL_ACTIONS	3	/* of the first so many */

enum action { DESTROY, ERROR, RESET, ARRIVE, DESTROY_PEER, DEREG, ACTIONS };

#define FEW_ACTIONS	((int)DESTROY_PEER)

static const char *const action_name[ACTIONS] = {
	"destruction", "the error state", "reset", "arrival", "destruction of the peer", "deregistration",
};

static int worker;	/* of stuck[] */

static bool at_peer(void)
{
	return stuck[worker].side == RIG_B;
}

/* Completions of its own side: of receives, or of the request and what nudged it. */
static int own_completions(void)
{
	if (!at_peer())
		return 1 + (int)FOLLOWED;
	if (stuck[worker].verb != RIG_SEND)
		return 0;
	return stuck[worker].type == IBV_QPT_RC ? 1 : 1 + (int)BEHIND;
}

/* To memory that is there; a task looks again at what it waits for. */
static void nudge(struct rig_pair *p, uint64_t wr_id)
{
	struct rig_span here = at_a(100, 8);
	struct rig_op op = { .verb = p->type == IBV_QPT_RC ? RIG_WRITE : RIG_SEND, .sg = &here,
			     .nsg = 1, .remote = at_a(101, 8), .wr_id = wr_id };

	ck_assert_int_eq(rig_post(p, &op), 0);
}

static void post_it(struct rig_pair *p)
{
	struct rig_span cold = at_b(0, stuck[worker].len), warm = at_a(0, stuck[worker].len);
	struct rig_op op = {
		.verb = stuck[worker].verb, .sg = at_peer() ? &warm : &cold,
		.nsg = stuck[worker].verb != RIG_FLUSH, .remote = at_peer() ? cold : warm,
		.value = ADDEND, .flush_type = IBV_FLUSH_PERSISTENT, .flush_level = IBV_FLUSH_RANGE,
		.wr_id = 1,
	};
	int i;

	for (i = 0; at_peer() && i < own_completions(); i++) {
		/* Far from where the first one is moved to. */
		cold = at_b(i ? 10 + (size_t)i : 0, stuck[worker].len);
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &cold, 1, 1 + (uint64_t)i), 0);
	}
	ck_assert_int_eq(rig_post(p, &op), 0);
}

/* A reliable peer is told to come back, again and again. */
static void wait_until_told(void)
{
	const double end = rig_now() + rig->deadline;
	int64_t before = port_counter(counter[RNR]);

	while (port_counter(counter[RNR]) < before + 2) {
		ck_assert_msg(rig_now() < end, "the peer of a %s is not told to come back",
			      stuck[worker].name);
		rig_sleep(0.01);
	}
}

/* Who looks for the page before this one finds this one. */
static void move(unsigned int place)
{
	queues_replace(at_b(place - 1, 1).addr, at_b(place, 1).addr);
}

/* The peer of a reliable responder is told to come back, and does. */
static bool comes_by_itself(const struct rig_pair *p)
{
	return at_peer() && p->type == IBV_QPT_RC;
}

/* The worker has asked for all pages that are followed: one place more, and it is stuck. */
static struct rig_pair *get_close(void)
{
	struct rig_pair *p = rig_pair(rig, stuck[worker].type);
	unsigned int place;

	post_it(p);
	wait_until_asked(1);
	for (place = 1; place < FOLLOWED; place++) {
		move(place);
		if (!comes_by_itself(p))
			nudge(p, 1 + place);
		wait_until_asked(place + 1);
	}
	return p;
}

/* Behind what is stuck. */
static void queue_behind(struct rig_pair *p)
{
	unsigned int place;

	for (place = FOLLOWED + 1; place <= BEHIND; place++)
		nudge(p, 1 + place);
}

/* The worker waits for the page FOLLOWED of b. */
static struct rig_pair *get_stuck(void)
{
	struct rig_pair *p = get_close();

	move(FOLLOWED);
	if (!comes_by_itself(p))
		nudge(p, 1 + FOLLOWED);
	wait_until_asked(FOLLOWED + 1);
	ck_assert_int_gt(workers_waited(), 0);
	if (comes_by_itself(p))
		wait_until_told();
	if (p->type != IBV_QPT_RC)
		queue_behind(p);
	rig_sleep(0.1);
	return p;
}

/* In the order of the requests. */
static void reap_own(struct rig_pair *p, enum ibv_wc_status status)
{
	struct rig_end *end = &p->end[stuck[worker].side];
	int i, count = own_completions();
	struct ibv_wc wc[1 + BEHIND];

	rig_reap(rig, at_peer() ? end->rcq : end->scq, wc, count, stuck[worker].name);
	for (i = 0; i < count; i++) {
		ck_assert_msg(wc[i].status == status, "completion %d of the %s: %s", i,
			      stuck[worker].name, rig_status_name(wc[i].status));
		ck_assert_uint_eq(wc[i].wr_id, (uint64_t)i + 1);
	}
}

static void check_data(void)
{
	const size_t pos = FOLLOWED * RIG_PAGE;
	const uint32_t len = stuck[worker].len;
	uint64_t was, word;

	switch (stuck[worker].verb) {
	case RIG_FADD:
		/* Once, however often it was asked for. */
		rig_expect(a, 8, SEED, pos, "what was there before");
		memcpy(&was, a, 8);
		memcpy(&word, b + pos, 8);
		ck_assert_uint_eq(word, was + ADDEND);
		break;
	case RIG_FLUSH:
		break;
	case RIG_READ:
	case RIG_WRITE:
		if ((stuck[worker].verb == RIG_READ) == at_peer()) {
			rig_expect(a, len, SEED, pos, "what was read, or written from there");
			break;
		}
		/* fall through */
	default:
		rig_expect(b + pos, len, 1, 0, "what came");
	}
	rig_expect(b + pos + len, 1000, SEED, pos + len, "beside it");
}

static void arrives(struct rig_pair *p)
{
	enum ibv_wc_status status = stuck[worker].verb == RIG_FLUSH ? IBV_WC_REM_ACCESS_ERR :
				    IBV_WC_SUCCESS;
	int64_t count[COUNTERS];
	struct ibv_wc wc;

	counters(count);
	/* For longer than the peer's transport has patience. */
	rig_sleep(seconds);
	late_release(late);
	reap_own(p, IBV_WC_SUCCESS);
	if (at_peer()) {
		rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "who has sent it");
		ck_assert_msg(wc.status == status, "who has sent it: %s",
			      rig_status_name(wc.status));
	}
	check_data();
	counters_since(count, stuck[worker].name);
}

/* Those of a queue pair that goes down are flushed, also the one that was in hand. */
static void is_flushed(struct rig_pair *p)
{
	struct ibv_wc wc;

	rig_wait_state(p, stuck[worker].side, IBV_QPS_ERR);
	reap_own(p, IBV_WC_WR_FLUSH_ERR);
	rig_sleep(0.05);
	ck_assert_int_eq(rig_poll(p->end[stuck[worker].side].scq, &wc, 1), 0);
	ck_assert_int_eq(rig_poll(p->end[stuck[worker].side].rcq, &wc, 1), 0);
}

static void stays_reset(struct rig_pair *p)
{
	struct rig_end *end = &p->end[stuck[worker].side];
	struct ibv_wc wc;

	rig_sleep(0.1);
	rig_wait_state(p, stuck[worker].side, IBV_QPS_RESET);
	ck_assert_int_eq(rig_poll(end->scq, &wc, 1), 0);
	ck_assert_int_eq(rig_poll(end->rcq, &wc, 1), 0);
}

/* It begins anew. A twice: after one it still stands at what was flushed (docs/stock-defects.md). */
static void works_again(struct rig_pair *p)
{
	struct ibv_wc wc;

	rig_set_state(p, RIG_B, IBV_QPS_RESET);
	rig_set_state(p, RIG_A, IBV_QPS_RESET);
	rig_set_state(p, RIG_A, IBV_QPS_RESET);
	while (rig_poll(p->end[RIG_A].scq, &wc, 1))
		;
	rig_join(p, RIG_A, p->end[RIG_B].qp->qp_num);
	rig_join(p, RIG_B, p->end[RIG_A].qp->qp_num);
	RIG_OK(rig_write(p, at_a(40, 3000), at_b(40, 3000)));
	RIG_OK(rig_send(p, at_a(60, 3000), at_b(60, 3000)));
	rig_expect(b + 60 * RIG_PAGE, 3000, 1, 60 * RIG_PAGE, "after the reset");
}

static struct rig_pair *act(enum action action, struct rig_pair *p)
{
	enum rig_side side = stuck[worker].side;

	switch (action) {
	case DESTROY:
	case DESTROY_PEER:
		destroy_ends(p, action == DESTROY ? side : !side);
		return NULL;
	case DEREG:
		rig_dereg(mb);
		mb = NULL;
		break;
	case ERROR:
		rig_set_state(p, side, IBV_QPS_ERR);
		is_flushed(p);
		break;
	case RESET:
		rig_set_state(p, side, IBV_QPS_RESET);
		break;
	default:
		break;
	}
	return p;
}

/* Nobody has done anything wrong. */
static void no_event(void)
{
	struct pollfd fd = { .fd = rig->ctx->async_fd, .events = POLLIN };

	ck_assert_msg(!poll(&fd, 1, 0), "an asynchronous event of a %s", stuck[worker].name);
}

/* A flush to persistence of memory that is not persistent is refused, but looks for it first. */
static bool can_flush(void)
{
	if (!(rig->caps.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_PERSISTENT))
		return false;
	rig_dereg(mb);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW_FLUSH | IBV_ACCESS_FLUSH_PERSISTENT, true);
	return true;
}

static void nobody_waits(enum action action)
{
	struct rig_pair *p = get_stuck();
	double took = rig_now();

	p = act(action, p);
	took = rig_now() - took;
	printf("%s while a %s is stuck: %.3f s\n", action_name[action], stuck[worker].name, took);
	ck_assert_msg(took < QUICK, "%s took %.1f s while a %s was stuck", action_name[action], took,
		      stuck[worker].name);
	if (action == RESET)
		stays_reset(p);
	if (action == ARRIVE)
		arrives(p);
	else if (!worker)
		/* Nothing overtakes a request that was not made. */
		rig_expect(a + 101 * RIG_PAGE, 8, 1, 101 * RIG_PAGE, "what was behind it");
	if (action != DEREG && (action != ARRIVE || stuck[worker].verb != RIG_FLUSH))
		no_event();
	late_release(late);
	if (action == RESET)
		works_again(p);
	if (p)
		rig_unpair(p);
}

START_TEST(test_nobody_waits_with_a_worker)
{
	int few = _i - ALL_ACTIONS * ACTIONS;

	worker = few < 0 ? _i / ACTIONS : ALL_ACTIONS + few / FEW_ACTIONS;
	NEEDS_LATE(0, LATE_NEVER);
	if (stuck[worker].verb == RIG_FLUSH && !can_flush())
		RIG_SKIP("no flush to persistence");
	nobody_waits((enum action)(few < 0 ? _i % ACTIONS : few % FEW_ACTIONS));
	/* And data goes on. */
	if (mb) {
		RIG_OK(rig_write(pair, at_a(50, 3000), at_b(50, 3000)));
		rig_expect(b + 50 * RIG_PAGE, 3000, 1, 50 * RIG_PAGE, "afterwards");
	}
}
END_TEST

/* The destruction itself brings the worker to the page: what is behind that does not hold it up. */
static const int at_once[] = { 1, 2, WORKERS - 1 };

START_TEST(test_given_up_in_the_last_pass)
{
	struct rig_pair *p;

	worker = at_once[_i];
	NEEDS_LATE(0, LATE_NEVER);
	p = get_close();
	if (at_peer())
		queue_behind(p);
	rig_sleep(0.1);
	move(FOLLOWED);
	destroy_ends(p, stuck[worker].side);
	ck_assert_int_gt(workers_waited(), 0);
	late_release(late);
}
END_TEST

/*
 * A peer whose transport has little patience is told before it sends again. Retry count 7: it sends
 * for ever, so that a machine that stalls now and then does not end this.
 */
START_TEST(test_told_before_the_timeout)
{
	int64_t count[COUNTERS];
	struct rig_pair *p;

	worker = 2;
	NEEDS_LATE(0, LATE_NEVER);
	rig->attr.timeout = rig->attr.timeout > 16 ? 16 : 14;
	rig->attr.retry_cnt = 7;
	p = get_stuck();
	counters(count);
	rig_sleep(2 * rig_pace());
	counters_since(count, stuck[worker].name);
	ck_assert_int_ge(count[RNR], 4);
	ck_assert_msg(3 * count[RETRY] < count[RNR], "sent again by the peer's transport %jd times, told %jd times",
		      (intmax_t)count[RETRY], (intmax_t)count[RNR]);
	late_release(late);
	reap_own(p, IBV_WC_SUCCESS);
	check_data();
	rig_unpair(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stuck");
	TCase *tc = new_case(s, "stuck");

	tcase_add_loop_test(tc, test_nobody_waits_with_a_worker, 0,
			    ALL_ACTIONS * ACTIONS + (WORKERS - ALL_ACTIONS) * FEW_ACTIONS);
	tcase_add_loop_test(tc, test_given_up_in_the_last_pass, 0,
			    (int)(sizeof(at_once) / sizeof(at_once[0])));
	tcase_add_test(tc, test_told_before_the_timeout);
	return rig_main(&s, 1);
}
