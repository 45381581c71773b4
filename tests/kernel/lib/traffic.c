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
	t->aimed = 2;
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
	t->hole = must(calloc(pages, sizeof(*t->hole)));
	t->shut = must(calloc(pages, sizeof(*t->shut)));
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
	free((void *)t->hole);
	free((void *)t->shut);
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

/* Pages that an operation can reach. */
#define STEP_PAGES	(TRAFFIC_MAX / RIG_PAGE + 1)

/* One operation under way, and what it may leave behind. */
struct step {
	enum traffic_kind kind;
	size_t at;
	size_t len;
	const uint8_t *now;	/* what is written there, NULL when nothing is */
	const uint8_t *zeroed;	/* the same, when an event made zeros of it before */
	unsigned int hole[STEP_PAGES];	/* traffic->hole of its pages when it began */
	bool shut[STEP_PAGES];		/* the page refused such operations then */
};

static size_t first_page(const struct step *s)
{
	return s->at / RIG_PAGE;
}

static size_t last_page(const struct step *s)
{
	return (s->at + s->len - 1) / RIG_PAGE;
}

static void note_bad(struct traffic *t, const struct step *s, const char *when, size_t at,
		     unsigned int have, unsigned int want)
{
	t->bad++;
	if (!t->first[0])
		snprintf(t->first, LONGEST, "%s of %zu bytes at %#zx, %s: byte at %#zx (%p) is %#04x "
			 "instead of %#04x", s ? traffic_kind_name(s->kind) : "no operation",
			 s ? s->len : 0, s ? s->at : 0, when, at, (void *)(t->mem + at), have, want);
}

/*
 * The CPU may look at these pages until leave(); false when an event is under way on one. An event
 * makes the sequence odd before it looks who is there, and this the other way round: one of them sees
 * the other.
 */
static bool enter(struct traffic *t, size_t first, size_t count)
{
	size_t i;

	atomic_store(&t->touched, (uint64_t)first << 32 | count);
	for (i = first; i < first + count; i++)
		if (atomic_load(&t->seq[i]) & 1) {
			atomic_store(&t->touched, 0);
			return false;
		}
	return true;
}

static void leave(struct traffic *t)
{
	atomic_store(&t->touched, 0);
}

/* A copy of a page that no event disturbs, and the sequence it is true for. False: not now. */
static bool stable_page(struct traffic *t, size_t page, uint8_t *copy, unsigned int *seq, bool wait)
{
	while (!enter(t, page, 1)) {
		if (!wait)
			return false;
		atomic_store(&t->waits, true);
		rig_sleep(100e-6);
	}
	atomic_store(&t->waits, false);
	/* An event that has come since waits for leave(): the page is what it was before. */
	*seq = atomic_load(&t->seq[page]) & ~1u;
	memcpy(copy, t->mem + page * RIG_PAGE, RIG_PAGE);
	leave(t);
	return true;
}

/*
 * May a byte be what it is? Where no event was: the old one, or what s writes there, and that only if
 * s has been done. Beside an event zero too; but what was written is not the old byte again.
 */
static bool explained(const struct traffic *t, const struct step *s, bool done, bool disturbed,
		      size_t at, uint8_t have)
{
	bool written = s && s->now && at >= s->at && at < s->at + s->len;

	if (written && (have == s->now[at - s->at] || (disturbed && have == s->zeroed[at - s->at])))
		return true;
	if (disturbed && (!have || (t->also && have == t->also)))
		return true;
	return have == t->model[at] && !(written && done);
}

/* What a byte would be without an event. */
static uint8_t expected(const struct traffic *t, const struct step *s, size_t at)
{
	return s && s->now && at >= s->at && at < s->at + s->len ? s->now[at - s->at] : t->model[at];
}

/* Take a page over as the model. */
static void resync(struct traffic *t, size_t page, const struct step *s, bool done, bool wait)
{
	size_t base = page * RIG_PAGE, i = 0;
	uint8_t copy[RIG_PAGE];
	unsigned int seq;
	bool disturbed;

	if (!stable_page(t, page, copy, &seq, wait))
		return;
	disturbed = seq != t->model_seq[page];
	if (!s && !memcmp(copy, t->model + base, RIG_PAGE))
		i = RIG_PAGE;
	for (; i < RIG_PAGE; i++)
		if (!explained(t, s, done, disturbed, base + i, copy[i]))
			note_bad(t, s, disturbed ? "after an event" : "in a page beside an event",
				 base + i, copy[i], expected(t, s, base + i));
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

	for (page = first_page(s); page <= last_page(s); page++)
		if (changed(t, page))
			return true;
	return false;
}

