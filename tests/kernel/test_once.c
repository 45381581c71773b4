// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What is tried, backed out of and tried again is done once: local operations behind a request
 * that is retransmitted, the bytes of a packet of which a part was copied, atomics, the receives
 * of an SRQ.
 */
#include "waiting.h"
#include "wire.h"

/* ------------------------------------------------------------------ local operations */

static struct ibv_mw *mw;
static struct rig_mr *bindable;

/* Of a, from its half on. */
#define BOUND	(LEN / 2)

static uint32_t post_bind(bool type_2)
{
	const unsigned int access = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
	struct ibv_mw_bind bind = {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = {
			.mr = bindable->mr, .addr = (uintptr_t)a + BOUND, .length = RIG_PAGE,
			.mw_access_flags = access,
		},
	};

	if (type_2)
		return rig_post_bind(pair, RIG_A, mw, bindable, a + BOUND, RIG_PAGE, access);
	ck_assert_int_eq(ibv_bind_mw(pair->end[RIG_A].qp, mw, &bind), 0);
	return mw->rkey;
}

static void post_invalidate(uint32_t key)
{
	struct ibv_send_wr *bad, wr = {
		.opcode = IBV_WR_LOCAL_INV, .send_flags = IBV_SEND_SIGNALED, .invalidate_rkey = key,
	};

	ck_assert_int_eq(ibv_post_send(pair->end[RIG_A].qp, &wr, &bad), 0);
}

static void make_window(bool type_2)
{
	bindable = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW | IBV_ACCESS_MW_BIND, false);
	mw = ibv_alloc_mw(rig->pd, type_2 ? IBV_MW_TYPE_2 : IBV_MW_TYPE_1);
	ck_assert_ptr_nonnull(mw);
}

static void free_window(void)
{
	ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
	rig_dereg(bindable);
}

/*
 * A request that has an RNR NAK: a write to a late page, or a send to a receiver that is not
 * ready.
 */
static void post_not_ready(bool send)
{
	struct rig_span here = at_a(0, 1000);
	struct rig_op op = { .verb = send ? RIG_SEND : RIG_WRITE, .sg = &here, .nsg = 1,
			     .remote = at_b(0, 1000) };

	ck_assert_int_eq(rig_post(pair, &op), 0);
}

static void post_write(struct rig_span there, uint64_t wr_id)
{
	struct rig_span here = at_a(1, 1000);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1, .remote = there,
			     .wr_id = wr_id };

	ck_assert_int_eq(rig_post(pair, &op), 0);
}

/* There are RNR NAKs by then; then the receive comes, or the page by itself. */
static void be_ready(bool send)
{
	struct rig_span there = at_a(2, 1000);

	rig_sleep(1);
	if (send)
		ck_assert_int_eq(rig_post_recv(pair, RIG_B, &there, 1, 0), 0);
	else
		late_release(late);
}

static void all_succeed(int count)
{
	struct ibv_wc wc[8];
	int i;

	rig_reap(rig, pair->end[RIG_A].scq, wc, count, "requests behind one that is not ready");
	for (i = 0; i < count; i++)
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS, "request %d: %s", i,
			      rig_status_name(wc[i].status));
}

/* By the key of the window, from the other side, whose peer's queue pair it is bound to. */
static void window_works(uint32_t key)
{
	struct rig_span here = at_a(3, 500);
	struct rig_op op = { .verb = RIG_WRITE, .from = RIG_B, .sg = &here, .nsg = 1,
			     .remote = rig_raw((uintptr_t)a + BOUND + 2000, 500, key) };
	struct rig_res res = rig_do(pair, &op, NULL, 0);

	ck_assert_msg(rig_res_ok(res), "by the window: %s", rig_status_name(res.status));
	rig_expect(a + BOUND + 2000, 500, 1, 3 * RIG_PAGE, "by the window");
}

/*
 * A bind behind a request that is retransmitted, and a write by what it has bound. _i & 1: type 2;
 * & 2: behind a send without a receive, which stock code binds twice for.
 */
