// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows on on-demand regions: type 1, type 2 and zero-based; what they let through and what
 * they do not; how they end. _i: on a region of the memory, on one of the whole address space.
 */
#include "rig.h"

#define LEN	(16 * RIG_PAGE)
#define AT	1000u		/* the window in the memory */
#define SIZE	20000u
#define MW_RW	(IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b;
static struct rig_mr *ma, *mr;
static struct ibv_mw *mw;

static void setup(void)
{
	rig = rig_open(NULL);
	if (!rig_has_odp(rig))
		return;
	rig_dmesg_mark();
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
}

static void teardown(void)
{
	if (ma) {
		if (mw)
			ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
		if (mr)
			rig_dereg(mr);
		rig_dereg(ma);
		rig_unpair(pair);
		rig_dmesg_clean();
	}
	rig_close(rig);
}

/* The region and an unbound window. */
static void make(bool implicit, enum ibv_mw_type type)
{
	const int access = RIG_RW_FLUSH | IBV_ACCESS_MW_BIND;

	mr = implicit ? rig_reg(rig, NULL, SIZE_MAX, 0, access, true) :
			rig_reg(rig, b, LEN, RIG_IOVA_SAME, access, true);
	mw = ibv_alloc_mw(rig->pd, type);
	ck_assert_msg(mw, "no memory window of type %d: %s", type, strerror(errno));
}

#define MAKE(type) do {										\
	RIG_NEEDS_ODP(rig);									\
	if (_i && !rig_has_implicit(rig))							\
		RIG_SKIP("the device has no regions over the whole address space");		\
	make(_i, (type));									\
} while (0)

/* The responder's queue pair binds, for it is the one that will be asked. */
static int finish(const char *what)
{
	struct ibv_wc wc;

	rig_reap(rig, pair->end[RIG_B].scq, &wc, 1, what);
	return (int)wc.status;
}

static int bind_1(const uint8_t *addr, uint64_t length, unsigned int access)
{
	struct ibv_mw_bind bind = {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = {
			.mr = mr->mr,
			.addr = (uintptr_t)addr,
			.length = length,
			.mw_access_flags = access,
		},
	};

	ck_assert_int_eq(ibv_bind_mw(pair->end[RIG_B].qp, mw, &bind), 0);
	return finish("binding");
}

static int bind_2(const uint8_t *addr, uint64_t length, unsigned int access)
{
	uint32_t rkey = rig_post_bind(pair, RIG_B, mw, mr, addr, length, access);
	int status = finish("binding");

	if (status == IBV_WC_SUCCESS)
		mw->rkey = rkey;
	return status;
}

static int local_invalidate(void)
{
	struct ibv_send_wr *bad, wr = {
		.opcode = IBV_WR_LOCAL_INV,
		.send_flags = IBV_SEND_SIGNALED,
		.invalidate_rkey = mw->rkey,
	};

	ck_assert_int_eq(ibv_post_send(pair->end[RIG_B].qp, &wr, &bad), 0);
	return finish("invalidation");
}

static struct rig_span inside(uint64_t addr, uint32_t len)
{
	return rig_raw(addr, len, mw->rkey);
}

/* A write to and a read from the window, whose first byte is at base. */
static void lets_through(uint64_t base, const char *when)
{
	rig_fill(a, LEN, 1, 0);
	memset(b, 0, LEN);
	RIG_OK(rig_write(pair, rig_at(ma, 0, SIZE), inside(base, SIZE)));
	rig_expect(b + AT, SIZE, 1, 0, "%s: written", when);
	ck_assert_int_eq(rig_diff_byte(b, AT, 0), -1);
	ck_assert_int_eq(rig_diff_byte(b + AT + SIZE, LEN - AT - SIZE, 0), -1);
	RIG_OK(rig_read(pair, rig_at(ma, LEN / 2, 5000), inside(base + 77, 5000)));
	rig_expect(a + LEN / 2, 5000, 1, 77, "%s: read", when);
	RIG_OK(rig_fadd(pair, rig_at(ma, 0, 8), inside(base + 8, 8), 1));
}

