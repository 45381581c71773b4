// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Input that must be refused, by the right errno or completion status, only there, and in silence:
 * after every refusal the next good operation works, and the kernel log has nothing new.
 */
#include <rdma/ib_user_ioctl_verbs.h>

#include "rig.h"

#define LEN	(32 * RIG_PAGE)

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b;
static struct rig_mr *ma;

static void setup(void)
{
	rig_dmesg_mark();
	rig = rig_open(NULL);
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	rig_fill(b, LEN, 2, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW_FLUSH, false);
}

static void teardown(void)
{
	rig_dereg(ma);
	rig_unpair(pair);
	/* A region half registered would keep the PD busy. */
	rig_close(rig);
	rig_unmap(a, LEN);
	rig_unmap(b, LEN);
	rig_dmesg_clean();
}

/* The device works: fresh queue pairs, a fresh region, data both ways. */
static void still_good(bool odp)
{
	uint8_t *m = rig_map(4 * RIG_PAGE, 0, RIG_ANON);
	struct rig_mr *mr = rig_reg(rig, m, 4 * RIG_PAGE, RIG_IOVA_SAME, RIG_RW, odp);

	rig_reconnect(pair);
	rig_fill(a, LEN, 1, 0);
	RIG_OK(rig_write(pair, rig_at(ma, 100, 9000), rig_at(mr, 63, 9000)));
	rig_expect(m + 63, 9000, 1, 100, "a good write after the refusal");
	RIG_OK(rig_read(pair, rig_at(ma, 20000, 5000), rig_at(mr, 63, 5000)));
	rig_expect(a + 20000, 5000, 1, 100, "a good read after the refusal");
	rig_fill(a, LEN, 1, 0);
	rig_dereg(mr);
	rig_unmap(m, 4 * RIG_PAGE);
}