START_TEST(test_bound_once)
{
	bool type_2 = _i & 1, send = _i & 2;
	int64_t count[COUNTERS];
	uint32_t key;

	NEEDS_LATE(0, LATE_NEVER);
	make_window(type_2);
	counters(count);
	post_not_ready(send);
	key = post_bind(type_2);
	/* A window of type 2 is good for the queue pair that has bound it only. */
	post_write(type_2 ? at_a(4, 1000) : rig_raw((uintptr_t)a + BOUND, 1000, key), 2);
	be_ready(send);
	all_succeed(3);
	counters_since(count, "behind it");
	ck_assert_int_gt(count[RNR], 0);
	if (!type_2)
		rig_expect(a + BOUND, 1000, 1, RIG_PAGE, "what was written by the window");
	window_works(key);
	free_window();
}
END_TEST

START_TEST(test_invalidated_once)
{
	bool send = _i;
	struct ibv_wc wc;
	uint32_t key;

	NEEDS_LATE(0, LATE_NEVER);
	make_window(true);
	key = post_bind(true);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "a bind");
	ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	mw->rkey = key;
	post_not_ready(send);
	post_invalidate(key);
	key = post_bind(true);
	post_write(at_a(4, 1000), 3);
	be_ready(send);
	all_succeed(4);
	window_works(key);
	free_window();
}
END_TEST

/* ------------------------------------------------------------------ bytes */

enum way { WRITE_INTO, SEND_INTO, READ_INTO, UC_SEND, UD_SEND, WAYS };

static const char *const way_name[] = {
	"a write", "a receive", "a read's own memory", "a receive of UC", "a receive of UD",
};

#define PIECES	6
#define PIECE	500u
#define OWN	0xa5

static struct piece {
	size_t at;		/* in b */
	uint32_t len;
	struct late *late;
	bool overwritten;	/* by who owns it, after it had come */
} piece[PIECES];

static int pieces;

/* Into pages of their own, every second of which is late; a write goes to two pages. */
static void make_pieces(enum way way)
{
	int i;

	madvise(b, LEN, MADV_NOHUGEPAGE);
	pieces = way == WRITE_INTO ? 2 : PIECES;
	for (i = 0; i < pieces; i++) {
		piece[i].at = (size_t)i * RIG_PAGE;
		if (way != WRITE_INTO || !i)
			piece[i].at += RIG_PAGE - PIECE;
		piece[i].len = PIECE;
		if (i % 2)
			piece[i].late = late_pages(b + (size_t)i * RIG_PAGE, RIG_PAGE, LATE_NEVER,
						   SEED, why, sizeof(why));
		else
			memset(b + (size_t)i * RIG_PAGE, 0, RIG_PAGE);
	}
}

static void post_pieces(struct rig_pair *p, enum way way)
{
	struct rig_span warm = at_a(0, (uint32_t)pieces * PIECE), list[PIECES + 1];
	struct rig_op op = { .verb = RIG_SEND, .sg = &warm, .nsg = 1 };
	int i, n = 0;

	if (way == UD_SEND)
		list[n++] = at_b(2 * PIECES, RIG_GRH);
	for (i = 0; i < pieces; i++)
		list[n++] = rig_at(mb, piece[i].at, piece[i].len);
	if (way == READ_INTO) {
		op = (struct rig_op){ .verb = RIG_READ, .sg = list, .nsg = n, .remote = warm };
	} else if (way == WRITE_INTO) {
		op.verb = RIG_WRITE;
		op.remote = rig_at(mb, piece[0].at, 2 * PIECE);
	} else {
		ck_assert_int_eq(rig_post_recv(p, RIG_B, list, n, 0), 0);
	}
	ck_assert_int_eq(rig_post(p, &op), 0);
}

/*
 * What has come of the pieces before this one belongs to who reads it: that it changes is seen, if
 * the packet comes once more. A driver that looks for all pages first has written none of them
 * yet.
 */
static void overwrite_before(int end)
{
	const double until = rig_now() + 1;
	int i;

	for (i = 0; i < end; i++) {
		uint8_t *at = b + piece[i].at;

		if (piece[i].overwritten)
			continue;
		while (rig_diff(at, PIECE, 1, (uint64_t)i * PIECE) >= 0 && rig_now() < until)
			rig_sleep(0.01);
		if (rig_diff(at, PIECE, 1, (uint64_t)i * PIECE) >= 0)
			continue;
		memset(at, OWN, PIECE);
		piece[i].overwritten = true;
	}
}

