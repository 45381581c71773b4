// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every allocation of the kernel fails once, in order, in all that a program does with a region. Each
 * time there is a clean error or success, and the same thing works right after.
 *
 * In system calls it is the calling thread's nth allocation (/proc/thread-self/fail-nth). Faults are
 * made by workers: there it is one of the first allocations with the engine on the stack, by chance;
 * KUnit has them in order, in the engine alone (kmod/tests/test_failnth.c). Kernels without fault
 * injection skip all of this.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "rig.h"

#define MIB		(1ul << 20)
#define ROUNDS		60
#define MANY		3000u	/* allocations in one operation, at most */
#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"

static struct rig *rig;
static int fail_nth = -1;

static void must_write(const char *path, const char *text)
{
	int err = rig_write_file(path, text);

	if (err)
		ck_abort_msg("%s does not take %s: %s", path, text, strerror(err));
}

static bool can_inject(void)
{
	return !access("/proc/thread-self/fail-nth", W_OK) && !access(FAILSLAB "times", W_OK) &&
	       !access(FAIL_PAGE "times", W_OK);
}

#define NEEDS_INJECTION() do {									\
	if (!can_inject())									\
		RIG_SKIP("the kernel has no fault injection (./odpreg test --debug)");		\
} while (0)

/* Allocations that may sleep are failed too, and nothing is said of each. */
static void prepare(void)
{
	static const char *const files[] = { FAILSLAB, FAIL_PAGE };
	char path[80];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%signore-gfp-wait", files[i]);
		must_write(path, "N");
		snprintf(path, sizeof(path), "%sverbose", files[i]);
		must_write(path, "0");
	}
	/* Is counted by fail-nth, too. */
	rig_write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
	must_write(FAIL_PAGE "min-order", "0");
	must_write(FAIL_PAGE "ignore-gfp-highmem", "N");
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth < 0)
		ck_abort_msg("/proc/thread-self/fail-nth: %s", strerror(errno));
}

static void setup(void)
{
	if (!can_inject())
		return;
	prepare();
	rig = rig_open(NULL);
	rig_dmesg_mark();
}

static void teardown(void)
{
	if (!rig)
		return;
	rig_close(rig);
	rig_odp_settles("regions", 0);
	rig_dmesg_clean();
}

static void begin(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fail_nth, text, (size_t)len, 0) != len)
		ck_abort_msg("fail-nth does not take %s: %s", text, strerror(errno));
}

/*
 * Whether the operation came to what was to fail. Copies from and to user space count and fail like
 * allocations, those of these two calls too: then the operation has not come to it.
 */
static bool end(void)
{
	char text[16] = "";
	bool failed;

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0) {
		if (errno != EFAULT)
			ck_abort_msg("fail-nth cannot be read: %s", strerror(errno));
		return false;
	}
	failed = !atoi(text);
	if (!failed && pwrite(fail_nth, "0", 1, 0) != 1 && errno != EFAULT)
		ck_abort_msg("fail-nth does not take 0: %s", strerror(errno));
	return failed;
}

/* ------------------------------------------------------------------ system calls */

/* One kind of memory, and how it is registered. */
struct shape {
	const char *name;
	size_t len;
	size_t align;
	bool bare;
	int access;
	bool odp;
};

static const struct shape shapes[] = {
	{ "a page", RIG_PAGE, 0, false, RIG_RW, true },
	{ "huge pages", 8 * MIB, 2 * MIB, false, RIG_RW_FLUSH, true },
	{ "1 TiB untouched", 1ul << 40, 0, true, RIG_RW, true },
	{ "read-only", 4 * RIG_PAGE, 0, false, RIG_READ_ONLY, true },
	{ "pinned", 64 * RIG_PAGE, 0, false, RIG_RW, false },
};

#define SHAPES	((int)(sizeof(shapes) / sizeof(shapes[0])))