static void resync_range(struct traffic *t, const struct step *s, bool done)
{
	size_t page;

	for (page = first_page(s); page <= last_page(s); page++)
		resync(t, page, s, done, true);
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

/* What came out while an event was about: of its pages the old bytes or zeros, of others the old ones. */
static void check_raced(struct traffic *t, const struct step *s, const uint8_t *have)
{
	size_t i;

	t->checked += s->len;
	for (i = 0; i < s->len; i++)
		if (have[i] != t->model[s->at + i] &&
		    !(changed(t, (s->at + i) / RIG_PAGE) &&
		      (!have[i] || (t->also && have[i] == t->also))))
			note_bad(t, s, "on the wire, beside an event", s->at + i, have[i],
				 t->model[s->at + i]);
}

/* What the CPU sees in the range; false when an event came before it was all read. */
static bool cpu_view(struct traffic *t, const struct step *s, uint8_t *copy)
{
	bool same;

	if (!enter(t, first_page(s), last_page(s) - first_page(s) + 1))
		return false;
	same = !any_changed(t, s);
	if (same)
		memcpy(copy, t->mem + s->at, s->len);
	leave(t);
	return same;
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

/* To where an event is about to come, or is; one in four begins in the page before. */
static void aim(struct traffic *t, struct step *s)
{
	uint64_t where = atomic_load(&t->aim);
	size_t from = (where >> 32) * RIG_PAGE, len = (uint32_t)where * RIG_PAGE;

	if (!where || rig_below(&t->rnd, t->aimed))
		return;
	if (t->whole || s->len == 8) {
		s->at = from + rig_below(&t->rnd, t->whole ? len / RIG_PAGE : len / 8) *
			(t->whole ? RIG_PAGE : 8);
	} else if (from && s->len > 1 && !rig_below(&t->rnd, 4)) {
		s->at = from - 1 - rig_below(&t->rnd, s->len - 1 < from ? s->len - 1 : from);
		if (s->len > t->len - s->at)
			s->len = t->len - s->at;
	} else {
		if (s->len > len)
			s->len = len;
		s->at = from + rig_below(&t->rnd, len - s->len + 1);
	}
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
	} else if (is_atomic(s.kind) || s.kind == TRAFFIC_ATOMIC_WRITE) {
		s.len = 8;
		s.at = rig_below(&t->rnd, t->len / 8) * 8;
	} else {
		s.len = 1 + rig_below(&t->rnd, rig_below(&t->rnd, 4) ? 600 : TRAFFIC_MAX - 1);
		s.at = rig_below(&t->rnd, t->len - s.len + 1);
	}
	aim(t, &s);
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

/* Before an operation: the model is true where no event is under way; and what is shut. */
static void begin(struct traffic *t, struct step *s)
{
	size_t page = first_page(s), i;

	for (i = 0; page <= last_page(s); page++, i++) {
		unsigned int shut;

		if (changed(t, page))
			resync(t, page, NULL, false, false);
		s->hole[i] = atomic_load(&t->hole[page]);
		shut = atomic_load(&t->shut[page]);
		s->shut[i] = shut == TRAFFIC_SHUT ||
			     (shut == TRAFFIC_SHUT_WRITES && (goes_in(s->kind) || is_atomic(s->kind)));
	}
}

/* Of its pages, how many have been shut to it since before it began, each by the same hole. */
static size_t shut_pages(struct traffic *t, const struct step *s)
{
	size_t page = first_page(s), i, count = 0;

	for (i = 0; page <= last_page(s); page++, i++)
		count += s->shut[i] && atomic_load(&t->shut[page]) &&
			 atomic_load(&t->hole[page]) == s->hole[i];
	return count;
}

static bool beside_hole(struct traffic *t, const struct step *s)
{
	size_t page = first_page(s), i;

	for (i = 0; page <= last_page(s); page++, i++)
		if (s->hole[i] & 1 || atomic_load(&t->hole[page]) != s->hole[i])
			return true;
	return false;
}

/*
 * The status of an access that the memory refuses. A receive buffer that cannot be written is the
 * requester's "remote operation error"; the receive has failed, or was flushed.
 */
static bool refused(const struct traffic *t, const struct step *s, struct rig_res res)
{
	switch (s->kind) {
	case TRAFFIC_SEND:
	case TRAFFIC_LOCAL_READ:
	case TRAFFIC_LOCAL_WRITE:
		/* Asked for whole pages only, a driver may say "flushed": see stage_local_refusal(). */
		return res.status == IBV_WC_LOC_PROT_ERR ||
		       (t->whole && res.status == IBV_WC_WR_FLUSH_ERR);
	case TRAFFIC_RECV:
		return res.status == IBV_WC_REM_OP_ERR && res.peer != IBV_WC_SUCCESS;
	default:
		return res.status == IBV_WC_REM_ACCESS_ERR;
	}
}

static void note_failure(struct traffic *t, const struct step *s, struct rig_res res, const char *when)
{
	t->failed++;
	if (!t->first[0])
		snprintf(t->first, LONGEST, "%s of %zu bytes at %#zx, %s: %s, receive: %s",
			 traffic_kind_name(s->kind), s->len, s->at, when,
			 rig_status_name(res.status), rig_status_name(res.peer));
}

/* An operation that failed: a hole in the memory excuses it, or nothing does. */
static void failure(struct traffic *t, const struct step *s, struct rig_res res, size_t shut)
{
	if (!beside_hole(t, s)) {
		note_failure(t, s, res, any_changed(t, s) ? "beside an event without a hole" :
			     "without an event");
	} else if (!refused(t, s, res)) {
		note_failure(t, s, res, "in a hole, with a status of another kind");
	} else {
		t->excused++;
		if (shut)
			atomic_fetch_add(&t->knocks, 1);
	}
	/* New queues are new mappings. */
	pthread_mutex_lock(&traffic_maps);
	rig_reconnect(t->pair);
	pthread_mutex_unlock(&traffic_maps);
	/* Half of it may have been done, unless all of it was in the hole. */
	if (s->now && shut <= last_page(s) - first_page(s))
		resync_range(t, s, false);
}

/* An operation that came through: what it brought, and what is there now. */
static void success(struct traffic *t, const struct step *s)
{
	const uint8_t *came = t->buf + TRAFFIC_MAX;
	const char *what = is_atomic(s->kind) ? "old value" : "on the wire";
	uint8_t view[TRAFFIC_MAX];
	bool exact = true;

	if (!goes_in(s->kind)) {
		exact = check(t, s, what, came, t->model + s->at);
		if (!exact)
			check_raced(t, s, came);
	}
	if (exact)
		exact = cpu_view(t, s, view) &&
			check(t, s, "seen by the CPU", view, s->now ? s->now : t->model + s->at);
	if (exact)
		memcpy(t->model + s->at, view, s->len);
	else if (s->now)
		resync_range(t, s, true);
}

static void one_operation(struct traffic *t)
{
	struct step s = choose(t);
	uint8_t operand[TRAFFIC_MAX], want[TRAFFIC_MAX];
	struct rig_res res;
	size_t shut;

	begin(t, &s);
	rig_fill(t->buf, s.len, ++t->nonce, 0);
	memcpy(operand, t->buf, s.len);
	memcpy(want, operand, s.len);
	if (is_atomic(s.kind))
		atomic_outcome(t, &s, want);
	if (goes_in(s.kind) || is_atomic(s.kind)) {
		s.now = want;
		s.zeroed = operand;
	}
	if (!goes_in(s.kind))
		memset(t->buf + TRAFFIC_MAX, 0xa5, s.len);

	res = run(t, &s);
	t->ops[s.kind]++;
	shut = shut_pages(t, &s);
	t->raced += any_changed(t, &s);
	if (!rig_res_ok(res)) {
		failure(t, &s, res, shut);
		return;
	}
	if (shut)
		note_failure(t, &s, res, "in a hole that refuses it");
	success(t, &s);
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
			resync(t, page, NULL, false, true);
		else
			check(t, &all, "at the end", t->mem + all.at, t->model + all.at);
	}
}
