// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The traffic: operations, the model, the verdict. The events are in traffic_event.c. */
#include "traffic.h"

#define LONGEST	(sizeof(((struct traffic *)0)->first))

pthread_mutex_t traffic_maps = PTHREAD_MUTEX_INITIALIZER;

const char *traffic_kind_name(enum traffic_kind kind)
{
	static const char *const name[] = {
		[TRAFFIC_WRITE] = "write", [TRAFFIC_READ] = "read",
		[TRAFFIC_SEND] = "send", [TRAFFIC_RECV] = "receive",
		[TRAFFIC_LOCAL_READ] = "read, local side",
		[TRAFFIC_LOCAL_WRITE] = "write, local side",
		[TRAFFIC_FADD] = "fetch and add", [TRAFFIC_CAS] = "compare and swap",
		[TRAFFIC_WRITE_IMM] = "write with immediate", [TRAFFIC_ATOMIC_WRITE] = "atomic write",
		[TRAFFIC_FLUSH] = "flush",
	};

	return name[kind];
}

static void *must(void *p)
{
	if (!p)
		ck_abort_msg("out of memory");
	return p;
}

struct traffic *traffic_over(struct rig *rig, struct rig_mr *odp, uint8_t *mem, size_t len,
			     uint64_t seed)
{
	struct traffic *t = must(calloc(1, sizeof(*t)));
	size_t pages = len / RIG_PAGE;

	t->rig = rig;
	t->mem = mem;
	t->len = len;
	t->odp = odp;
	t->given = true;
	t->rnd = rig_rand(seed);
	t->nonce = seed << 32;
	t->pair = rig_pair(rig, IBV_QPT_RC);
	t->buf = rig_map(2 * TRAFFIC_MAX, 0, RIG_ANON);
	memset(t->buf, 0, 2 * TRAFFIC_MAX);
	t->pinned = rig_reg(rig, t->buf, 2 * TRAFFIC_MAX, RIG_IOVA_SAME, RIG_RW, false);
	t->model = must(malloc(len));
	rig_fill(t->model, len, seed, 0);
	t->model_seq = must(calloc(pages, sizeof(*t->model_seq)));
	t->seq = must(calloc(pages, sizeof(*t->seq)));
	pthread_mutex_init(&t->cpu, NULL);
	pthread_mutex_init(&t->one_event, NULL);
	return t;
}

struct traffic *traffic_new(struct rig *rig, size_t len, bool huge, uint64_t seed)
{
	uint8_t *mem = rig_map(len, huge ? 2ul << 20 : 0, RIG_ANON);
	struct traffic *t;

	madvise(mem, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	rig_fill(mem, len, seed, 0);
	t = traffic_over(rig, rig_reg(rig, mem, len, RIG_IOVA_SAME, RIG_RW, true), mem, len, seed);
	t->huge = huge;
	t->given = false;
	return t;
}

void traffic_free(struct traffic *t)
{
	rig_unpair(t->pair);
	rig_dereg(t->pinned);
	if (!t->given) {
		rig_dereg(t->odp);
		rig_unmap(t->mem, t->len);
	}
	rig_unmap(t->buf, 2 * TRAFFIC_MAX);
	free(t->model);
	free(t->model_seq);
	free((void *)t->seq);
	free(t);
}

uint64_t traffic_ops(const struct traffic *t)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < TRAFFIC_KINDS; i++)
		sum += t->ops[i];
	return sum;
}

/* ------------------------------------------------------------------ the model */

/* One operation under way, and what it may leave behind. */
struct step {
	enum traffic_kind kind;
	size_t at;
	size_t len;
	const uint8_t *now;	/* what is written there, NULL when nothing is */
	const uint8_t *zeroed;	/* the same, when an event made zeros of it before */
};

static void note_bad(struct traffic *t, const struct step *s, const char *when, size_t at,
		     unsigned int have, unsigned int want)
{
	t->bad++;
	if (!t->first[0])
		snprintf(t->first, LONGEST, "%s of %zu bytes at %#zx, %s: byte at %#zx (%p) is %#04x "
			 "instead of %#04x", s ? traffic_kind_name(s->kind) : "no operation",
			 s ? s->len : 0, s ? s->at : 0, when, at, (void *)(t->mem + at), have, want);
}

/* A copy of a page that no event disturbed, and the sequence it is true for. */
static unsigned int stable_page(struct traffic *t, size_t page, uint8_t *copy)
{
	unsigned int seq;

	for (;;) {
		seq = atomic_load(&t->seq[page]);
		if (seq & 1) {
			rig_sleep(100e-6);
			continue;
		}
		pthread_mutex_lock(&t->cpu);
		/* With the lock held nobody makes holes, if the page is still the same. */
		if (atomic_load(&t->seq[page]) == seq) {
			memcpy(copy, t->mem + page * RIG_PAGE, RIG_PAGE);
			atomic_thread_fence(memory_order_seq_cst);
		}
		pthread_mutex_unlock(&t->cpu);
		if (atomic_load(&t->seq[page]) == seq)
			return seq;
	}
}