/* Each check runs on pinned memory and, where the device can, on demand. */
#define BOTH(name)										\
START_TEST(name ## _pinned)									\
{												\
	name(false);										\
	still_good(false);									\
}												\
END_TEST											\
START_TEST(name ## _odp)									\
{												\
	RIG_NEEDS_ODP(rig);									\
	name(true);										\
	still_good(true);									\
}												\
END_TEST

#define ODP_ONLY(name)										\
START_TEST(name ## _odp)									\
{												\
	RIG_NEEDS_ODP(rig);									\
	name();											\
	still_good(true);									\
}												\
END_TEST

/* ------------------------------------------------------------------ registration */

#define refuse(addr, len, iova, access, odp, ...)						\
	refuse_at(__LINE__, (void *)(uintptr_t)(addr), (len), (iova), (access), (odp),		\
		  (const int[]){ __VA_ARGS__, 0 })

static void refuse_at(int line, void *addr, size_t len, uint64_t iova, int access, bool odp,
		      const int *allowed)
{
	struct rig_mr *mr;
	int err = rig_try_reg(rig, addr, len, iova, access, odp, &mr), i;

	if (!err)
		rig_dereg(mr);
	for (i = 0; allowed[i]; i++)
		if (err == allowed[i])
			return;
	ck_abort_msg("line %d: registration of %#zx bytes at %p, iova %#jx, access %#x%s: "
		     "%s instead of %s", line, len, addr, (uintmax_t)iova, (unsigned int)access,
		     odp ? ", on demand" : "", err ? strerror(err) : "accepted",
		     strerror(allowed[0]));
}

static void bad_length(bool odp)
{
	refuse(a, 0, RIG_IOVA_SAME, RIG_RW, odp, EINVAL);
	refuse(a, 0, RIG_IOVA_SAME, RIG_READ_ONLY, odp, EINVAL);
	/* The end wraps, wraps by its rounding up, or wraps to the very start. */
	refuse(a, SIZE_MAX, RIG_IOVA_SAME, RIG_RW, odp, EINVAL);
	refuse(a, (size_t)0 - (uintptr_t)a, RIG_IOVA_SAME, RIG_RW, odp, EINVAL, EFAULT, ENOMEM);
	refuse(a, SIZE_MAX - (uintptr_t)a, RIG_IOVA_SAME, RIG_RW, odp, EINVAL);
	refuse(a + 100, SIZE_MAX - 50, RIG_IOVA_SAME, RIG_RW, odp, EINVAL);
	refuse(SIZE_MAX - 100, 200, RIG_IOVA_SAME, RIG_RW, odp, EINVAL);
	if (odp)
		refuse(a + 1, 0, RIG_IOVA_SAME, RIG_RW, odp, EINVAL);
}
BOTH(bad_length)

static void kernel_addresses(bool odp)
{
	static const uint64_t addr[] = {
		0xffff888000000000, 0xff11000000000000, 0xffffffff81000000, 0xffffc90000000000,
		0x8000000000000000, 0x0100000000000000, 0xfffffffffffff000, 0xffffffffffffe000,
	};
	size_t i;

	for (i = 0; i < sizeof(addr) / sizeof(addr[0]); i++) {
		refuse(addr[i], RIG_PAGE, RIG_IOVA_SAME, RIG_RW, odp, EFAULT, EINVAL);
		refuse(addr[i], RIG_PAGE, RIG_IOVA_SAME, RIG_READ_ONLY, odp, EFAULT, EINVAL);
	}
	/* From user space, of 47 bits or of 56, into the hole above it. */
	refuse(0x00fffffffffff000, 16 * RIG_PAGE, RIG_IOVA_SAME, RIG_READ_ONLY, odp, EFAULT, EINVAL);
	refuse(0x00007fffffff0000, 1ull << 57, RIG_IOVA_SAME, RIG_READ_ONLY, odp, EFAULT, EINVAL,
	       ENOMEM);
}
BOTH(kernel_addresses)

static void bad_access(bool odp)
{
	/* Remote rights to change what the local side may not. */
	refuse(b, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_WRITE, odp, EINVAL);
	refuse(b, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_ATOMIC, odp, EINVAL);
	refuse(b, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_REMOTE_READ, odp, EINVAL);
	/* Bits that mean nothing. */
	refuse(b, LEN, RIG_IOVA_SAME, RIG_RW | 1 << 11, odp, EINVAL, EOPNOTSUPP);
	refuse(b, LEN, RIG_IOVA_SAME, RIG_RW | 1 << 19, odp, EINVAL, EOPNOTSUPP);
	refuse(b, LEN, RIG_IOVA_SAME, RIG_RW | 1 << 30, odp, EINVAL, EOPNOTSUPP);
	refuse(b, LEN, RIG_IOVA_SAME, INT32_MIN, odp, EINVAL, EOPNOTSUPP);
}
BOTH(bad_access)

/* Bits that libibverbs calls optional are dropped where the device does not know them. */
static void optional_access(bool odp)
{
	struct rig_mr *mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME,
				    RIG_RW | IBV_ACCESS_RELAXED_ORDERING, odp);

	RIG_OK(rig_write(pair, rig_at(ma, 0, 64), rig_at(mr, 1, 64)));
	rig_expect(b + 1, 64, 1, 0, "a region with relaxed ordering");
	rig_dereg(mr);
}
BOTH(optional_access)

/* The iova must be at the same place in its page as the address. */
static void bad_iova(bool odp)
{
	refuse(b, LEN, 1, RIG_RW, odp, EINVAL);
	refuse(b + 8, LEN - 8, (uintptr_t)b, RIG_RW, odp, EINVAL);
	refuse(b, LEN, 0xfffffffffffff800ull, RIG_RW, odp, EINVAL);
}
BOTH(bad_iova)

/* What cannot be pinned is refused at once; on demand it is an access that fails (see below). */
START_TEST(memory_that_cannot_be_pinned)
{
	uint8_t *hole = rig_map(4 * RIG_PAGE, 0, RIG_ANON);

	rig_fill(hole, 4 * RIG_PAGE, 1, 0);
	munmap(hole + RIG_PAGE, RIG_PAGE);
	refuse(hole, 4 * RIG_PAGE, RIG_IOVA_SAME, RIG_RW, false, EFAULT);
	mprotect(hole + 2 * RIG_PAGE, RIG_PAGE, PROT_READ);
	refuse(hole + 2 * RIG_PAGE, 2 * RIG_PAGE, RIG_IOVA_SAME, RIG_RW, false, EFAULT);
	mprotect(hole + 2 * RIG_PAGE, RIG_PAGE, PROT_NONE);
	refuse(hole + 2 * RIG_PAGE, 2 * RIG_PAGE, RIG_IOVA_SAME, RIG_READ_ONLY, false, EFAULT);
	still_good(false);
	rig_unmap(hole, 4 * RIG_PAGE);
}
END_TEST

/* Refusals by the thousand leave nothing behind: kernel memory stays where it was. */
static void refusals_cost_nothing(bool odp)
{
	const int64_t allowed = 4 << 20;
	int64_t before = 0, after;
	int i;

	for (i = 0; i < 4000; i++) {
		if (i == 1000)
			before = rig_meminfo("SUnreclaim");
		refuse(0xffff888000000000, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, odp, EFAULT, EINVAL);
	}
	after = rig_meminfo("SUnreclaim");
	if (rig_keeps_freed())
		return;
	ck_assert_msg(after - before < allowed, "3000 refusals took %jd KiB of kernel memory",
		      (intmax_t)(after - before) / 1024);
}
BOTH(refusals_cost_nothing)

/* ------------------------------------------------------------------ alignment */

/* The provider refuses these itself when it can, so they are posted past it. */
static struct rig_res misaligned_op(enum rig_verb verb, struct rig_span there)
{
	struct rig_span answer = rig_at(ma, 0, 8);
	struct rig_op op = {
		.verb = verb, .remote = there, .value = 1, .flags = RIG_UNCHECKED,
	};
	struct rig_res res;

	if (verb != RIG_ATOMIC_WRITE) {
		op.sg = &answer;
		op.nsg = 1;
	}
	res = rig_do(pair, &op, NULL, 0);
	rig_reconnect(pair);
	return res;
}

static void misaligned(bool odp)
{
	/* Inside a word, over the end of a page, and in pages never seen by the region. */
	static const size_t at[] = { 1, 4, 7, 4089, 4092, 8191 };
	static const enum rig_verb verb[] = { RIG_CAS, RIG_FADD, RIG_ATOMIC_WRITE };
	struct rig_mr *mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	size_t i, k;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		for (k = 0; k < 3; k++)
			RIG_FAILS(misaligned_op(verb[k], rig_at(mb, at[i], 8)),
				  IBV_WC_REM_INV_REQ_ERR);
	rig_expect(b, LEN, 2, 0, "after misaligned atomics");
	rig_dereg(mb);
}
BOTH(misaligned)

/* ------------------------------------------------------------------ range */

/* Every remote verb on a span that must be refused; word is an aligned word of it. */
static void refuse_remote(struct rig_span there, uint64_t word, const char *what)
{
	struct rig_span here = rig_at(ma, 0, there.len), res = rig_at(ma, 0, 8);
	struct rig_span w = rig_raw(word, 8, there.rkey);
	struct rig_res got;
	int i;

	for (i = 0; i < 5; i++) {
		switch (i) {
		case 0: got = rig_write(pair, here, there); break;
		case 1: got = rig_read(pair, here, there); break;
		case 2: got = rig_cas(pair, res, w, 0, 1); break;
		case 3: got = rig_fadd(pair, res, w, 1); break;
		default: got = rig_atomic_write(pair, w, 1); break;
		}
		rig_reconnect(pair);
		ck_assert_msg(got.status == IBV_WC_REM_ACCESS_ERR, "%s, verb %d: %s", what, i,
			      rig_status_name(got.status));
	}
}

/*
 * A local span that must be refused. Stock rxe tells a bad range (LOC_QP_OP_ERR) from bad memory
 * (LOC_PROT_ERR), and when sending reports either as a flushed request; only the answer of a read
 * keeps its status. What matters here is that it fails; local_error_has_its_name is about the name.
 */
static void refuse_local(struct rig_span here, struct rig_mr *good, const char *what)
{
	struct rig_span there = rig_at(good, 0, here.len);
	struct rig_res got;
	int i;

	for (i = 0; i < 3; i++) {
		switch (i) {
		case 0: got = rig_write(pair, here, there); break;
		case 1: got = rig_send(pair, here, there); break;
		default: got = rig_read(pair, here, there); break;
		}
		rig_reconnect(pair);
		ck_assert_msg(got.status == IBV_WC_LOC_PROT_ERR ||
			      (i < 2 && (got.status == IBV_WC_LOC_QP_OP_ERR ||
					 got.status == IBV_WC_WR_FLUSH_ERR)),
			      "%s, verb %d: %s", what, i, rig_status_name(got.status));
	}
}

static void out_of_range(bool odp)
{
	/* In the middle of the buffer, so that what lies around is there to be damaged. */
	const size_t off = 8 * RIG_PAGE, len = 8 * RIG_PAGE;
	const uint64_t iovas[] = { RIG_IOVA_SAME, 64 * RIG_PAGE, 0xffffffff00000000ull };
	struct rig_mr *mb;
	size_t i;

	for (i = 0; i < 3; i++) {
		mb = rig_reg(rig, b + off, len, iovas[i], RIG_RW, odp);
		refuse_remote(rig_at(mb, (uint64_t)-1, 8), mb->iova - 8, "a byte before the region");
		refuse_remote(rig_at(mb, len - 7, 8), mb->iova + len, "a byte behind the region");
		refuse_remote(rig_at(mb, len, 1), mb->iova + len, "just behind the region");
		refuse_remote(rig_at(mb, (uint64_t)-RIG_PAGE, 100), mb->iova - RIG_PAGE,
			      "a page before the region");
		refuse_remote(rig_at(mb, 1ull << 40, 100), mb->iova + (1ull << 40), "far behind");
		refuse_remote(rig_at(mb, 0, len + 1), mb->iova + len, "longer than the region");
		refuse_local(rig_at(mb, len - 7, 8), ma, "a local byte behind the region");
		refuse_local(rig_at(mb, (uint64_t)-1, 8), ma, "a local byte before the region");
		rig_dereg(mb);
	}
	rig_expect(b, LEN, 2, 0, "after accesses out of range");
}
BOTH(out_of_range)

/* Sub-page bounds count: a region of 100 bytes is not its page. */
static void region_inside_a_page(bool odp)
{
	struct rig_mr *mb = rig_reg(rig, b + 1000, 104, RIG_PAGE + 1000, RIG_RW, odp);

	refuse_remote(rig_at(mb, 100, 5), mb->iova + 104, "a byte behind 104");
	refuse_remote(rig_at(mb, (uint64_t)-1, 2), mb->iova - 8, "a byte before 104");
	rig_expect(b, LEN, 2, 0, "after accesses out of range");
	RIG_OK(rig_write(pair, rig_at(ma, 0, 104), rig_at(mb, 0, 104)));
	rig_expect(b + 1000, 104, 1, 0, "the 104 bytes");
	rig_expect(b, 1000, 2, 0, "before the 104 bytes");
	rig_expect(b + 1104, LEN - 1104, 2, 1104, "behind the 104 bytes");
	rig_dereg(mb);
}
BOTH(region_inside_a_page)

/* Addresses whose end wraps around 2^64 back into the region. */
static void wrapping_iova(bool odp)
{
	struct rig_mr *mb = rig_reg(rig, b, LEN, 0, RIG_RW, odp);
	static const uint64_t addr[] = { UINT64_MAX, UINT64_MAX - 7, (uint64_t)-RIG_PAGE,
					 (uint64_t)-(16 * RIG_PAGE), 1ull << 63 };
	size_t i;

	for (i = 0; i < sizeof(addr) / sizeof(addr[0]); i++)
		refuse_remote(rig_raw(addr[i], 17 * RIG_PAGE, mb->mr->rkey), addr[i] & ~7ull,
			      "a span that wraps into the region");
	rig_expect(b, LEN, 2, 0, "after spans that wrap");
	RIG_OK(rig_write(pair, rig_at(ma, 0, LEN), rig_at(mb, 0, LEN)));
	rig_expect(b, LEN, 1, 0, "a region whose iova is 0");
	rig_dereg(mb);
}
BOTH(wrapping_iova)

/* ------------------------------------------------------------------ keys */

static void wrong_keys(bool odp)
{
	struct ibv_pd *other = ibv_alloc_pd(rig->ctx);
	struct rig_mr *mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, odp), *gone;
	uint32_t key[6], n = 0, i;
	struct ibv_mr *foreign;

	ck_assert_ptr_nonnull(other);
	foreign = ibv_reg_mr(other, b, LEN, (int)(unsigned int)mb->access);
	ck_assert_ptr_nonnull(foreign);
	gone = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, odp);
	key[n++] = mb->mr->rkey ^ 1;
	key[n++] = mb->mr->rkey + 256;
	key[n++] = 0;
	key[n++] = UINT32_MAX;
	key[n++] = foreign->rkey;
	key[n++] = gone->mr->rkey;
	rig_dereg(gone);
	for (i = 0; i < n; i++) {
		char what[40];

		/* The key of a region that is there by chance would be right. */
		if (key[i] == mb->mr->rkey || key[i] == ma->mr->rkey)
			continue;
		snprintf(what, sizeof(what), "wrong key %u", i);
		refuse_remote(rig_raw((uintptr_t)b, 64, key[i]), (uintptr_t)b, what);
		refuse_local(rig_raw((uintptr_t)b, 64, key[i]), mb, what);
	}
	ck_assert_int_eq(ibv_dereg_mr(foreign), 0);
	ck_assert_int_eq(ibv_dealloc_pd(other), 0);
	rig_expect(b, LEN, 2, 0, "after wrong keys");
	rig_dereg(mb);
}
BOTH(wrong_keys)

