// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every way to move bytes, checked byte for byte. The whole cross product would take hours on an
 * emulated machine; instead every pair of values meets (see cover.h), and small transfers are crossed
 * in full at one MTU. What holds for on-demand memory is asked of pinned memory too.
 */
#include "cover.h"
#include "xfer.h"

static const unsigned int mtus[] = { 256, 512, 1024, 2048, 4096 };
static const uint32_t lengths[] = {
	1, 7, 64, 100, 1000, 4095, 4096, 4097, 10000, 65536, 100001, 1u << 20,
};
static const size_t offsets[] = { 0, 1, 63, 100, 4000, 4095, RIG_PAGE - 8 };

#define N(a)	((int)(sizeof(a) / sizeof((a)[0])))

/* Away from the middle of the area, or so that all but the shortest transfers cross it. */
static size_t place(size_t offset, uint32_t len, bool across)
{
	size_t before = (len / 2 + RIG_PAGE - 1) & ~(RIG_PAGE - 1);

	if (!across)
		return XFER_GUARD + 16 * RIG_PAGE + offset;
	return XFER_MIDDLE - (before ? before : RIG_PAGE) + offset;
}

static bool device_has_odp(void)
{
	struct rig *rig = rig_open(NULL);
	bool odp = rig_has_odp(rig);

	rig_close(rig);
	return odp;
}

#define NEEDS_ODP() do {									\
	if (!device_has_odp())									\
		RIG_SKIP("the device has no on-demand paging");					\
} while (0)

enum { KIND, LEN, MTU, SRC_OFF, DST_OFF, SRC_MEM, DST_MEM, SRC_IOVA, DST_IOVA, SRC_ACROSS, DST_ACROSS,
       SRC_SGES, DST_SGES, PARAMS };

static struct xfer row_to_xfer(const int *row, enum xfer_kind kind, uint32_t len)
{
	static const int sges[] = { 1, 2, 5 };
	struct xfer x = { .kind = kind, .mtu = mtus[row[MTU]], .len = len };

	x.src = (struct xfer_side){
		.mem = (enum xfer_mem)row[SRC_MEM], .iova = (enum xfer_iova)row[SRC_IOVA],
		.at = place(offsets[row[SRC_OFF]], len, row[SRC_ACROSS]),
		.sges = sges[row[SRC_SGES]],
	};
	x.dst = (struct xfer_side){
		.mem = (enum xfer_mem)row[DST_MEM], .iova = (enum xfer_iova)row[DST_IOVA],
		.at = place(offsets[row[DST_OFF]], len, row[DST_ACROSS]),
		.sges = sges[row[DST_SGES]],
	};
	return x;
}

static void run_matrix(bool odp, bool ud)
{
	int mems = odp ? XFER_MEMS : 1;
	int levels[PARAMS] = {
		[KIND] = ud ? 1 : XFER_UD_SEND, [LEN] = ud ? 5 : N(lengths), [MTU] = N(mtus),
		[SRC_OFF] = N(offsets), [DST_OFF] = N(offsets), [SRC_MEM] = mems, [DST_MEM] = mems,
		[SRC_IOVA] = XFER_IOVAS, [DST_IOVA] = XFER_IOVAS,
		[SRC_ACROSS] = 2, [DST_ACROSS] = 2, [SRC_SGES] = 3, [DST_SGES] = 3,
	};
	struct cover *c = cover_make(levels, PARAMS);
	struct xfer_env *env = xfer_open(odp);
	struct xfer x;
	int i;

	for (i = 0; i < c->rows; i++) {
		const int *row = c->row[i];

		if (ud) {
			uint32_t mtu = mtus[row[MTU]];
			uint32_t len[] = { 1, 63, 100, mtu - 1, mtu };

			x = row_to_xfer(row, XFER_UD_SEND, len[row[LEN]]);
		} else {
			x = row_to_xfer(row, (enum xfer_kind)row[KIND], lengths[row[LEN]]);
		}
		xfer_run(env, &x);
	}
	printf("%d cases\n", c->rows);
	xfer_close(env);
	cover_free(c);
}

