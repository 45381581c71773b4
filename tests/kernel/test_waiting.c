// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A page that takes its time holds up nobody but the request that needs it: no other queue pair, no
 * other direction of the same one, no deregistration, no change of state, no destruction, no exit.
 * A reliable peer is told to come back and does, for as long as it takes, without using up its
 * retries. The pages are late by userfaultfd; ODPREG_LATE_SECONDS says how late (5).
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "waiting.h"

START_TEST(test_others_go_on)
{
	struct rig_span here = at_a(1, 64), back_here = at_b(0, 64);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = at_b(1, 64) };
	struct rig_op back = { .verb = RIG_WRITE, .from = RIG_B, .sg = &back_here, .nsg = 1,
			       .remote = at_a(2, 64) };
	double start, took, worst = 0;
	struct rig_pair *p;
	struct ibv_wc wc;
	unsigned int n;

	NEEDS_LATE(1, LATE_NEVER);
	p = rig_pair(rig, IBV_QPT_RC);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	wait_until_asked(1);
	start = rig_now();
	for (n = 0; n < 100; n++) {
		took = rig_now();
		RIG_OK(rig_write(p, rig_at(ma, n * 64, 64), at_b(0, 64)));
		RIG_OK(rig_read(p, at_a(3, 64), at_b(0, 64)));
		took = rig_now() - took;
		if (took > worst)
			worst = took;
		/* The other direction of the pair that waits. */
		ck_assert_int_eq(rig_post(pair, &back), 0);
		rig_reap(rig, pair->end[RIG_B].scq, &wc, 1, "the other direction");
		ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	}
	printf("300 operations beside one that waits: %.2f s, the longest pair %.3f s\n",
	       rig_now() - start, worst);
	ck_assert_msg(worst < QUICK, "an operation took %.1f s", worst);
	ck_assert_int_eq(rig_poll(pair->end[RIG_A].scq, &wc, 1), 0);
	late_release(late);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "what waited");
	ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	rig_unpair(p);
	no_worker_waited();
}
END_TEST

/* What is done to the pair or the region while something waits, for each who may wait. */
enum action { DEREG, ERROR_A, ERROR_B, RESET_A, RESET_B, DESTROY, ACTIONS };

static const char *const action_name[] = {
	"deregistration", "to error, requester", "to error, responder", "to reset, requester",
	"to reset, responder", "destruction",
};

static void act(enum action action, struct rig_pair **p)
{
	switch (action) {
	case DEREG:
		rig_dereg(mb);
		mb = NULL;
		break;
	case ERROR_A:
	case ERROR_B:
		rig_set_state(*p, action == ERROR_A ? RIG_A : RIG_B, IBV_QPS_ERR);
		break;
	case RESET_A:
	case RESET_B:
		rig_set_state(*p, action == RESET_A ? RIG_A : RIG_B, IBV_QPS_RESET);
		break;
	default:
		rig_unpair(*p);
		*p = NULL;
	}
}

START_TEST(test_nothing_is_held)
{
	const int waits[] = { 0, 2, 3, 7, 8, 9 };	/* of kind[] */
	enum action action = _i % ACTIONS;
	int i = waits[_i / ACTIONS];
	struct rig_pair *p;
	struct ibv_wc wc;
	double took;

	NEEDS_LATE(0, LATE_NEVER);
	p = rig_pair(rig, IBV_QPT_RC);
	post_kind(p, i, 0);
	wait_until_asked(1);
	/* Long enough for the peer to have been told to come back. */
	rig_sleep(0.2);
	took = rig_now();
	act(action, &p);
	took = rig_now() - took;
	printf("%s while a %s waits: %.3f s\n", action_name[action], kind[i].name, took);
	ck_assert_msg(took < QUICK, "%s took %.1f s while a %s waited", action_name[action], took,
		      kind[i].name);
	if (action == DEREG) {
		rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "what waited");
		ck_assert_msg(wc.status != IBV_WC_SUCCESS, "%s by a region that is gone", kind[i].name);
	}
	late_release(late);
	if (p)
		rig_unpair(p);
	/* And data goes on. */
	if (mb) {
		RIG_OK(rig_write(pair, at_a(4, 3000), at_b(4, 3000)));
		rig_expect(b + 4 * RIG_PAGE, 3000, 1, 4 * RIG_PAGE, "afterwards");
	}
	no_worker_waited();
}
END_TEST