static uint8_t *map_shape(const struct shape *s)
{
	uint8_t *mem = s->bare ? rig_map_bare(s->len, s->align, true) :
				 rig_map(s->len, s->align, RIG_ANON);

	if (!s->bare) {
		if (s->align)
			madvise(mem, s->len, MADV_HUGEPAGE);
		rig_fill(mem, s->len, 3, 0);
	}
	return mem;
}

static void told(const char *what, unsigned int nth)
{
	printf("%s: %u allocations failed, one at a time\n", what, nth - 1);
	ck_assert_msg(nth > 1, "%s: nothing was made to fail", what);
	ck_assert_msg(nth < MANY, "%s: no end of allocations", what);
}

/* ENOMEM is what the engine says; the layers above have others for the same. */
static bool clean_error(int err)
{
	return err == ENOMEM || err == EFAULT || err == EAGAIN || err == EINTR || err == ENOSPC;
}

START_TEST(test_register)
{
	const struct shape *s = &shapes[_i];
	struct rig_mr *mr, *again;
	unsigned int nth;
	uint8_t *mem;
	bool failed;
	int err;

	NEEDS_INJECTION();
	mem = map_shape(s);
	rig_dereg(rig_reg(rig, mem, s->len, RIG_IOVA_SAME, s->access, s->odp));
	for (nth = 1; nth < MANY; nth++) {
		begin(nth);
		err = rig_try_reg(rig, mem, s->len, RIG_IOVA_SAME, s->access, s->odp, &mr);
		failed = end();
		ck_assert_msg(!err || (failed && clean_error(err)), "%s, allocation %u: %s", s->name,
			      nth, strerror(err));
		again = rig_reg(rig, mem, s->len, RIG_IOVA_SAME, s->access, s->odp);
		rig_dereg(again);
		if (!err)
			rig_dereg(mr);
		if (!failed)
			break;
	}
	told(s->name, nth);
	rig_unmap(mem, s->len);
}
END_TEST

/* Either the region is gone, or it is there and goes the next time. */
START_TEST(test_deregister)
{
	const struct shape *s = &shapes[_i];
	struct rig_mr *mr;
	unsigned int nth;
	uint8_t *mem;
	bool failed;
	int err;

	NEEDS_INJECTION();
	mem = map_shape(s);
	for (nth = 1; nth < MANY; nth++) {
		mr = rig_reg(rig, mem, s->len, RIG_IOVA_SAME, s->access, s->odp);
		begin(nth);
		err = ibv_dereg_mr(mr->mr);
		failed = end();
		ck_assert_msg(!err || (failed && clean_error(err)), "%s, allocation %u: %s", s->name,
			      nth, strerror(err));
		if (err)
			ck_assert_int_eq(ibv_dereg_mr(mr->mr), 0);
		free(mr);
		if (!failed)
			break;
	}
	/* Nothing at all needs to be allocated for it. */
	printf("%s: %u allocations failed, one at a time\n", s->name, nth - 1);
	ck_assert_uint_lt(nth, MANY);
	rig_unmap(mem, s->len);
}
END_TEST

#define SPAN	(4 * MIB)

/*
 * Prefetch makes windows, leaves and pages in the caller. _i: whether it waits. The memory is fresh
 * each time, and lies across the border of two windows.
 */