static bool may_be(const struct step *s, size_t at, uint8_t have)
{
	if (!s || !s->now || at < s->at || at >= s->at + s->len)
		return false;
	return have == s->now[at - s->at] || have == s->zeroed[at - s->at];
}

/* Take a page over as the model. Each byte must be the old one, zero, or what s writes there. */
static void resync(struct traffic *t, size_t page, const struct step *s)
{
	size_t base = page * RIG_PAGE, i;
	uint8_t copy[RIG_PAGE];
	unsigned int seq = stable_page(t, page, copy);

	for (i = 0; i < RIG_PAGE; i++) {
		uint8_t have = copy[i], old = t->model[base + i];

		if (have == old || !have || (t->also && have == t->also) ||
		    may_be(s, base + i, have))
			continue;
		note_bad(t, s, "after an event", base + i, have, old);
	}
	memcpy(t->model + base, copy, RIG_PAGE);
	t->model_seq[page] = seq;
	t->checked += RIG_PAGE;
}

static bool changed(const struct traffic *t, size_t page)
{
	return atomic_load(&t->seq[page]) != t->model_seq[page];
}

static bool any_changed(const struct traffic *t, const struct step *s)
{
	size_t page;

	for (page = s->at / RIG_PAGE; page <= (s->at + s->len - 1) / RIG_PAGE; page++)
		if (changed(t, page))
			return true;
	return false;
}

static void resync_range(struct traffic *t, const struct step *s, bool all)
{
	size_t page;

	for (page = s->at / RIG_PAGE; page <= (s->at + s->len - 1) / RIG_PAGE; page++)
		if (all || changed(t, page))
			resync(t, page, s);
}

/* Compare have with want; an event meanwhile makes the comparison void (false). */
static bool check(struct traffic *t, const struct step *s, const char *when, const uint8_t *have,
		  const uint8_t *want)
{
	size_t i;

	if (any_changed(t, s))
		return false;
	t->checked += s->len;
	if (!memcmp(have, want, s->len))
		return true;
	for (i = 0; i < s->len; i++)
		if (have[i] != want[i])
			note_bad(t, s, when, s->at + i, have[i], want[i]);
	return true;
}

/* What the CPU sees in the range; false when an event came before it was all read. */
static bool cpu_view(struct traffic *t, const struct step *s, uint8_t *copy)
{
	bool same;

	pthread_mutex_lock(&t->cpu);
	same = !any_changed(t, s);
	if (same)
		memcpy(copy, t->mem + s->at, s->len);
	pthread_mutex_unlock(&t->cpu);
	return same && !any_changed(t, s);
}

/* ------------------------------------------------------------------ operations */

static struct rig_res flush_and_read(struct traffic *t, struct rig_span mem, struct rig_span result)
{
	struct rig_res res = rig_flush(t->pair, mem, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE);

	return rig_res_ok(res) ? rig_read(t->pair, result, mem) : res;
}

static struct rig_res run(struct traffic *t, const struct step *s)
{
	struct rig_span mem = rig_at(t->odp, s->at, (uint32_t)s->len);
	struct rig_span operand = rig_at(t->pinned, 0, (uint32_t)s->len);
	struct rig_span result = rig_at(t->pinned, TRAFFIC_MAX, (uint32_t)s->len);
	uint64_t arg, old;

	memcpy(&arg, t->buf, 8);
	memcpy(&old, t->model + s->at, 8);
	switch (s->kind) {
	case TRAFFIC_WRITE: return rig_write(t->pair, operand, mem);
	case TRAFFIC_READ: return rig_read(t->pair, result, mem);
	case TRAFFIC_SEND: return rig_send(t->pair, mem, result);
	case TRAFFIC_RECV: return rig_send(t->pair, operand, mem);
	case TRAFFIC_LOCAL_READ: return rig_read(t->pair, mem, operand);
	case TRAFFIC_LOCAL_WRITE: return rig_write(t->pair, mem, result);
	case TRAFFIC_WRITE_IMM: return rig_write_imm(t->pair, operand, mem, 1);
	case TRAFFIC_ATOMIC_WRITE: return rig_atomic_write(t->pair, mem, arg);
	case TRAFFIC_FLUSH: return flush_and_read(t, mem, result);
	case TRAFFIC_FADD: return rig_fadd(t->pair, result, mem, arg);
	default: return rig_cas(t->pair, result, mem, old, arg);
	}
}

static bool goes_in(enum traffic_kind kind)
{
	return kind == TRAFFIC_WRITE || kind == TRAFFIC_RECV || kind == TRAFFIC_LOCAL_READ ||
	       kind == TRAFFIC_WRITE_IMM || kind == TRAFFIC_ATOMIC_WRITE;
}

