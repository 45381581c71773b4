// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What waits for a late page arrives, of every verb and at both ends: whole, once, in order, however
 * long the page takes and however many wait. test_waiting is about who does not wait with it.
 */
#include "waiting.h"

static void check_kind(int i, size_t page)
{
	uint8_t *warm = a + page * RIG_PAGE, *cold = b + page * RIG_PAGE;
	size_t pos = page * RIG_PAGE;
	uint8_t was[8];
	uint64_t word;

	rig_expect(cold + 1000, RIG_PAGE - 1000, SEED, pos + 1000, "%s: beside it", kind[i].name);
	switch (kind[i].verb) {
	case RIG_READ:
		rig_expect(kind[i].here ? cold : warm, 1000, kind[i].here ? 1 : SEED, pos, "%s",
			   kind[i].name);
		break;
	case RIG_ATOMIC_WRITE:
		memcpy(&word, cold, 8);
		ck_assert_uint_eq(word, 0x0123456789abcdef);
		break;
	case RIG_CAS:
	case RIG_FADD:
		/* What was there has come back. */
		rig_expect(kind[i].here ? cold : warm, 8, kind[i].here ? 1 : SEED, pos, "%s",
			   kind[i].name);
		if (kind[i].verb == RIG_CAS)
			break;
		memcpy(was, kind[i].here ? cold : warm, 8);
		memcpy(&word, was, 8);
		word += 0x0123456789abcdef;
		ck_assert_msg(!memcmp(kind[i].here ? warm : cold, &word, 8), "%s: the sum",
			      kind[i].name);
		break;
	default:
		rig_expect(kind[i].here ? warm : cold, 1000, kind[i].here ? SEED : 1, pos, "%s",
			   kind[i].name);
	}
}

START_TEST(test_every_verb_waits)
{
	struct rig_pair *p[KINDS];
	int64_t count[COUNTERS];
	struct ibv_wc wc;
	double start;
	int i;

	NEEDS_LATE(0, seconds);
	for (i = 0; i < KINDS; i++)
		p[i] = rig_pair(rig, IBV_QPT_RC);
	counters(count);
	start = rig_now();
	for (i = 0; i < KINDS; i++)
		post_kind(p[i], i, (size_t)i);
	for (i = 0; i < KINDS; i++) {
		rig_reap(rig, p[i]->end[RIG_A].scq, &wc, 1, kind[i].name);
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s: %s", kind[i].name,
			      rig_status_name(wc.status));
		check_kind(i, (size_t)i);
	}
	printf("%d requests for pages that take %.0f s: %.1f s\n", KINDS, seconds, rig_now() - start);
	counters_since(count, "in all");
	/* Those whose late page is at the responder, and not more often than every 10 ms. */
	ck_assert_int_gt(count[RNR], 0);
	ck_assert_int_lt(count[RNR], (int)(7 * (rig_now() - start) * 100));
	for (i = 0; i < KINDS; i++)
		rig_unpair(p[i]);
}
END_TEST

/* The late page is in the middle of a message: what came before it is not lost, nor done twice. */
START_TEST(test_in_the_middle)
{
	const struct {
		enum rig_verb verb;
		bool here;
	} big[] = {
		{ RIG_WRITE, false }, { RIG_READ, false }, { RIG_SEND, false },
		{ RIG_WRITE, true }, { RIG_READ, true }, { RIG_SEND, true },
	};
	const uint32_t len = 16 * RIG_PAGE;
	struct rig_span warm = at_a(0, len), cold = at_b(0, len);
	struct rig_span here = big[_i].here ? cold : warm, there = big[_i].here ? warm : cold;
	struct rig_op op = { .verb = big[_i].verb, .sg = &here, .nsg = 1, .remote = there };
	bool from_b = (op.verb == RIG_READ) != big[_i].here;
	int64_t count[COUNTERS];
	struct ibv_wc wc;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, 9 * RIG_PAGE, SEED, 0);
	late = late_pages(b + 9 * RIG_PAGE, 7 * RIG_PAGE, seconds / 4, SEED, why, sizeof(why));
	if (!late)
		RIG_SKIP(why);
	counters(count);
	if (op.verb == RIG_SEND)
		ck_assert_int_eq(rig_post_recv(pair, RIG_B, &there, 1, 0), 0);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, rig_verb_name(op.verb));
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s: %s", rig_verb_name(op.verb),
		      rig_status_name(wc.status));
	counters_since(count, rig_verb_name(op.verb));
	if (!from_b) {
		rig_expect(b, len, 1, 0, "what has gone to late pages");
	} else {
		rig_expect(a, 9 * RIG_PAGE, SEED, 0, "what has come from the pages before");
		/* The content of late pages counts from where they begin. */
		rig_expect(a + 9 * RIG_PAGE, 7 * RIG_PAGE, SEED, 0, "what has come from late pages");
	}
	/* The pair is as good as before. */
	RIG_OK(rig_write(pair, at_a(20, 5000), at_b(0, 5000)));
	rig_expect(b, 5000, 1, 20 * RIG_PAGE, "afterwards");
}
END_TEST