START_TEST(test_prefetch)
{
	const uint32_t flags = _i ? IB_UVERBS_ADVISE_MR_FLAG_FLUSH : 0;
	struct rig_pair *pair;
	struct rig_span span;
	struct rig_mr *mr;
	unsigned int nth;
	uint8_t *mem;
	bool failed;
	int err;

	NEEDS_INJECTION();
	pair = rig_pair(rig, IBV_QPT_RC);
	for (nth = 1; nth < MANY; nth++) {
		mem = rig_map_across(SPAN, RIG_WINDOW);
		mr = rig_reg(rig, mem, SPAN, RIG_IOVA_SAME, RIG_RW, true);
		span = rig_at(mr, 0, SPAN);
		begin(nth);
		err = rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, flags, &span, 1);
		failed = end();
		ck_assert_msg(!err || (failed && clean_error(err)), "allocation %u: %s", nth,
			      strerror(err));
		ck_assert_int_eq(rig_advise(rig, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE,
					    IB_UVERBS_ADVISE_MR_FLAG_FLUSH, &span, 1), 0);
		memset(mem, 5, 4096);
		RIG_OK(rig_write(pair, rig_at(mr, 0, 4096), rig_at(mr, SPAN / 2 - 2000, 4096)));
		ck_assert_int_eq(rig_diff_byte(mem + SPAN / 2 - 2000, 4096, 5), -1);
		rig_dereg(mr);
		rig_unmap(mem, SPAN);
		if (!failed)
			break;
	}
	told(_i ? "prefetch, waited for" : "prefetch", nth);
	rig_unpair(pair);
}
END_TEST

/* ------------------------------------------------------------------ faults, in workers */

