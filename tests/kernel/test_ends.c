// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Ends, and what is held until then: address handles, completion queues that are full, resources
 * that are replaced, fences, send queues that drain, responses that are kept for a queue pair that
 * is reset.
 */
#include <poll.h>
#include <pthread.h>

#include "queues.h"
#include "waiting.h"

/* ------------------------------------------------------------------ address handles */

#define PIECES	8
#define MOVES	6

enum ah_way { AH_LATE, AH_ONE_AFTER_THE_OTHER, AH_MOVED, AH_WAYS };

static void post_datagram(struct rig_pair *p, const struct rig_span *sg, int nsg, uint64_t wr_id)
{
	struct rig_op op = { .verb = RIG_SEND, .sg = sg, .nsg = nsg, .wr_id = wr_id };

	ck_assert_int_eq(rig_post(p, &op), 0);
}

/* The first piece names one page after the other, until no more of them are asked for. */
static void move_the_first(struct rig_pair *p)
{
	struct rig_span other = at_a(1, 16);
	unsigned int place;
	double end;

	for (place = 1; place < MOVES; place++) {
		queues_replace(at_b(place - 1, 1).addr, at_b(place, 1).addr);
		post_datagram(p, &other, 1, 1 + place);
		end = rig_now() + 0.5;
		while (late_waiting(late) <= place && rig_now() < end)
			rig_sleep(0.01);
	}
}

/*
 * A datagram of many pieces waits for them, and its address handle is destroyed: that returns at
 * once, and the datagram arrives as it is or not at all.
 */
START_TEST(test_address_handle)
{
	struct rig_span sg[PIECES], there = at_a(8, 2 * RIG_PAGE);
	struct rig_pair *p;
	struct ibv_wc wc;
	double took;
	int i;

	NEEDS_LATE(0, _i == AH_ONE_AFTER_THE_OTHER ? 0.3 : LATE_NEVER);
	p = rig_pair(rig, IBV_QPT_UD);
	for (i = 0; i < 1 + MOVES; i++)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
	for (i = 0; i < PIECES; i++)
		sg[i] = at_b(i ? 10 + 2 * (size_t)i : 0, 16);
	post_datagram(p, sg, PIECES, 1);
	wait_until_asked(1);
	if (_i == AH_MOVED)
		move_the_first(p);
	rig_sleep(0.1);
	took = rig_now();
	ck_assert_int_eq(ibv_destroy_ah(p->end[RIG_A].ah), 0);
	took = rig_now() - took;
	p->end[RIG_A].ah = NULL;
	printf("destruction of an address handle: %.3f s\n", took);
	ck_assert_msg(took < QUICK, "destruction of an address handle took %.1f s", took);
	rig_sleep(0.5);
	late_release(late);
	/* Whatever it says: its user has taken its address away. */
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "the datagram");
	printf("the datagram: %s\n", rig_status_name(wc.status));
	ck_assert_uint_eq(wc.wr_id, 1);
	if (_i != AH_MOVED && rig_try_reap(p->end[RIG_B].rcq, &wc, 1, 0.5)) {
		ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
		ck_assert_uint_eq(wc.byte_len, RIG_GRH + PIECES * 16);
		for (i = 0; i < PIECES; i++)
			rig_expect(a + 8 * RIG_PAGE + RIG_GRH + (size_t)i * 16, 16, SEED,
				   (uint64_t)(i ? 10 + 2 * i : 0) * RIG_PAGE, "piece %d", i);
	}
	rig_unpair(p);
	no_worker_waited();
}
END_TEST

/* ------------------------------------------------------------------ completion queues */

/*
 * The event of a completion queue that runs over. The requester's may follow, which is full of
 * flushes.
 */
static void reports_overflow(const struct ibv_cq *cq)
{
	struct pollfd fd = { .fd = rig->ctx->async_fd, .events = POLLIN };
	struct ibv_async_event event;
	bool seen = false;

	while (poll(&fd, 1, seen ? 100 : 5000) == 1) {
		ck_assert_int_eq(ibv_get_async_event(rig->ctx, &event), 0);
		if (event.event_type == IBV_EVENT_CQ_ERR && event.element.cq == cq)
			seen = true;
		ibv_ack_async_event(&event);
	}
	ck_assert_msg(seen, "no event of the completion queue that has run over");
}