/* Its A side sends again after 67 ms, its B side lets a request wait for 250 ms. */
static struct rig_pair *impatient(void)
{
	struct rig_pair *p = rig_pair_loose(rig, IBV_QPT_RC);

	rig->attr.retry_cnt = 7;
	rig->attr.timeout = 14;
	rig_join(p, RIG_A, p->end[RIG_B].qp->qp_num);
	rig->attr.timeout = 20;
	rig_join(p, RIG_B, p->end[RIG_A].qp->qp_num);
	return p;
}

/*
 * A request waits to be sent again, as its own memory is gone, and meanwhile its peer answers all that
 * was sent: once, as the last of it is refused. _i 0: that is the one that waits, whose target is taken
 * away; 1: a read and a write with a bad key are behind it, and its target comes.
 */
START_TEST(test_answered_meanwhile)
{
	const enum ibv_wc_status want[] = { IBV_WC_SUCCESS, IBV_WC_SUCCESS, IBV_WC_REM_ACCESS_ERR };
	struct rig_span here = at_b(0, 900), warm = at_a(0, 900);
	struct rig_op op[] = {
		{ .verb = RIG_WRITE, .sg = &here, .nsg = 1 },
		{ .verb = RIG_READ, .sg = &warm, .nsg = 1, .remote = at_a(1, 900) },
		{ .verb = RIG_WRITE, .sg = &warm, .nsg = 1, .remote = at_a(2, 900) },
	};
	int i, count = _i ? 3 : 1;
	struct late *target;
	struct rig_pair *p;
	struct rig_mr *mr;
	struct ibv_wc wc[3];

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, RIG_PAGE, 5, 0);
	target = late_pages(b + 8 * RIG_PAGE, RIG_PAGE, _i ? 0.15 : LATE_NEVER, SEED, why, sizeof(why));
	if (!target)
		RIG_SKIP(why);
	late = late_pages(b, RIG_PAGE, LATE_NEVER, SEED, why, sizeof(why));
	ck_assert_msg(late, "%s", why);
	p = impatient();
	mr = rig_reg(rig, b + 8 * RIG_PAGE, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, true);
	op[0].remote = rig_at(mr, 0, 900);
	op[2].remote.rkey ^= 0x10;
	for (i = 0; i < count; i++)
		ck_assert_int_eq(rig_post(p, &op[i]), 0);
	wait_until_late(target, 1);
	ck_assert_int_eq(madvise(b, RIG_PAGE, MADV_DONTNEED), 0);
	wait_until_asked(1);
	if (!_i)
		rig_dereg(mr);
	rig_sleep(0.3);
	late_release(late);
	rig_reap(rig, p->end[RIG_A].scq, wc, count, "what was answered before it was sent again");
	for (i = 0; i < count; i++)
		ck_assert_msg(wc[i].status == want[i + 3 - count], "%d: %s", i,
			      rig_status_name(wc[i].status));
	rig_unpair(p);
	if (_i)
		rig_dereg(mr);
	late_end(target);
	no_worker_waited();
}
END_TEST

/* A write with a fence waits for a late page, and is sent again; so is the read behind it. */
START_TEST(test_fenced)
{
	struct rig_span here[2] = { at_a(0, 900), at_a(1, 900) };
	struct rig_op op[2] = {
		{ .verb = RIG_WRITE, .sg = &here[0], .nsg = 1, .flags = RIG_FENCE,
		  .remote = at_b(1, 900) },
		{ .verb = RIG_READ, .sg = &here[1], .nsg = 1, .remote = at_b(0, 900) },
	};
	struct ibv_wc wc[2];
	int i;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, RIG_PAGE, 5, 0);
	if (!be_late(1, 0.6))
		RIG_SKIP(why);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(rig_post(pair, &op[i]), 0);
	rig_reap(rig, pair->end[RIG_A].scq, wc, 2, "a write with a fence and a read");
	for (i = 0; i < 2; i++)
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "%d: %s", i,
			      rig_status_name(wc[i].status));
	rig_expect(b + RIG_PAGE, 900, 1, 0, "what was written");
	rig_expect(a + RIG_PAGE, 900, 5, 0, "what was read");
	no_worker_waited();
}
END_TEST

