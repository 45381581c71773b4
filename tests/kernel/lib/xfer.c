// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "xfer.h"

#define IMM	0x600dcafeu

enum { SRC, DST };

const char *xfer_kind_name(enum xfer_kind kind)
{
	static const char *const name[] = {
		[XFER_RC_WRITE] = "RC write", [XFER_RC_WRITE_IMM] = "RC write with immediate",
		[XFER_RC_READ] = "RC read", [XFER_RC_SEND] = "RC send",
		[XFER_RC_SRQ_SEND] = "RC send to an SRQ", [XFER_UC_WRITE] = "UC write",
		[XFER_UC_WRITE_IMM] = "UC write with immediate", [XFER_UC_SEND] = "UC send",
		[XFER_UD_SEND] = "UD send",
	};

	return name[kind];
}

static uint64_t iova_of(const uint8_t *base, enum xfer_iova kind)
{
	switch (kind) {
	case XFER_IOVA_LOW: return RIG_PAGE;
	case XFER_IOVA_HIGH: return 0xffffffff00000000ull - 3 * RIG_PAGE;
	default: return (uintptr_t)base;
	}
}

static void open_area(struct xfer_env *env, struct xfer_area *area, bool odp)
{
	int i;

	area->base = rig_map_across(XFER_AREA, RIG_WINDOW);
	for (i = 0; i < XFER_IOVAS; i++)
		area->mr[i] = rig_reg(env->rig, area->base, XFER_AREA,
				      iova_of(area->base, (enum xfer_iova)i), RIG_RW_FLUSH, odp);
}

struct xfer_env *xfer_open(bool odp)
{
	struct xfer_env *env = calloc(1, sizeof(*env));
	struct rig_attr attr = rig_attr();
	int i;

	ck_assert_ptr_nonnull(env);
	attr.srq_depth = 64;
	env->rig = rig_open(&attr);
	for (i = SRC; i <= DST; i++) {
		open_area(env, &env->area[i][0], false);
		if (odp)
			open_area(env, &env->area[i][1], true);
	}
	env->grh = rig_map(RIG_PAGE, 0, RIG_ANON);
	env->grh_mr = rig_reg(env->rig, env->grh, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, odp);
	return env;
}

static void close_area(struct xfer_area *area)
{
	int i;

	if (!area->base)
		return;
	for (i = 0; i < XFER_IOVAS; i++)
		rig_dereg(area->mr[i]);
	rig_unmap(area->base, XFER_AREA);
}

void xfer_close(struct xfer_env *env)
{
	int i, k;

	for (k = 0; k < XFER_KINDS; k++)
		for (i = 0; i < 5; i++)
			if (env->pair[k][i])
				rig_unpair(env->pair[k][i]);
	for (i = SRC; i <= DST; i++) {
		close_area(&env->area[i][0]);
		close_area(&env->area[i][1]);
	}
	rig_dereg(env->grh_mr);
	rig_unmap(env->grh, RIG_PAGE);
	rig_close(env->rig);
	free(env);
}

struct rig_pair *xfer_pair(struct xfer_env *env, enum xfer_kind kind, unsigned int mtu)
{
	struct rig_pair **slot = &env->pair[kind][__builtin_ctz(mtu) - 8];
	enum ibv_qp_type type = kind == XFER_UD_SEND ? IBV_QPT_UD :
				kind >= XFER_UC_WRITE ? IBV_QPT_UC : IBV_QPT_RC;

	if (!*slot)
		*slot = rig_pair_srq(env->rig, type, mtu, kind == XFER_RC_SRQ_SEND);
	return *slot;
}

static struct xfer_area *area_of(struct xfer_env *env, int which, const struct xfer_side *side)
{
	return &env->area[which][side->mem != XFER_PINNED];
}

/* Cut [at, at + len) into pieces of very different lengths. */
static int cut(struct rig_span *sg, const struct rig_mr *mr, const struct xfer_side *side,
	       uint32_t len)
{
	uint32_t piece, done = 0;
	int i;

	for (i = 0; i < side->sges; i++) {
		piece = i == side->sges - 1 ? len - done : (len - done) / (i % 2 ? 2 : 3);
		sg[i] = rig_at(mr, side->at + done, piece);
		done += piece;
	}
	return side->sges;
}

static struct rig_res perform(struct xfer_env *env, const struct xfer *x)
{
	static const enum rig_verb verb[] = {
		[XFER_RC_WRITE] = RIG_WRITE, [XFER_RC_WRITE_IMM] = RIG_WRITE_IMM,
		[XFER_RC_READ] = RIG_READ, [XFER_RC_SEND] = RIG_SEND,
		[XFER_RC_SRQ_SEND] = RIG_SEND, [XFER_UC_WRITE] = RIG_WRITE,
		[XFER_UC_WRITE_IMM] = RIG_WRITE_IMM, [XFER_UC_SEND] = RIG_SEND,
		[XFER_UD_SEND] = RIG_SEND,
	};
	struct rig_mr *src = area_of(env, SRC, &x->src)->mr[x->src.iova];
	struct rig_mr *dst = area_of(env, DST, &x->dst)->mr[x->dst.iova];
	bool reads = x->kind == XFER_RC_READ;
	struct rig_span local[8], recv[8];
	struct rig_op op = { .verb = verb[x->kind], .sg = local, .imm = IMM };
	struct rig_pair *pair = xfer_pair(env, x->kind, x->mtu);
	struct rig_res res;
	int nrecv = 0;