/*
 * The one who is waited for goes: a packet that waits at its peer does not hold it. _i: what waits
 * is a request of a UC, of a UD queue pair, or the answer to a read.
 */
START_TEST(test_sender_goes)
{
	const enum ibv_qp_type type[] = { IBV_QPT_UC, IBV_QPT_UD, IBV_QPT_RC };
	enum rig_side sender = _i == 2 ? RIG_B : RIG_A;
	struct rig_pair *p;
	struct rig_span here, there;
	struct rig_op op = { .verb = _i == 2 ? RIG_READ : RIG_SEND, .sg = &here, .nsg = 1 };

	NEEDS_LATE(0, LATE_NEVER);
	p = rig_pair(rig, type[_i]);
	here = _i == 2 ? at_b(0, 900) : at_a(0, 900);
	there = at_b(0, 1000);
	op.remote = at_a(0, 900);
	if (_i != 2)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
	wait_until_asked(1);
	rig_sleep(0.2);
	destroy_ends(p, sender);
	no_worker_waited();
}
END_TEST

/*
 * Who sends to a UC queue pair is held by packets that wait; but not by one after the other (_i 0: each
 * is for a page that comes a while after the one before), and not by those that it could send when the
 * first have let go of it (1).
 */
#define STREAM	32

START_TEST(test_stream_sender_goes)
{
	struct rig_span here = at_a(0, _i ? MIB : 900), there;
	struct rig_op op = { .verb = RIG_SEND, .sg = &here, .nsg = 1 };
	int i, count = _i ? 1 : STREAM;
	struct rig_pair *p;

	NEEDS_LATE(0, _i ? LATE_NEVER : 0.2);
	p = rig_pair_mtu(rig, IBV_QPT_UC, 256);
	for (i = 0; i < count; i++) {
		there = _i ? at_b(0, MIB) : at_b((size_t)i, 1000);
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
	}
	for (i = 0; i < count; i++)
		ck_assert_int_eq(rig_post(p, &op), 0);
	wait_until_asked(1);
	destroy_ends(p, RIG_A);
	no_worker_waited();
}
END_TEST

/*
 * A packet may be done with before who has queued it tells the task, as a destruction tells the task,
 * too: the queue pair is there for as long. A request holds who has sent it while it is answered,
 * unless it had to wait; and an answer holds who has sent that, so there must be none.
 */
START_TEST(test_destroyed_behind_a_packet)
{
	struct rig_span here = at_a(0, 100), there = at_a(4, 100);
	struct rig_op op = { .verb = RIG_SEND, .sg = &here, .nsg = 1 };
	struct rig_pair *p;
	size_t round;

	RIG_NEEDS_ODP(rig);
	for (round = 0; round < 60; round++) {
		p = rig_pair(rig, _i ? IBV_QPT_UC : IBV_QPT_RC);
		if (!_i)
			there = at_b(round, 100);
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
		ck_assert_int_eq(rig_post(p, &op), 0);
		rig_sleep((double)(round % 20) * 0.1e-3);
		destroy_ends(p, _i ? RIG_B : RIG_A);
	}
}
END_TEST

/*
 * What comes after ours has looked for it, and before stock code does, is looked at as well: an answer
 * while the task goes round and round for other requests (_i 0), a request that is posted while it
 * ends with another one (1). A worker that slept over it would hold up the end of its queue pair.
 */
static void between_looks(struct rig_pair *p, bool request, unsigned int round)
{
	struct rig_span here = at_a(4, 64), there = at_b(round, 900);
	struct rig_op op = { .verb = request ? RIG_WRITE : RIG_READ, .sg = &there, .nsg = 1 };
	struct rig_op write = { .verb = RIG_WRITE, .sg = &here, .nsg = 1 };
	int i;

	op.remote = at_a(0, 900);
	write.remote = at_a(8, 64);
	if (!request)
		ck_assert_int_eq(rig_post(p, &op), 0);
	for (i = 0; i < (request ? 1 : 30); i++)
		ck_assert_int_eq(rig_post(p, &write), 0);
	if (!request)
		return;
	rig_sleep(round * 0.2e-3);
	ck_assert_int_eq(rig_post(p, &op), 0);
}