/* Many requests behind one that waits: all of them are done, in order. */
START_TEST(test_queue_behind)
{
	struct rig_span here[64];
	int64_t count[COUNTERS];
	struct ibv_wc wc[64];
	int i;

	NEEDS_LATE(1, seconds / 2);
	counters(count);
	for (i = 0; i < 64; i++) {
		struct rig_op op = { .verb = RIG_WRITE, .sg = &here[i], .nsg = 1, .wr_id = (uint64_t)i };

		here[i] = rig_at(ma, (uint64_t)i * 256, 256);
		/* The first goes to a late page; the last of all to where others went. */
		op.remote = i ? rig_at(mb, (uint64_t)i * 60, 256) : at_b(1, 256);
		ck_assert_int_eq(rig_post(pair, &op), 0);
	}
	rig_reap(rig, pair->end[RIG_A].scq, wc, 64, "64 writes");
	for (i = 0; i < 64; i++) {
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "write %d: %s", i,
			      rig_status_name(wc[i].status));
		ck_assert_uint_eq(wc[i].wr_id, (uint64_t)i);
	}
	counters_since(count, "64 requests");
	for (i = 1; i < 63; i++)
		rig_expect(b + (size_t)i * 60, 60, 1, (uint64_t)i * 256, "write %d", i);
	rig_expect(b + 63 * 60, 256, 1, 63 * 256, "the last");
	rig_expect(b + RIG_PAGE, 256, 1, 0, "the late one");
}
END_TEST

/* Nobody tells an unreliable peer to come back: its packets wait. */
START_TEST(test_unreliable)
{
	const enum ibv_qp_type type[] = { IBV_QPT_UC, IBV_QPT_UC, IBV_QPT_UD };
	struct rig_pair *p;
	struct rig_span here, there;
	struct rig_op op = { .verb = _i ? RIG_SEND : RIG_WRITE_IMM, .sg = &here, .nsg = 1 };
	struct ibv_wc wc;

	NEEDS_LATE(0, seconds / 4);
	p = rig_pair(rig, type[_i]);
	here = at_a(0, 900);
	there = at_b(0, 1000);
	op.remote = at_b(0, 900);
	ck_assert_int_eq(rig_post_recv(p, RIG_B, _i ? &there : NULL, _i ? 1 : 0, 0), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "the request");
	ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	rig_reap(rig, p->end[RIG_B].rcq, &wc, 1, "the receive");
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	rig_expect(b + (_i == 2 ? RIG_GRH : 0), 900, 1, 0, "what was sent");
	rig_unpair(p);
}
END_TEST

/*
 * A long message of a UC queue pair, in more packets than may wait, and its second page is late: all of
 * it arrives, as its sender is held meanwhile.
 */
START_TEST(test_unreliable_stream)
{
	const uint32_t len = 1024 * 1024;
	struct rig_pair *p;
	struct rig_res res;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, RIG_PAGE, 2, 0);
	late = late_pages(b + RIG_PAGE, RIG_PAGE, 0.1, SEED, why, sizeof(why));
	if (!late)
		RIG_SKIP(why);
	p = rig_pair_mtu(rig, IBV_QPT_UC, 256);
	RIG_OK(rig_write(p, at_a(0, len), at_b(0, len)));
	/* It comes behind all the rest. */
	res = rig_write_imm(p, at_a(0, 0), at_b(0, 0), 1);
	ck_assert_msg(rig_res_ok(res), "%s, receive: %s", rig_status_name(res.status),
		      rig_status_name(res.peer));
	rig_expect(b, len, 1, 0, "what was written");
	rig_unpair(p);
	no_worker_waited();
}
END_TEST

#define SENDERS	24
#define FLOOD	100

