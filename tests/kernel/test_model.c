// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Random operations against a model: an ordinary array of bytes to which the same is done by the
 * CPU. In every round several operations on several queue pairs are in flight at once, on ranges
 * that do not touch one another, while the CPU writes to others and drops pages; when all are
 * complete the memory must equal the model. ODPREG_SEED replays a run, ODPREG_OPS sets its length.
 */
#include "rig.h"

#define ARENA		(12ul << 20)
#define PINNED_END	(2ul << 20)	/* the pinned region is [0, PINNED_END) of the arena */
#define MAX_LEN		(256ul << 10)
#define GUARD		64ul		/* distance of ranges in one round, checked too */
#define PER_ROUND	12
#define PAIRS		6
#define REGIONS		5
#define OPS		20000

struct range {
	size_t at;
	size_t len;
};

/* One operation in flight: bytes go from src to dst, or a word at dst changes, its old value to src. */
struct flight {
	enum rig_verb verb;
	enum rig_side from;
	int pair;
	struct range src;
	struct range dst;
	uint64_t value;
	uint64_t compare;
};

struct model {
	struct rig *rig;
	struct rig_pair *pair[PAIRS];
	struct rig_mr *mr[REGIONS];
	int regions;
	uint8_t *arena;
	uint8_t *model;
	struct rig_rand rand;
	struct range used[3 * PER_ROUND + 8];
	int nused;
	struct flight flight[PER_ROUND];
	int flights;
	int sends[PAIRS][2];	/* completions to expect in this round */
	int recvs[PAIRS][2];
	int round;
	bool odp;
};

/* ------------------------------------------------------------------ setting up */

static void add_region(struct model *m, size_t from, size_t to, uint64_t iova, int access, bool odp)
{
	m->mr[m->regions++] = rig_reg(m->rig, m->arena + from, to - from, iova, access, odp);
}

static void open_model(struct model *m, bool odp)
{
	static const unsigned int mtu[PAIRS] = { 256, 1024, 2048, 4096, 1024, 4096 };
	struct rig_attr attr = rig_attr();
	int i;

	memset(m, 0, sizeof(*m));
	m->odp = odp;
	m->rand = rig_rand(rig_seed());
	m->rig = rig_open(&attr);
	/* The middle is the border of two windows. */
	m->arena = rig_map_across(ARENA, RIG_WINDOW);
	m->model = rig_map(ARENA, 0, RIG_ANON);
	rig_fill(m->arena, PINNED_END, 1, 0);
	rig_fill(m->model, PINNED_END, 1, 0);
	add_region(m, 0, PINNED_END, RIG_IOVA_SAME, RIG_RW_FLUSH, false);
	if (odp) {
		add_region(m, PINNED_END, ARENA, RIG_IOVA_SAME, RIG_RW_FLUSH, true);
		add_region(m, 4ul << 20, ARENA, RIG_PAGE, RIG_RW_FLUSH, true);
		add_region(m, PINNED_END + 123, (9ul << 20) + 77, 0xfffffff000000000ull + 123,
			   RIG_RW_FLUSH, true);
		add_region(m, 0, ARENA, 1ull << 45, RIG_READ_ONLY, true);
	}
	for (i = 0; i < PAIRS; i++)
		m->pair[i] = rig_pair_mtu(m->rig, i < 4 ? IBV_QPT_RC : IBV_QPT_UC, mtu[i]);
}

static void close_model(struct model *m)
{
	int i;

	for (i = 0; i < PAIRS; i++)
		rig_unpair(m->pair[i]);
	for (i = 0; i < m->regions; i++)
		rig_dereg(m->mr[i]);
	rig_unmap(m->arena, ARENA);
	rig_unmap(m->model, ARENA);
	rig_close(m->rig);
}

/* ------------------------------------------------------------------ choosing */

static uint64_t below(struct model *m, uint64_t bound)
{
	return rig_below(&m->rand, bound);
}