/* Rights that the region does not grant, each alone. */
static void missing_rights(bool odp)
{
	struct rig_mr *none = rig_reg(rig, b, LEN, RIG_IOVA_SAME, IBV_ACCESS_LOCAL_WRITE, odp);
	struct rig_mr *write = rig_reg(rig, b, LEN, RIG_IOVA_SAME,
				       IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, odp);
	struct rig_mr *read = rig_reg(rig, b, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_READ, odp);
	struct rig_mr *local = rig_reg(rig, b, LEN, RIG_IOVA_SAME, 0, odp);

	refuse_remote(rig_at(none, 0, 64), none->iova, "no remote right");
	RIG_FAILS(rig_read(pair, rig_at(ma, 0, 64), rig_at(write, 0, 64)), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	RIG_FAILS(rig_fadd(pair, rig_at(ma, 0, 8), rig_at(write, 0, 8), 1), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	RIG_FAILS(rig_write(pair, rig_at(ma, 0, 64), rig_at(read, 0, 64)), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	/* Receives and answers of reads write locally. */
	ck_assert_int_ne(rig_read(pair, rig_at(local, 0, 64), rig_at(ma, 0, 64)).status,
			 IBV_WC_SUCCESS);
	rig_reconnect(pair);
	ck_assert_int_ne(rig_send(pair, rig_at(ma, 0, 64), rig_at(local, 0, 64)).status,
			 IBV_WC_SUCCESS);
	rig_reconnect(pair);
	rig_expect(b, LEN, 2, 0, "after accesses without the right");
	rig_dereg(none);
	rig_dereg(write);
	rig_dereg(read);
	rig_dereg(local);
}
BOTH(missing_rights)

/* ------------------------------------------------------------------ memory that is not there */

static void never_mapped(void)
{
	uint8_t *hole = rig_map_bare(LEN, 0, false);
	struct rig_mr *mh;

	munmap(hole, LEN);
	mh = rig_reg(rig, hole, LEN, RIG_IOVA_SAME, RIG_RW, true);
	refuse_remote(rig_at(mh, 100, 9000), mh->iova + 8, "never mapped");
	refuse_local(rig_at(mh, 100, 9000), ma, "never mapped");
	/* When something is mapped there afterwards, it is there. */
	ck_assert_ptr_eq(mmap(hole, LEN, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), hole);
	rig_fill(a, LEN, 1, 0);
	RIG_OK(rig_write(pair, rig_at(ma, 0, LEN), rig_at(mh, 0, LEN)));
	rig_expect(hole, LEN, 1, 0, "mapped after its registration");
	rig_dereg(mh);
	rig_unmap(hole, LEN);
}
ODP_ONLY(never_mapped)

/* The completion of a request whose own memory is not there says so, whatever the verb. */
static void local_error_has_its_name(void)
{
	uint8_t *hole = rig_map_bare(LEN, 0, false);
	struct rig_mr *mh = rig_reg(rig, hole, LEN, RIG_IOVA_SAME, RIG_RW, true);

	RIG_FAILS(rig_read(pair, rig_at(mh, 0, 64), rig_at(ma, 0, 64)), IBV_WC_LOC_PROT_ERR);
	rig_reconnect(pair);
	RIG_FAILS(rig_write(pair, rig_at(mh, 0, 64), rig_at(ma, 0, 64)), IBV_WC_LOC_PROT_ERR);
	rig_reconnect(pair);
	RIG_FAILS(rig_send(pair, rig_at(mh, 0, 64), rig_at(ma, 0, 64)), IBV_WC_LOC_PROT_ERR);
	rig_dereg(mh);
	rig_unmap(hole, LEN);
}
ODP_ONLY(local_error_has_its_name)

/* Mapped but for one page: the pages around it work, the access over it fails. */
static void hole_in_the_middle(void)
{
	uint8_t *m = rig_map(8 * RIG_PAGE, 0, RIG_ANON);
	struct rig_mr *mm = rig_reg(rig, m, 8 * RIG_PAGE, RIG_PAGE, RIG_RW, true);

	rig_fill(m, 8 * RIG_PAGE, 5, 0);
	munmap(m + 4 * RIG_PAGE, RIG_PAGE);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 4 * RIG_PAGE), rig_at(mm, 0, 4 * RIG_PAGE)));
	rig_expect(m, 4 * RIG_PAGE, 1, 0, "before the hole");
	RIG_OK(rig_read(pair, rig_at(ma, 0, 3 * RIG_PAGE), rig_at(mm, 5 * RIG_PAGE, 3 * RIG_PAGE)));
	rig_expect(a, 3 * RIG_PAGE, 5, 5 * RIG_PAGE, "behind the hole");
	refuse_remote(rig_at(mm, 3 * RIG_PAGE, 2 * RIG_PAGE), mm->iova + 4 * RIG_PAGE,
		      "over the hole");
	refuse_local(rig_at(mm, 3 * RIG_PAGE, 2 * RIG_PAGE), ma, "over the hole");
	rig_expect(m + 5 * RIG_PAGE, 3 * RIG_PAGE, 5, 5 * RIG_PAGE, "behind the hole");
	rig_dereg(mm);
	rig_unmap(m, 8 * RIG_PAGE);
}
ODP_ONLY(hole_in_the_middle)

