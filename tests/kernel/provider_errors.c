// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * lib/provider where something is in the way: fork, memory windows, no memory. Whether memory is kept from
 * children is what the kernel says of its mapping (VmFlags "dc").
 *
 * Since Linux 5.12 fork() copies pinned pages, and libibverbs, told so by the kernel, keeps no counts. It
 * does where it cannot ask: as here, where it gets no netlink socket.
 */
#include <dlfcn.h>
#include <sys/wait.h>

#include "rig.h"

#define LEN	(16 * RIG_PAGE)
#define ODP	IBV_ACCESS_ON_DEMAND
#define TRANS	IBV_REREG_MR_CHANGE_TRANSLATION
#define ACCESS	IBV_REREG_MR_CHANGE_ACCESS

static struct rig *rig;
static uint8_t *a, *b;

static bool no_netlink;
static size_t calloc_fails_at;	/* that size; 0: never */

/* Of this program, hence of libibverbs, too. */
void *nl_socket_alloc(void);
void *nl_socket_alloc(void)
{
	void *(*next)(void) = (void *(*)(void))dlsym(RTLD_NEXT, "nl_socket_alloc");

	return no_netlink ? NULL : next();
}

/* And of the provider. */
void *calloc(size_t count, size_t size)
{
	static void *(*next)(size_t, size_t);

	if (calloc_fails_at && size == calloc_fails_at) {
		calloc_fails_at = 0;
		errno = ENOMEM;
		return NULL;
	}
	if (!next)
		next = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	return next(count, size);
}

static void open_in(const char *mode, bool fork_init)
{
	setenv("ODPREG_MODE", mode, 1);
	if (fork_init) {
		no_netlink = true;
		ck_assert_int_eq(ibv_fork_init(), 0);
		ck_assert_int_eq(ibv_is_fork_initialized(), IBV_FORK_ENABLED);
		no_netlink = false;
	}
	rig = rig_open(NULL);
	rig_dmesg_mark();
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
}

static void close_all(void)
{
	rig_dmesg_clean();
	rig_close(rig);
}

/* Whether a child would not get the page at addr. */
static bool kept(const void *addr)
{
	unsigned long from, to, at = (unsigned long)addr;
	bool inside = false, found = false, dc = false;
	char line[256];
	FILE *f = fopen("/proc/self/smaps", "re");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from <= at && at < to;
		if (inside && !strncmp(line, "VmFlags:", 8)) {
			found = true;
			dc = strstr(line, " dc");
		}
	}
	fclose(f);
	ck_assert_msg(found, "%p is not mapped", addr);
	return dc;
}

/* Memory keeps from children what is registered as pinned, from then to the last deregistration. */
static void balanced(uint8_t *mem, const char *when)
{
	struct rig_mr *first, *second;

	ck_assert_msg(!kept(mem) && !kept(mem + LEN - 1), "%s: kept from children", when);
	first = rig_reg(rig, mem, LEN, RIG_IOVA_SAME, RIG_RW, false);
	ck_assert_msg(kept(mem) && kept(mem + LEN - 1), "%s: not kept when registered", when);
	second = rig_reg(rig, mem, LEN / 2, RIG_IOVA_SAME, RIG_RW, false);
	rig_dereg(first);
	ck_assert_msg(kept(mem), "%s: not kept when one of two is gone", when);
	ck_assert_msg(!kept(mem + LEN - 1), "%s: kept behind the end", when);
	rig_dereg(second);
	ck_assert_msg(!kept(mem), "%s: kept when both are gone", when);
}

START_TEST(test_fork)
{
	open_in(_i ? "always" : "native", true);
	balanced(a, "fresh");
	balanced(a, "again");
	close_all();
}
END_TEST

/* On demand by the application's own wish: children have it. */
START_TEST(test_fork_odp)
{
	struct rig_mr *mr;

	open_in(_i ? "always" : "native", true);
	mr = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, true);
	ck_assert(!kept(a));
	rig_dereg(mr);
	balanced(a, "after an on-demand region");
	close_all();
}
END_TEST

/* What is wrong with the registration is seen by the kernel, after the count went up. */
START_TEST(test_fork_failure)
{
	struct rig_mr *mr;

	open_in(_i ? "always" : "native", true);
	ck_assert_int_eq(rig_try_reg(rig, a, LEN, RIG_IOVA_SAME, IBV_ACCESS_REMOTE_WRITE, false, &mr),
			 EINVAL);
	balanced(a, "after a registration that failed");
	close_all();
}
END_TEST

static void again(struct rig_mr *mr, int flags, void *addr, size_t len, int access)
{
	int ret = ibv_rereg_mr(mr->mr, flags, NULL, addr, len, access);

	ck_assert_msg(!ret, "ibv_rereg_mr of %#x: %d, %s", flags, ret, strerror(errno));
}

/* Every way from one kind of region to another. Bits of _i: before, after, with another range. */
START_TEST(test_fork_rereg)
{
	bool before = _i & 1, after = _i & 2, move = _i & 4;
	struct rig_mr *mr;

	open_in("native", true);
	mr = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, before);
	ck_assert_int_eq(kept(a), !before);
	if (!before && !after && move) {
		/* the kernel has no way to move a pinned region, and says so */
		ck_assert_int_ne(ibv_rereg_mr(mr->mr, TRANS, NULL, b, LEN, 0), 0);
		ck_assert(kept(a) && !kept(b));
	} else {
		again(mr, ACCESS | (move ? TRANS : 0), move ? b : NULL, move ? LEN : 0,
		      RIG_RW | (after ? ODP : 0));
		ck_assert_int_eq(kept(move ? b : a), !after);
		ck_assert(!move || !kept(a));
	}
	rig_dereg(mr);
	balanced(a, "the old range");
	balanced(b, "the new range");
	close_all();
}
END_TEST