/* Short ones mostly, every magnitude sometimes. */
static size_t random_length(struct model *m)
{
	return 1 + below(m, MAX_LEN >> below(m, 16));
}

static bool is_free(const struct model *m, size_t at, size_t len)
{
	int i;

	for (i = 0; i < m->nused; i++) {
		const struct range *u = &m->used[i];

		if (at < u->at + u->len + GUARD && u->at < at + len + GUARD)
			return false;
	}
	return true;
}

/* A range of its own for this round, on one side of the border of pinned and on-demand memory. */
static struct range claim(struct model *m, size_t len, size_t align)
{
	size_t at, end = m->odp ? ARENA : PINNED_END;
	int i;

	for (;;) {
		for (i = 0; i < 50; i++) {
			at = GUARD + below(m, end - len - 2 * GUARD);
			if (below(m, 4) == 0)
				at = (at & ~(RIG_PAGE - 1)) + RIG_PAGE - below(m, len + 1);
			at &= ~(align - 1);
			if (at < GUARD || at > end || at + len > end - GUARD)
				continue;
			if (at < PINNED_END && at + len > PINNED_END)
				continue;
			if (is_free(m, at, len))
				goto found;
		}
		/* Crowded: something shorter fits. */
		if (len > 8)
			len = align == 8 ? 8 : (len + 1) / 2;
	}
found:
	m->used[m->nused++] = (struct range){ at, len };
	return (struct range){ at, len };
}

/* One of the regions that hold the range and grant the right; there always is one. */
static struct rig_span span_of(struct model *m, struct range r, bool write)
{
	const uint8_t *p = m->arena + r.at;
	struct rig_mr *fit[REGIONS];
	int i, n = 0;

	for (i = 0; i < m->regions; i++) {
		struct rig_mr *mr = m->mr[i];
		const uint8_t *base = mr->addr;

		if (p < base || p + r.len > base + mr->len)
			continue;
		if (write && !(mr->access & IBV_ACCESS_LOCAL_WRITE))
			continue;
		fit[n++] = mr;
	}
	ck_assert_msg(n, "no region holds %zu bytes at %#zx", r.len, r.at);
	i = (int)below(m, (uint64_t)n);
	return rig_at(fit[i], (uint64_t)(p - (const uint8_t *)fit[i]->addr), (uint32_t)r.len);
}

/* Cut a span into up to four SGEs. */
static int cut(struct model *m, struct rig_span whole, struct rig_span *sg)
{
	int n = 0;

	while (n < 3 && whole.len > 1 && below(m, 3) == 0) {
		sg[n] = whole;
		sg[n].len = (uint32_t)below(m, whole.len);
		whole.addr += sg[n].len;
		whole.len -= sg[n].len;
		n++;
	}
	sg[n++] = whole;
	return n;
}

static bool is_word(enum rig_verb verb)
{
	return verb == RIG_CAS || verb == RIG_FADD || verb == RIG_ATOMIC_WRITE;
}

static enum rig_verb random_verb(struct model *m, bool reliable)
{
	static const enum rig_verb rc[] = {
		RIG_WRITE, RIG_WRITE, RIG_READ, RIG_READ, RIG_SEND, RIG_SEND_IMM, RIG_WRITE_IMM,
		RIG_CAS, RIG_FADD, RIG_ATOMIC_WRITE, RIG_FLUSH,
	};
	/* An unreliable write shows its arrival by its immediate only. */
	static const enum rig_verb uc[] = { RIG_WRITE_IMM, RIG_SEND, RIG_SEND_IMM };

	return reliable ? rc[below(m, sizeof(rc) / sizeof(rc[0]))] : uc[below(m, 3)];
}

/* ------------------------------------------------------------------ one round */

static uint64_t word_of(const struct model *m, size_t at)
{
	uint64_t v;

	memcpy(&v, m->model + at, 8);
	return v;
}