START_TEST(test_between_looks)
{
	struct rig_pair *p;
	unsigned int round;
	double took;

	NEEDS_LATE(0, LATE_NEVER);
	for (round = 0; round < 24; round++) {
		p = rig_pair(rig, IBV_QPT_RC);
		between_looks(p, _i, round);
		wait_until_asked(round + 1);
		rig_sleep(0.02);
		took = rig_now();
		rig_unpair(p);
		took = rig_now() - took;
		ck_assert_msg(took < 2 * QUICK, "destruction of who asked between two looks took %.1f s, round %u",
			      took, round);
	}
	late_release(late);
	no_worker_waited();
}
END_TEST

/* It has just been sent once more, and will not be for some 100 ms. */
static void wait_until_sent(void)
{
	const double end = rig_now() + rig->deadline;
	int64_t before = port_counter(counter[SENT]);

	while (port_counter(counter[SENT]) == before) {
		ck_assert_msg(rig_now() < end, "nothing is sent again");
		rig_sleep(1e-3);
	}
	rig_sleep(5e-3);
}

/*
 * A request is sent again, as its target is late, and by then its own memory is gone: that is waited
 * for as at the first time, by nobody's worker. _i 0: the queue pair is destroyed meanwhile; 1: both
 * pages come in the end. The memory does not go between the look at it and the copy: the worker itself
 * would wait then (docs/design.md).
 */
START_TEST(test_sent_again)
{
	struct rig_span here;
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1 };
	int64_t count[COUNTERS];
	struct rig_pair *p;
	struct ibv_wc wc;
	double took;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, RIG_PAGE, 5, 0);
	if (!be_late(0, LATE_NEVER))
		RIG_SKIP(why);
	p = rig_pair(rig, IBV_QPT_RC);
	here = at_b(0, 900);
	op.remote = at_b(8, 900);
	counters(count);
	ck_assert_int_eq(rig_post(p, &op), 0);
	wait_until_asked(1);
	rig_sleep(0.6);
	wait_until_sent();
	ck_assert_int_eq(madvise(b, RIG_PAGE, MADV_DONTNEED), 0);
	wait_until_asked(2);
	counters_since(count, "of who sent again");
	ck_assert_int_gt(count[RNR], 0);
	rig_sleep(0.1);
	if (_i)
		late_release(late);
	took = rig_now();
	if (_i) {
		rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "the write");
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
		rig_expect(b + 8 * RIG_PAGE, 900, SEED, 0, "what was sent again");
	}
	rig_unpair(p);
	took = rig_now() - took;
	ck_assert_msg(took < 2 * QUICK, "the end of who waits to send again took %.1f s", took);
	no_worker_waited();
}
END_TEST

/*
 * A flush to persistence waits for what is not there as other requests do: its queue pair can be
 * destroyed (_i 0). In the end (1) it is refused, as ordinary memory is not persistent. One of the
 * same number before a reset (2) does not count.
 */
static void flush_and_reset(struct rig_pair *p, const struct rig_op *op, uint8_t *page)
{
	struct ibv_wc wc;

	ck_assert_int_eq(rig_post(p, op), 0);
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "the first flush");
	ck_assert_int_eq(wc.status, IBV_WC_REM_ACCESS_ERR);
	rig_wait_state(p, RIG_A, IBV_QPS_ERR);
	rig_wait_state(p, RIG_B, IBV_QPS_ERR);
	rig_set_state(p, RIG_B, IBV_QPS_RESET);
	rig_set_state(p, RIG_A, IBV_QPS_RESET);
	rig_join(p, RIG_A, p->end[RIG_B].qp->qp_num);
	rig_join(p, RIG_B, p->end[RIG_A].qp->qp_num);
	ck_assert_int_eq(madvise(page, RIG_PAGE, MADV_DONTNEED), 0);
}