static struct xfer_side random_side(struct rig_rand *r, uint32_t len, bool odp)
{
	const size_t last = XFER_AREA - XFER_GUARD - len;
	struct xfer_side side = {
		.mem = (enum xfer_mem)rig_below(r, odp ? XFER_MEMS : 1),
		.iova = (enum xfer_iova)rig_below(r, XFER_IOVAS),
		.at = XFER_GUARD + rig_below(r, last - XFER_GUARD),
		.sges = 1 + (int)rig_below(r, 6),
	};

	/* A page's start or end is where mistakes live. */
	if (rig_below(r, 3) == 0)
		side.at = (side.at & ~(RIG_PAGE - 1)) + RIG_PAGE - rig_below(r, 4);
	if (side.at > last)
		side.at = last;
	return side;
}

/* What no list of values has: any place, any length, of every magnitude. */
static void run_random(bool odp, int count)
{
	struct xfer_env *env = xfer_open(odp);
	struct rig_rand r = rig_rand(rig_seed());
	int i;

	for (i = 0; i < count; i++) {
		struct xfer x = {
			.kind = (enum xfer_kind)rig_below(&r, XFER_KINDS),
			.mtu = mtus[rig_below(&r, N(mtus))],
		};

		x.len = (uint32_t)(1 + rig_below(&r, XFER_MAX >> rig_below(&r, 20)));
		if (x.kind == XFER_UD_SEND && x.len > x.mtu)
			x.len = x.mtu - x.len % 8;
		x.src = random_side(&r, x.len, odp);
		x.dst = random_side(&r, x.len, odp);
		xfer_run(env, &x);
	}
	xfer_close(env);
}

START_TEST(random_pinned)
{
	run_random(false, 200);
}
END_TEST

START_TEST(random_odp)
{
	NEEDS_ODP();
	run_random(true, 600);
}
END_TEST

START_TEST(matrix_pinned)
{
	run_matrix(false, false);
}
END_TEST

START_TEST(matrix_odp)
{
	NEEDS_ODP();
	run_matrix(true, false);
}
END_TEST

START_TEST(matrix_ud_pinned)
{
	run_matrix(false, true);
}
END_TEST

START_TEST(matrix_ud_odp)
{
	NEEDS_ODP();
	run_matrix(true, true);
}
END_TEST

/* All offsets x small lengths x memory of both sides x iova, at MTU 1024. */
static void cross_small(enum xfer_kind kind, bool odp)
{
	static const uint32_t small[] = { 1, 7, 64, 100, 1000 };
	struct xfer_env *env = xfer_open(odp);
	int off, len, mem, iova;

	for (mem = odp ? 1 : 0; mem < (odp ? 4 : 1); mem++)
		for (iova = 0; iova < 2; iova++)
			for (off = 0; off < N(offsets); off++)
				for (len = 0; len < N(small); len++) {
					enum xfer_iova io = iova ? XFER_IOVA_HIGH : XFER_IOVA_SAME;
					struct xfer x = {
						.kind = kind, .mtu = 1024, .len = small[len],
						.src = { mem & 1 ? XFER_REFILLED : XFER_PINNED, io,
							 place(offsets[off], small[len], true), 1 },
						.dst = { mem & 2 ? XFER_REFILLED : XFER_PINNED, io,
							 place(offsets[(off + 3 + len) % N(offsets)],
							       small[len], false), 1 },
					};

					xfer_run(env, &x);
				}
	xfer_close(env);
}

START_TEST(small_pinned)
{
	cross_small((enum xfer_kind)_i, false);
}
END_TEST

START_TEST(small_odp)
{
	NEEDS_ODP();
	cross_small((enum xfer_kind)_i, true);
}
END_TEST

