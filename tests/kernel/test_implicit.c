// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A region over the whole address space: what it reaches, what it refuses, what it costs. That data
 * and events are right through it is shown by the programs test_implicit_*, which are others by that
 * name.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "rig.h"

#define MIB	(1ul << 20)
#define GIB	(1ul << 30)
#define TIB	(1ul << 40)
#define NOBODY	65534

static struct rig *rig;
static struct rig_pair *pair;
static struct rig_mr *all;
static uint8_t *buf;
static struct rig_mr *pinned;

static void setup(void)
{
	rig = rig_open(NULL);
	if (!rig_has_implicit(rig))
		return;
	rig_dmesg_mark();
	pair = rig_pair(rig, IBV_QPT_RC);
	all = rig_reg(rig, NULL, SIZE_MAX, 0, RIG_RW_FLUSH, true);
	buf = rig_map(MIB, 0, RIG_ANON);
	pinned = rig_reg(rig, buf, MIB, RIG_IOVA_SAME, RIG_RW_FLUSH, false);
}

static void teardown(void)
{
	if (all) {
		rig_dereg(all);
		rig_dereg(pinned);
		rig_unpair(pair);
		rig_dmesg_clean();
	}
	rig_close(rig);
}

#define NEEDS_IMPLICIT() do {									\
	if (!rig_has_implicit(rig))								\
		RIG_SKIP("the device has no regions over the whole address space");		\
} while (0)

static struct rig_span span(const void *addr, size_t len)
{
	return rig_at(all, (uintptr_t)addr, (uint32_t)len);
}

/* ------------------------------------------------------------------ what it reaches */

/* In and out of len bytes at mem, by both sides. */
static void reaches(void *mem, size_t len, const char *what)
{
	struct rig_span here = rig_at(pinned, 0, (uint32_t)len);
	struct rig_span there = rig_at(pinned, MIB / 2, (uint32_t)len);

	rig_fill(buf, len, 7, 0);
	RIG_OK(rig_write(pair, here, span(mem, len)));
	rig_expect(mem, len, 7, 0, "%s, written", what);
	RIG_OK(rig_read(pair, there, span(mem, len)));
	rig_expect(buf + MIB / 2, len, 7, 0, "%s, read", what);
	rig_fill(mem, len, 8, 0);
	RIG_OK(rig_send(pair, span(mem, len), there));
	rig_expect(buf + MIB / 2, len, 8, 0, "%s, sent", what);
	rig_fill(buf, len, 9, 0);
	RIG_OK(rig_send(pair, here, span(mem, len)));
	rig_expect(mem, len, 9, 0, "%s, received", what);
}

START_TEST(test_reaches_everything)
{
	static uint8_t data[5000];
	uint8_t stack[5000];
	uint8_t *heap;
	int b;

	NEEDS_IMPLICIT();
	heap = malloc(100000);
	ck_assert_ptr_nonnull(heap);
	reaches(data, sizeof(data), "static data");
	reaches(stack, sizeof(stack), "the stack");
	reaches(heap, 100000, "the heap");
	free(heap);
	for (b = 0; b < RIG_BACKINGS; b++) {
		uint8_t *mem = rig_map(300000, 0, (enum rig_backing)b);

		reaches(mem + 77, 299000, rig_backing_name((enum rig_backing)b));
		rig_unmap(mem, 300000);
	}
}
END_TEST

/* Mapped long after the registration, unmapped, mapped again. */
START_TEST(test_follows_the_map)
{
	uint8_t *mem;
	int i;

	NEEDS_IMPLICIT();
	for (i = 0; i < 20; i++) {
		mem = rig_map(64 * RIG_PAGE, 0, RIG_ANON);
		reaches(mem + 100, 60 * RIG_PAGE, "new memory");
		munmap(mem, 64 * RIG_PAGE);
		RIG_FAILS(rig_write(pair, rig_at(pinned, 0, 8), span(mem + 64, 8)),
			  IBV_WC_REM_ACCESS_ERR);
		rig_reconnect(pair);
		RIG_FAILS(rig_send(pair, span(mem + 64, 8), rig_at(pinned, 0, 8)),
			  IBV_WC_LOC_PROT_ERR);
		rig_reconnect(pair);
	}
}
END_TEST