/*
 * Its region is let go when a write with immediate finds the completion queue full. _i: verb, and
 * whether the region is pinned, as a control.
 */
START_TEST(test_full_completion_queue)
{
	enum rig_verb verb = _i & 1 ? RIG_SEND : RIG_WRITE_IMM;
	struct rig_span here = at_a(0, 100), there;
	struct rig_op op = { .verb = verb, .sg = &here, .nsg = 1, .flags = RIG_SILENT };
	struct rig_pair *p;
	struct rig_mr *mr;
	double took;
	int i;

	RIG_NEEDS_ODP(rig);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, !(_i & 2));
	memset(b, 0, LEN);
	rig->attr.cq_depth = 1;
	p = rig_pair(rig, IBV_QPT_RC);
	there = rig_at(mr, 0, 100);
	op.remote = there;
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, verb == RIG_SEND, (uint64_t)i), 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(rig_post(p, &op), 0);
	rig_wait_state(p, RIG_B, IBV_QPS_ERR);
	reports_overflow(p->end[RIG_B].rcq);
	printf("deregistration ...\n");
	took = rig_now();
	rig_dereg(mr);
	took = rig_now() - took;
	printf("deregistration when a completion queue is full: %.3f s\n", took);
	ck_assert_msg(took < QUICK, "deregistration took %.1f s", took);
	rig_unpair(p);
}
END_TEST

/* ------------------------------------------------------------------ resources that are replaced */

#define MODIFIERS	2

struct modifier {
	struct ibv_qp *qp;
	unsigned int first, count;
	int err;
};

static bool stop_modifying;

static void *modify(void *arg)
{
	struct modifier *m = arg;
	struct ibv_qp_attr attr = { .port_num = 1 };

	while (!__atomic_load_n(&stop_modifying, __ATOMIC_RELAXED)) {
		attr.max_dest_rd_atomic = (uint8_t)(1 + (m->first + m->count++) % 8);
		m->err = ibv_modify_qp(m->qp, &attr, IBV_QP_MAX_DEST_RD_ATOMIC);
		if (m->err)
			break;
	}
	return NULL;
}

/* A late page among them, so that a read or an atomic waits while its resource is replaced. */
static uint64_t add_for(struct rig_pair *p, double seconds)
{
	const double end = rig_now() + seconds;
	uint64_t n = 0;

	while (rig_now() < end) {
		RIG_OK(rig_fadd(p, at_a(0, 8), at_b(0, 8), 1));
		n++;
		RIG_OK(rig_read(p, at_a(2, 5000), at_b(1 + n % 100, 5000)));
		rig_expect(a + 2 * RIG_PAGE, 5000, SEED, (1 + n % 100) * RIG_PAGE, "a read");
	}
	return n;
}

START_TEST(test_modified_by_two)
{
	struct modifier m[MODIFIERS] = {};
	uint64_t before, after, n, done;
	pthread_t thread[MODIFIERS];
	struct rig_pair *p;
	int i;

	NEEDS_LATE(0, 0.02);
	rig->attr.retry_cnt = 7;
	p = rig_pair(rig, IBV_QPT_RC);
	rig_fill(&before, 8, SEED, 0);
	for (i = 0; i < MODIFIERS; i++) {
		m[i] = (struct modifier){ .qp = p->end[RIG_B].qp, .first = 4u * (unsigned int)i };
		ck_assert_int_eq(pthread_create(&thread[i], NULL, modify, &m[i]), 0);
	}
	n = add_for(p, 6);
	__atomic_store_n(&stop_modifying, true, __ATOMIC_RELAXED);
	for (i = 0; i < MODIFIERS; i++) {
		pthread_join(thread[i], NULL);
		printf("%u changes, then: %s\n", m[i].count, strerror(m[i].err));
		ck_assert_int_eq(m[i].err, 0);
	}
	memcpy(&after, b, 8);
	done = after - before;
	printf("%ju atomics under way of changes\n", (uintmax_t)n);
	ck_assert_msg(done == n, "%ju were done", (uintmax_t)done);
	destroy_ends(p, RIG_B);
	rig_dmesg_clean();
}
END_TEST

