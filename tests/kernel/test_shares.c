// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * No user takes rxe's workers, or another's progress: not by queue pairs that all wait, not by WQEs
 * that are rewritten after the post, not by throwing out what has just come.
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <pthread.h>

#include "queues.h"
#include "waiting.h"

/* ------------------------------------------------------------------ many that wait */

#define CROWD	540		/* more than a work queue of a kernel of any version has workers */

static struct ibv_qp *crowd[CROWD];
static struct ibv_cq *crowd_cq;

static struct ibv_qp *make_sender(void)
{
	struct ibv_qp_init_attr init = {
		.send_cq = crowd_cq, .recv_cq = crowd_cq, .qp_type = IBV_QPT_UD,
		.cap = { .max_send_wr = 4, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.sq_sig_all = 1,
	};
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = RIG_QKEY };
	struct ibv_qp *qp = ibv_create_qp(rig->pd, &init);

	ck_assert_msg(qp, "a queue pair: %s", strerror(errno));
	ck_assert_int_eq(ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				       IBV_QP_QKEY), 0);
	attr.qp_state = IBV_QPS_RTR;
	ck_assert_int_eq(ibv_modify_qp(qp, &attr, IBV_QP_STATE), 0);
	attr.qp_state = IBV_QPS_RTS;
	ck_assert_int_eq(ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN), 0);
	return qp;
}

static void post_datagram(struct ibv_qp *qp, const struct rig_pair *to, struct rig_span here)
{
	struct ibv_sge sge = { here.addr, here.len, here.lkey };
	struct ibv_send_wr *bad, wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND };

	wr.wr.ud.ah = to->end[RIG_A].ah;
	wr.wr.ud.remote_qpn = to->end[RIG_B].qp->qp_num;
	wr.wr.ud.remote_qkey = RIG_QKEY;
	ck_assert_int_eq(ibv_post_send(qp, &wr, &bad), 0);
}

static double worst_write(struct rig_pair *p, struct rig_mr *mr)
{
	double took, worst = 0;
	int i;

	for (i = 0; i < 10; i++) {
		took = rig_now();
		RIG_OK(rig_write(p, rig_at(mr, 0, 1000), rig_at(mr, 2 * RIG_PAGE, 1000)));
		took = rig_now() - took;
		if (took > worst)
			worst = took;
	}
	return worst;
}

/* Writes of another user, between pinned pages. */
static void be_another_user(const struct rig_attr *attr)
{
	struct rig_mr *mr;
	struct rig_pair *p;
	struct rig *own;
	double took;

	if (setgid(65534) || setuid(65534))
		_exit(1);
	own = rig_open(attr);
	mr = rig_reg(own, rig_map(4 * RIG_PAGE, 0, RIG_ANON), 4 * RIG_PAGE, RIG_IOVA_SAME, RIG_RW,
		     false);
	p = rig_pair(own, IBV_QPT_RC);
	took = worst_write(p, mr);
	printf("another user's pinned write takes %.3f s at most\n", took);
	_exit(took < QUICK ? 0 : 2);
}

static void another_user_goes_on(const char *beside)
{
	double took = rig_now();
	pid_t pid = fork();
	int status;

	if (!pid)
		be_another_user(&rig->attr);
	while (!waitpid(pid, &status, WNOHANG)) {
		ck_assert_msg(rig_now() - took < 5 * QUICK,
			      "another user's pinned writes wait for %s", beside);
		rig_sleep(0.01);
	}
	ck_assert_msg(!status, "another user's pinned writes wait for %s", beside);
}