/* The same where it fails: from on demand, with rights that do not go together. */
START_TEST(test_fork_rereg_failure)
{
	struct rig_mr *mr;

	open_in("native", true);
	mr = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, _i);
	ck_assert_int_eq(ibv_rereg_mr(mr->mr, ACCESS | TRANS, NULL, b, LEN, IBV_ACCESS_REMOTE_WRITE),
			 IBV_REREG_MR_ERR_CMD);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(kept(a), !_i);
	ck_assert(!kept(b));
	rig_dereg(mr);
	balanced(a, "the old range");
	balanced(b, "the new range");
	close_all();
}
END_TEST

/* Always: the application moves what it takes for a pinned region. */
START_TEST(test_fork_rereg_always)
{
	struct rig_mr *mr;

	open_in("always", true);
	mr = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	again(mr, TRANS, b, LEN, 0);
	ck_assert(kept(b) && !kept(a));
	again(mr, ACCESS, NULL, 0, IBV_ACCESS_REMOTE_READ);
	ck_assert(kept(b));
	rig_dereg(mr);
	balanced(a, "the old range");
	balanced(b, "the new range");
	close_all();
}
END_TEST

/* A child of a process in "always" mode registers and moves data on its own device. */
START_TEST(test_fork_child)
{
	struct rig_mr *mr;
	int status;
	pid_t pid;

	open_in("always", false);
	mr = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	pid = fork();
	if (!pid) {
		struct rig *own = rig_open(NULL);
		struct rig_pair *pair = rig_pair(own, IBV_QPT_RC);
		struct rig_mr *x = rig_reg(own, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
		struct rig_mr *y = rig_reg(own, b, LEN, RIG_IOVA_SAME, RIG_RW, false);

		rig_fill(a, LEN, 7, 0);
		_exit(rig_res_ok(rig_write(pair, rig_at(x, 0, LEN), rig_at(y, 0, LEN))) &&
		      rig_diff(b, LEN, 7, 0) < 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	rig_dereg(mr);
	close_all();
}
END_TEST

/* ------------------------------------------------------------------ busy */

/* A region with a window on it stays, whole, until the window is gone. */
START_TEST(test_busy)
{
	struct rig_mr *ma, *mr;
	struct rig_pair *pair;
	struct ibv_mw *mw;
	struct ibv_wc wc;

	open_in(_i ? "always" : "native", true);
	pair = rig_pair(rig, IBV_QPT_RC);
	rig_fill(a, LEN, 1, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW | IBV_ACCESS_MW_BIND, false);
	mw = ibv_alloc_mw(rig->pd, IBV_MW_TYPE_1);
	ck_assert_ptr_nonnull(mw);
	{
		struct ibv_mw_bind bind = {
			.send_flags = IBV_SEND_SIGNALED,
			.bind_info = { .mr = mr->mr, .addr = (uintptr_t)b, .length = LEN,
				       .mw_access_flags = IBV_ACCESS_REMOTE_WRITE },
		};

		ck_assert_int_eq(ibv_bind_mw(pair->end[RIG_B].qp, mw, &bind), 0);
	}
	rig_reap(rig, pair->end[RIG_B].scq, &wc, 1, "the bind");
	ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
	ck_assert_int_ne(ibv_dereg_mr(mr->mr), 0);
	ck_assert(kept(b));
	RIG_OK(rig_write(pair, rig_at(ma, 0, 64), rig_at(mr, 0, 64)));
	RIG_OK(rig_write(pair, rig_at(ma, 64, 64), rig_raw((uintptr_t)b + 64, 64, mw->rkey)));
	rig_expect(b, 128, 1, 0, "by the region and by the window");
	ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
	rig_dereg(mr);
	rig_dereg(ma);
	balanced(b, "after the window");
	rig_unpair(pair);
	close_all();
}
END_TEST

/* ------------------------------------------------------------------ no memory */

/* The sizes that a registration asks for are not known here: each that makes it fail is looked at. */
START_TEST(test_no_memory)
{
	unsigned int failures = 0;
	struct ibv_mr *mr;
	size_t size;

	open_in(_i ? "always" : "native", true);
	for (size = sizeof(struct ibv_mr); size < 512; size++) {
		calloc_fails_at = size;
		errno = 0;
		mr = ibv_reg_mr(rig->pd, a, LEN, RIG_RW);
		calloc_fails_at = 0;
		if (mr) {
			ck_assert_int_eq(ibv_dereg_mr(mr), 0);
			continue;
		}
		ck_assert_int_eq(errno, ENOMEM);
		failures++;
	}
	ck_assert_uint_gt(failures, 0);
	balanced(a, "after registrations without memory");
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("provider_errors");
	TCase *tc = rig_tcase(suite, "fork", 0);

	tcase_add_loop_test(tc, test_fork, 0, 2);
	tcase_add_loop_test(tc, test_fork_odp, 0, 2);
	tcase_add_loop_test(tc, test_fork_failure, 0, 2);
	tcase_add_loop_test(tc, test_fork_rereg, 0, 8);
	tcase_add_loop_test(tc, test_fork_rereg_failure, 0, 2);
	tcase_add_test(tc, test_fork_rereg_always);
	tcase_add_test(tc, test_fork_child);
	tc = rig_tcase(suite, "busy", 0);
	tcase_add_loop_test(tc, test_busy, 0, 2);
	tc = rig_tcase(suite, "memory", 0);
	tcase_add_loop_test(tc, test_no_memory, 0, 2);
	return rig_main(&suite, 1);
}