static void no_protection(void)
{
	uint8_t *m = rig_map_bare(LEN, 0, false);
	struct rig_mr *mm = rig_reg(rig, m, LEN, RIG_IOVA_SAME, RIG_RW, true);

	refuse_remote(rig_at(mm, 1, 5000), mm->iova + 8, "PROT_NONE");
	refuse_local(rig_at(mm, 1, 5000), ma, "PROT_NONE");
	ck_assert_uint_eq(rig_resident(m, LEN), 0);
	ck_assert_int_eq(mprotect(m, LEN, PROT_READ | PROT_WRITE), 0);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 5000), rig_at(mm, 1, 5000)));
	rig_dereg(mm);
	rig_unmap(m, LEN);
}
ODP_ONLY(no_protection)

/* A writable registration grants no more than the mapping does, at any moment. */
static void write_to_read_only_memory(void)
{
	uint8_t *m = rig_map(LEN, 0, RIG_ANON);
	struct rig_mr *mm;
	struct rig_res res;

	rig_fill(m, LEN, 5, 0);
	ck_assert_int_eq(mprotect(m, LEN, PROT_READ), 0);
	mm = rig_reg(rig, m, LEN, RIG_IOVA_SAME, RIG_RW, true);
	RIG_OK(rig_read(pair, rig_at(ma, 0, 9000), rig_at(mm, 63, 9000)));
	rig_expect(a, 9000, 5, 63, "read of read-only memory");
	RIG_FAILS(rig_write(pair, rig_at(ma, 0, 64), rig_at(mm, 63, 64)), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	RIG_FAILS(rig_fadd(pair, rig_at(ma, 0, 8), rig_at(mm, 64, 8), 1), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	RIG_FAILS(rig_atomic_write(pair, rig_at(mm, 64, 8), 1), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	RIG_FAILS(rig_read(pair, rig_at(mm, 64, 64), rig_at(ma, 0, 64)), IBV_WC_LOC_PROT_ERR);
	rig_reconnect(pair);
	res = rig_send(pair, rig_at(ma, 0, 64), rig_at(mm, 64, 64));
	ck_assert_msg(res.status == IBV_WC_REM_OP_ERR, "send to read-only memory: %s",
		      rig_status_name(res.status));
	ck_assert_msg(res.peer == IBV_WC_LOC_PROT_ERR || res.peer == IBV_WC_LOC_QP_OP_ERR,
		      "its receive: %s", rig_status_name(res.peer));
	rig_reconnect(pair);
	rig_expect(m, LEN, 5, 0, "read-only memory");
	ck_assert_int_eq(mprotect(m, LEN, PROT_READ | PROT_WRITE), 0);
	rig_fill(a, LEN, 1, 0);
	RIG_OK(rig_write(pair, rig_at(ma, 0, LEN), rig_at(mm, 0, LEN)));
	rig_expect(m, LEN, 1, 0, "made writable again");
	rig_dereg(mm);
	rig_unmap(m, LEN);
}
ODP_ONLY(write_to_read_only_memory)

/* Past the end of a file there is no page: what kills the CPU's access ends the remote one. */
static void past_the_end_of_a_file(void)
{
	uint8_t *m = rig_map(LEN, 0, RIG_SHARED);
	struct rig_mr *mm = rig_reg(rig, m, LEN, RIG_IOVA_SAME, RIG_RW, true);
	int fd = memfd_create("short", 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2 * RIG_PAGE), 0);
	ck_assert_ptr_eq(mmap(m, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), m);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 2 * RIG_PAGE), rig_at(mm, 0, 2 * RIG_PAGE)));
	rig_expect(m, 2 * RIG_PAGE, 1, 0, "up to the end of the file");
	refuse_remote(rig_at(mm, 2 * RIG_PAGE, 100), mm->iova + 2 * RIG_PAGE, "past the end");
	refuse_local(rig_at(mm, 2 * RIG_PAGE - 1, 100), ma, "over the end");
	close(fd);
	rig_dereg(mm);
	rig_unmap(m, LEN);
}
ODP_ONLY(past_the_end_of_a_file)