static void choose(struct model *m, struct flight *f)
{
	size_t len;

	f->pair = (int)below(m, PAIRS);
	f->from = below(m, 2) ? RIG_A : RIG_B;
	f->verb = random_verb(m, m->pair[f->pair]->type == IBV_QPT_RC);
	if (is_word(f->verb)) {
		f->src = claim(m, 8, 8);
		f->dst = claim(m, 8, 8);
		f->value = rig_next(&m->rand);
		/* Half of the comparisons succeed. */
		f->compare = below(m, 2) ? word_of(m, f->dst.at) : f->value;
		return;
	}
	len = random_length(m);
	f->src = claim(m, len, 1);
	f->dst = claim(m, f->src.len, 1);
	f->src.len = f->dst.len;
}

static void post(struct model *m, const struct flight *f)
{
	struct rig_pair *pair = m->pair[f->pair];
	struct rig_span local[4], recv[4];
	struct rig_op op = {
		.verb = f->verb, .from = f->from, .sg = local, .value = f->value,
		.compare = f->compare, .flush_type = IBV_FLUSH_GLOBAL,
		.flush_level = below(m, 2) ? IBV_FLUSH_MR : IBV_FLUSH_RANGE,
	};
	int err, nrecv = 0;

	switch (f->verb) {
	case RIG_READ:
		op.nsg = cut(m, span_of(m, f->dst, true), local);
		op.remote = span_of(m, f->src, false);
		break;
	case RIG_CAS:
	case RIG_FADD:
		local[op.nsg++] = span_of(m, f->src, true);
		op.remote = span_of(m, f->dst, true);
		break;
	case RIG_ATOMIC_WRITE:
	case RIG_FLUSH:
		op.remote = span_of(m, f->dst, true);
		break;
	default:
		op.nsg = cut(m, span_of(m, f->src, false), local);
		op.remote = span_of(m, f->dst, true);
	}
	if (f->verb == RIG_SEND || f->verb == RIG_SEND_IMM)
		nrecv = cut(m, op.remote, recv);
	if (nrecv || f->verb == RIG_WRITE_IMM) {
		err = rig_post_recv(pair, !f->from, recv, nrecv, 0);
		ck_assert_msg(!err, "receive: %s", strerror(err));
		m->recvs[f->pair][!f->from]++;
	}
	err = rig_post(pair, &op);
	ck_assert_msg(!err, "%s: %s", rig_verb_name(f->verb), strerror(err));
	m->sends[f->pair][f->from]++;
}

static void apply(struct model *m, const struct flight *f)
{
	uint64_t old, next;

	if (f->verb == RIG_FLUSH)
		return;
	if (!is_word(f->verb)) {
		memcpy(m->model + f->dst.at, m->model + f->src.at, f->dst.len);
		return;
	}
	old = word_of(m, f->dst.at);
	next = f->verb == RIG_FADD ? old + f->value :
	       f->verb == RIG_CAS && old != f->compare ? old : f->value;
	memcpy(m->model + f->dst.at, &next, 8);
	if (f->verb != RIG_ATOMIC_WRITE)
		memcpy(m->model + f->src.at, &old, 8);
}

/* The CPU writes, and drops whole pages of on-demand memory, beside what is in flight. */
static void cpu_turn(struct model *m)
{
	struct range r = claim(m, random_length(m), 1);
	uint64_t seed = rig_next(&m->rand);
	size_t first, last;

	rig_fill(m->arena + r.at, r.len, seed, 0);
	rig_fill(m->model + r.at, r.len, seed, 0);
	if (below(m, 4))
		return;
	r = claim(m, random_length(m), 1);
	first = (r.at + RIG_PAGE - 1) & ~(RIG_PAGE - 1);
	last = (r.at + r.len) & ~(RIG_PAGE - 1);
	if (r.at < PINNED_END || first >= last)
		return;
	ck_assert_int_eq(madvise(m->arena + first, last - first, MADV_DONTNEED), 0);
	memset(m->model + first, 0, last - first);
}