static void post_crowd(const struct rig_pair *to, struct rig_mr *mr, bool rewrite)
{
	uint64_t from = rig_at(mr, 0, 1).addr;
	int i;

	crowd_cq = ibv_create_cq(rig->ctx, 4 * CROWD, NULL, NULL, 0);
	ck_assert_ptr_nonnull(crowd_cq);
	for (i = 0; i < CROWD; i++) {
		crowd[i] = make_sender();
		post_datagram(crowd[i], to, rig_at(mr, (uint64_t)i * RIG_PAGE, 16));
	}
	wait_until_asked(1);
	rig_sleep(1);
	if (!rewrite)
		return;
	/* Without an SGE nobody may look at it, and something be copied from it all the same. */
	printf("%d requests rewritten\n", queues_hide_pieces(from, from + CROWD * RIG_PAGE));
	for (i = 0; i < CROWD; i++)
		post_datagram(crowd[i], to, at_a(0, 16));
	rig_sleep(2);
}

/* _i 1: the WQEs say that they have no SGE, after they have been posted with one. */
START_TEST(test_a_crowd_holds_nobody)
{
	const size_t size = CROWD * RIG_PAGE;
	struct rlimit files = { 65536, 65536 };
	struct rig_pair *to, *other;
	struct rig_mr *mr;
	double took;
	uint8_t *c;
	int i;

	RIG_NEEDS_ODP(rig);
	setrlimit(RLIMIT_NOFILE, &files);
	c = rig_map(size, 0, RIG_ANON);
	late = late_pages(c, size, LATE_NEVER, SEED, why, sizeof(why));
	if (!late)
		RIG_SKIP(why);
	mr = rig_reg(rig, c, size, RIG_IOVA_SAME, RIG_RW, true);
	to = rig_pair(rig, IBV_QPT_UD);
	other = rig_pair(rig, IBV_QPT_RC);
	worst_write(other, ma);
	post_crowd(to, mr, _i);
	another_user_goes_on("540 queue pairs that wait");
	took = worst_write(other, ma);
	printf("a pinned write of the same user takes %.3f s at most\n", took);
	ck_assert_msg(took < QUICK, "a pinned write takes %.1f s beside 540 that wait", took);
	took = rig_now();
	for (i = 0; i < CROWD; i++)
		ck_assert_int_eq(ibv_destroy_qp(crowd[i]), 0);
	took = rig_now() - took;
	printf("destruction of %d that wait: %.2f s\n", CROWD, took);
	ck_assert_int_eq(ibv_destroy_cq(crowd_cq), 0);
	rig_unpair(to);
	rig_unpair(other);
	late_release(late);
	rig_dereg(mr);
	no_worker_waited();
}
END_TEST

/* ---------------------------------------------------------------- more places than are followed */

#define MOST_PLACES	12

static const struct {
	const char *name;
	enum rig_verb verb;
	enum rig_side side;	/* whose WQE it is */
	enum ibv_qp_type type;
} moved[] = {
	{ "write from", RIG_WRITE, RIG_A, IBV_QPT_RC },
	{ "read into", RIG_READ, RIG_A, IBV_QPT_RC },
	{ "write to", RIG_WRITE, RIG_B, IBV_QPT_RC },
	{ "receive", RIG_SEND, RIG_B, IBV_QPT_RC },
	{ "datagram", RIG_SEND, RIG_A, IBV_QPT_UD },
	{ "receive of UC", RIG_SEND, RIG_B, IBV_QPT_UC },
};

#define MOVED	((int)(sizeof(moved) / sizeof(moved[0])))

static void nudge(struct rig_pair *p)
{
	struct rig_span here = at_a(100, 8);
	struct rig_op op = { .verb = p->type == IBV_QPT_RC ? RIG_WRITE : RIG_SEND, .sg = &here,
			     .nsg = 1, .remote = at_a(101, 8), .wr_id = 2 };

	ck_assert_int_eq(rig_post(p, &op), 0);
}

static struct rig_pair *post_moved(int i)
{
	struct rig_pair *p = rig_pair(rig, moved[i].type);
	bool there = moved[i].side == RIG_B;
	struct rig_span cold = at_b(0, 900), warm = at_a(0, 900);
	struct rig_span first = there ? cold : at_a(50, 1000), other = at_a(54, 1000);
	struct rig_op op = { .verb = moved[i].verb, .sg = there ? &warm : &cold, .nsg = 1,
			     .remote = there ? cold : warm, .wr_id = 1 };
	int k;

