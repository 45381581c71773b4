/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * waiting: what test_waiting and test_arriving have in common. Two pieces of memory, pinned and on
 * demand, of the latter some pages late; and one request of every kind for such a page.
 */
#ifndef WAITING_H
#define WAITING_H

#include "late.h"
#include "rig.h"
#include "workers.h"

#define MIB	(1ul << 20)
#define LEN	(2 * MIB)
#define SEED	77
/* What holds up a worker holds it up for 20 s at least: two of these are less on any machine. */
#define QUICK	(3 * (rig_pace() < 2 ? rig_pace() : 2))
#define PAGES	(LEN / RIG_PAGE)

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b;
static struct rig_mr *ma, *mb;
static struct late *late;
static double seconds;
static char why[200];

static inline double late_seconds(void)
{
	const char *env = getenv("ODPREG_LATE_SECONDS");

	return env ? atof(env) : 5;
}

/*
 * A transport that gives up soon, after four times 268 ms, or up to four times 1 s on machines and
 * kernels that take their time: sooner than late pages arrive, later than a machine with other work
 * stalls. Receivers may be unready for ever.
 */
static inline void setup(void)
{
	const double pace = rig_pace();
	struct rig_attr attr = rig_attr();

	attr.timeout = pace > 2 ? 18 : pace > 1.1 ? 17 : 16;
	attr.retry_cnt = 3;
	rig = rig_open(&attr);
	if (!rig_has_odp(rig))
		return;
	seconds = late_seconds();
	rig->deadline += 3 * (unsigned int)seconds;
	rig_dmesg_mark();
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	late = NULL;
}

static inline void teardown(void)
{
	if (ma) {
		if (late)
			late_end(late);
		if (mb)
			rig_dereg(mb);
		rig_dereg(ma);
		rig_unpair(pair);
		/* A fault that nobody waits for any more ends by itself. */
		rig_odp_settles("faults_in_flight", 0);
		rig_odp_settles("regions", 0);
		rig_dmesg_clean();
	}
	rig_close(rig);
}

/* How long a transport of this rig waits for a response, in seconds, until it gives up. */
static inline double patience(void)
{
	return (rig->attr.retry_cnt + 1) * 4.096e-6 * (double)(1ul << rig->attr.timeout);
}

/* From page first on, b is late from now on. */
static inline bool be_late(size_t first, double by)
{
	late = late_pages(b + first * RIG_PAGE, LEN - first * RIG_PAGE, by, SEED, why, sizeof(why));
	return late;
}

#define NEEDS_LATE(first, by) do {								\
	RIG_NEEDS_ODP(rig);									\
	if (!be_late((first), (by)))								\
		RIG_SKIP(why);									\
} while (0)

static inline struct rig_span at_a(size_t page, uint32_t len)
{
	return rig_at(ma, page * RIG_PAGE, len);
}

static inline struct rig_span at_b(size_t page, uint32_t len)
{
	return rig_at(mb, page * RIG_PAGE, len);
}

static inline void no_worker_waited(void)
{
	char stack[2000] = "";

	ck_assert_msg(!worker_asleep("[rdma_rxe]", stack, sizeof(stack)),
		      "a worker of rxe's sleeps:\n%s", stack);
}

static inline void wait_until_late(struct late *l, unsigned int pages)
{
	double end = rig_now() + rig->deadline;

	while (late_waiting(l) < pages) {
		ck_assert_msg(rig_now() < end, "%u of %u pages were asked for", late_waiting(l), pages);
		rig_sleep(0.01);
	}
}

static inline void wait_until_asked(unsigned int pages)
{
	wait_until_late(late, pages);
}

static inline int64_t port_counter(const char *name)
{
	char path[160], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 ibv_get_device_name(rig->ctx->device), name);
	file = fopen(path, "r");
	if (!file || !fgets(text, sizeof(text), file))
		ck_abort_msg("%s: %s", path, strerror(errno));
	fclose(file);
	return strtoll(text, NULL, 10);
}

