// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The forms that data takes besides its place: read-only regions, scattered lists, inline data,
 * nothing at all, shared receive queues, datagrams, and every kind of mapping.
 */
#include <fcntl.h>
#include <poll.h>

#include "rig.h"

#define LEN	(64 * RIG_PAGE)

static struct rig *rig;
static uint8_t *a, *b;

static void setup(void)
{
	struct rig_attr attr = rig_attr();

	attr.srq_depth = 32;
	attr.channel = true;
	rig = rig_open(&attr);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	rig_fill(b, LEN, 2, 0);
}

static void teardown(void)
{
	rig_unmap(a, LEN);
	rig_unmap(b, LEN);
	rig_close(rig);
}

static struct rig_pair *plain_pair(enum ibv_qp_type type)
{
	return rig_pair_srq(rig, type, 1024, false);
}

/*
 * Each form is a function that takes how its memory is registered; every one of them runs pinned
 * and, where the device can, on demand.
 */
#define FORM(name)										\
START_TEST(name ## _pinned)									\
{												\
	name(false);										\
}												\
END_TEST											\
START_TEST(name ## _odp)									\
{												\
	RIG_NEEDS_ODP(rig);									\
	name(true);										\
}												\
END_TEST

/* ------------------------------------------------------------------ read-only regions */

static void read_only(bool odp)
{
	struct rig_pair *p = plain_pair(IBV_QPT_RC);
	struct rig_mr *ro = rig_reg(rig, a, LEN, RIG_PAGE, RIG_READ_ONLY, odp);
	struct rig_mr *rw = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, odp);

	RIG_OK(rig_read(p, rig_at(rw, 63, 9000), rig_at(ro, 100, 9000)));
	rig_expect(b + 63, 9000, 1, 100, "read from a read-only region");
	RIG_OK(rig_write(p, rig_at(ro, 4095, 9000), rig_at(rw, 1, 9000)));
	rig_expect(b + 1, 9000, 1, 4095, "written from a read-only region");
	RIG_OK(rig_send(p, rig_at(ro, 20000, 3000), rig_at(rw, 7, 3000)));
	rig_expect(b + 7, 3000, 1, 20000, "sent from a read-only region");
	RIG_FAILS(rig_write(p, rig_at(rw, 0, 64), rig_at(ro, 0, 64)), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(p);
	RIG_FAILS(rig_fadd(p, rig_at(rw, 0, 8), rig_at(ro, 0, 8), 1), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(p);
	RIG_FAILS(rig_atomic_write(p, rig_at(ro, 0, 8), 1), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(p);
	rig_expect(a, LEN, 1, 0, "the read-only region");
	RIG_OK(rig_read(p, rig_at(rw, 0, 64), rig_at(ro, 0, 64)));
	rig_dereg(ro);
	rig_dereg(rw);
	rig_unpair(p);
}
FORM(read_only)

/* ------------------------------------------------------------------ scattered lists */

/* Pieces of two regions in one list, backwards in memory, with empty ones between. */
static int scatter(struct rig_span *sg, struct rig_mr *x, struct rig_mr *y)
{
	int n = 0;

	sg[n++] = rig_at(x, 50001, 1);
	sg[n++] = rig_at(y, 40000, 4097);
	sg[n++] = rig_at(x, 30000, 0);
	sg[n++] = rig_at(y, 20479, 2);
	sg[n++] = rig_at(x, 8192, 4096);
	sg[n++] = rig_at(x, 5, 1003);
	return n;
}

static void check_scattered(const uint8_t *x, const uint8_t *y, uint64_t seed, uint64_t pos)
{
	rig_expect(x + 50001, 1, seed, pos, "piece 0");
	rig_expect(y + 40000, 4097, seed, pos + 1, "piece 1");
	rig_expect(y + 20479, 2, seed, pos + 4098, "piece 3");
	rig_expect(x + 8192, 4096, seed, pos + 4100, "piece 4");
	rig_expect(x + 5, 1003, seed, pos + 8196, "piece 5");
}

#define SCATTERED	9199u

static void lists(bool odp)
{
	struct rig_pair *p = plain_pair(IBV_QPT_RC);
	/* One of the two pieces' regions is always pinned: the kinds mix in one list. */
	uint8_t *c = rig_map(LEN, 0, RIG_ANON);
	struct rig_mr *mx = rig_reg(rig, b, LEN, RIG_PAGE, RIG_RW, odp);
	struct rig_mr *my = rig_reg(rig, c, LEN, RIG_IOVA_SAME, RIG_RW, false);
	struct rig_mr *ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct rig_span sg[8], whole = rig_at(ma, 123, SCATTERED);
	struct rig_op op = { .verb = RIG_READ, .sg = sg, .remote = whole };

	memset(c, 0x77, LEN);
	op.nsg = scatter(sg, mx, my);
	RIG_OK(rig_do(p, &op, NULL, 0));
	check_scattered(b, c, 1, 123);
	rig_expect(b, 5, 2, 0, "before the first piece");
	rig_expect(b + 1008, 7184, 2, 1008, "between the pieces");
	rig_expect(b + 50002, LEN - 50002, 2, 50002, "behind the pieces");

	op = (struct rig_op){ .verb = RIG_SEND, .sg = &whole, .nsg = 1 };
	whole = rig_at(ma, 70001, SCATTERED);
	RIG_OK(rig_do(p, &op, sg, scatter(sg, mx, my)));
	check_scattered(b, c, 1, 70001);

	op = (struct rig_op){ .verb = RIG_WRITE, .sg = sg, .nsg = scatter(sg, mx, my) };
	op.remote = rig_at(ma, 1, SCATTERED);
	RIG_OK(rig_do(p, &op, NULL, 0));
	rig_expect(a + 1, SCATTERED, 1, 70001, "gathered write");
	op = (struct rig_op){ .verb = RIG_SEND, .sg = sg, .nsg = scatter(sg, mx, my) };
	whole = rig_at(ma, 100000, SCATTERED + 500);
	RIG_OK(rig_do(p, &op, &whole, 1));
	rig_expect(a + 100000, SCATTERED, 1, 70001, "gathered send");
	rig_expect(a + 100000 + SCATTERED, 500, 1, 100000 + SCATTERED, "behind the send");
	rig_dereg(mx);
	rig_dereg(my);
	rig_dereg(ma);
	rig_unmap(c, LEN);
	rig_unpair(p);
}
FORM(lists)

/* ------------------------------------------------------------------ inline data */

static void inline_data(bool odp)
{
	struct rig_pair *p = plain_pair(IBV_QPT_RC);
	struct rig_mr *mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	uint32_t len;

	/* Inline data needs no region: the key is nobody's. */
	for (len = 0; len <= 256; len += len < 8 ? 1 : 31) {
		struct rig_span local = rig_raw((uintptr_t)a + 100, len, 0);
		size_t at = 2 * RIG_PAGE - len / 2;
		struct rig_span there = rig_at(mb, at, len);
		struct rig_op op = {
			.verb = RIG_WRITE, .sg = &local, .nsg = 1, .remote = there,
			.flags = RIG_INLINE,
		};

		rig_fill(b, LEN, 2, 0);
		RIG_OK(rig_do(p, &op, NULL, 0));
		rig_expect(b + at, len, 1, 100, "inline write of %u", len);
		rig_expect(b, at, 2, 0, "before the inline write of %u", len);
		rig_expect(b + at + len, LEN - at - len, 2, at + len, "behind it");
		rig_fill(b, LEN, 2, 0);
		op.verb = RIG_SEND;
		RIG_OK(rig_do(p, &op, &there, 1));
		rig_expect(b + at, len, 1, 100, "inline send of %u", len);
		rig_expect(b + at + len, LEN - at - len, 2, at + len, "behind it");
	}
	rig_dereg(mb);
	rig_unpair(p);
}
FORM(inline_data)

/* ------------------------------------------------------------------ nothing */

/* Operations of no bytes touch nothing and need no key; they still complete and carry immediates. */
static void nothing(bool odp)
{
	struct rig_pair *p = plain_pair(IBV_QPT_RC), *uc = plain_pair(IBV_QPT_UC);
	struct rig_mr *ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct rig_span none = rig_raw(0, 0, 0), end = rig_at(ma, LEN, 0);
	struct rig_op bare = { .verb = RIG_SEND_IMM, .imm = 0xabcd };
	struct rig_res res;

	RIG_OK(rig_write(p, rig_at(ma, 5, 0), none));
	RIG_OK(rig_read(p, rig_at(ma, 5, 0), none));
	RIG_OK(rig_write(p, rig_at(ma, 5, 0), end));
	RIG_OK(rig_read(p, end, end));
	RIG_OK(rig_send(p, rig_at(ma, 5, 0), rig_at(ma, 0, 0)));
	RIG_OK(rig_send(p, rig_at(ma, 5, 0), rig_at(ma, 100, 64)));
	RIG_OK(rig_send(uc, rig_at(ma, 5, 0), rig_at(ma, 100, 64)));
	res = rig_do(p, &bare, NULL, 0);
	RIG_OK(res);
	ck_assert_uint_eq(res.imm, 0xabcd);
	ck_assert_uint_eq(res.byte_len, 0);
	res = rig_write_imm(p, rig_at(ma, 0, 0), none, 0x1234);
	RIG_OK(res);
	ck_assert_uint_eq(res.imm, 0x1234);
	rig_expect(a, LEN, 1, 0, "after operations of no bytes");
	rig_dereg(ma);
	rig_unpair(p);
	rig_unpair(uc);
}
FORM(nothing)

/* ------------------------------------------------------------------ shared receive queue */

/* Sends from two pairs drain one queue in order; each lands in the receive that was next. */
static void shared_queue(bool odp)
{
	struct rig_pair *p[2] = {
		rig_pair_srq(rig, IBV_QPT_RC, 1024, true), rig_pair_srq(rig, IBV_QPT_RC, 256, true),
	};
	struct rig_mr *ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct rig_mr *mb = rig_reg(rig, b, LEN, RIG_PAGE, RIG_RW, odp);
	const uint32_t len = 5000, step = 2 * RIG_PAGE + 100;
	struct rig_span sg[2];
	struct ibv_wc wc;
	uint64_t i;

	for (i = 0; i < 20; i++) {
		sg[0] = rig_at(mb, i * step, 4);
		sg[1] = rig_at(mb, i * step + 4, len - 4);
		ck_assert_int_eq(rig_post_recv(p[0], RIG_B, sg, 2, i), 0);
	}
	for (i = 0; i < 20; i++) {
		struct rig_pair *from = p[i % 3 != 0];
		struct rig_span local = rig_at(ma, i * 111, len);
		struct rig_op op = { .verb = RIG_SEND, .sg = &local, .nsg = 1, .wr_id = i };

		ck_assert_int_eq(rig_post(from, &op), 0);
		rig_reap(rig, from->end[RIG_A].scq, &wc, 1, "send to the SRQ");
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
		rig_reap(rig, from->end[RIG_B].rcq, &wc, 1, "receive of the SRQ");
		ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
		ck_assert_uint_eq(wc.wr_id, i);
		ck_assert_uint_eq(wc.byte_len, len);
		rig_expect(b + i * step, len, 1, i * 111, "message %ju", (uintmax_t)i);
		rig_expect(b + i * step + len, step - len, 2, i * step + len, "behind it");
	}
	rig_dereg(ma);
	rig_dereg(mb);
	rig_unpair(p[0]);
	rig_unpair(p[1]);
}
FORM(shared_queue)

/* ------------------------------------------------------------------ datagrams */

/* Header and data in one receive, at every kind of place; also many datagrams at once. */
static void datagrams(bool odp)
{
	static const size_t at[] = { 0, 1, RIG_PAGE - 40, RIG_PAGE - 20, RIG_PAGE - 41, 3000 };
	struct rig_pair *p = rig_pair_mtu(rig, IBV_QPT_UD, 4096);
	struct rig_mr *ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct rig_mr *mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct ibv_wc wc[16];
	struct rig_res res;
	uint32_t len;
	uint64_t i;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		len = (uint32_t)(4096 - i * 37);
		rig_fill(b, LEN, 2, 0);
		res = rig_send(p, rig_at(ma, at[i], len), rig_at(mb, at[i], len + RIG_GRH));
		RIG_OK(res);
		ck_assert_uint_eq(res.byte_len, len + RIG_GRH);
		rig_expect(b, at[i], 2, 0, "before the datagram");
		rig_expect(b + at[i] + RIG_GRH, len, 1, at[i], "datagram at %zu", at[i]);
		rig_expect(b + at[i] + RIG_GRH + len, 9000, 2, at[i] + RIG_GRH + len, "behind it");
	}
	for (i = 0; i < 16; i++) {
		struct rig_span to = rig_at(mb, i * 3 * RIG_PAGE + 100, 2048);

		ck_assert_int_eq(rig_post_recv(p, RIG_B, &to, 1, i), 0);
	}
	for (i = 0; i < 16; i++) {
		struct rig_span from = rig_at(ma, i * 1000, 2000);
		struct rig_op op = { .verb = RIG_SEND, .sg = &from, .nsg = 1, .wr_id = i };

		ck_assert_int_eq(rig_post(p, &op), 0);
	}
	rig_reap(rig, p->end[RIG_A].scq, wc, 16, "16 datagrams");
	rig_reap(rig, p->end[RIG_B].rcq, wc, 16, "16 receives of datagrams");
	for (i = 0; i < 16; i++) {
		ck_assert_int_eq(wc[i].status, IBV_WC_SUCCESS);
		ck_assert_uint_eq(wc[i].wr_id, i);
		rig_expect(b + i * 3 * RIG_PAGE + 100 + RIG_GRH, 2000, 1, i * 1000, "datagram");
	}
	rig_dereg(ma);
	rig_dereg(mb);
	rig_unpair(p);
}
FORM(datagrams)

/* ------------------------------------------------------------------ kinds of mapping */

/* What the file behind a shared mapping holds must be what was written through RDMA. */
static void check_file(const uint8_t *p, size_t size, uint64_t seed)
{
	char path[64];
	uint8_t *copy = malloc(size);
	int fd;

	ck_assert_ptr_nonnull(copy);
	ck_assert_int_eq(msync((void *)(uintptr_t)p, size, MS_SYNC), 0);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)p,
		 (unsigned long)p + size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(pread(fd, copy, size, 0), (ssize_t)size);
	rig_expect(copy, size, seed, 0, "the file behind the mapping");
	close(fd);
	free(copy);
}

static void mapping(enum rig_backing backing, bool odp, bool touched)
{
	struct rig_pair *p = plain_pair(IBV_QPT_RC);
	uint8_t *m = rig_map(LEN, 0, backing);
	struct rig_mr *ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	struct rig_mr *mm;
	uint64_t word;

	if (touched)
		rig_fill(m, LEN, 3, 0);
	mm = rig_reg(rig, m, LEN, RIG_PAGE, RIG_RW, odp);
	RIG_OK(rig_read(p, rig_at(ma, 100, 9000), rig_at(mm, 63, 9000)));
	if (touched)
		rig_expect(a + 100, 9000, 3, 63, "read from %s", rig_backing_name(backing));
	else
		ck_assert_int_eq(rig_diff_byte(a + 100, 9000, 0), -1);
	rig_fill(a, LEN, 4, 0);
	RIG_OK(rig_write(p, rig_at(ma, 0, LEN - 1), rig_at(mm, 0, LEN - 1)));
	RIG_OK(rig_send(p, rig_at(ma, LEN - 1, 1), rig_at(mm, LEN - 1, 1)));
	rig_expect(m, LEN, 4, 0, "written to %s", rig_backing_name(backing));
	memcpy(&word, m + 8, 8);
	RIG_OK(rig_fadd(p, rig_at(ma, 0, 8), rig_at(mm, 8, 8), 5));
	ck_assert_int_eq(memcmp(a, &word, 8), 0);
	word += 5;
	ck_assert_int_eq(memcmp(m + 8, &word, 8), 0);
	word -= 5;
	RIG_OK(rig_atomic_write(p, rig_at(mm, 8, 8), word));
	rig_expect(m, LEN, 4, 0, "atomics on %s", rig_backing_name(backing));
	if (backing == RIG_SHARED || backing == RIG_FILE)
		check_file(m, LEN, 4);
	rig_dereg(mm);
	rig_dereg(ma);
	rig_unmap(m, LEN);
	rig_unpair(p);
}

static void mappings(bool odp)
{
	int i;

	for (i = 0; i < RIG_BACKINGS; i++) {
		/* A file of a disk filesystem refuses to be pinned for long; the guest's is no such. */
		mapping((enum rig_backing)i, odp, false);
		mapping((enum rig_backing)i, odp, true);
	}
}
FORM(mappings)

/* A write to a private file mapping belongs to the process: the file keeps its bytes. */
static void private_file(bool odp)
{
	char path[] = "/tmp/odpreg.XXXXXX";
	int fd = mkstemp(path);
	struct rig_pair *p = plain_pair(IBV_QPT_RC);
	struct rig_mr *ma, *mm;
	uint8_t *m;

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(write(fd, b, LEN), LEN);
	m = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ck_assert_ptr_ne(m, MAP_FAILED);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mm = rig_reg(rig, m, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	RIG_OK(rig_read(p, rig_at(ma, 0, LEN), rig_at(mm, 0, LEN)));
	rig_expect(a, LEN, 2, 0, "read from a private file mapping");
	rig_fill(a, LEN, 6, 0);
	RIG_OK(rig_write(p, rig_at(ma, 4000, 5000), rig_at(mm, 4000, 5000)));
	rig_expect(m + 4000, 5000, 6, 4000, "written to a private file mapping");
	rig_expect(m, 4000, 2, 0, "before it");
	rig_expect(m + 9000, LEN - 9000, 2, 9000, "behind it");
	ck_assert_int_eq(pread(fd, a, LEN, 0), LEN);
	rig_expect(a, LEN, 2, 0, "the file itself");
	close(fd);
	rig_dereg(ma);
	rig_dereg(mm);
	munmap(m, LEN);
	rig_unpair(p);
}
FORM(private_file)

/* ------------------------------------------------------------------ completion events */

static void events(bool odp)
{
	struct rig_pair *p = plain_pair(IBV_QPT_RC);
	struct rig_mr *ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct rig_mr *mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	struct rig_span local = rig_at(ma, 1, 9000);
	struct rig_op op = {
		.verb = RIG_WRITE, .sg = &local, .nsg = 1, .remote = rig_at(mb, 2, 9000),
	};
	struct pollfd ready = { .fd = rig->channel->fd, .events = POLLIN };
	struct ibv_cq *cq = p->end[RIG_A].scq, *which;
	struct ibv_wc wc;
	void *context;

	ck_assert_int_eq(ibv_req_notify_cq(cq, 0), 0);
	ck_assert_int_eq(rig_post(p, &op), 0);
	ck_assert_int_eq(poll(&ready, 1, (int)rig->deadline * 1000), 1);
	ck_assert_int_eq(ibv_get_cq_event(rig->channel, &which, &context), 0);
	ck_assert_ptr_eq(which, cq);
	ibv_ack_cq_events(cq, 1);
	rig_reap(rig, cq, &wc, 1, "write with an event");
	ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	rig_expect(b + 2, 9000, 1, 1, "write with an event");
	rig_dereg(ma);
	rig_dereg(mb);
	rig_unpair(p);
}
FORM(events)

#define ADD(tc, name) do {									\
	tcase_add_test(tc, name ## _pinned);							\
	tcase_add_test(tc, name ## _odp);							\
} while (0)

int main(void)
{
	Suite *s = suite_create("data: forms");
	TCase *tc = rig_tcase(s, "forms", 60);

	tcase_add_checked_fixture(tc, setup, teardown);
	ADD(tc, read_only);
	ADD(tc, lists);
	ADD(tc, inline_data);
	ADD(tc, nothing);
	ADD(tc, shared_queue);
	ADD(tc, datagrams);
	ADD(tc, mappings);
	ADD(tc, private_file);
	ADD(tc, events);
	return rig_main(&s, 1);
}