static void check_pieces(enum way way)
{
	int i, own = 0;

	for (i = 0; i < pieces; i++) {
		const uint8_t *at = b + piece[i].at;

		own += piece[i].overwritten;
		if (!piece[i].overwritten)
			rig_expect(at, PIECE, 1, (uint64_t)i * PIECE, "%s, piece %d",
				   way_name[way], i);
		else
			ck_assert_msg(rig_diff_byte(at, PIECE, OWN) < 0,
				      "%s: piece %d was written twice", way_name[way], i);
	}
	printf("%s: %d of %d pieces were there before the rest\n", way_name[way], own, pieces);
}

static struct rig_pair *way_pair(enum way way)
{
	enum ibv_qp_type type = way == UC_SEND ? IBV_QPT_UC :
				way == UD_SEND ? IBV_QPT_UD : IBV_QPT_RC;

	return rig_pair_mtu(rig, type, 4096);
}

START_TEST(test_nothing_is_written_twice)
{
	enum way way = (enum way)_i;
	struct rig_end *end;
	struct rig_pair *p;
	struct ibv_wc wc;
	int i;

	RIG_NEEDS_ODP(rig);
	memset(b + 2 * PIECES * RIG_PAGE, 0, RIG_PAGE);
	make_pieces(way);
	if (!piece[1].late)
		RIG_SKIP(why);
	p = way_pair(way);
	end = &p->end[way == WRITE_INTO || way == READ_INTO ? RIG_A : RIG_B];
	post_pieces(p, way);
	for (i = 1; i < pieces; i += 2) {
		wait_until_late(piece[i].late, 1);
		overwrite_before(i);
		/* With RNR NAKs, and the packet once more. */
		rig_sleep(0.4);
		late_release(piece[i].late);
	}
	rig_reap(rig, end == &p->end[RIG_A] ? end->scq : end->rcq, &wc, 1, way_name[way]);
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s: %s", way_name[way],
		      rig_status_name(wc.status));
	check_pieces(way);
	rig_unpair(p);
	for (i = 1; i < pieces; i += 2)
		late_end(piece[i].late);
}
END_TEST

/* ------------------------------------------------------------------ atomics, packet by packet */

static const uint8_t atomic[] = { WIRE_FADD, WIRE_CAS, WIRE_ATOMIC_WRITE };

#define ATOMICS	((int)(sizeof(atomic) / sizeof(atomic[0])))
#define TIMER	13u

static struct wire *wire;

static void wire_setup(void)
{
	struct rig_attr attr = rig_attr();

	wire = wire_open(why, sizeof(why));
	if (!wire)
		return;
	attr.device = wire_device(wire);
	attr.min_rnr_timer = TIMER;
	rig = rig_open(&attr);
	rig_dmesg_mark();
	pair = wire_connect(rig, IBV_QPT_RC, 1024);
	b = rig_map(LEN, 0, RIG_ANON);
	if (rig_has_odp(rig))
		mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
}

static void wire_teardown(void)
{
	if (!wire)
		return;
	if (late)
		late_end(late);
	if (mb)
		rig_dereg(mb);
	rig_unpair(pair);
	rig_dmesg_clean();
	rig_close(rig);
	wire_close(wire);
}

/* To the first word of b: of an atomic write, 99; else 5 more than there was. */
static struct wire_packet atomic_packet(uint8_t opcode)
{
	struct wire_packet p = {
		.opcode = opcode, .qpn = pair->end[RIG_B].qp->qp_num, .psn = WIRE_PSN,
	};
	const uint64_t write = 99;
	uint8_t word[8];
	uint64_t was;

	rig_fill(word, 8, SEED, 0);
	memcpy(&was, word, 8);
	if (opcode != WIRE_ATOMIC_WRITE) {
		wire_atomic_eth(&p, (uintptr_t)b, mb->mr->rkey,
				opcode == WIRE_CAS ? was + 5 : 5, was);
		return p;
	}
	wire_reth(&p, (uintptr_t)b, mb->mr->rkey, 8);
	wire_put(&p, &write, 8);
	return p;
}

static uint64_t word_of_b(void)
{
	return __atomic_load_n((uint64_t *)(void *)b, __ATOMIC_SEQ_CST);
}