static void send_datagrams(struct rig_pair *from, const struct rig_pair *to, int n)
{
	struct ibv_qp_ex *qp = from->end[RIG_A].qpx;

	while (n--) {
		ibv_wr_start(qp);
		qp->wr_flags = IBV_SEND_SIGNALED | IBV_SEND_INLINE;
		ibv_wr_send(qp);
		ibv_wr_set_ud_addr(qp, from->end[RIG_A].ah, to->end[RIG_B].qp->qp_num, RIG_QKEY);
		ibv_wr_set_inline_data(qp, a, 200);
		ck_assert_int_eq(ibv_wr_complete(qp), 0);
	}
}

/*
 * Datagrams of many for one that waits: each sender may have 64 under way and would stand still if
 * those that wait counted. What does not fit into the receiver's queue is lost.
 */
START_TEST(test_flood)
{
	struct rig_pair *p[SENDERS];
	struct ibv_wc wc[FLOOD];
	struct rig_span there;
	int i, finished = 0;

	NEEDS_LATE(0, LATE_NEVER);
	for (i = 0; i < SENDERS; i++)
		p[i] = rig_pair(rig, IBV_QPT_UD);
	there = at_b(0, 400);
	ck_assert_int_eq(rig_post_recv(p[0], RIG_B, &there, 1, 1), 0);
	send_datagrams(p[0], p[0], 1);
	rig_reap(rig, p[0]->end[RIG_A].scq, wc, 1, "the first");
	wait_until_asked(1);
	for (i = 0; i < SENDERS; i++)
		send_datagrams(p[i], p[0], FLOOD);
	rig_sleep(1);
	for (i = 0; i < SENDERS; i++)
		if (rig_try_reap(p[i]->end[RIG_A].scq, wc, FLOOD, QUICK))
			finished++;
	printf("%d of %d senders could go on\n", finished, SENDERS);
	/* What waits at the receiver is sent, as far as its sender goes. */
	ck_assert_int_eq(finished, SENDERS);
	late_release(late);
	rig_reap(rig, p[0]->end[RIG_B].rcq, wc, 1, "the receive");
	ck_assert_int_eq(wc[0].status, IBV_WC_SUCCESS);
	rig_expect(b + RIG_GRH, 200, 1, 0, "the first");
	for (i = 0; i < SENDERS; i++)
		rig_unpair(p[i]);
}
END_TEST

/* Several queue pairs take late receives from one queue: each waits for its own, none for long. */
#define SHARERS	4

static void post_shared(struct rig *other, struct rig_mr *mr, struct rig_pair **p)
{
	struct rig_span there, here;
	int i;

	for (i = 0; i < SHARERS; i++) {
		p[i] = rig_pair(other, IBV_QPT_RC);
		there = rig_at(mr, (uint64_t)i * RIG_PAGE, 500);
		ck_assert_int_eq(rig_post_recv(p[i], RIG_B, &there, 1, (uint64_t)i), 0);
	}
	for (i = 0; i < SHARERS; i++) {
		struct rig_op op = { .verb = RIG_SEND, .sg = &here, .nsg = 1 };

		here = rig_at(mr, LEN / 2 + (uint64_t)i * RIG_PAGE, 400);
		ck_assert_int_eq(rig_post(p[i], &op), 0);
	}
}

/* A device of its own with a shared queue; its pages come after that long. False: a skip. */
static bool open_shared(struct rig_pair **p, double after, struct rig_mr **mr)
{
	struct rig_attr attr = rig->attr;

	rig_fill(b + LEN / 2, LEN / 2, 3, 0);
	late = late_pages(b, LEN / 2, after, SEED, why, sizeof(why));
	if (!late)
		return false;
	attr.srq_depth = 16;
	*mr = rig_reg(rig_open(&attr), b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	post_shared((*mr)->rig, *mr, p);
	return true;
}

static void close_shared(struct rig_pair **p, struct rig_mr *mr)
{
	struct rig *other = mr->rig;
	int i;

	for (i = 0; i < SHARERS; i++)
		rig_unpair(p[i]);
	rig_dereg(mr);
	rig_close(other);
}

/* Each receive of the shared queue completes once. */
static void note_receive(bool *got, const struct ibv_wc *wc)
{
	ck_assert_uint_lt(wc->wr_id, SHARERS);
	ck_assert_msg(!got[wc->wr_id], "receive %ju twice", (uintmax_t)wc->wr_id);
	got[wc->wr_id] = true;
}

START_TEST(test_shared_queue)
{
	struct rig_pair *p[SHARERS];
	bool got[SHARERS] = {};
	struct rig_mr *mr;
	struct ibv_wc wc;
	int i;

	RIG_NEEDS_ODP(rig);
	if (!open_shared(p, seconds / 4, &mr))
		RIG_SKIP(why);
	for (i = 0; i < SHARERS; i++) {
		rig_reap(mr->rig, p[i]->end[RIG_A].scq, &wc, 1, "a send");
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "send %d: %s", i,
			      rig_status_name(wc.status));
		rig_reap(mr->rig, p[i]->end[RIG_B].rcq, &wc, 1, "a receive");
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "receive %d: %s", i,
			      rig_status_name(wc.status));
		note_receive(got, &wc);
		rig_expect(b + wc.wr_id * RIG_PAGE, 400, 3, (uint64_t)i * RIG_PAGE, "send %d", i);
	}
	close_shared(p, mr);
}
END_TEST