START_TEST(test_words)
{
	uint64_t *word = rig_map(RIG_PAGE, 0, RIG_ANON), *result = (uint64_t *)buf;

	NEEDS_IMPLICIT();
	word[3] = 40;
	RIG_OK(rig_fadd(pair, rig_at(pinned, 0, 8), span(&word[3], 8), 2));
	ck_assert_uint_eq(*result, 40);
	RIG_OK(rig_cas(pair, rig_at(pinned, 0, 8), span(&word[3], 8), 42, 77));
	ck_assert_uint_eq(*result, 42);
	ck_assert_uint_eq(word[3], 77);
	RIG_OK(rig_atomic_write(pair, span(&word[4], 8), 0x1234567890));
	ck_assert_uint_eq(word[4], 0x1234567890);
	RIG_OK(rig_flush(pair, span(word, 64), IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
	RIG_OK(rig_flush(pair, span(NULL, 0), IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
	rig_unmap(word, RIG_PAGE);
}
END_TEST

START_TEST(test_other_transports)
{
	uint8_t *mem = rig_map(MIB, 0, RIG_ANON);
	struct rig_pair *uc, *ud;

	NEEDS_IMPLICIT();
	uc = rig_pair(rig, IBV_QPT_UC);
	ud = rig_pair(rig, IBV_QPT_UD);
	rig_fill(buf, 9000, 1, 0);
	RIG_OK(rig_write(uc, rig_at(pinned, 0, 9000), span(mem + 5, 9000)));
	/* The write's completion is the requester's own; what is received came after it. */
	RIG_OK(rig_send(uc, span(buf, 9000), span(mem + 100000, 9000)));
	rig_expect(mem + 5, 9000, 1, 0, "UC write");
	rig_expect(mem + 100000, 9000, 1, 0, "UC send");
	RIG_OK(rig_send(ud, span(mem + 5, 1000), span(mem + 200000, 1000 + RIG_GRH)));
	rig_expect(mem + 200000 + RIG_GRH, 1000, 1, 0, "UD send");
	rig_unpair(uc);
	rig_unpair(ud);
	rig_unmap(mem, MIB);
}
END_TEST

/* ------------------------------------------------------------------ what it refuses */

START_TEST(test_rights_of_the_mapping)
{
	uint8_t *mem = rig_map(2 * RIG_PAGE, 0, RIG_ANON);

	NEEDS_IMPLICIT();
	rig_fill(mem, RIG_PAGE, 3, 0);
	mprotect(mem, RIG_PAGE, PROT_READ);
	RIG_OK(rig_read(pair, rig_at(pinned, 0, 4096), span(mem, 4096)));
	rig_expect(buf, 4096, 3, 0, "read-only memory");
	RIG_FAILS(rig_write(pair, rig_at(pinned, 0, 8), span(mem, 8)), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	mprotect(mem, RIG_PAGE, PROT_NONE);
	RIG_FAILS(rig_read(pair, rig_at(pinned, 0, 8), span(mem, 8)), IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	/* The program's own text: readable, and never written to. */
	RIG_OK(rig_read(pair, rig_at(pinned, 0, 64), span((void *)(uintptr_t)&rig_write, 64)));
	ck_assert_int_eq(memcmp(buf, (void *)(uintptr_t)&rig_write, 64), 0);
	RIG_FAILS(rig_write(pair, rig_at(pinned, 0, 8), span((void *)(uintptr_t)&rig_write, 8)),
		  IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	rig_unmap(mem, 2 * RIG_PAGE);
}
END_TEST

/* What is not the user's memory: nothing there, the kernel's, and ranges that wrap. */
START_TEST(test_not_the_users)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{ 0, 8 },
		{ 0, 4096 },
		{ 0x7ffffffff000, 8 },
		{ 0x7fffffffeffc, 8 },
		{ 0x800000000000, 8 },
		{ 0xff00000000000000, 8 },
		{ 0xffff888000000000, 4096 },
		{ 0xffffffff81000000, 4096 },
		{ 0xfffffffffffff000, 4096 },
		{ 0xfffffffffffffff8, 8 },
		{ 0xfffffffffffffffc, 8 },
		{ 0xffffffffffff0000, 0x20000 },
	};
	struct rig_span there, here;
	struct rig_res res;
	unsigned int i;

	NEEDS_IMPLICIT();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		there = rig_raw(bad[i].addr, bad[i].len, all->mr->rkey);
		here = rig_at(pinned, 0, bad[i].len);
		RIG_FAILS(rig_write(pair, here, there), IBV_WC_REM_ACCESS_ERR);
		rig_reconnect(pair);
		RIG_FAILS(rig_read(pair, here, there), IBV_WC_REM_ACCESS_ERR);
		rig_reconnect(pair);
		RIG_FAILS(rig_send(pair, there, here), IBV_WC_LOC_PROT_ERR);
		rig_reconnect(pair);
		res = rig_send(pair, here, there);
		ck_assert_int_ne(res.peer, IBV_WC_SUCCESS);
		rig_reconnect(pair);
	}
	reaches(buf + MIB / 4, 5000, "good memory after the refusals");
}
END_TEST

START_TEST(test_registration_refused)
{
	struct rig_mr *mr;

	NEEDS_IMPLICIT();
	/* The iova of everything is the address; pinning everything is not on offer. */
	ck_assert_int_eq(rig_try_reg(rig, NULL, SIZE_MAX, 4096, RIG_RW, true, &mr), EINVAL);
	ck_assert_int_ne(rig_try_reg(rig, NULL, SIZE_MAX, 0, RIG_RW, false, &mr), 0);
	/* Almost everything is a length that wraps. */
	ck_assert_int_ne(rig_try_reg(rig, NULL, SIZE_MAX - 1, 0, RIG_RW, true, &mr), 0);
	ck_assert_int_ne(rig_try_reg(rig, buf, SIZE_MAX, RIG_IOVA_SAME, RIG_RW, true, &mr), 0);
}
END_TEST

START_TEST(test_read_only_region)
{
	struct rig_mr *mr;

	NEEDS_IMPLICIT();
	mr = rig_reg(rig, NULL, SIZE_MAX, 0, RIG_READ_ONLY, true);
	rig_fill(buf, 8, 1, 0);
	RIG_OK(rig_read(pair, rig_at(pinned, 64, 8), rig_at(mr, (uintptr_t)buf, 8)));
	RIG_FAILS(rig_write(pair, rig_at(pinned, 64, 8), rig_at(mr, (uintptr_t)buf, 8)),
		  IBV_WC_REM_ACCESS_ERR);
	rig_reconnect(pair);
	rig_dereg(mr);
}
END_TEST

/* The child of a fork has memory of its own; the key stands for the parent's. */
START_TEST(test_belongs_to_its_owner)
{
	uint8_t *mem = rig_map(RIG_PAGE, 0, RIG_ANON);
	int status;
	pid_t pid;

	NEEDS_IMPLICIT();
	memset(mem, 1, RIG_PAGE);
	pid = fork();
	if (!pid) {
		memset(mem, 2, RIG_PAGE);
		sleep(1);
		_exit(mem[100] != 2);
	}
	rig_sleep(0.3);
	RIG_OK(rig_read(pair, rig_at(pinned, 0, 64), span(mem, 64)));
	ck_assert_int_eq(rig_diff_byte(buf, 64, 1), -1);
	memset(buf, 3, 64);
	RIG_OK(rig_write(pair, rig_at(pinned, 0, 64), span(mem + 64, 64)));
	ck_assert_int_eq(rig_diff_byte(mem + 64, 64, 3), -1);
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	rig_unmap(mem, RIG_PAGE);
}
END_TEST

/* ------------------------------------------------------------------ what it costs */

static void wait_for(const char *counter, int64_t most)
{
	double end = rig_now() + 30 * rig_pace();

	while (rig_odp_counter(counter) > most) {
		if (rig_now() > end)
			ck_abort_msg("%jd %s are left, %jd before", (intmax_t)rig_odp_counter(counter),
				     counter, (intmax_t)most);
		rig_sleep(0.2);
	}
}

/* A page in every GiB of a TiB is touched and unmapped: memory comes back while the region lives. */
START_TEST(test_strides_over_a_tib)
{
	static const char *const part[] = { "windows", "leaves", "entries" };
	int64_t before[3], most[3];
	uint8_t *mem, *at;
	int i, g;

	NEEDS_IMPLICIT();
	RIG_OK(rig_write(pair, rig_at(pinned, 0, 8), span(buf + 64, 8)));
	for (i = 0; i < 3; i++)
		before[i] = rig_odp_counter(part[i]);
	mem = rig_map_bare(TIB, GIB, true);
	madvise(mem, TIB, MADV_NOHUGEPAGE);
	for (g = 0; g < 1024; g++) {
		at = mem + (size_t)g * GIB + (size_t)g * 4096;
		memset(buf, g & 0xff, 8);
		RIG_OK(rig_write(pair, rig_at(pinned, 0, 8), span(at, 8)));
		ck_assert_int_eq(rig_diff_byte(at, 8, (uint8_t)g), -1);
		if (g & 1)
			munmap(at, 4096);
	}
	for (i = 0; i < 3; i++)
		most[i] = rig_odp_counter(part[i]);
	printf("%jd windows, %jd leaves, %jd entries\n", (intmax_t)(most[0] - before[0]),
	       (intmax_t)(most[1] - before[1]), (intmax_t)(most[2] - before[2]));
	if (before[0] >= 0)
		ck_assert_int_ge(most[0] - before[0], 512);
	munmap(mem, TIB);
	for (i = 0; i < 3; i++)
		wait_for(part[i], before[i]);
	reaches(buf + MIB / 4, 5000, "after the strides");
}
END_TEST

/* Many at once, by somebody who may lock no memory at all. */
START_TEST(test_no_locked_memory)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid;

	NEEDS_IMPLICIT();
	pid = fork();
	if (!pid) {
		struct rig_mr *mr[64];
		struct rig_pair *p;
		uint8_t *mem;
		struct rig *r;
		int i;

		if (setrlimit(RLIMIT_MEMLOCK, &none) || setgid(NOBODY) || setuid(NOBODY))
			_exit(2);
		r = rig_open(NULL);
		p = rig_pair(r, IBV_QPT_RC);
		mem = rig_map(MIB, 0, RIG_ANON);
		for (i = 0; i < 64; i++)
			mr[i] = rig_reg(r, NULL, SIZE_MAX, 0, RIG_RW, true);
		memset(mem, 4, 4096);
		for (i = 0; i < 64; i++)
			RIG_OK(rig_write(p, rig_at(mr[i], (uintptr_t)mem, 4096),
					 rig_at(mr[63 - i], (uintptr_t)mem + 8192 + 8192 * (size_t)i,
						4096)));
		for (i = 0; i < 64; i++)
			if (rig_diff_byte(mem + 8192 + 8192 * (size_t)i, 4096, 4) != -1)
				_exit(3);
		for (i = 0; i < 64; i++)
			rig_dereg(mr[i]);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ck_assert_msg(!status, "status %#x", (unsigned int)status);
}
END_TEST

/* Prefetch, and what its list may not say. */
START_TEST(test_prefetch)
{
	const uint32_t flush = IB_UVERBS_ADVISE_MR_FLAG_FLUSH;
	uint8_t *mem = rig_map(8 * MIB, 0, RIG_ANON);
	struct rig_span s;

	NEEDS_IMPLICIT();
	madvise(mem, 8 * MIB, MADV_NOHUGEPAGE);
	s = span(mem, 4 * MIB);
	ck_assert_int_eq(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, flush, &s, 1), 0);
	ck_assert_uint_eq(rig_resident(mem, 4 * MIB), 4 * MIB / RIG_PAGE);
	ck_assert_uint_eq(rig_resident(mem + 4 * MIB, 4 * MIB), 0);
	s = span(mem + 4 * MIB, 4 * MIB);
	ck_assert_int_eq(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, flush, &s, 1),
			 0);
	ck_assert_uint_eq(rig_resident(mem + 4 * MIB, 4 * MIB), 0);
	munmap(mem, 8 * MIB);
	ck_assert_int_eq(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH, flush, &s, 1), EFAULT);
	s = rig_raw(0xffff888000000000, 4096, all->mr->lkey);
	ck_assert_int_ne(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH, flush, &s, 1), 0);
	ck_assert_int_ne(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH, 0, &s, 1), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("implicit");
	TCase *tc = rig_tcase(s, "implicit", 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_reaches_everything);
	tcase_add_test(tc, test_follows_the_map);
	tcase_add_test(tc, test_words);
	tcase_add_test(tc, test_other_transports);
	tcase_add_test(tc, test_rights_of_the_mapping);
	tcase_add_test(tc, test_not_the_users);
	tcase_add_test(tc, test_registration_refused);
	tcase_add_test(tc, test_read_only_region);
	tcase_add_test(tc, test_belongs_to_its_owner);
	tcase_add_test(tc, test_strides_over_a_tib);
	tcase_add_test(tc, test_no_locked_memory);
	tcase_add_test(tc, test_prefetch);
	return rig_main(&s, 1);
}