START_TEST(test_flush_waits)
{
	struct rig_op op = { .verb = RIG_FLUSH, .flush_type = IBV_FLUSH_PERSISTENT,
			     .flush_level = IBV_FLUSH_RANGE };
	struct rig_pair *p;
	struct rig_mr *mr;
	struct ibv_wc wc;
	double took;

	RIG_NEEDS_ODP(rig);
	if (!(rig->caps.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_PERSISTENT))
		RIG_SKIP("no flush to persistence");
	madvise(b, LEN, MADV_NOHUGEPAGE);
	memset(b, 1, _i == 2 ? LEN : 0);
	if (!be_late(0, LATE_NEVER))
		RIG_SKIP(why);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW_FLUSH | IBV_ACCESS_FLUSH_PERSISTENT, true);
	p = rig_pair(rig, IBV_QPT_RC);
	op.remote = rig_at(mr, 0, 2 * RIG_PAGE);
	if (_i == 2)
		flush_and_reset(p, &op, b);
	ck_assert_int_eq(rig_post(p, &op), 0);
	wait_until_asked(1);
	rig_sleep(0.1);
	if (_i == 1)
		late_release(late);
	took = rig_now();
	if (_i == 1) {
		rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "the flush");
		ck_assert_msg(wc.status == IBV_WC_REM_ACCESS_ERR, "%s", rig_status_name(wc.status));
	}
	rig_unpair(p);
	took = rig_now() - took;
	ck_assert_msg(took < 2 * QUICK, "the end of who waits to flush took %.1f s", took);
	rig_dereg(mr);
	no_worker_waited();
}
END_TEST

/* A flush that ends at its first page does not bring in the others before. */
START_TEST(test_flush_of_files)
{
	const size_t len = 1ul << 30;
	struct stat st;
	struct rig_mr *mr;
	uint8_t *c;
	int fd;

	RIG_NEEDS_ODP(rig);
	if (!(rig->caps.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_PERSISTENT))
		RIG_SKIP("no flush to persistence");
	fd = memfd_create("sparse", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	c = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(c, MAP_FAILED);
	mr = rig_reg(rig, c, len, RIG_IOVA_SAME, RIG_RW_FLUSH | IBV_ACCESS_FLUSH_PERSISTENT, true);
	RIG_FAILS(rig_flush(pair, rig_at(mr, 0, 0), IBV_FLUSH_PERSISTENT, IBV_FLUSH_MR),
		  IBV_WC_REM_ACCESS_ERR);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_msg(st.st_blocks * 512 <= 16 * (off_t)MIB, "%jd KiB of the file are there",
		      (intmax_t)st.st_blocks / 2);
	rig_dereg(mr);
	munmap(c, len);
	close(fd);
}
END_TEST

/* A queue pair that was answering a read begins anew. */
START_TEST(test_reset_in_a_read)
{
	const uint32_t len = 4 * RIG_PAGE;
	struct rig_span here = at_a(0, len);
	struct rig_op op = { .verb = RIG_READ, .sg = &here, .nsg = 1, .remote = at_b(0, len) };
	struct ibv_wc wc;
	int i;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, 2 * RIG_PAGE, 5, 0);
	late = late_pages(b + 2 * RIG_PAGE, LEN - 2 * RIG_PAGE, LATE_NEVER, SEED, why, sizeof(why));
	if (!late)
		RIG_SKIP(why);
	for (i = 0; i < 6; i++) {
		op.remote = at_b((size_t)i % 2, len);
		ck_assert_int_eq(rig_post(pair, &op), 0);
		wait_until_asked(1);
		rig_sleep(0.05);
		rig_set_state(pair, RIG_B, IBV_QPS_RESET);
		/* Twice: after one the requester still stands at what was flushed (docs/stock-defects.md). */
		rig_set_state(pair, RIG_A, IBV_QPS_RESET);
		rig_set_state(pair, RIG_A, IBV_QPS_RESET);
		while (rig_poll(pair->end[RIG_A].scq, &wc, 1))
			;
		rig_join(pair, RIG_A, pair->end[RIG_B].qp->qp_num);
		rig_join(pair, RIG_B, pair->end[RIG_A].qp->qp_num);
		RIG_OK(rig_read(pair, at_a(8, 5000), at_b(0, 5000)));
		rig_expect(a + 8 * RIG_PAGE, 5000, 5, 0, "after the reset");
		RIG_OK(rig_write(pair, at_a(16, 100), at_b(0, 100)));
		rig_fill(b, 100, 5, 0);
	}
}
END_TEST