static void check_ack(const struct wire_packet *r, uint8_t opcode)
{
	uint8_t was[8];
	uint64_t word;

	ck_assert_uint_eq(r->psn, WIRE_PSN);
	ck_assert_uint_eq(WIRE_SYNDROME(r->syndrome), WIRE_IS_ACK);
	if (opcode == WIRE_ATOMIC_WRITE) {
		ck_assert_uint_eq(r->opcode, WIRE_READ_ONLY);
		return;
	}
	rig_fill(was, 8, SEED, 0);
	ck_assert_uint_eq(r->opcode, WIRE_ATOMIC_ACK);
	memcpy(&word, r->body, 8);
	word = be64toh(word);
	ck_assert_msg(!memcmp(&word, was, 8), "what was there before came back as %#jx",
		      (uintmax_t)word);
}

/* Sends it until it has been done, or for that long; the number of RNR NAKs. */
static int send_until(const struct wire_packet *p, double seconds, bool done)
{
	const double end = rig_now() + seconds;
	struct wire_packet r;
	int naks = 0;

	do {
		wire_send(wire, p);
		while (wire_receive(wire, &r, 0.03)) {
			if (WIRE_SYNDROME(r.syndrome) != WIRE_IS_RNR) {
				ck_assert_msg(done, "a response to what has not been done");
				check_ack(&r, p->opcode);
				return naks;
			}
			ck_assert_uint_eq(r.psn, WIRE_PSN);
			/* The least that it may say; 0 is the most. */
			ck_assert_uint_ge((r.syndrome - 1) & 0x1f, TIMER - 1);
			naks++;
		}
	} while (rig_now() < end);
	ck_assert_msg(!done, "no response to what was sent again for %.0f s", seconds);
	return naks;
}

/*
 * Its page is late, it comes again and again meanwhile, and again when it is done: it is done
 * once, and each response is the first one's.
 */
START_TEST(test_atomic_once)
{
	uint8_t opcode = atomic[_i];
	struct wire_packet p, r;
	uint64_t word, own;
	int naks, i;

	if (!wire)
		RIG_SKIP(why);
	NEEDS_LATE(0, LATE_NEVER);
	p = atomic_packet(opcode);
	naks = send_until(&p, 2, false);
	printf("%d RNR NAKs while the page is late\n", naks);
	ck_assert_int_gt(naks, 0);
	wait_until_asked(1);
	late_release(late);
	send_until(&p, rig->deadline, true);
	rig_sleep(0.3);
	rig_fill(&word, 8, SEED, 0);
	word = opcode == WIRE_ATOMIC_WRITE ? 99 : word + 5;
	ck_assert_uint_eq(word_of_b(), word);
	/* The owner's change stays, too. */
	for (i = 0; i < 10; i++) {
		while (wire_receive(wire, &r, 0.05))
			check_ack(&r, opcode);
		own = (uint64_t)i;
		__atomic_store_n((uint64_t *)(void *)b, own, __ATOMIC_SEQ_CST);
		send_until(&p, rig->deadline, true);
		ck_assert_uint_eq(word_of_b(), own);
	}
}
END_TEST

/* ------------------------------------------------------------------ atomics, and the end */

enum end { DESTROY_RESPONDER, DESTROY_REQUESTER, RESET_RESPONDER, ERROR_RESPONDER, ENDS };

static uint64_t word_at(size_t page)
{
	return __atomic_load_n((uint64_t *)(void *)(b + page * RIG_PAGE), __ATOMIC_SEQ_CST);
}

static uint64_t late_word(size_t page)
{
	uint64_t word;

	rig_fill(&word, 8, SEED, page * RIG_PAGE);
	return word;
}

static void end_it(struct rig_pair *p, enum end end)
{
	switch (end) {
	case DESTROY_RESPONDER:
		destroy_ends(p, RIG_B);
		break;
	case DESTROY_REQUESTER:
		destroy_ends(p, RIG_A);
		break;
	default:
		rig_set_state(p, RIG_B, end == RESET_RESPONDER ? IBV_QPS_RESET : IBV_QPS_ERR);
	}
}

static void post_add(struct rig_pair *p, size_t page)
{
	struct rig_span here = at_a(page, 8);
	struct rig_op op = { .verb = RIG_FADD, .sg = &here, .nsg = 1, .remote = at_b(page, 8),
			     .value = 1 };

	ck_assert_int_eq(rig_post(p, &op), 0);
}