/* A receive that was taken for a request that waits does not get lost with the queue pair. */
START_TEST(test_shared_queue_flush)
{
	struct rig_pair *p[SHARERS];
	bool got[SHARERS] = {};
	struct rig_mr *mr;
	struct ibv_wc wc;
	int i, left = SHARERS;
	double end;

	RIG_NEEDS_ODP(rig);
	if (!open_shared(p, LATE_NEVER, &mr))
		RIG_SKIP(why);
	wait_until_asked(SHARERS);
	for (i = 0; i < SHARERS; i++) {
		ck_assert_int_eq(rig_poll(p[i]->end[RIG_B].rcq, &wc, 1), 0);
		rig_set_state(p[i], RIG_B, IBV_QPS_ERR);
	}
	late_release(late);
	end = rig_now() + rig->deadline;
	/* Half a second after the last of them: none comes twice. */
	for (i = 0; rig_now() < end; i = (i + 1) % SHARERS) {
		if (!rig_poll(p[i]->end[RIG_B].rcq, &wc, 1)) {
			rig_sleep(1e-3);
			continue;
		}
		ck_assert_int_eq(wc.status, IBV_WC_WR_FLUSH_ERR);
		note_receive(got, &wc);
		if (!--left)
			end = rig_now() + 0.5;
	}
	for (i = 0; i < SHARERS; i++)
		ck_assert_msg(got[i], "receive %d got lost", i);
	close_shared(p, mr);
}
END_TEST

/* The memory is taken away from under the one who waits, and then whoever was to bring it goes. */
START_TEST(test_gone_while_waiting)
{
	struct rig_span here = at_a(0, 64);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = at_b(0, 64) };
	struct ibv_wc wc;
	double start;

	NEEDS_LATE(0, LATE_NEVER);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	wait_until_asked(1);
	start = rig_now();
	munmap(b, RIG_PAGE);
	late_end(late);
	late = NULL;
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "the write");
	printf("%.2f s after the end of the handler: %s\n", rig_now() - start,
	       rig_status_name(wc.status));
	ck_assert_int_eq(wc.status, IBV_WC_REM_ACCESS_ERR);
	ck_assert_msg(rig_now() - start < QUICK, "it took %.1f s", rig_now() - start);
}
END_TEST

/* ------------------------------------------------------------------ many at once */

#define MANY	128

START_TEST(test_many_at_once)
{
	const int many[] = { 1, 16, MANY };
	struct rig_pair *p[MANY];
	int i, n = many[_i];
	int64_t count[COUNTERS];
	struct rig_span here[MANY];
	double start, took;
	struct ibv_wc wc;

	RIG_NEEDS_ODP(rig);
	/* So many on few processors take longer for a response, without a late page, too. */
	if (n == MANY)
		rig->attr.timeout++;
	if (!be_late(0, 1.2 * patience()))
		RIG_SKIP(why);
	for (i = 0; i < n; i++)
		p[i] = rig_pair(rig, IBV_QPT_RC);
	counters(count);
	start = rig_now();
	for (i = 0; i < n; i++) {
		struct rig_op op = { .verb = RIG_WRITE, .sg = &here[i], .nsg = 1 };

		here[i] = at_a((size_t)i, 2000);
		op.remote = at_b((size_t)i * 2, 2000);
		ck_assert_int_eq(rig_post(p[i], &op), 0);
	}
	for (i = 0; i < n; i++) {
		rig_reap(rig, p[i]->end[RIG_A].scq, &wc, 1, "one of many");
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "pair %d: %s", i,
			      rig_status_name(wc.status));
		rig_expect(b + (size_t)i * 2 * RIG_PAGE, 2000, 1, (size_t)i * RIG_PAGE, "pair %d", i);
	}
	took = rig_now() - start;
	printf("%d queue pairs, each for a page that takes %.1f s: %.2f s\n", n, 1.2 * patience(), took);
	counters_since(count, "in all");
	/* Two packets and an answer each, and those again for each time that it was told to. */
	ck_assert_int_le(count[SENT], 3 * n + 4 * (count[RNR] + count[RETRY]));
	ck_assert_int_le(count[RNR], (int64_t)(n * took * 100));
	for (i = 0; i < n; i++)
		rig_unpair(p[i]);
}
END_TEST