/* How many reads may be under way to B, of a queue pair that is connected. */
static void set_reads(uint8_t count)
{
	struct ibv_qp_attr attr = { .max_dest_rd_atomic = count };

	ck_assert_int_eq(ibv_modify_qp(pair->end[RIG_B].qp, &attr, IBV_QP_MAX_DEST_RD_ATOMIC), 0);
}

/* What a read was being answered with is replaced while it waits for its next page. */
START_TEST(test_modify_in_a_read)
{
	const uint32_t len = 4 * RIG_PAGE;
	struct rig_span here = at_a(0, len);
	struct rig_op op = { .verb = RIG_READ, .sg = &here, .nsg = 1, .remote = at_b(0, len) };
	struct ibv_wc wc;
	int i;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, 2 * RIG_PAGE, SEED, 0);
	if (!be_late(0, LATE_NEVER))
		RIG_SKIP(why);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	wait_until_asked(1);
	for (i = 1; i <= 64; i *= 2) {
		set_reads((uint8_t)i);
		rig_sleep(0.1);
	}
	late_release(late);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "the read");
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	rig_expect(a, len, SEED, 0, "what was read");
}
END_TEST

/* And while requests come in: the responder is not called idle while it runs. */
START_TEST(test_modify_under_writes)
{
	const uint32_t len = 16 * RIG_PAGE;
	struct rig_span here = at_a(0, len);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = at_b(0, len) };
	struct ibv_wc wc;
	int i, k;

	RIG_NEEDS_ODP(rig);
	for (i = 0; i < 50; i++) {
		for (k = 0; k < 16; k++)
			ck_assert_int_eq(rig_post(pair, &op), 0);
		for (k = 0; k < 64; k++)
			set_reads((uint8_t)(1 << k % 4));
		for (k = 0; k < 16; k++) {
			rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "a write");
			ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
		}
	}
}
END_TEST

/*
 * Memory that cannot be had ends its request at once, whatever else is missing. _i: a send from two
 * pieces that are forbidden, a read into such two, a receive into them; a send from one of them and
 * a page that never comes.
 */
START_TEST(test_nothing_to_wait_for)
{
	struct rig_span piece[] = { at_b(0, 400), at_b(_i == 3 ? 4 : 1, 400) }, whole = at_a(0, 800);
	struct rig_op op = {
		.verb = _i == 1 ? RIG_READ : RIG_SEND,
		.sg = _i == 2 ? &whole : piece,
		.nsg = _i == 2 ? 1 : 2,
		.remote = whole,
	};
	struct ibv_wc wc;
	double took;

	NEEDS_LATE(4, LATE_NEVER);
	ck_assert_int_eq(mprotect(b, 2 * RIG_PAGE, PROT_NONE), 0);
	if (_i != 1)
		ck_assert_int_eq(rig_post_recv(pair, RIG_B, _i == 2 ? piece : &whole, _i == 2 ? 2 : 1,
					       0), 0);
	took = rig_now();
	ck_assert_int_eq(rig_post(pair, &op), 0);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "a request that cannot be had");
	took = rig_now() - took;
	ck_assert_msg(wc.status == (_i == 2 ? IBV_WC_REM_OP_ERR : IBV_WC_LOC_PROT_ERR), "%s",
		      rig_status_name(wc.status));
	ck_assert_msg(took < QUICK, "it took %.1f s", took);
}
END_TEST

/*
 * Behind a request without an answer, which is done by then, comes the answer to the one behind it:
 * that is looked at, and the request that is done completes without it.
 */