/* To the byte around the border of two windows, on both sides at once and on one. */
static void cross_window(struct xfer_env *env, enum xfer_kind kind, uint32_t len, enum xfer_mem mem)
{
	const size_t before[] = { 1, len / 2, len - 1, len, 0 };
	size_t i;

	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		struct xfer x = {
			.kind = kind, .mtu = 4096, .len = len,
			.src = { mem, XFER_IOVA_SAME, XFER_MIDDLE - before[i], 1 },
			.dst = { mem, XFER_IOVA_LOW, XFER_MIDDLE - before[4 - i], 1 },
		};

		xfer_run(env, &x);
	}
}

START_TEST(window_border)
{
	static const uint32_t len[] = { 2, 9, 4096, 300000 };
	struct xfer_env *env;
	int i;

	NEEDS_ODP();
	env = xfer_open(true);
	for (i = 0; i < N(len); i++) {
		uint32_t n = _i == XFER_UD_SEND && len[i] > 4096 ? 4095 : len[i];

		cross_window(env, (enum xfer_kind)_i, n, XFER_UNTOUCHED);
		cross_window(env, (enum xfer_kind)_i, n, XFER_REFILLED);
	}
	xfer_close(env);
}
END_TEST

/* One region of 1 GiB, never touched: transfers over every 64 MiB border and at both ends. */
START_TEST(many_windows)
{
	const size_t size = 1ul << 30, len = 10000;
	struct rig *rig = rig_open(NULL);
	struct rig_pair *p;
	struct rig_mr *big, *small;
	uint8_t *area, *buf;
	size_t at;

	RIG_NEEDS_ODP(rig);
	p = rig_pair_mtu(rig, IBV_QPT_RC, 4096);
	area = rig_map_bare(size, RIG_WINDOW, true);
	ck_assert_int_eq(madvise(area, size, MADV_NOHUGEPAGE), 0);
	buf = rig_map(2 * len, 0, RIG_ANON);
	big = rig_reg(rig, area, size, 0x7000000000ull, RIG_RW, true);
	small = rig_reg(rig, buf, 2 * len, RIG_IOVA_SAME, RIG_RW, false);
	for (at = 0; at <= size; at += RIG_WINDOW) {
		size_t start = at < len ? 0 : at == size ? size - len : at - len / 2;

		rig_fill(buf, len, at + 1, 0);
		RIG_OK(rig_write(p, rig_at(small, 0, len), rig_at(big, start, len)));
		rig_expect(area + start, len, at + 1, 0, "written at %#zx", start);
		RIG_OK(rig_read(p, rig_at(small, len, len), rig_at(big, start, len)));
		rig_expect(buf + len, len, at + 1, 0, "read back at %#zx", start);
	}
	/* 15 borders of at most 4 pages each, and the two ends. */
	ck_assert_uint_le(rig_resident(area, size), 17 * 4);
	rig_dereg(big);
	rig_dereg(small);
	rig_unmap(area, size);
	rig_unmap(buf, 2 * len);
	rig_unpair(p);
	rig_close(rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("data");
	TCase *matrix = rig_tcase(s, "matrix", 300);
	TCase *small = rig_tcase(s, "small", 120);
	TCase *window = rig_tcase(s, "window", 120);

	tcase_add_test(matrix, matrix_pinned);
	tcase_add_test(matrix, matrix_odp);
	tcase_add_test(matrix, matrix_ud_pinned);
	tcase_add_test(matrix, matrix_ud_odp);
	tcase_add_test(matrix, random_pinned);
	tcase_add_test(matrix, random_odp);
	tcase_add_loop_test(small, small_pinned, 0, XFER_KINDS);
	tcase_add_loop_test(small, small_odp, 0, XFER_KINDS);
	tcase_add_loop_test(window, window_border, 0, XFER_KINDS);
	tcase_add_test(window, many_windows);
	return rig_main(&s, 1);
}
