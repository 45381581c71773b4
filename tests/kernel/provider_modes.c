// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * lib/provider over our kernel modules: the verbs that rdma-core's rxe has not, and what the environment
 * asks for. Each test is a process of its own, so each has its own environment. Which provider
 * libibverbs loads is told from outside (tests/interop/test_provider).
 */
#include <linux/memfd.h>
#include <sys/resource.h>

#include "rig.h"

#define LEN	(64 * RIG_PAGE)
#define ODP	IBV_ACCESS_ON_DEMAND
#define TRANS	IBV_REREG_MR_CHANGE_TRANSLATION
#define ACCESS	IBV_REREG_MR_CHANGE_ACCESS
#define PD	IBV_REREG_MR_CHANGE_PD

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b, *c;
static int64_t regions;

static void open_in(const char *mode, const char *prefetch)
{
	setenv("ODPREG_MODE", mode, 1);
	setenv("ODPREG_PREFETCH", prefetch, 1);
	rig = rig_open(NULL);
	rig_dmesg_mark();
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	c = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	regions = rig_odp_counter("regions");
	ck_assert_int_ge(regions, 0);
}

static void close_all(void)
{
	rig_unpair(pair);
	rig_odp_settles("regions", regions);
	rig_dmesg_clean();
	rig_close(rig);
}