static const char *const counter[] = {
	"sent_pkts", "duplicate_request", "out_of_seq_request", "send_rnr_err",
	"completer_retry_err", "retry_exceeded_err", "retry_rnr_exceeded_err",
};

enum { SENT, DUPLICATE, OUT_OF_SEQ, RNR, RETRY, EXCEEDED, RNR_EXCEEDED, COUNTERS };

static inline void counters(int64_t *value)
{
	int i;

	for (i = 0; i < COUNTERS; i++)
		value[i] = port_counter(counter[i]);
}

static inline void counters_since(int64_t *value, const char *what)
{
	int64_t now[COUNTERS];
	int i;

	counters(now);
	printf("%s:", what);
	for (i = 0; i < COUNTERS; i++) {
		value[i] = now[i] - value[i];
		printf(" %s %jd", counter[i], (intmax_t)value[i]);
	}
	printf("\n");
	ck_assert_int_eq(value[EXCEEDED], 0);
	ck_assert_int_eq(value[RNR_EXCEEDED], 0);
}

/* One request each of every kind, all at once, each with a late page at one end. */
static const struct {
	const char *name;
	enum rig_verb verb;
	bool here;		/* the late page is the requester's */
	uint32_t len;
} kind[] = {
	{ "write", RIG_WRITE, false, 1000 },
	{ "write with immediate", RIG_WRITE_IMM, false, 1000 },
	{ "read", RIG_READ, false, 1000 },
	{ "send", RIG_SEND, false, 1000 },
	{ "compare and swap", RIG_CAS, false, 8 },
	{ "fetch and add", RIG_FADD, false, 8 },
	{ "atomic write", RIG_ATOMIC_WRITE, false, 8 },
	{ "write from", RIG_WRITE, true, 1000 },
	{ "send from", RIG_SEND, true, 1000 },
	{ "read into", RIG_READ, true, 1000 },
	{ "fetch and add into", RIG_FADD, true, 8 },
};

#define KINDS	((int)(sizeof(kind) / sizeof(kind[0])))

static inline void post_kind(struct rig_pair *p, int i, size_t page)
{
	struct rig_span warm = at_a(page, kind[i].len), cold = at_b(page, kind[i].len);
	struct rig_span here = kind[i].here ? cold : warm, there = kind[i].here ? warm : cold;
	struct rig_op op = {
		.verb = kind[i].verb,
		.sg = &here,
		.nsg = kind[i].verb != RIG_ATOMIC_WRITE,
		.remote = there,
		.value = 0x0123456789abcdef,
		.wr_id = (uint64_t)i,
	};

	if (op.verb == RIG_SEND)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, &there, 1, 0), 0);
	if (op.verb == RIG_WRITE_IMM)
		ck_assert_int_eq(rig_post_recv(p, RIG_B, NULL, 0, 0), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
}

/* Both queue pairs, that of side first, in good time; then all that was made with them. */
static inline void destroy_ends(struct rig_pair *p, enum rig_side side)
{
	double took = rig_now();
	struct rig_end *end;

	ck_assert_int_eq(ibv_destroy_qp(p->end[side].qp), 0);
	took = rig_now() - took;
	ck_assert_msg(took < QUICK, "destruction of one side took %.1f s", took);
	ck_assert_int_eq(ibv_destroy_qp(p->end[!side].qp), 0);
	for (end = p->end; end < p->end + 2; end++) {
		ck_assert_int_eq(ibv_destroy_cq(end->scq), 0);
		ck_assert_int_eq(ibv_destroy_cq(end->rcq), 0);
		if (end->ah)
			ibv_destroy_ah(end->ah);
	}
	free(p);
}

static inline TCase *new_case(Suite *suite, const char *name)
{
	TCase *tc = rig_tcase(suite, name, 60 + 10 * late_seconds());

	tcase_add_checked_fixture(tc, setup, teardown);
	return tc;
}

#endif