/* ------------------------------------------------------------------ ahead of the copy */

/* One message to, from and out of memory nobody has touched: not a fault for every page. */
START_TEST(test_ahead)
{
	const enum rig_verb verb[] = { RIG_WRITE, RIG_READ, RIG_SEND, RIG_READ };
	const size_t len = 16 * MIB;
	bool into = _i == 3;	/* read into, from memory that is there */
	int64_t faults, pages, ahead;
	struct rig_mr *cold, *warm;
	struct rig_span here, there;
	struct rig_res res;
	uint8_t *c, *w;
	double start;

	RIG_NEEDS_ODP(rig);
	c = rig_map(len, 0, RIG_ANON);
	w = rig_map(len, 0, RIG_ANON);
	madvise(c, len, MADV_NOHUGEPAGE);
	rig_fill(w, len, 5, 0);
	cold = rig_reg(rig, c, len, RIG_IOVA_SAME, RIG_RW, true);
	warm = rig_reg(rig, w, len, RIG_IOVA_SAME, RIG_RW, false);
	faults = rig_odp_counter("page_faults");
	ahead = rig_odp_counter("page_faults_ahead");
	here = rig_at(into ? cold : warm, 0, (uint32_t)len);
	there = rig_at(into ? warm : cold, 0, (uint32_t)len);
	start = rig_now();
	res = verb[_i] == RIG_WRITE ? rig_write(pair, here, there) :
	      verb[_i] == RIG_SEND ? rig_send(pair, here, there) : rig_read(pair, here, there);
	start = rig_now() - start;
	ck_assert_msg(rig_res_ok(res), "%s, receive: %s", rig_status_name(res.status),
		      rig_status_name(res.peer));
	faults = rig_odp_counter("page_faults") - faults;
	ahead = rig_odp_counter("page_faults_ahead") - ahead;
	pages = (int64_t)(len / RIG_PAGE);
	printf("%s%s: %jd pages in %.2f s, %jd asked for ahead, %jd faults\n",
	       rig_verb_name(verb[_i]), into ? " into" : "", (intmax_t)pages, start, (intmax_t)ahead,
	       (intmax_t)faults);
	if (verb[_i] == RIG_READ && !into)
		ck_assert_int_eq(rig_diff_byte(w, len, 0), -1);
	else
		rig_expect(c, len, 5, 0, "what was transferred");
	ck_assert_int_ge(ahead, pages - 8);
	ck_assert_int_le(ahead, 2 * pages);
	ck_assert_int_lt(faults, pages / 2);
	rig_dereg(cold);
	rig_dereg(warm);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arriving");
	TCase *tc = new_case(s, "arrives");

	tcase_add_test(tc, test_every_verb_waits);
	tcase_add_loop_test(tc, test_in_the_middle, 0, 6);
	tcase_add_loop_test(tc, test_answered_meanwhile, 0, 2);
	tcase_add_test(tc, test_fenced);
	tcase_add_test(tc, test_queue_behind);
	tcase_add_loop_test(tc, test_unreliable, 0, 3);
	tcase_add_test(tc, test_unreliable_stream);
	tcase_add_test(tc, test_flood);
	tcase_add_test(tc, test_shared_queue);
	tcase_add_test(tc, test_shared_queue_flush);
	tcase_add_test(tc, test_gone_while_waiting);
	tc = new_case(s, "many");
	tcase_add_loop_test(tc, test_many_at_once, 0, 3);
	tc = new_case(s, "ahead");
	tcase_add_loop_test(tc, test_ahead, 0, 4);
	return rig_main(&s, 1);
}