/* ------------------------------------------------------------------ fences */

/*
 * A read whose page is late, there (_i 0) or here (1), and a write with a fence behind it, of what
 * it reads: it sends what has been read.
 */
START_TEST(test_fence_behind_a_late_read)
{
	bool here = _i;
	struct rig_span into = here ? at_b(0, 900) : at_a(0, 900);
	struct rig_op read = { .verb = RIG_READ, .sg = &into, .nsg = 1, .wr_id = 1,
			       .remote = here ? at_a(1, 900) : at_b(0, 900) };
	struct rig_op write = { .verb = RIG_WRITE, .sg = &into, .nsg = 1, .flags = RIG_FENCE,
				.remote = at_a(8, 900), .wr_id = 2 };
	struct ibv_wc wc[2];
	int i;

	NEEDS_LATE(0, LATE_NEVER);
	ck_assert_int_eq(rig_post(pair, &read), 0);
	ck_assert_int_eq(rig_post(pair, &write), 0);
	wait_until_asked(1);
	rig_sleep(1);
	ck_assert_int_eq(rig_poll(pair->end[RIG_A].scq, wc, 1), 0);
	late_release(late);
	rig_reap(rig, pair->end[RIG_A].scq, wc, 2, "a read and what is fenced behind it");
	for (i = 0; i < 2; i++) {
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "%d: %s", i,
			      rig_status_name(wc[i].status));
		ck_assert_uint_eq(wc[i].wr_id, 1 + (uint64_t)i);
	}
	rig_expect(a + 8 * RIG_PAGE, 900, here ? 1 : SEED, here ? RIG_PAGE : 0, "behind the fence");
	no_worker_waited();
}
END_TEST

/*
 * The read is aborted: its region is deregistered (_i & 1: the mapping goes), at the responder, or
 * (& 2) at the requester. What is fenced behind it ends as well, and has sent nothing.
 */
START_TEST(test_fence_behind_an_aborted_read)
{
	bool unmap = _i & 1, here = _i & 2;
	struct rig_span into = here ? at_b(0, 900) : at_a(0, 900), from = at_a(2, 900);
	struct rig_op read = { .verb = RIG_READ, .sg = &into, .nsg = 1, .wr_id = 1,
			       .remote = here ? at_a(1, 900) : at_b(0, 900) };
	struct rig_op write = { .verb = RIG_WRITE, .sg = &from, .nsg = 1, .flags = RIG_FENCE,
				.remote = at_a(8, 900), .wr_id = 2 };
	struct ibv_wc wc[2];
	double took;

	NEEDS_LATE(0, LATE_NEVER);
	ck_assert_int_eq(rig_post(pair, &read), 0);
	ck_assert_int_eq(rig_post(pair, &write), 0);
	wait_until_asked(1);
	rig_sleep(0.3);
	took = rig_now();
	if (unmap) {
		ck_assert_int_eq(munmap(b, RIG_PAGE), 0);
		late_end(late);
		late = NULL;
	} else {
		rig_dereg(mb);
		mb = NULL;
	}
	rig_reap(rig, pair->end[RIG_A].scq, wc, 2, "an aborted read and what is fenced behind it");
	took = rig_now() - took;
	ck_assert_msg(took < QUICK, "it took %.1f s", took);
	ck_assert_msg(wc[0].status == (here ? IBV_WC_LOC_PROT_ERR : IBV_WC_REM_ACCESS_ERR),
		      "the read: %s", rig_status_name(wc[0].status));
	ck_assert_msg(wc[1].status == IBV_WC_WR_FLUSH_ERR, "the write: %s",
		      rig_status_name(wc[1].status));
	rig_expect(a + 8 * RIG_PAGE, 900, 1, 8 * RIG_PAGE, "behind the fence");
	rig_wait_state(pair, RIG_A, IBV_QPS_ERR);
	no_worker_waited();
}
END_TEST