/* Whoever ends first, while the page is late: it is not done afterwards, by nobody. */
START_TEST(test_atomic_ends)
{
	struct rig_pair *p;
	enum end end = (enum end)_i;

	NEEDS_LATE(0, LATE_NEVER);
	p = rig_pair(rig, IBV_QPT_RC);
	post_add(p, 0);
	wait_until_asked(1);
	rig_sleep(0.2);
	end_it(p, end);
	late_release(late);
	rig_sleep(0.5);
	ck_assert_uint_eq(word_at(0), late_word(0));
	if (end >= RESET_RESPONDER)
		rig_unpair(p);
}
END_TEST

/* The page comes about when the end does: once or not at all, and what has completed is done. */
START_TEST(test_atomic_ends_meanwhile)
{
	struct rig_rand rnd = rig_rand(rig_seed());
	enum end end = (enum end)_i;
	struct rig_pair *p;
	uint64_t now, was;
	struct ibv_wc wc;
	size_t page;
	bool done;

	NEEDS_LATE(0, 0.05);
	for (page = 0; page < 24; page++) {
		p = rig_pair(rig, IBV_QPT_RC);
		post_add(p, page);
		rig_sleep(0.04 + (double)rig_below(&rnd, 60) * 0.5e-3);
		done = rig_poll(p->end[RIG_A].scq, &wc, 1) && wc.status == IBV_WC_SUCCESS;
		end_it(p, end);
		rig_sleep(0.1);
		was = late_word(page);
		now = word_at(page);
		ck_assert_msg(now == was + 1 || (now == was && !done), "%#jx, it was %#jx; %s",
			      (uintmax_t)now, (uintmax_t)was, done ? "done" : "not done");
		if (end >= RESET_RESPONDER)
			rig_unpair(p);
	}
}
END_TEST

/* ------------------------------------------------------------------ receives of an SRQ */

#define RECEIVES	4

enum fate { ARRIVES, FLUSHED, RESET, DESTROYED, FATES };

static const char *const fate_name[] = { "waits", "is flushed", "is reset", "is destroyed" };

static struct rig *shared;
static struct rig_mr *shared_mr;
static bool used[RECEIVES];

static void use(const struct ibv_wc *wc, enum ibv_wc_status status)
{
	ck_assert_msg(wc->status == status, "receive %ju: %s", (uintmax_t)wc->wr_id,
		      rig_status_name(wc->status));
	ck_assert_uint_lt(wc->wr_id, RECEIVES);
	ck_assert_msg(!used[wc->wr_id], "receive %ju is used twice", (uintmax_t)wc->wr_id);
	used[wc->wr_id] = true;
}

static void post_message(struct rig_pair *p, size_t page)
{
	struct rig_span here = rig_at(shared_mr, LEN / 2 + page * RIG_PAGE, 400);
	struct rig_op op = { .verb = RIG_SEND, .sg = &here, .nsg = 1, .wr_id = page };

	ck_assert_int_eq(rig_post(p, &op), 0);
}

/* It comes into the next receive: which that is. */
static uint64_t deliver_message(struct rig_pair *p, size_t page, const char *when)
{
	struct ibv_wc wc;

	post_message(p, page);
	if (!rig_try_reap(p->end[RIG_A].scq, &wc, 1, 10))
		ck_abort_msg("%s: a receive of the shared queue is lost", when);
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	rig_reap(shared, p->end[RIG_B].rcq, &wc, 1, "a receive");
	use(&wc, IBV_WC_SUCCESS);
	rig_expect(b + wc.wr_id * RIG_PAGE, 400, 3, page * RIG_PAGE, "%s: receive %ju", when,
		   (uintmax_t)wc.wr_id);
	return wc.wr_id;
}

/* The first of the receives has a late page. False: a skip. */
static bool open_shared(void)
{
	struct rig_attr attr = rig->attr;
	struct rig_span there;
	struct rig_pair *p;
	int i;

	rig_fill(b + LEN / 2, LEN / 2, 3, 0);
	memset(b + RIG_PAGE, 0, (RECEIVES - 1) * RIG_PAGE);
	late = late_pages(b, RIG_PAGE, LATE_NEVER, SEED, why, sizeof(why));
	if (!late)
		return false;
	attr.srq_depth = 16;
	shared = rig_open(&attr);
	shared_mr = rig_reg(shared, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	p = rig_pair(shared, IBV_QPT_RC);
	for (i = 0; i < RECEIVES; i++) {
		there = rig_at(shared_mr, (uint64_t)i * RIG_PAGE, 500);
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, (uint64_t)i), 0);
	}
	rig_unpair(p);
	return true;
}