/* Unreliable transports drop what they cannot place; the next message arrives. */
static void unreliable(void)
{
	struct rig_pair *uc = rig_pair(rig, IBV_QPT_UC);
	uint8_t *m = rig_map_bare(LEN, 0, false);
	struct rig_mr *mm = rig_reg(rig, m, LEN, RIG_IOVA_SAME, RIG_RW, true);
	struct rig_mr *mb = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);

	RIG_OK(rig_write(uc, rig_at(ma, 0, 5000), rig_at(mm, 0, 5000)));
	RIG_OK(rig_write(uc, rig_at(ma, 0, 5000), rig_at(mb, 0, 5000)));
	RIG_OK(rig_write_imm(uc, rig_at(ma, 0, 100), rig_at(mb, 5000, 100), 1));
	rig_expect(b, 5000, 1, 0, "UC write after a dropped one");
	rig_expect(b + 5000, 100, 1, 0, "UC write with immediate");
	rig_dereg(mm);
	rig_dereg(mb);
	rig_unpair(uc);
	rig_unmap(m, LEN);
}
ODP_ONLY(unreliable)

/* ------------------------------------------------------------------ advice */

#define advice_refused(advice, flags, list, n, want)						\
	advice_refused_at(__LINE__, (enum ib_uverbs_advise_mr_advice)(advice), (flags), (list), (n),	\
			  (want))