/* ------------------------------------------------------------------ send queues that drain */

static bool is_draining(struct ibv_qp *qp)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	ck_assert_int_eq(ibv_query_qp(qp, &attr, IBV_QP_STATE, &init), 0);
	return attr.sq_draining;
}

static void set_sq(struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };
	double took = rig_now();

	ck_assert_int_eq(ibv_modify_qp(qp, &attr, IBV_QP_STATE), 0);
	took = rig_now() - took;
	ck_assert_msg(took < QUICK, "the way to state %d took %.1f s", state, took);
}

/*
 * A write has begun, and its second page is late, here (_i 0) or there (1): the queue drains, what
 * was posted behind waits for RTS, and all is done once and in order. When it counts as drained is
 * left to stock rxe, for which a request has not begun whose packets so far are acknowledged, or
 * which was rewound after an RNR NAK; and which goes on in RTS with the next post only.
 */
START_TEST(test_drains_what_has_begun)
{
	const uint32_t len = 2 * RIG_PAGE;
	bool there = _i;
	struct rig_span big = there ? at_a(0, len) : at_b(0, len), small = at_a(4, 100);
	struct rig_op op[] = {
		{ .verb = RIG_WRITE, .sg = &big, .nsg = 1,
		  .remote = there ? at_b(0, len) : at_a(0, len) },
		{ .verb = RIG_WRITE, .sg = &small, .nsg = 1, .remote = at_a(8, 100), .wr_id = 1 },
		{ .verb = RIG_WRITE, .sg = &small, .nsg = 1, .remote = at_a(9, 100), .wr_id = 2 },
	};
	struct ibv_qp *qp;
	struct ibv_wc wc[3];
	double end;
	int i;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, RIG_PAGE, SEED, 0);
	if (!be_late(1, LATE_NEVER))
		RIG_SKIP(why);
	qp = pair->end[RIG_A].qp;
	ck_assert_int_eq(rig_post(pair, &op[0]), 0);
	wait_until_asked(1);
	set_sq(qp, IBV_QPS_SQD);
	ck_assert_int_eq(rig_post(pair, &op[1]), 0);
	rig_sleep(0.5);
	ck_assert_int_eq(rig_poll(pair->end[RIG_A].scq, wc, 1), 0);
	late_release(late);
	rig_sleep(0.2);
	end = rig_now() + rig->deadline;
	while (is_draining(qp)) {
		ck_assert_msg(rig_now() < end, "the queue is not drained");
		rig_sleep(0.01);
	}
	rig_sleep(0.2);
	rig_expect(a + 8 * RIG_PAGE, 100, 1, 8 * RIG_PAGE, "what was posted to a drained queue");
	set_sq(qp, IBV_QPS_RTS);
	ck_assert_int_eq(rig_post(pair, &op[2]), 0);
	rig_reap(rig, pair->end[RIG_A].scq, wc, 3, "three writes");
	for (i = 0; i < 3; i++) {
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "%d: %s", i,
			      rig_status_name(wc[i].status));
		ck_assert_uint_eq(wc[i].wr_id, (uint64_t)i);
	}
	rig_expect(a + 8 * RIG_PAGE, 100, 1, 4 * RIG_PAGE, "what was behind");
	if (there)
		rig_expect(b, len, 1, 0, "what has gone to the late page");
	else
		rig_expect(a + RIG_PAGE, RIG_PAGE, SEED, 0, "what has come from the late page");
	no_worker_waited();
}
END_TEST

/* ------------------------------------------------------------------ responses that are kept */

static const enum rig_verb kept_verb[] = { RIG_READ, RIG_FADD };

static void begin_anew(struct rig_pair *p)
{
	struct ibv_wc wc;

	rig_set_state(p, RIG_B, IBV_QPS_RESET);
	/* Twice (docs/stock-defects.md). */
	rig_set_state(p, RIG_A, IBV_QPS_RESET);
	rig_set_state(p, RIG_A, IBV_QPS_RESET);
	while (rig_poll(p->end[RIG_A].scq, &wc, 1))
		;
	rig_join(p, RIG_A, p->end[RIG_B].qp->qp_num);
	rig_join(p, RIG_B, p->end[RIG_A].qp->qp_num);
}