/* Bytes that the kernel has pinned for this process. */
static size_t pinned(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmPin: %lu kB", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

/* From ma to mr and back. */
static void moves(struct rig_mr *ma, struct rig_mr *mr, const uint8_t *mem)
{
	RIG_OK(rig_write(pair, rig_at(ma, 0, 5000), rig_at(mr, 100, 5000)));
	rig_expect(mem + 100, 5000, 1, 0, "written");
	RIG_OK(rig_send(pair, rig_at(mr, 100, 5000), rig_at(ma, LEN / 2, 5000)));
	rig_expect(a + LEN / 2, 5000, 1, 0, "sent");
}

static void refused(struct rig_mr *ma, struct rig_span there, const char *what)
{
	struct rig_res res = rig_write(pair, rig_at(ma, 0, there.len), there);

	ck_assert_msg(res.status == IBV_WC_REM_ACCESS_ERR, "%s: %s", what,
		      rig_status_name(res.status));
	rig_reconnect(pair);
}

/* ------------------------------------------------------------------ native */

START_TEST(test_native)
{
	struct rig_mr *ma, *mr;

	open_in("native", "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	ck_assert_uint_eq(pinned(), LEN);
	ck_assert_int_eq(rig_odp_counter("regions"), regions);
	mr = rig_reg(rig, b, LEN, 0x1000000, RIG_RW, true);
	ck_assert_uint_eq(pinned(), LEN);
	ck_assert_int_eq(rig_odp_counter("regions"), regions + 1);
	moves(ma, mr, b);
	rig_dereg(mr);
	rig_dereg(ma);
	ck_assert_uint_eq(pinned(), 0);
	close_all();
}
END_TEST

START_TEST(test_native_capabilities)
{
	open_in("native", "none");
	ck_assert(rig_has_odp(rig));
	ck_assert(rig_has_implicit(rig));
	close_all();
}
END_TEST

START_TEST(test_native_huge_flag)
{
	struct rig_mr *ma, *mr;

	open_in("native", "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW | IBV_ACCESS_HUGETLB, true);
	moves(ma, mr, b);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

static int advise(enum ibv_advise_mr_advice advice, struct rig_span span)
{
	struct ibv_sge sge = { .addr = span.addr, .length = span.len, .lkey = span.lkey };

	return ibv_advise_mr(rig->pd, advice, IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
}

START_TEST(test_advise)
{
	struct rig_mr *ma, *mr;
	int64_t prefetched;

	open_in("native", "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	ck_assert_uint_eq(rig_resident(b, LEN), 0);
	prefetched = rig_odp_counter("page_prefetch");
	ck_assert_int_eq(advise(IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, rig_at(mr, 0, LEN)), 0);
	ck_assert_uint_eq(rig_resident(b, LEN), LEN / RIG_PAGE);
	ck_assert_int_gt(rig_odp_counter("page_prefetch"), prefetched);
	ck_assert_int_eq(advise(IBV_ADVISE_MR_ADVICE_PREFETCH, rig_at(mr, LEN - 4, 8)), EFAULT);
	ck_assert_int_eq(advise(IBV_ADVISE_MR_ADVICE_PREFETCH, rig_at(ma, 0, 8)), ENOENT);
	moves(ma, mr, b);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

/* The keys, and what rig keeps of a region, after ibv_rereg_mr(). */
static void again(struct rig_mr *mr, int flags, void *addr, size_t len, int access)
{
	int ret = ibv_rereg_mr(mr->mr, flags, rig->pd, addr, len, access);

	ck_assert_msg(!ret, "ibv_rereg_mr of %#x: %d, %s", flags, ret, strerror(errno));
	if (flags & TRANS) {
		mr->addr = addr;
		mr->len = len;
		mr->iova = (uintptr_t)addr;
		ck_assert_ptr_eq(mr->mr->addr, addr);
		ck_assert_uint_eq(mr->mr->length, len);
	}
}

START_TEST(test_rereg)
{
	struct rig_mr *ma, *mr;
	struct rig_span old;

	open_in(_i ? "always" : "native", "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, !_i);
	moves(ma, mr, b);
	old = rig_at(mr, 100, 64);
	again(mr, TRANS, c, LEN / 2, 0);
	moves(ma, mr, c);
	refused(ma, old, "the old key");
	refused(ma, rig_at(mr, LEN / 2 - 4, 8), "beyond the new range");
	again(mr, ACCESS, NULL, 0, IBV_ACCESS_REMOTE_READ | (_i ? 0 : ODP));
	refused(ma, rig_at(mr, 100, 64), "a write without the right");
	again(mr, ACCESS | TRANS, b, LEN, RIG_RW | (_i ? 0 : ODP));
	moves(ma, mr, b);
	again(mr, PD, NULL, 0, 0);
	moves(ma, mr, b);
	ck_assert_uint_eq(pinned(), _i ? 0 : LEN);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

START_TEST(test_rereg_failure)
{
	struct rig_mr *ma, *mr;
	uint32_t key;

	open_in("native", "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	key = mr->mr->rkey;
	errno = 0;
	ck_assert_int_eq(ibv_rereg_mr(mr->mr, ACCESS, NULL, NULL, 0, IBV_ACCESS_REMOTE_WRITE | ODP),
			 IBV_REREG_MR_ERR_CMD);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(mr->mr->rkey, key);
	moves(ma, mr, b);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

START_TEST(test_rereg_pinned_to_odp_and_back)
{
	struct rig_mr *ma, *mr;

	open_in("native", "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, true);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, false);
	ck_assert_uint_eq(pinned(), LEN);
	again(mr, ACCESS, NULL, 0, RIG_RW | ODP);
	ck_assert_uint_eq(pinned(), 0);
	moves(ma, mr, b);
	again(mr, ACCESS, NULL, 0, RIG_RW);
	ck_assert_uint_eq(pinned(), LEN);
	moves(ma, mr, b);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

#ifdef HAVE_REG_MR_EX
static struct ibv_mr *reg_ex(void *addr, uint64_t iova, int access)
{
	struct ibv_mr_init_attr attr = {
		.length = LEN, .access = access, .addr = addr, .iova = iova,
		.comp_mask = IBV_REG_MR_MASK_ADDR | (iova ? IBV_REG_MR_MASK_IOVA : 0),
	};

	return ibv_reg_mr_ex(rig->pd, &attr);
}

/* What rxe cannot do is an error as without our provider, and leaves nothing behind. */
static void not_for_us(void)
{
	struct ibv_mr_init_attr dmabuf = {
		.length = LEN, .access = RIG_RW, .fd = memfd_create("no dma-buf", MFD_CLOEXEC), .iova = RIG_PAGE,
		.comp_mask = IBV_REG_MR_MASK_FD | IBV_REG_MR_MASK_FD_OFFSET | IBV_REG_MR_MASK_IOVA,
	};
	struct ibv_mr_init_attr unknown = {
		.length = LEN, .access = RIG_RW, .addr = b,
		.comp_mask = IBV_REG_MR_MASK_ADDR | 1ull << 62,
	};

	errno = 0;
	ck_assert_ptr_null(ibv_reg_mr_ex(rig->pd, &dmabuf));
	ck_assert_int_ne(errno, 0);
	close(dmabuf.fd);
	errno = 0;
	ck_assert_ptr_null(ibv_reg_mr_ex(rig->pd, &unknown));
	ck_assert_int_eq(errno, EOPNOTSUPP);
}
#endif

/* _i: the mode. */
START_TEST(test_reg_mr_ex)
{
#ifdef HAVE_REG_MR_EX
	static const char *const modes[] = { "native", "always", "never" };
	struct rig_mr *ma, mr = { .len = LEN, .iova = 0x100000 };
	int access = RIG_RW | (_i == 0 ? ODP : 0);

	open_in(modes[_i], "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	errno = 0;
	mr.mr = reg_ex(b, mr.iova, access);
	ck_assert_msg(mr.mr, "ibv_reg_mr_ex: %s", strerror(errno));
	moves(ma, &mr, b);
	ck_assert_uint_eq(pinned(), _i == 0 ? LEN : _i == 1 ? 0 : 2 * LEN);
	ck_assert_int_eq(ibv_dereg_mr(mr.mr), 0);
	errno = 0;
	ck_assert_ptr_null(reg_ex(b, 0, IBV_ACCESS_REMOTE_WRITE | ODP));
	ck_assert_int_eq(errno, _i == 2 ? EOPNOTSUPP : EINVAL);
	mr.mr = reg_ex(b, 0, RIG_RW);
	mr.iova = (uintptr_t)b;
	moves(ma, &mr, b);
	ck_assert_int_eq(ibv_dereg_mr(mr.mr), 0);
	rig_dereg(ma);
	not_for_us();
	close_all();
#else
	RIG_SKIP("this libibverbs has no ibv_reg_mr_ex");
#endif
}
END_TEST

/* ------------------------------------------------------------------ always */

START_TEST(test_always)
{
	struct rig_mr *ma, *mr;

	open_in("always", "none");
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, 0x7000000, RIG_RW | IBV_ACCESS_RELAXED_ORDERING, false);
	ck_assert_uint_eq(pinned(), 0);
	ck_assert_int_eq(rig_odp_counter("regions"), regions + 2);
	moves(ma, mr, b);
	madvise(b, LEN, MADV_DONTNEED);
	moves(ma, mr, b);
	rig_dereg(mr);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW | IBV_ACCESS_HUGETLB, false);
	moves(ma, mr, b);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

/* More than there is memory, and than this process may lock. */
START_TEST(test_always_large)
{
	const size_t size = 64ul << 30;
	struct rlimit limit = { 0, 0 };
	struct rig_mr *ma, *mr;
	uint8_t *mem;

	open_in("always", "none");
	setrlimit(RLIMIT_MEMLOCK, &limit);
	mem = rig_map_bare(size, 0, true);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, mem, size, RIG_IOVA_SAME, RIG_RW, false);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 5000), rig_at(mr, size - 5000, 5000)));
	rig_expect(mem + size - 5000, 5000, 1, 0, "written to the end");
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

/* What nobody can register stays an error; what is on demand already stays what it is. */
START_TEST(test_always_native_requests)
{
	struct rig_mr *mr, *ma;

	open_in("always", "none");
	ck_assert_int_ne(rig_try_reg(rig, NULL, SIZE_MAX, 0, RIG_RW, false, &mr), 0);
	ck_assert_int_eq(rig_try_reg(rig, b, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_WRITE, false, &mr),
			 EINVAL);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, true);
	mr = rig_reg(rig, NULL, SIZE_MAX, 0, RIG_RW, true);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 64), rig_at(mr, (uintptr_t)b, 64)));
	rig_expect(b, 64, 1, 0, "written by the whole address space");
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

/* ------------------------------------------------------------------ never */

START_TEST(test_never)
{
	struct rig_mr *ma, *mr;
	struct ibv_pd *pd;
	uint32_t key;

	open_in("never", "sync");
	ck_assert_int_eq(rig_try_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true, &mr), EOPNOTSUPP);
	ck_assert_int_eq(rig_try_reg(rig, NULL, SIZE_MAX, 0, RIG_RW, true, &mr), EOPNOTSUPP);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, false);
	ck_assert_uint_eq(pinned(), 2 * LEN);
	ck_assert_int_eq(rig_odp_counter("regions"), regions);
	moves(ma, mr, b);
	ck_assert_int_eq(advise(IBV_ADVISE_MR_ADVICE_PREFETCH, rig_at(mr, 0, 8)), EOPNOTSUPP);
	key = mr->mr->rkey;
	errno = 0;
	ck_assert_int_eq(ibv_rereg_mr(mr->mr, ACCESS, NULL, NULL, 0, RIG_RW | ODP),
			 IBV_REREG_MR_ERR_CMD);
	ck_assert_int_eq(errno, EOPNOTSUPP);
	ck_assert_uint_eq(mr->mr->rkey, key);
	pd = ibv_alloc_pd(rig->ctx);
	ck_assert_int_eq(ibv_rereg_mr(mr->mr, PD, pd, NULL, 0, 0), 0);
	ck_assert_int_eq(ibv_rereg_mr(mr->mr, PD, rig->pd, NULL, 0, 0), 0);
	ck_assert_int_eq(ibv_dealloc_pd(pd), 0);
	moves(ma, mr, b);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

static void query(const char *mode, int to)
{
	struct ibv_device_attr_ex attr;
	int fd = to;

	setenv("ODPREG_MODE", mode, 1);
	rig = rig_open(NULL);
	memset(&attr, 0, sizeof(attr));
	ck_assert_int_eq(ibv_query_device_ex(rig->ctx, NULL, &attr), 0);
	ck_assert_int_eq(write(fd, &attr, sizeof(attr)), sizeof(attr));
	rig_close(rig);
}

/* All that is different is on-demand paging; and the old call works. */
START_TEST(test_never_capabilities)
{
	static const struct ibv_odp_caps none;
	struct ibv_device_attr_ex native, never;
	struct ibv_device_attr old;
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	if (!check_fork()) {
		query("native", pipes[1]);
		_exit(0);
	}
	ck_assert_int_eq(read(pipes[0], &native, sizeof(native)), sizeof(native));
	setenv("ODPREG_MODE", "never", 1);
	rig = rig_open(NULL);
	memset(&never, 0, sizeof(never));
	ck_assert_int_eq(ibv_query_device_ex(rig->ctx, NULL, &never), 0);
	ck_assert(!rig_has_odp(rig));
	ck_assert_mem_eq(&never.odp_caps, &none, sizeof(none));
	ck_assert_mem_ne(&native.odp_caps, &none, sizeof(none));
	ck_assert_uint_eq(never.xrc_odp_caps, 0);
	never.odp_caps = native.odp_caps;
	never.xrc_odp_caps = native.xrc_odp_caps;
	ck_assert_mem_eq(&never, &native, sizeof(never));
	ck_assert_int_eq(ibv_query_device(rig->ctx, &old), 0);
	ck_assert_mem_eq(&old, &native.orig_attr, sizeof(old));
	rig_close(rig);
}
END_TEST

/* ------------------------------------------------------------------ prefetch */

START_TEST(test_prefetch_none)
{
	struct rig_mr *mr;

	open_in("native", "none");
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	ck_assert_uint_eq(rig_resident(b, LEN), 0);
	rig_dereg(mr);
	close_all();
}
END_TEST

START_TEST(test_prefetch_sync)
{
	struct rig_mr *mr;

	open_in(_i ? "always" : "native", "sync");
	mr = rig_reg(rig, b, LEN, 0x100000, RIG_RW, !_i);
	ck_assert_uint_eq(rig_resident(b, LEN), LEN / RIG_PAGE);
	ck_assert_uint_eq(pinned(), 0);
	again(mr, TRANS, c, LEN, 0);
	ck_assert_uint_eq(rig_resident(c, LEN), LEN / RIG_PAGE);
	rig_dereg(mr);
	close_all();
}
END_TEST

START_TEST(test_prefetch_async)
{
	struct rig_mr *mr;
	double end;

	open_in("native", "async");
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	end = rig_now() + rig->deadline;
	while (rig_resident(b, LEN) < LEN / RIG_PAGE && rig_now() < end)
		rig_sleep(0.01);
	ck_assert_uint_eq(rig_resident(b, LEN), LEN / RIG_PAGE);
	rig_dereg(mr);
	close_all();
}
END_TEST

/* Read-only memory; more than an element of the list can say; nothing there; all there is. */
START_TEST(test_prefetch_corners)
{
	const size_t size = (20ul << 30) + RIG_PAGE;
	struct rig_mr *ma, *mr;
	uint8_t *mem;

	open_in("native", "sync");
	ck_assert_int_eq(mprotect(c, LEN, PROT_READ), 0);
	mr = rig_reg(rig, c, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_READ, true);
	ck_assert_uint_eq(rig_resident(c, LEN), LEN / RIG_PAGE);
	rig_dereg(mr);

	mem = rig_map_bare(size, 0, false);
	errno = 0;
	mr = rig_reg(rig, mem, size, RIG_IOVA_SAME, RIG_RW, true);
	ck_assert_int_eq(errno, 0);
	ck_assert_int_eq(mprotect(mem, LEN, PROT_READ | PROT_WRITE), 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, true);
	moves(ma, mr, mem);
	rig_dereg(mr);

	mr = rig_reg(rig, NULL, SIZE_MAX, 0, RIG_RW, true);
	ck_assert_uint_eq(rig_resident(b, LEN), 0);
	rig_dereg(mr);
	rig_dereg(ma);
	close_all();
}
END_TEST

/* Pieces of 1 GiB, sixteen at a time: the last page of the last piece is there, too. */
START_TEST(test_prefetch_pieces)
{
	const size_t huge = 2 << 20, size = (17ul << 30) + huge;
	struct rig_mr *mr;
	uint8_t *mem;
	size_t i;
	int fd;

	open_in("native", "sync");
	/* one and the same huge page, as often as it takes */
	ck_assert_msg(rig_huge_pool(8) > 0, "no huge page can be had of %jd KiB of free memory",
		      (intmax_t)rig_meminfo("MemFree") / 1024);
	fd = memfd_create("odpreg", MFD_CLOEXEC | MFD_HUGETLB);
	ck_assert_int_eq(ftruncate(fd, (off_t)huge), 0);
	mem = mmap(NULL, size + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	mem = (uint8_t *)(((uintptr_t)mem + huge - 1) & ~(huge - 1));
	for (i = 0; i < size; i += huge)
		ck_assert_msg(mmap(mem + i, huge, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) !=
			      MAP_FAILED, "a huge page at %#zx: %s (%s)", i, strerror(errno),
			      rig_huge_text());
	mr = rig_reg(rig, mem, size, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_READ, true);
	for (i = RIG_PAGE; i <= 2 << 20; i *= 2)
		ck_assert_uint_eq(rig_resident(mem + size - i, RIG_PAGE), 1);
	ck_assert_uint_eq(rig_resident(mem + (16ul << 30) - RIG_PAGE, RIG_PAGE), 1);
	ck_assert_uint_eq(rig_resident(mem, RIG_PAGE), 1);
	rig_dereg(mr);
	munmap(mem, size);
	close(fd);
	rig_huge_pool(0);
	close_all();
}
END_TEST

/* ------------------------------------------------------------------ what it says */

static char said[4096];
static int was, captured;

static void listen(void)
{
	captured = memfd_create("stderr", MFD_CLOEXEC);
	was = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(captured, STDERR_FILENO), 0);
}

static void listened(void)
{
	ssize_t n;

	dup2(was, STDERR_FILENO);
	n = pread(captured, said, sizeof(said) - 1, 0);
	ck_assert_int_ge(n, 0);
	said[n] = '\0';
	close(captured);
	fputs(said, stdout);
}

static int count(const char *what)
{
	const char *at = said;
	int n = 0;

	while ((at = strstr(at, what))) {
		at += strlen(what);
		n++;
	}
	return n;
}

START_TEST(test_debug)
{
	struct rig_mr *mr, *none;

	setenv("ODPREG_DEBUG", "1", 1);
	open_in("always", "sync");
	listen();
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, false);
	again(mr, TRANS, c, LEN, 0);
	rig_dereg(mr);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
	rig_dereg(mr);
	rig_try_reg(rig, b, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_WRITE, false, &none);
	listened();
	ck_assert_int_eq(count("\n"), 4);
	ck_assert_int_eq(count("odpreg: rxe0: "), 4);
	ck_assert_int_eq(count(": 262144 bytes at "), 3);
	ck_assert_int_eq(count(": on demand instead of pinned, prefetched\n"), 2);
	ck_assert_int_eq(count("registered again, "), 1);
	ck_assert_int_eq(count(": on demand, prefetched\n"), 1);
	ck_assert_int_eq(count("not registered, on demand instead of pinned: Invalid argument\n"), 1);
	close_all();
}
END_TEST

START_TEST(test_silent)
{
	struct rig_mr *mr;

	listen();
	open_in("always", "sync");
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, false);
	rig_dereg(mr);
	close_all();
	listened();
	ck_assert_str_eq(said, "");
}
END_TEST

/* Told once, however many devices are opened; then as if it were not set. */
START_TEST(test_bad_values)
{
	struct ibv_context *more;
	struct rig_mr *mr;

	setenv("ODPREG_DEBUG", "yes", 1);
	listen();
	open_in("sometimes", "Sync");
	more = ibv_open_device(rig->ctx->device);
	ck_assert_ptr_nonnull(more);
	ck_assert_int_eq(ibv_close_device(more), 0);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, false);
	listened();
	ck_assert_uint_eq(pinned(), LEN);
	rig_dereg(mr);
	ck_assert_int_eq(count("\n"), 3);
	ck_assert_int_eq(count("odpreg: ODPREG_MODE=sometimes is none of: native, always, never; "
			       "going on with native\n"), 1);
	ck_assert_int_eq(count("odpreg: ODPREG_PREFETCH=Sync is none of: none, async, sync; "
			       "going on with none\n"), 1);
	ck_assert_int_eq(count("odpreg: ODPREG_DEBUG=yes is none of: 0, 1; going on with 0\n"), 1);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("provider_modes");
	TCase *tc = rig_tcase(suite, "native", 0);

	tcase_add_test(tc, test_native);
	tcase_add_test(tc, test_native_capabilities);
	tcase_add_test(tc, test_native_huge_flag);
	tcase_add_test(tc, test_advise);
	tcase_add_loop_test(tc, test_rereg, 0, 2);
	tcase_add_test(tc, test_rereg_failure);
	tcase_add_test(tc, test_rereg_pinned_to_odp_and_back);
	tcase_add_loop_test(tc, test_reg_mr_ex, 0, 3);
	tc = rig_tcase(suite, "always", 0);
	tcase_add_test(tc, test_always);
	tcase_add_test(tc, test_always_large);
	tcase_add_test(tc, test_always_native_requests);
	tc = rig_tcase(suite, "never", 0);
	tcase_add_test(tc, test_never);
	tcase_add_test(tc, test_never_capabilities);
	tc = rig_tcase(suite, "prefetch", 0);
	tcase_add_test(tc, test_prefetch_none);
	tcase_add_loop_test(tc, test_prefetch_sync, 0, 2);
	tcase_add_test(tc, test_prefetch_async);
	tcase_add_test(tc, test_prefetch_corners);
	tcase_add_test(tc, test_prefetch_pieces);
	tc = rig_tcase(suite, "says", 0);
	tcase_add_test(tc, test_debug);
	tcase_add_test(tc, test_silent);
	tcase_add_test(tc, test_bad_values);
	return rig_main(&suite, 1);
}