	op.nsg = reads ? cut(local, dst, &x->dst, x->len) : cut(local, src, &x->src, x->len);
	op.remote = reads ? rig_at(src, x->src.at, x->len) : rig_at(dst, x->dst.at, x->len);
	if (x->kind == XFER_UD_SEND)
		recv[nrecv++] = rig_at(env->grh_mr, 0, RIG_GRH);
	if (op.verb == RIG_SEND)
		nrecv += cut(recv + nrecv, dst, &x->dst, x->len);
	res = rig_do(pair, &op, recv, nrecv);
	/* An unreliable write is complete when it left: what follows it on its queue arrives later. */
	if (x->kind == XFER_UC_WRITE && rig_res_ok(res))
		res = rig_write_imm(pair, rig_at(src, 0, 0), rig_at(dst, 0, 0), IMM);
	return res;
}

static void prepare(uint8_t *base, const struct xfer_side *side, uint32_t len, uint64_t seed)
{
	size_t from = side->at - XFER_GUARD, size = len + 2 * XFER_GUARD;
	size_t first = from & ~(RIG_PAGE - 1);

	if (side->mem == XFER_REFILLED || side->mem == XFER_UNTOUCHED)
		ck_assert_int_eq(madvise(base + first, from + size - first, MADV_DONTNEED), 0);
	if (side->mem != XFER_UNTOUCHED)
		rig_fill(base + from, size, seed, from);
}

static void describe(char *text, size_t size, const struct xfer *x)
{
	static const char *const mem[] = { "pinned", "warm", "refilled", "untouched" };
	static const char *const iova[] = { "same", "low", "high" };

	snprintf(text, size, "%s of %u bytes, MTU %u, from %s at page %ld + %zu (iova %s, %d SGEs) "
		 "to %s at page %ld + %zu (iova %s, %d SGEs)", xfer_kind_name(x->kind), x->len,
		 x->mtu, mem[x->src.mem],
		 ((long)x->src.at - (long)XFER_MIDDLE) >> 12, x->src.at % RIG_PAGE,
		 iova[x->src.iova], x->src.sges, mem[x->dst.mem],
		 ((long)x->dst.at - (long)XFER_MIDDLE) >> 12, x->dst.at % RIG_PAGE,
		 iova[x->dst.iova], x->dst.sges);
}

/* Bytes as prepared with this seed at this position of the area, or zeros when never touched. */
static void expect(const uint8_t *p, size_t len, bool zeros, uint64_t seed, size_t pos,
		   const char *where, const char *what)
{
	ssize_t at;

	if (!zeros) {
		rig_expect(p, len, seed, pos, "%s, %s", what, where);
		return;
	}
	at = rig_diff_byte(p, len, 0);
	ck_assert_msg(at < 0, "%s, %s: byte %zd is %#x instead of 0", what, where, at,
		      at < 0 ? 0 : p[at]);
}

static void check_memory(struct xfer_env *env, const struct xfer *x, uint64_t seed, const char *what)
{
	const uint8_t *src = area_of(env, SRC, &x->src)->base;
	const uint8_t *dst = area_of(env, DST, &x->dst)->base;
	bool zsrc = x->src.mem == XFER_UNTOUCHED, zdst = x->dst.mem == XFER_UNTOUCHED;
	size_t s = x->src.at, d = x->dst.at;

	expect(dst + d, x->len, zsrc, seed, s, "transferred bytes", what);
	expect(dst + d - XFER_GUARD, XFER_GUARD, zdst, seed + 1, d - XFER_GUARD,
	       "bytes before the destination", what);
	expect(dst + d + x->len, XFER_GUARD, zdst, seed + 1, d + x->len,
	       "bytes behind the destination", what);
	expect(src + s - XFER_GUARD, x->len + 2 * XFER_GUARD, zsrc, seed, s - XFER_GUARD,
	       "the source itself", what);
}

static void check_completion(struct xfer_env *env, const struct xfer *x, struct rig_res res,
			     const char *what)
{
	uint32_t len = x->len + (x->kind == XFER_UD_SEND ? RIG_GRH : 0);

	ck_assert_msg(rig_res_ok(res), "%s: %s, receive: %s", what, rig_status_name(res.status),
		      rig_status_name(res.peer));
	if (res.peer == RIG_NO_PEER || x->kind == XFER_UC_WRITE)
		return;
	ck_assert_msg(res.byte_len == len, "%s: the receive says %u bytes", what, res.byte_len);
	if (x->kind == XFER_RC_WRITE_IMM || x->kind == XFER_UC_WRITE_IMM)
		ck_assert_msg(res.wc_flags & IBV_WC_WITH_IMM && res.imm == IMM,
			      "%s: immediate %#x, flags %#x", what, res.imm, res.wc_flags);
	if (x->kind != XFER_UD_SEND)
		return;
	/* RoCE v2 over IPv4: the last 20 of the 40 bytes are the IPv4 header. */
	ck_assert_msg(res.wc_flags & IBV_WC_GRH && env->grh[20] == 0x45 &&
		      !memcmp(env->grh + 32, env->rig->gid.raw + 12, 4) &&
		      !memcmp(env->grh + 36, env->rig->gid.raw + 12, 4),
		      "%s: no IPv4 header in front of the data", what);
}

void xfer_run(struct xfer_env *env, const struct xfer *x)
{
	uint64_t seed = 0x1000 + 2 * env->count++;
	char what[300];
	struct rig_res res;

	describe(what, sizeof(what), x);
	if (x->src.mem == XFER_WARM || x->dst.mem == XFER_WARM) {
		res = perform(env, x);
		check_completion(env, x, res, what);
	}
	prepare(area_of(env, SRC, &x->src)->base, &x->src, x->len, seed);
	prepare(area_of(env, DST, &x->dst)->base, &x->dst, x->len, seed + 1);
	memset(env->grh, 0xee, RIG_GRH);
	res = perform(env, x);
	check_completion(env, x, res, what);
	check_memory(env, x, seed, what);
}