START_TEST(test_answer_behind)
{
	struct rig_span soon = at_b(0, 900), never = at_b(1, 900);
	struct rig_op first = { .verb = RIG_READ, .sg = &soon, .nsg = 1, .remote = at_a(0, 900) };
	struct rig_op second = { .verb = RIG_READ, .sg = &never, .nsg = 1, .remote = at_a(1, 900) };
	struct late *comes;
	struct rig_pair *p;
	struct rig_mr *mr;
	struct ibv_wc wc;
	struct ibv_mw *mw;
	double took;
	int i;

	NEEDS_LATE(1, LATE_NEVER);
	comes = late_pages(b, RIG_PAGE, 1, SEED, why, sizeof(why));
	ck_assert_msg(comes, "%s", why);
	p = rig_pair(rig, IBV_QPT_RC);
	mr = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW | IBV_ACCESS_MW_BIND, false);
	mw = ibv_alloc_mw(rig->pd, IBV_MW_TYPE_2);
	ck_assert_ptr_nonnull(mw);
	ck_assert_int_eq(rig_post(p, &first), 0);
	rig_post_bind(p, RIG_A, mw, mr, a, RIG_PAGE, IBV_ACCESS_REMOTE_READ);
	ck_assert_int_eq(rig_post(p, &second), 0);
	for (i = 0; i < 2; i++) {
		rig_reap(rig, p->end[RIG_A].scq, &wc, 1, i ? "the binding" : "the first read");
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	}
	wait_until_asked(1);
	rig_sleep(0.2);
	/* A window holds the queue pair that it is bound to. */
	ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
	took = rig_now();
	rig_unpair(p);
	took = rig_now() - took;
	ck_assert_msg(took < 2 * QUICK, "the end of who waits for the second answer took %.1f s", took);
	rig_dereg(mr);
	late_end(comes);
	no_worker_waited();
}
END_TEST

/* Draining does not wait for what has not begun. */
START_TEST(test_drained)
{
	struct rig_span here = at_b(0, 64);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = at_a(0, 64) };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD };
	struct ibv_qp_init_attr init;
	struct ibv_wc wc;
	double end;

	NEEDS_LATE(0, LATE_NEVER);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	wait_until_asked(1);
	ck_assert_int_eq(ibv_modify_qp(pair->end[RIG_A].qp, &attr, IBV_QP_STATE), 0);
	end = rig_now() + QUICK;
	do {
		ck_assert_msg(rig_now() < end, "the queue is not drained");
		rig_sleep(0.05);
		ck_assert_int_eq(ibv_query_qp(pair->end[RIG_A].qp, &attr, IBV_QP_STATE, &init), 0);
	} while (attr.sq_draining);
	attr.qp_state = IBV_QPS_RTS;
	ck_assert_int_eq(ibv_modify_qp(pair->end[RIG_A].qp, &attr, IBV_QP_STATE), 0);
	late_release(late);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "the write");
	ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	rig_expect(a, 64, SEED, 0, "what was written");
	no_worker_waited();
}
END_TEST

/* A datagram is looked at whole: its late page is the second one. */
START_TEST(test_long_datagram)
{
	struct rig_span here, there;
	struct rig_op op = { .verb = RIG_SEND, .sg = &here, .nsg = 1 };
	struct rig_pair *p;
	struct ibv_wc wc;
	double took;

	RIG_NEEDS_ODP(rig);
	madvise(b, LEN, MADV_NOHUGEPAGE);
	rig_fill(b, RIG_PAGE, SEED, 0);
	late = late_pages(b + RIG_PAGE, LEN - RIG_PAGE, LATE_NEVER, SEED, why, sizeof(why));
	if (!late)
		RIG_SKIP(why);
	p = rig_pair(rig, IBV_QPT_UD);
	here = rig_at(mb, RIG_PAGE - 500, 900);
	there = at_a(0, 1000);
	ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
	wait_until_asked(1);
	/* The worker is free: the queue pair can be changed at once. */
	took = rig_now();
	rig_set_state(p, RIG_A, IBV_QPS_ERR);
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, "the flushed datagram");
	took = rig_now() - took;
	ck_assert_int_eq(wc.status, IBV_WC_WR_FLUSH_ERR);
	ck_assert_msg(took < QUICK, "it took %.1f s", took);
	rig_unpair(p);
}
END_TEST

/* A process with a request that waits for its own late page ends. */
static void be_waiting(void)
{
	struct rig *own = rig_open(&rig->attr);
	uint8_t *mem = rig_map(LEN, 0, RIG_ANON);
	struct rig_mr *mr = rig_reg(own, mem, LEN, RIG_IOVA_SAME, RIG_RW, true);
	struct rig_pair *p = rig_pair(own, IBV_QPT_RC);
	struct rig_span here = rig_at(mr, LEN / 2, 64);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = rig_at(mr, 0, 64) };

	mem[LEN / 2] = 1;
	late = late_pages(mem, LEN / 2, LATE_NEVER, SEED, why, sizeof(why));
	if (!late)
		_exit(77);
	if (rig_post(p, &op))
		_exit(1);
	wait_until_asked(1);
	rig_sleep(0.1);
	_exit(0);
}