static bool is_atomic(enum traffic_kind kind)
{
	return kind == TRAFFIC_FADD || kind == TRAFFIC_CAS;
}

static struct step choose(struct traffic *t)
{
	static const enum traffic_kind out[] = { TRAFFIC_READ, TRAFFIC_SEND, TRAFFIC_LOCAL_WRITE };
	struct step s = {
		.kind = (enum traffic_kind)rig_below(&t->rnd, t->all ? TRAFFIC_KINDS : TRAFFIC_USUAL),
	};

	if (is_atomic(s.kind) && !rig_odp_atomics(t->rig))
		s.kind = TRAFFIC_WRITE;
	if (t->read_only)
		s.kind = out[s.kind % 3];
	if (t->whole) {
		s.len = is_atomic(s.kind) ? 8 : RIG_PAGE;
		s.at = rig_below(&t->rnd, t->len / RIG_PAGE) * RIG_PAGE;
		return s;
	}
	if (is_atomic(s.kind) || s.kind == TRAFFIC_ATOMIC_WRITE) {
		s.len = 8;
		s.at = rig_below(&t->rnd, t->len / 8) * 8;
	} else {
		s.len = 1 + rig_below(&t->rnd, rig_below(&t->rnd, 4) ? 600 : TRAFFIC_MAX - 1);
		s.at = rig_below(&t->rnd, t->len - s.len + 1);
	}
	return s;
}

/* The old value of an atomic is the model's, and the new one follows from it. */
static void atomic_outcome(struct traffic *t, const struct step *s, uint8_t *want)
{
	uint64_t arg, old;

	memcpy(&arg, t->buf, 8);
	memcpy(&old, t->model + s->at, 8);
	if (s->kind == TRAFFIC_FADD)
		arg += old;
	memcpy(want, &arg, 8);
}

/* An operation that failed: excused by an event, or not. Half of it may have been done. */
static void failure(struct traffic *t, const struct step *s, struct rig_res res)
{
	if (any_changed(t, s)) {
		t->excused++;
	} else {
		t->failed++;
		if (!t->first[0])
			snprintf(t->first, LONGEST, "%s of %zu bytes at %#zx failed: %s, receive: %s",
				 traffic_kind_name(s->kind), s->len, s->at,
				 rig_status_name(res.status), rig_status_name(res.peer));
	}
	/* New queues are new mappings. */
	pthread_mutex_lock(&traffic_maps);
	rig_reconnect(t->pair);
	pthread_mutex_unlock(&traffic_maps);
	resync_range(t, s, true);
}

static void one_operation(struct traffic *t)
{
	struct step s = choose(t);
	uint8_t operand[TRAFFIC_MAX], want[TRAFFIC_MAX], view[TRAFFIC_MAX];
	struct rig_res res;
	bool exact = true;

	resync_range(t, &s, false);
	rig_fill(t->buf, s.len, ++t->nonce, 0);
	memcpy(operand, t->buf, s.len);
	memcpy(want, operand, s.len);
	if (is_atomic(s.kind))
		atomic_outcome(t, &s, want);
	if (goes_in(s.kind) || is_atomic(s.kind)) {
		s.now = want;
		s.zeroed = operand;
	} else {
		memset(t->buf + TRAFFIC_MAX, 0xa5, s.len);
	}

	res = run(t, &s);
	t->ops[s.kind]++;
	if (!rig_res_ok(res)) {
		failure(t, &s, res);
		return;
	}
	if (!goes_in(s.kind))
		exact = check(t, &s, is_atomic(s.kind) ? "old value" : "on the wire",
			      t->buf + TRAFFIC_MAX, t->model + s.at);
	if (exact)
		exact = cpu_view(t, &s, view) &&
			check(t, &s, "seen by the CPU", view, s.now ? want : t->model + s.at);
	if (exact)
		memcpy(t->model + s.at, view, s.len);
	else
		resync_range(t, &s, true);
}

static void *loop(void *arg)
{
	struct traffic *t = arg;

	while (!atomic_load(&t->stop))
		one_operation(t);
	return NULL;
}

void traffic_start(struct traffic *t)
{
	int err;

	atomic_store(&t->stop, false);
	err = pthread_create(&t->thread, NULL, loop, t);
	if (err)
		ck_abort_msg("cannot start a thread: %s", strerror(err));
}

void traffic_stop(struct traffic *t)
{
	size_t page;

	atomic_store(&t->stop, true);
	pthread_join(t->thread, NULL);
	for (page = 0; page < t->len / RIG_PAGE; page++) {
		struct step all = { .at = page * RIG_PAGE, .len = RIG_PAGE };

		if (changed(t, page))
			resync(t, page, NULL);
		else
			check(t, &all, "at the end", t->mem + all.at, t->model + all.at);
	}
}