/* Ours has the errors of mlx5; of other drivers an error is wanted. */
static void advice_refused_at(int line, enum ib_uverbs_advise_mr_advice advice, uint32_t flags,
			      const struct rig_span *list, unsigned int n, int want)
{
	int err = rig_advise(rig, advice, flags, list, n);

	ck_assert_msg(rig_odp_counter("regions") >= 0 ? err == want : err, "line %d: advice %d, flags "
		      "%#x: %s instead of %s", line, advice, flags, err ? strerror(err) : "taken",
		      strerror(want));
}

#define FLUSH	IB_UVERBS_ADVISE_MR_FLAG_FLUSH
#define READ	IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH
#define WRITE	IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE

/* Good advice first: that the refusals below mean something. Then every argument wrong in turn. */
static void bad_advice(void)
{
	uint8_t *m = rig_map(LEN, 0, RIG_ANON);
	struct rig_mr *mm = rig_reg(rig, m, LEN, RIG_PAGE, RIG_RW, true);
	struct rig_mr *ro = rig_reg(rig, m, LEN, RIG_PAGE, RIG_READ_ONLY, true);
	struct rig_span good = rig_at(mm, 0, 2 * RIG_PAGE), list[2] = { good, good };
	uint32_t flags;

	ck_assert_int_eq(rig_advise(rig, WRITE, FLUSH, &good, 1), 0);
	ck_assert_uint_ge(rig_resident(m, LEN), 2);
	ck_assert_int_eq(madvise(m, LEN, MADV_DONTNEED), 0);
	for (flags = 0; flags <= FLUSH; flags += FLUSH) {
		list[1] = good;
		advice_refused(77, flags, list, 2, EOPNOTSUPP);
		advice_refused(WRITE, flags | 1 << 5, list, 2, EINVAL);
		advice_refused(WRITE, flags, list, 0, EINVAL);
		list[1] = rig_at(ma, 0, 64);	/* pinned */
		advice_refused(READ, flags, list, 2, ENOENT);
		list[1] = rig_raw(good.addr, 64, 0);
		advice_refused(READ, flags, list, 2, ENOENT);
		list[1] = rig_raw(good.addr, 64, good.lkey ^ 1);
		advice_refused(READ, flags, list, 2, ENOENT);
		list[1] = rig_raw(good.addr, 64, UINT32_MAX);
		advice_refused(READ, flags, list, 2, ENOENT);
		list[1] = rig_at(mm, LEN - 10, 11);
		advice_refused(READ, flags, list, 2, EFAULT);
		list[1] = rig_at(mm, (uint64_t)-1, 2);
		advice_refused(READ, flags, list, 2, EFAULT);
		list[1] = rig_at(mm, 1ull << 50, 64);
		advice_refused(READ, flags, list, 2, EFAULT);
		list[1] = rig_raw(UINT64_MAX - 3, 8000, good.lkey);
		advice_refused(READ, flags, list, 2, EFAULT);
		list[1] = rig_at(ro, 0, 64);
		advice_refused(WRITE, flags, list, 2, EPERM);
	}
	rig_sleep(0.2);
	ck_assert_msg(!rig_resident(m, LEN), "refused advice brought pages in");
	munmap(m + RIG_PAGE, RIG_PAGE);
	advice_refused(WRITE, FLUSH, &good, 1, EFAULT);
	rig_dereg(mm);
	advice_refused(WRITE, FLUSH, &good, 1, ENOENT);
	rig_dereg(ro);
	rig_unmap(m, LEN);
}
ODP_ONLY(bad_advice)