START_TEST(test_exit)
{
	double took;
	pid_t pid;
	int status;

	RIG_NEEDS_ODP(rig);
	took = rig_now();
	pid = fork();
	if (!pid)
		be_waiting();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	took = rig_now() - took;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		RIG_SKIP("no userfaultfd for faults of the kernel");
	ck_assert_int_eq(status, 0);
	printf("a process with a request that waits: %.1f s from fork to exit\n", took);
	ck_assert_msg(took < 3 * QUICK, "it took %.1f s", took);
}
END_TEST

/* More late pages than the engine has workers, all one user's: another user is served all the same. */
#define CROWD	40
#define EACH	64

static void be_another_user(void)
{
	uint8_t *mem;
	struct rig_pair *p;
	struct rig_mr *mr;
	struct rig *own;
	int i;

	if (setgid(65534) || setuid(65534))
		_exit(1);
	own = rig_open(&rig->attr);
	mem = rig_map(LEN, 0, RIG_ANON);
	mr = rig_reg(own, mem, LEN, RIG_IOVA_SAME, RIG_RW, true);
	p = rig_pair(own, IBV_QPT_RC);
	for (i = 0; i < 20; i++)
		RIG_OK(rig_write(p, rig_at(mr, LEN / 2 + (uint64_t)i * RIG_PAGE, 64),
				 rig_at(mr, (uint64_t)i * RIG_PAGE, 64)));
	_exit(0);
}

START_TEST(test_another_user)
{
	struct rig_mr *mr[CROWD];
	struct rig_span span;
	int i, j, status;
	double took;
	pid_t pid;

	NEEDS_LATE(0, LATE_NEVER);
	for (i = 0; i < CROWD; i++) {
		mr[i] = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
		for (j = 0; j < EACH; j++) {
			span = rig_at(mr[i], (uint64_t)(i * EACH + j) % PAGES * RIG_PAGE, 1);
			ck_assert_int_eq(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0,
						    &span, 1), 0);
		}
	}
	wait_until_asked(16);
	ck_assert_int_eq(rig_odp_counter("faults_in_flight"), CROWD * EACH);
	took = rig_now();
	pid = fork();
	if (!pid)
		be_another_user();
	while (!waitpid(pid, &status, WNOHANG)) {
		ck_assert_msg(rig_now() - took < 5 * QUICK, "another user waits for %d faults",
			      CROWD * EACH);
		rig_sleep(0.01);
	}
	printf("another user, beside %d faults: %.2f s\n", CROWD * EACH, rig_now() - took);
	ck_assert_int_eq(status, 0);
	/* Those that wait for their turn hold nobody either. */
	took = rig_now();
	for (i = 0; i < CROWD; i++)
		rig_dereg(mr[i]);
	ck_assert_msg(rig_now() - took < QUICK, "deregistration took %.1f s", rig_now() - took);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("waiting");
	TCase *tc = new_case(s, "held");

	tcase_add_test(tc, test_others_go_on);
	tcase_add_loop_test(tc, test_nothing_is_held, 0, 6 * ACTIONS);
	tcase_add_loop_test(tc, test_sender_goes, 0, 3);
	tcase_add_loop_test(tc, test_stream_sender_goes, 0, 2);
	tcase_add_loop_test(tc, test_destroyed_behind_a_packet, 0, 2);
	tcase_add_loop_test(tc, test_between_looks, 0, 2);
	tcase_add_loop_test(tc, test_sent_again, 0, 2);
	tcase_add_loop_test(tc, test_flush_waits, 0, 3);
	tcase_add_test(tc, test_flush_of_files);
	tcase_add_loop_test(tc, test_nothing_to_wait_for, 0, 4);
	tcase_add_test(tc, test_answer_behind);
	tcase_add_test(tc, test_drained);
	tcase_add_test(tc, test_long_datagram);
	tcase_add_test(tc, test_exit);
	tcase_add_test(tc, test_another_user);
	tc = new_case(s, "reset");
	tcase_add_test(tc, test_reset_in_a_read);
	tcase_add_test(tc, test_modify_in_a_read);
	tcase_add_test(tc, test_modify_under_writes);
	return rig_main(&s, 1);
}
