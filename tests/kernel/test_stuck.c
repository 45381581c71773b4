// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A worker that waits for a page itself, with a packet in hand: nobody waits with it. That happens when
 * a page goes between the look at it and the copy, which a test cannot have at will; and when a program
 * changes where its request goes more often than the driver follows.
 */
#include "queues.h"
#include "waiting.h"

#define FOLLOWED	4u	/* places of one request that the driver waits for at a time */

/* Whose worker it is, and what brings it to the page. */
static const struct {
	const char *name;
	enum rig_verb verb;
	enum rig_side side;
} stuck[] = {
	{ "requester", RIG_WRITE, RIG_A },
	{ "completer", RIG_READ, RIG_A },
	{ "responder", RIG_SEND, RIG_B },
};

#define WORKERS	((int)(sizeof(stuck) / sizeof(stuck[0])))

enum action { DESTROY, DESTROY_PEER, ERROR, RESET, DEREG, ARRIVE, ACTIONS };

static const char *const action_name[ACTIONS] = {
	"destruction", "destruction of the peer", "the error state", "reset", "deregistration",
	"arrival",
};

/* To memory that is there: the task of A looks again at what it waits for. */
static void nudge(struct rig_pair *p)
{
	struct rig_span here = at_a(100, 8);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = at_a(101, 8) };

	ck_assert_int_eq(rig_post(p, &op), 0);
}

/* The worker waits for the page FOLLOWED of b. */
static struct rig_pair *get_stuck(int worker)
{
	bool at_peer = stuck[worker].side == RIG_B;
	struct rig_span cold = at_b(0, 1000), warm = at_a(0, 1000);
	struct rig_op op = { .verb = stuck[worker].verb, .nsg = 1, .sg = at_peer ? &warm : &cold,
			     .remote = warm };
	struct rig_pair *p = rig_pair(rig, IBV_QPT_RC);
	struct rxe_sge *sge;
	unsigned int place;

	if (at_peer)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &cold, 1, 0), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
	wait_until_asked(1);
	sge = queues_sge(cold);
	for (place = 1; place <= FOLLOWED; place++) {
		__atomic_store_n(&sge->addr, at_b(place, 1000).addr, __ATOMIC_SEQ_CST);
		/* The peer of a responder is told to come back, and does. */
		if (!at_peer)
			nudge(p);
		wait_until_asked(place + 1);
	}
	ck_assert_int_gt(workers_waited(), 0);
	/* Long enough for the peer to have been told to come back. */
	rig_sleep(0.3);
	return p;
}

/* Completions of whoever was stuck: of one receive, or of the request and what nudged it. */
static int reap_all(struct rig_pair *p, int worker, struct ibv_wc *wc)
{
	struct rig_end *end = &p->end[stuck[worker].side];
	bool at_peer = stuck[worker].side == RIG_B;
	int count = at_peer ? 1 : 1 + (int)FOLLOWED;

	rig_reap(rig, at_peer ? end->rcq : end->scq, wc, count, stuck[worker].name);
	return count;
}

static void arrives(struct rig_pair *p, int worker)
{
	const size_t pos = FOLLOWED * RIG_PAGE;
	struct ibv_wc wc[1 + FOLLOWED];
	int i, count;

	/* For longer than the peer's transport has patience. */
	rig_sleep(seconds);
	late_release(late);
	count = reap_all(p, worker, wc);
	for (i = 0; i < count; i++)
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "completion %d of the %s: %s", i,
			      stuck[worker].name, rig_status_name(wc[i].status));
	if (stuck[worker].verb == RIG_WRITE)
		rig_expect(a, 1000, SEED, pos, "what was written");
	else
		rig_expect(b + pos, 1000, 1, 0, "what came");
	rig_expect(b + pos + 1000, 1000, SEED, pos + 1000, "beside it");
}

/* Those of a queue pair that goes down are flushed, also the one that was in hand. */
static void is_flushed(struct rig_pair *p, int worker)
{
	struct ibv_wc wc[1 + FOLLOWED];
	int i, count = reap_all(p, worker, wc);

	for (i = 0; i < count; i++)
		ck_assert_msg(wc[i].status == IBV_WC_WR_FLUSH_ERR, "completion %d of the %s: %s", i,
			      stuck[worker].name, rig_status_name(wc[i].status));
}

static void stays_reset(struct rig_pair *p, int worker)
{
	struct rig_end *end = &p->end[stuck[worker].side];
	struct ibv_wc wc;

	rig_sleep(0.1);
	rig_wait_state(p, stuck[worker].side, IBV_QPS_RESET);
	ck_assert_int_eq(rig_poll(end->scq, &wc, 1), 0);
	ck_assert_int_eq(rig_poll(end->rcq, &wc, 1), 0);
	rig_join(p, stuck[worker].side, p->end[!stuck[worker].side].qp->qp_num);
}

static struct rig_pair *act(enum action action, struct rig_pair *p, int worker)
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
		is_flushed(p, worker);
		break;
	case RESET:
		rig_set_state(p, side, IBV_QPS_RESET);
		break;
	default:
		break;
	}
	return p;
}

START_TEST(test_nobody_waits_with_a_worker)
{
	enum action action = _i % ACTIONS;
	int worker = _i / ACTIONS;
	int64_t count[COUNTERS];
	struct rig_pair *p;
	double took;

	NEEDS_LATE(0, LATE_NEVER);
	counters(count);
	p = get_stuck(worker);
	took = rig_now();
	p = act(action, p, worker);
	took = rig_now() - took;
	printf("%s while a %s is stuck: %.3f s\n", action_name[action], stuck[worker].name, took);
	ck_assert_msg(took < QUICK, "%s took %.1f s while a %s was stuck", action_name[action], took,
		      stuck[worker].name);
	if (action == RESET)
		stays_reset(p, worker);
	if (action == ARRIVE)
		arrives(p, worker);
	counters_since(count, stuck[worker].name);
	if (stuck[worker].side == RIG_B)
		ck_assert_int_gt(count[RNR], 0);
	late_release(late);
	if (p)
		rig_unpair(p);
	/* And data goes on. */
	if (mb) {
		RIG_OK(rig_write(pair, at_a(40, 3000), at_b(40, 3000)));
		rig_expect(b + 40 * RIG_PAGE, 3000, 1, 40 * RIG_PAGE, "afterwards");
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stuck");
	TCase *tc = new_case(s, "stuck");

	tcase_add_loop_test(tc, test_nobody_waits_with_a_worker, 0, WORKERS * ACTIONS);
	return rig_main(&s, 1);
}