static Suite *suite(void)
{
	Suite *s = suite_create("bad input");
	TCase *reg = rig_tcase(s, "registration", 60);
	TCase *range = rig_tcase(s, "range", 60);
	TCase *memory = rig_tcase(s, "memory", 60);

#define ADD(tc, name) do {									\
	tcase_add_test(tc, name ## _pinned);							\
	tcase_add_test(tc, name ## _odp);							\
} while (0)
	tcase_add_checked_fixture(reg, setup, teardown);
	ADD(reg, bad_length);
	ADD(reg, kernel_addresses);
	ADD(reg, bad_access);
	ADD(reg, optional_access);
	ADD(reg, bad_iova);
	tcase_add_test(reg, memory_that_cannot_be_pinned);
	ADD(reg, refusals_cost_nothing);
	tcase_add_checked_fixture(range, setup, teardown);
	ADD(range, misaligned);
	ADD(range, out_of_range);
	ADD(range, region_inside_a_page);
	ADD(range, wrapping_iova);
	ADD(range, wrong_keys);
	ADD(range, missing_rights);
	tcase_add_checked_fixture(memory, setup, teardown);
	tcase_add_test(memory, never_mapped_odp);
	tcase_add_test(memory, local_error_has_its_name_odp);
	tcase_add_test(memory, hole_in_the_middle_odp);
	tcase_add_test(memory, no_protection_odp);
	tcase_add_test(memory, write_to_read_only_memory_odp);
	tcase_add_test(memory, past_the_end_of_a_file_odp);
	tcase_add_test(memory, unreliable_odp);
	tcase_add_test(memory, bad_advice_odp);
	return s;
}

int main(void)
{
	Suite *s = suite();

	return rig_main(&s, 1);
}