/* Where the engine's text is. */
static void engine_text(unsigned long *start, unsigned long *size)
{
	FILE *f = fopen("/proc/modules", "re");
	char line[512];

	*size = 0;
	if (!f)
		ck_abort_msg("/proc/modules: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "rdma_odp %lu %*d %*s %*s 0x%lx", size, start) == 2)
			break;
	fclose(f);
	ck_assert_msg(*size, "rdma_odp is not in /proc/modules");
}

/* One failure, within the next interval allocations of the engine, whoever runs it. */
static void arm(const char *directory, unsigned int interval)
{
	unsigned long start, size;
	char path[96], text[32];
	unsigned int i;
	const struct {
		const char *file;
		unsigned long value;
		bool hex;
	} set[] = {
		{ "task-filter", 0, false },
		{ "stacktrace-depth", 32, false },
		{ "require-start", 0, true },
		{ "require-end", 1, true },
		{ "probability", 100, false },
		{ "interval", interval, false },
		{ "times", 1, false },
	};

	engine_text(&start, &size);
	for (i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		unsigned long value = set[i].value;

		if (set[i].hex)
			value = value ? start + size : start;
		snprintf(path, sizeof(path), "%s%s", directory, set[i].file);
		snprintf(text, sizeof(text), set[i].hex ? "0x%lx" : "%lu", value);
		must_write(path, !strcmp(set[i].file, "task-filter") ? "N" : text);
	}
}

/* Whether the failure has happened. */
static bool disarm(const char *directory)
{
	char path[96], text[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%stimes", directory);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		ck_abort_msg("%s cannot be read", path);
	fclose(f);
	must_write(path, "0");
	snprintf(path, sizeof(path), "%sprobability", directory);
	must_write(path, "0");
	return !atoi(text);
}

/* What a first touch may come to when one allocation fails: done all the same, or refused. */
static void first_touch(struct rig_pair *pair, struct rig_mr *warm, struct rig_mr *cold, bool local,
			unsigned int round)
{
	const size_t at = SPAN / 2 - 2000;
	struct rig_res res;

	if (local)
		res = rig_write(pair, rig_at(cold, at, 4096), rig_at(warm, 0, 4096));
	else
		res = rig_write(pair, rig_at(warm, 0, 4096), rig_at(cold, at, 4096));
	if (rig_res_ok(res))
		return;
	ck_assert_msg(res.status == (local ? IBV_WC_LOC_PROT_ERR : IBV_WC_REM_ACCESS_ERR),
		      "round %u: %s", round, rig_status_name(res.status));
	rig_reconnect(pair);
}

/* _i: slab or pages; the responder's fault or the requester's. */
START_TEST(test_first_touch)
{
	const char *directory = _i & 1 ? FAIL_PAGE : FAILSLAB;
	const bool local = _i & 2;
	struct rig_mr *warm, *cold;
	struct rig_pair *pair;
	struct rig_rand rnd = rig_rand(rig_seed());
	unsigned int round, failed = 0;
	uint8_t *mem, *buf;

	NEEDS_INJECTION();
	RIG_NEEDS_ODP(rig);
	pair = rig_pair(rig, IBV_QPT_RC);
	buf = rig_map(4096, 0, RIG_ANON);
	warm = rig_reg(rig, buf, 4096, RIG_IOVA_SAME, RIG_RW, false);
	for (round = 0; round < ROUNDS; round++) {
		mem = rig_map_across(SPAN, RIG_WINDOW);
		cold = rig_reg(rig, mem, SPAN, RIG_IOVA_SAME, RIG_RW, true);
		arm(directory, 1 + (unsigned int)rig_below(&rnd, 8));
		first_touch(pair, warm, cold, local, round);
		failed += disarm(directory);
		memset(buf, 7, 4096);
		RIG_OK(rig_write(pair, rig_at(warm, 0, 4096), rig_at(cold, SPAN / 2 - 2000, 4096)));
		ck_assert_int_eq(rig_diff_byte(mem + SPAN / 2 - 2000, 4096, 7), -1);
		rig_dereg(cold);
		rig_unmap(mem, SPAN);
	}
	printf("%u of %d first touches met a failing allocation\n", failed, ROUNDS);
	ck_assert_uint_gt(failed, ROUNDS / 4);
	rig_dereg(warm);
	rig_unpair(pair);
}
END_TEST

/* ------------------------------------------------------------------ modules */

static bool run(const char *command)
{
	int status = system(command);

	return status != -1 && WIFEXITED(status) && !WEXITSTATUS(status);
}

static int load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	return err;
}

static void fail_load(const char *module)
{
	char path[256], command[300];
	unsigned int nth;
	bool failed;
	FILE *p;
	int err;

	snprintf(command, sizeof(command), "modinfo -n %s", module);
	p = popen(command, "re");
	if (!p || !fgets(path, sizeof(path), p))
		ck_abort_msg("%s says nothing", command);
	pclose(p);
	path[strcspn(path, "\n")] = '\0';
	for (nth = 1; nth < MANY; nth++) {
		begin(nth);
		err = load_module(path);
		failed = end();
		ck_assert_msg(!err || (failed && err != EEXIST), "%s, allocation %u: %s", module, nth,
			      strerror(err));
		if (!failed)
			break;
		if (!err && syscall(SYS_delete_module, module, 0))
			ck_abort_msg("%s does not unload after allocation %u: %s", module, nth,
				     strerror(errno));
		snprintf(command, sizeof(command), "/sys/module/%s", module);
		ck_assert_msg(access(command, F_OK), "%s is half loaded after allocation %u", module,
			      nth);
	}
	told(module, nth);
}

START_TEST(test_module_load)
{
	NEEDS_INJECTION();
	if (access("/sys/module/rdma_odp", F_OK))
		RIG_SKIP("rdma_odp is not loaded");
	/* What they depend on stays. */
	if (!run("rdma link delete rxe0 && rmmod rdma_rxe rdma_odp"))
		ck_abort_msg("rdma_rxe and rdma_odp do not unload");
	prepare();
	fail_load("rdma_odp");
	fail_load("rdma_rxe");
	if (!run("rdma link add rxe0 type rxe netdev dummy0 && sleep 2 && chmod 666 /dev/infiniband/*"))
		ck_abort_msg("rxe0 does not come back");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("failing allocations");
	TCase *tc = rig_tcase(s, "calls", 600);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_register, 0, SHAPES);
	tcase_add_loop_test(tc, test_deregister, 0, SHAPES);
	tcase_add_loop_test(tc, test_prefetch, 0, 2);
	tc = rig_tcase(s, "faults", 600);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_first_touch, 0, 4);
	tc = rig_tcase(s, "modules", 600);
	tcase_add_test(tc, test_module_load);
	return rig_main(&s, 1);
}