/*
 * What becomes of the queue pair that has taken the first one; which is back, or used, afterwards.
 */
static struct rig_pair *meet(struct rig_pair *p, enum fate fate)
{
	struct ibv_wc wc;

	switch (fate) {
	case ARRIVES:
		return p;
	case FLUSHED:
		rig_set_state(p, RIG_B, IBV_QPS_ERR);
		rig_sleep(0.2);
		if (rig_poll(p->end[RIG_B].rcq, &wc, 1))
			use(&wc, IBV_WC_WR_FLUSH_ERR);
		return p;
	case RESET:
		rig_set_state(p, RIG_B, IBV_QPS_RESET);
		/* Twice (docs/stock-defects.md). */
		rig_set_state(p, RIG_A, IBV_QPS_RESET);
		rig_set_state(p, RIG_A, IBV_QPS_RESET);
		while (rig_poll(p->end[RIG_A].scq, &wc, 1))
			;
		rig_join(p, RIG_A, p->end[RIG_B].qp->qp_num);
		rig_join(p, RIG_B, p->end[RIG_A].qp->qp_num);
		return p;
	default:
		destroy_ends(p, RIG_B);
		return NULL;
	}
}

static void first_arrives(struct rig_pair *p)
{
	struct ibv_wc wc;

	rig_reap(shared, p->end[RIG_A].scq, &wc, 1, "the send that waited");
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	rig_reap(shared, p->end[RIG_B].rcq, &wc, 1, "its receive");
	use(&wc, IBV_WC_SUCCESS);
	ck_assert_uint_eq(wc.wr_id, 0);
	rig_expect(b, 400, 3, 0, "the first");
}

/* One that a waiting packet has taken is neither lost nor used twice, and the order is kept. */
START_TEST(test_shared_receive_once)
{
	enum fate fate = (enum fate)_i;
	struct rig_pair *p, *other;
	uint64_t id, last = 0;
	size_t i;

	RIG_NEEDS_ODP(rig);
	if (!open_shared())
		RIG_SKIP(why);
	p = rig_pair(shared, IBV_QPT_RC);
	other = rig_pair(shared, IBV_QPT_RC);
	post_message(p, 0);
	wait_until_asked(1);
	rig_sleep(0.2);
	/* Others take the next ones meanwhile. */
	ck_assert_uint_eq(deliver_message(other, 1, "meanwhile"), 1);
	p = meet(p, fate);
	late_release(late);
	if (fate == ARRIVES)
		first_arrives(p);
	/* A queue pair that begins anew may have kept what it had. */
	if (fate == RESET)
		deliver_message(p, 5, fate_name[fate]);
	for (i = 0; i < RECEIVES; i++) {
		if (used[0] && used[1] && used[2] && used[3])
			break;
		id = deliver_message(other, 6 + i, fate_name[fate]);
		ck_assert_msg(!i || id > last, "receive %ju behind %ju", (uintmax_t)id,
			      (uintmax_t)last);
		last = id;
	}
	if (p)
		rig_unpair(p);
	rig_unpair(other);
	rig_dereg(shared_mr);
	rig_close(shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("once");
	TCase *tc = new_case(s, "once");

	tcase_add_loop_test(tc, test_bound_once, 0, 4);
	tcase_add_loop_test(tc, test_invalidated_once, 0, 2);
	tcase_add_loop_test(tc, test_nothing_is_written_twice, 0, WAYS);
	tcase_add_loop_test(tc, test_atomic_ends, 0, ENDS);
	tcase_add_loop_test(tc, test_atomic_ends_meanwhile, 0, ENDS);
	tcase_add_loop_test(tc, test_shared_receive_once, 0, FATES);
	tc = rig_tcase(s, "wire", 0);
	tcase_add_checked_fixture(tc, wire_setup, wire_teardown);
	tcase_add_loop_test(tc, test_atomic_once, 0, ATOMICS);
	return rig_main(&s, 1);
}