/*
 * A response waits for a page at the requester, which is reset (_i & 1: and goes to ERR before):
 * it is not put there afterwards, nor taken for one to a later request of the same PSN.
 */
START_TEST(test_reset_with_a_kept_response)
{
	enum rig_verb verb = kept_verb[_i / 2];
	uint32_t len = verb == RIG_READ ? 900 : 8;
	struct rig_span into = at_b(0, len), next = at_a(4, len);
	struct rig_op op = { .verb = verb, .sg = &into, .nsg = 1, .remote = at_a(0, len),
			     .value = 1 };
	uint64_t was, now;
	struct ibv_wc wc;
	double took;

	NEEDS_LATE(0, LATE_NEVER);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	wait_until_asked(1);
	rig_sleep(0.1);
	took = rig_now();
	if (_i & 1) {
		rig_set_state(pair, RIG_A, IBV_QPS_ERR);
		rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "what was flushed");
		ck_assert_int_eq(wc.status, IBV_WC_WR_FLUSH_ERR);
	}
	begin_anew(pair);
	took = rig_now() - took;
	ck_assert_msg(took < 2 * QUICK, "to begin anew took %.1f s", took);
	memcpy(&was, a + RIG_PAGE, 8);
	op.sg = &next;
	op.remote = at_a(1, len);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "after the reset");
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	rig_expect(a + 4 * RIG_PAGE, len, 1, RIG_PAGE, "after the reset");
	memcpy(&now, a + RIG_PAGE, 8);
	ck_assert_uint_eq(now, was + (verb == RIG_FADD));
	late_release(late);
	rig_sleep(0.3);
	rig_expect(b, RIG_PAGE, SEED, 0, "where the response before the reset would have gone");
	ck_assert_int_eq(rig_poll(pair->end[RIG_A].scq, &wc, 1), 0);
	no_worker_waited();
}
END_TEST

/* ------------------------------------------------------------------ many responses behind a late one */

/*
 * The first response of a long read waits for its page, and more come behind it than may wait. No
 * timer of the transport would ask for the others again, and no retry may be used.
 */
START_TEST(test_responses_behind_a_late_one)
{
	struct rig_span into = at_b(0, LEN);
	struct rig_op op = { .verb = RIG_READ, .sg = &into, .nsg = 1, .remote = at_a(0, LEN) };
	struct rig_pair *p;
	struct ibv_wc wc;

	RIG_NEEDS_ODP(rig);
	late = late_pages(b, RIG_PAGE, 0.5, SEED, why, sizeof(why));
	if (!late)
		RIG_SKIP(why);
	rig->attr.timeout = 0;
	rig->attr.retry_cnt = 0;
	p = rig_pair(rig, IBV_QPT_RC);
	ck_assert_uint_gt(LEN / p->mtu, 1500);
	ck_assert_int_eq(rig_post(p, &op), 0);
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "a long read");
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	rig_expect(b, LEN, 1, 0, "what was read");
	rig_unpair(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ends");
	TCase *tc = new_case(s, "ends");

	tcase_add_loop_test(tc, test_fence_behind_a_late_read, 0, 2);
	tcase_add_loop_test(tc, test_fence_behind_an_aborted_read, 0, 4);
	tcase_add_loop_test(tc, test_drains_what_has_begun, 0, 2);
	tcase_add_loop_test(tc, test_reset_with_a_kept_response, 0, 4);
	tc = new_case(s, "modify");
	tcase_add_test(tc, test_modified_by_two);
	tc = new_case(s, "handle");
	tcase_add_loop_test(tc, test_address_handle, 0, AH_WAYS);
	tc = new_case(s, "queue");
	tcase_add_loop_test(tc, test_full_completion_queue, 0, 4);
	tcase_add_test(tc, test_responses_behind_a_late_one);
	return rig_main(&s, 1);
}