static void wait_all(struct model *m)
{
	struct ibv_wc wc[2 * PER_ROUND];
	int p, side, i;

	for (p = 0; p < PAIRS; p++) {
		for (side = RIG_A; side <= RIG_B; side++) {
			struct rig_end *end = &m->pair[p]->end[side];

			rig_reap(m->rig, end->scq, wc, m->sends[p][side], "a round of the model");
			for (i = 0; i < m->sends[p][side]; i++)
				ck_assert_msg(!wc[i].status, "round %d, pair %d, side %d: %s",
					      m->round, p, side, rig_status_name(wc[i].status));
			rig_reap(m->rig, end->rcq, wc, m->recvs[p][side],
				 "a round of the model, receives");
			for (i = 0; i < m->recvs[p][side]; i++)
				ck_assert_msg(!wc[i].status, "round %d, pair %d, receive: %s",
					      m->round, p, rig_status_name(wc[i].status));
		}
	}
	memset(m->sends, 0, sizeof(m->sends));
	memset(m->recvs, 0, sizeof(m->recvs));
}

static void tell_round(const struct model *m)
{
	int i;

	printf("round %d:\n", m->round);
	for (i = 0; i < m->flights; i++) {
		const struct flight *f = &m->flight[i];

		printf("  %-20s pair %d from %c: %#zx -> %#zx, %zu bytes\n", rig_verb_name(f->verb),
		       f->pair, f->from == RIG_A ? 'A' : 'B', f->src.at, f->dst.at, f->dst.len);
	}
	fflush(stdout);
}

static void compare(const struct model *m, size_t at, size_t len, const char *what)
{
	size_t i, bad = 0, first = 0;

	if (!memcmp(m->arena + at, m->model + at, len))
		return;
	for (i = at; i < at + len; i++) {
		if (m->arena[i] == m->model[i])
			continue;
		if (!bad++)
			first = i;
	}
	tell_round(m);
	ck_abort_msg("seed %#jx, round %d, %s: %zu of %zu bytes differ from the model, first at %#zx "
		     "(%#x instead of %#x)", (uintmax_t)rig_seed(), m->round, what, bad, len, first,
		     m->arena[first], m->model[first]);
}

static void one_round(struct model *m)
{
	int i;

	m->nused = 0;
	m->flights = 1 + (int)below(m, PER_ROUND);
	for (i = 0; i < m->flights; i++)
		choose(m, &m->flight[i]);
	for (i = 0; i < m->flights; i++) {
		post(m, &m->flight[i]);
		if (below(m, 8) == 0 && m->nused < (int)(sizeof(m->used) / sizeof(m->used[0])) - 2)
			cpu_turn(m);
	}
	wait_all(m);
	for (i = 0; i < m->flights; i++)
		apply(m, &m->flight[i]);
	for (i = 0; i < m->nused; i++)
		compare(m, m->used[i].at - GUARD, m->used[i].len + 2 * GUARD, "a range in use");
	m->round++;
}

static void run_model(bool odp, int ops)
{
	const char *env = getenv("ODPREG_OPS");
	double start = rig_now();
	struct model m;
	int done = 0;

	if (env)
		ops = atoi(env);
	open_model(&m, odp);
	while (done < ops) {
		one_round(&m);
		done += m.flights;
		if (m.round % 200 == 0)
			compare(&m, 0, odp ? ARENA : PINNED_END, "everything");
	}
	compare(&m, 0, odp ? ARENA : PINNED_END, "everything");
	printf("%d operations in %d rounds, %.1f s\n", done, m.round, rig_now() - start);
	close_model(&m);
}

START_TEST(model_pinned)
{
	run_model(false, OPS / 4);
}
END_TEST

START_TEST(model_odp)
{
	struct rig *rig = rig_open(NULL);
	bool odp = rig_has_odp(rig);

	rig_close(rig);
	if (!odp)
		RIG_SKIP("the device has no on-demand paging");
	run_model(true, OPS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("model");
	TCase *tc = rig_tcase(s, "model", 600);

	tcase_add_test(tc, model_pinned);
	tcase_add_test(tc, model_odp);
	return rig_main(&s, 1);
}