/*
 * A queue pair that was refused is lost. A window of type 2 that it has bound goes first: stock rxe
 * does not destroy a queue pair with such a window (it waits, warns and frees it all the same).
 */
static void refused(struct rig_span there, const char *what)
{
	struct rig_res res = rig_write(pair, rig_at(ma, 0, there.len), there);

	ck_assert_msg(res.status == IBV_WC_REM_ACCESS_ERR, "%s: %s", what,
		      rig_status_name(res.status));
	if (mw->type == IBV_MW_TYPE_2) {
		ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
		mw = NULL;
	}
	rig_reconnect(pair);
}

START_TEST(test_type_1)
{
	const uint64_t base = (uintptr_t)b + AT;

	MAKE(IBV_MW_TYPE_1);
	ck_assert_int_eq(bind_1(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	lets_through(base, "bound");
	refused(inside(base - 1, 8), "before the window");
	refused(inside(base + SIZE - 7, 8), "behind the window");
	lets_through(base, "after the refusals");
	ck_assert_int_eq(bind_1(b + AT, SIZE, IBV_ACCESS_REMOTE_READ), IBV_WC_SUCCESS);
	RIG_OK(rig_read(pair, rig_at(ma, 0, 8), inside(base, 8)));
	refused(inside(base, 8), "a write through a window for reading");
	ck_assert_int_eq(bind_1(b + AT, 0, 0), IBV_WC_SUCCESS);
	refused(inside(base, 8), "after it was unbound");
}
END_TEST

/* A flush by a window's key is for what is in the window, if it names a range. */
START_TEST(test_flush)
{
	const uint64_t base = (uintptr_t)b + AT, outside[] = { base - 1, base + SIZE - 7, base + LEN };
	size_t i;

	MAKE(IBV_MW_TYPE_1);
	ck_assert_int_eq(bind_1(b + AT, SIZE, MW_RW | IBV_ACCESS_FLUSH_GLOBAL), IBV_WC_SUCCESS);
	RIG_OK(rig_flush(pair, inside(base, SIZE), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
	for (i = 0; i < 3; i++) {
		RIG_FAILS(rig_flush(pair, inside(outside[i], 8), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE),
			  IBV_WC_REM_ACCESS_ERR);
		rig_reconnect(pair);
	}
	RIG_OK(rig_flush(pair, inside(0, 0), IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
	ck_assert_int_eq(bind_1(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	RIG_FAILS(rig_flush(pair, inside(base, SIZE), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE),
		  IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	ck_assert_int_eq(bind_1(b + AT, 0, 0), IBV_WC_SUCCESS);
}
END_TEST

/* A region with a window cannot be deregistered, and is as it was. */
START_TEST(test_region_stays)
{
	const uint64_t base = (uintptr_t)b + AT;

	MAKE(IBV_MW_TYPE_1);
	ck_assert_int_eq(bind_1(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	ck_assert_int_ne(ibv_dereg_mr(mr->mr), 0);
	lets_through(base, "deregistration was refused");
	ck_assert_int_ne(rig_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, 0,
				   RIG_RW | IBV_ACCESS_ON_DEMAND), 0);
	lets_through(base, "reregistration was refused");
	ck_assert_int_eq(bind_1(b + AT, 0, 0), IBV_WC_SUCCESS);
	rig_dereg(mr);
	mr = NULL;
}
END_TEST

START_TEST(test_type_2)
{
	const uint64_t base = (uintptr_t)b + AT;
	uint32_t first;

	MAKE(IBV_MW_TYPE_2);
	ck_assert_int_eq(bind_2(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	lets_through(base, "bound");
	first = mw->rkey;
	ck_assert_int_eq(local_invalidate(), IBV_WC_SUCCESS);
	ck_assert_int_eq(bind_2(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	lets_through(base, "bound again");
	refused(rig_raw(base, 8, first), "by the first key");
}
END_TEST

START_TEST(test_local_invalidate)
{
	const uint64_t base = (uintptr_t)b + AT;

	MAKE(IBV_MW_TYPE_2);
	ck_assert_int_eq(bind_2(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	lets_through(base, "bound");
	ck_assert_int_eq(local_invalidate(), IBV_WC_SUCCESS);
	refused(inside(base, 8), "after LOCAL_INV");
}
END_TEST

START_TEST(test_send_with_invalidate)
{
	const uint64_t base = (uintptr_t)b + AT;
	struct rig_span here = rig_at(ma, 0, 64), there = rig_at(ma, LEN / 2, 64);
	struct ibv_sge sge = { here.addr, here.len, here.lkey };
	struct ibv_send_wr *bad, wr = {
		.opcode = IBV_WR_SEND_WITH_INV,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = &sge,
		.num_sge = 1,
	};
	struct ibv_wc wc;

	MAKE(IBV_MW_TYPE_2);
	ck_assert_int_eq(bind_2(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	lets_through(base, "bound");
	wr.invalidate_rkey = mw->rkey;
	ck_assert_int_eq(rig_post_recv(pair, RIG_B, &there, 1, 0), 0);
	ck_assert_int_eq(ibv_post_send(pair->end[RIG_A].qp, &wr, &bad), 0);
	rig_reap(rig, pair->end[RIG_A].scq, &wc, 1, "SEND_WITH_INV");
	ck_assert_int_eq((int)wc.status, IBV_WC_SUCCESS);
	rig_reap(rig, pair->end[RIG_B].rcq, &wc, 1, "its receive");
	ck_assert_int_eq((int)wc.status, IBV_WC_SUCCESS);
	/* Stock rxe says it by the kernel's flag, which is another one in user space. */
	ck_assert_uint_eq(wc.invalidated_rkey, mw->rkey);
	refused(inside(base, 8), "after SEND_WITH_INV");
}
END_TEST

START_TEST(test_zero_based)
{
	MAKE(IBV_MW_TYPE_2);
	ck_assert_int_eq(bind_2(b + AT, SIZE, MW_RW | IBV_ACCESS_ZERO_BASED), IBV_WC_SUCCESS);
	lets_through(0, "zero-based");
	refused(inside(SIZE - 4, 8), "behind a zero-based window");
}
END_TEST

/* What happens to the memory happens under the window. */
START_TEST(test_events)
{
	const uint64_t base = (uintptr_t)b + AT;

	MAKE(IBV_MW_TYPE_1);
	ck_assert_int_eq(bind_1(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	lets_through(base, "before");
	madvise(b, LEN, MADV_DONTNEED);
	RIG_OK(rig_read(pair, rig_at(ma, 0, 4096), inside(base, 4096)));
	ck_assert_int_eq(rig_diff_byte(a, 4096, 0), -1);
	munmap(b, LEN);
	refused(inside(base, 8), "after munmap");
	ck_assert_ptr_eq(mmap(b, LEN, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), b);
	lets_through(base, "mapped again");
	mprotect(b, LEN, PROT_READ);
	refused(inside(base, 8), "read-only memory");
	RIG_OK(rig_read(pair, rig_at(ma, 0, 4096), inside(base, 4096)));
}
END_TEST

START_TEST(test_binding_refused)
{
	MAKE(IBV_MW_TYPE_1);
	if (!_i) {
		ck_assert_int_ne(bind_1(b + LEN - 8, 16, MW_RW), IBV_WC_SUCCESS);
		rig_reconnect(pair);
	}
	rig_dereg(mr);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	ck_assert_int_ne(bind_1(b + AT, SIZE, MW_RW), IBV_WC_SUCCESS);
	rig_reconnect(pair);
	refused(inside((uintptr_t)b + AT, 8), "a window that was not bound");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory windows");
	TCase *tc = rig_tcase(s, "windows", 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_type_1, 0, 2);
	tcase_add_loop_test(tc, test_flush, 0, 2);
	tcase_add_loop_test(tc, test_region_stays, 0, 2);
	tcase_add_loop_test(tc, test_type_2, 0, 2);
	tcase_add_loop_test(tc, test_local_invalidate, 0, 2);
	tcase_add_loop_test(tc, test_send_with_invalidate, 0, 2);
	tcase_add_loop_test(tc, test_zero_based, 0, 2);
	tcase_add_loop_test(tc, test_events, 0, 2);
	tcase_add_loop_test(tc, test_binding_refused, 0, 2);
	return rig_main(&s, 1);
}