	for (k = 0; k < 2 * MOST_PLACES && op.verb == RIG_SEND; k++)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, k ? &other : &first, 1, (uint64_t)k), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
	return p;
}

/* It names another page again and again; how many have been asked for. */
static unsigned int move_on(struct rig_pair *p)
{
	unsigned int place;
	double end;

	wait_until_asked(1);
	for (place = 1; place < MOST_PLACES; place++) {
		queues_replace(at_b(place - 1, 1).addr, at_b(place, 1).addr);
		nudge(p);
		/* Behind a number of them, none more may be asked for. */
		end = rig_now() + 0.5;
		while (late_waiting(late) <= place && rig_now() < end)
			rig_sleep(0.01);
	}
	return late_asked(late);
}

/*
 * Many pages for one WQE are no reason for an error, and are waited for by no worker; and what
 * comes is good for the page that it names in the end.
 */
START_TEST(test_many_places_of_one_request)
{
	const size_t last = MOST_PLACES - 1;
	const uint8_t *at;
	struct rig_pair *p;
	struct ibv_wc wc;

	NEEDS_LATE(0, LATE_NEVER);
	at = a;
	p = post_moved(_i);
	printf("%s: %u places of one request are asked for\n", moved[_i].name, move_on(p));
	no_worker_waited();
	/* Nobody waits with it. */
	RIG_OK(rig_write(pair, at_a(60, 100), at_a(70, 100)));
	/* A send of UC is done when it has left. */
	if (p->type != IBV_QPT_UC)
		ck_assert_int_eq(rig_poll(p->end[RIG_A].scq, &wc, 1), 0);
	ck_assert_int_eq(rig_poll(p->end[RIG_B].rcq, &wc, 1), 0);
	late_release(late);
	rig_reap(rig, p->end[RIG_A].scq, &wc, 1, moved[_i].name);
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s: %s", moved[_i].name,
		      rig_status_name(wc.status));
	ck_assert_uint_eq(wc.wr_id, 1);
	if (moved[_i].side == RIG_B && moved[_i].verb == RIG_SEND) {
		rig_reap(rig, p->end[RIG_B].rcq, &wc, 1, moved[_i].name);
		ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	}
	rig_sleep(0.2);
	if (p->type == IBV_QPT_UD)
		at = a + 50 * RIG_PAGE + RIG_GRH;
	if (moved[_i].side == RIG_A && moved[_i].verb != RIG_READ)
		rig_expect(at, 900, SEED, last * RIG_PAGE, "%s", moved[_i].name);
	else
		rig_expect(b + last * RIG_PAGE, 900, 1, 0, "%s", moved[_i].name);
	rig_unpair(p);
	no_worker_waited();
}
END_TEST

/* And who goes while they are asked for goes at once. */
START_TEST(test_many_places_destroyed)
{
	struct rig_pair *p;

	NEEDS_LATE(0, LATE_NEVER);
	p = post_moved(_i);
	move_on(p);
	destroy_ends(p, moved[_i].side);
	no_worker_waited();
}
END_TEST

/* ------------------------------------------------------------------ progress */

#define LIST	32		/* SGEs, each over the border of two pages */
#define EACH	128u

static uint8_t *thrashed;
static bool stop_thrashing, by_pageout;

/* Of what has been brought in one page after the other is thrown out, anywhere, all the time. */
static void *thrash(void *unused)
{
	struct rig_rand rnd = rig_rand(rig_seed());

	while (!__atomic_load_n(&stop_thrashing, __ATOMIC_RELAXED))
		madvise(thrashed + rig_below(&rnd, 2 * LIST) * RIG_PAGE, RIG_PAGE,
			by_pageout ? MADV_PAGEOUT : MADV_DONTNEED);
	return unused;
}

/* Each byte has come, or has been thrown out since with what had come. */
static void check_list(uint64_t seed)
{
	uint8_t want[EACH], have[EACH];
	size_t i, k;

	for (i = 0; i < LIST; i++) {
		memcpy(have, thrashed + (2 * i + 1) * RIG_PAGE - EACH / 2, EACH);
		rig_fill(want, EACH, seed, i * EACH);
		for (k = 0; k < EACH; k++)
			ck_assert_msg(have[k] == want[k] || (!by_pageout && !have[k]),
				      "SGE %zu, byte %zu: %#x instead of %#x", i, k, have[k],
				      want[k]);
	}
}

/* One packet for 64 pages that cannot all be there at once. */
static struct rig_res transfer_list(struct rig_pair *p, struct rig_mr *mr, bool read)
{
	struct rig_span list[LIST], whole = at_a(0, LIST * EACH);
	struct rig_op op = { .verb = RIG_SEND, .sg = &whole, .nsg = 1 };
	int i;

	for (i = 0; i < LIST; i++)
		list[i] = rig_at(mr, (2 * (size_t)i + 1) * RIG_PAGE - EACH / 2, EACH);
	if (read)
		op = (struct rig_op){ .verb = RIG_READ, .sg = list, .nsg = LIST, .remote = whole };
	return rig_do(p, &op, list, LIST);
}

static void transfer_lists(struct rig_pair *p, struct rig_mr *mr, bool read)
{
	double took = rig_now(), end = took + rig->deadline;
	struct rig_res res;
	pthread_t thread;
	uint64_t round;

	stop_thrashing = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, thrash, NULL), 0);
	for (round = 1; round <= 16; round++) {
		rig_fill(a, LIST * EACH, round, 0);
		res = transfer_list(p, mr, read);
		ck_assert_msg(rig_res_ok(res), "%s, receive: %s", rig_status_name(res.status),
			      rig_status_name(res.peer));
		ck_assert_msg(rig_now() < end, "%ju packets in %u s", (uintmax_t)round,
			      rig->deadline);
		check_list(round);
	}
	__atomic_store_n(&stop_thrashing, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	printf("16 packets for 64 pages each that are thrown out all the time: %.2f s\n",
	       rig_now() - took);
}

/* _i & 1: they go to swap; & 2: the local side of a read. */
START_TEST(test_long_list_makes_progress)
{
	const size_t size = 2 * LIST * RIG_PAGE;
	int64_t gone;
	struct rig_mr *mr;
	struct rig_pair *p;

	RIG_NEEDS_ODP(rig);
	by_pageout = _i & 1;
	if (by_pageout && !rig_swap_on(64ul << 20, why, sizeof(why)))
		RIG_SKIP(why);
	rig_dmesg_mark();
	rig->attr.send_sge = LIST;
	rig->attr.recv_sge = LIST;
	rig->attr.max_inline = 0;
	p = rig_pair_mtu(rig, IBV_QPT_RC, 4096);
	thrashed = rig_map(size, 0, RIG_ANON);
	madvise(thrashed, size, MADV_NOHUGEPAGE);
	mr = rig_reg(rig, thrashed, size, RIG_IOVA_SAME, RIG_RW, true);
	gone = rig_odp_counter("page_invalidations");
	transfer_lists(p, mr, _i & 2);
	printf("%jd invalidations\n", (intmax_t)(rig_odp_counter("page_invalidations") - gone));
	rig_unpair(p);
	rig_dereg(mr);
	if (by_pageout)
		rig_swap_off();
	rig_dmesg_mark();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shares");
	TCase *tc = new_case(s, "shares");

	tcase_add_loop_test(tc, test_many_places_of_one_request, 0, MOVED);
	tcase_add_loop_test(tc, test_many_places_destroyed, 0, MOVED);
	tcase_add_loop_test(tc, test_long_list_makes_progress, 0, 4);
	tcase_add_loop_test(tc, test_a_crowd_holds_nobody, 0, 2);
	return rig_main(&s, 1);
}
