// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A region belongs to the address space that registered it, not to whoever holds the file
 * descriptor. When its owner has exited or executed another program, accesses fail like those to
 * memory that is not there, at once, and everybody else goes on.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "rig.h"

#define LEN	(16 * RIG_PAGE)
#define QUICK	(5 * rig_pace())	/* seconds in which a refusal must be there */

/* What the owner tells: how to reach its region, and its queue pair if it has one of its own. */
struct tell {
	uint64_t addr;
	uint32_t rkey;
	uint32_t lkey;
	uint32_t handle;
	uint32_t qpn;
	int err;
};

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a;
static struct rig_mr *ma;
static int sock[2];	/* [0] ours, [1] the owner's */

static void setup(void)
{
	rig_dmesg_mark();
	rig = rig_open(NULL);
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_SHARED);
	rig_fill(a, LEN, 1, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
}

static void teardown(void)
{
	close(sock[0]);
	close(sock[1]);
	rig_dereg(ma);
	rig_unpair(pair);
	rig_close(rig);
	rig_unmap(a, LEN);
	rig_dmesg_clean();
}

static struct tell hear(void)
{
	struct tell t;

	ck_assert_int_eq(recv(sock[0], &t, sizeof(t), 0), sizeof(t));
	ck_assert_msg(!t.err, "the owner cannot register: %s", strerror(t.err));
	return t;
}

static int bury(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void still_good(void)
{
	rig_reconnect(pair);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 1000), rig_at(ma, RIG_PAGE, 1000)));
	rig_expect(a + RIG_PAGE, 1000, 1, 0, "a good write afterwards");
	rig_fill(a, LEN, 1, 0);
}

static void refused(struct rig_res res, int status, double start, const char *what)
{
	ck_assert_msg(res.status == status, "%s: %s instead of %s", what,
		      rig_status_name(res.status), rig_status_name(status));
	ck_assert_msg(rig_now() - start < QUICK, "%s was refused after %.1f s only", what,
		      rig_now() - start);
	rig_reconnect(pair);
}

static void region_is_dead(const struct tell *t)
{
	struct rig_span there = rig_raw(t->addr, 64, t->rkey), far = there;
	double start = rig_now();

	far.addr += LEN - 64;
	refused(rig_write(pair, rig_at(ma, 0, 64), there), IBV_WC_REM_ACCESS_ERR, start, "write");
	start = rig_now();
	refused(rig_read(pair, rig_at(ma, 0, 64), there), IBV_WC_REM_ACCESS_ERR, start, "read");
	start = rig_now();
	refused(rig_write(pair, rig_at(ma, 0, 64), far), IBV_WC_REM_ACCESS_ERR, start,
		"write to an untouched page");
	start = rig_now();
	refused(rig_fadd(pair, rig_at(ma, 0, 8), there, 1), IBV_WC_REM_ACCESS_ERR, start, "atomic");
	start = rig_now();
	refused(rig_atomic_write(pair, there, 1), IBV_WC_REM_ACCESS_ERR, start, "atomic write");
}

/* In the child: register through the inherited context, tell, then do as told. */
static void own(bool touch)
{
	struct tell t = { 0 };
	uint8_t *m = rig_map(LEN, 0, RIG_ANON);
	struct rig_mr *mr;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (touch)
		rig_fill(m, LEN, 7, 0);
	t.err = rig_try_reg(rig, m, LEN, RIG_IOVA_SAME, RIG_RW, true, &mr);
	if (!t.err) {
		t.addr = mr->iova;
		t.rkey = mr->mr->rkey;
		t.lkey = mr->mr->lkey;
		t.handle = mr->mr->handle;
	}
	if (send(sock[1], &t, sizeof(t), 0) != sizeof(t))
		_exit(1);
}

/* While it lives, its region works, for us too; what is written there is the owner's to see. */
static void check_alive(const struct tell *t)
{
	struct rig_span there = rig_raw(t->addr + 100, 5000, t->rkey);

	RIG_OK(rig_read(pair, rig_at(ma, 0, 5000), there));
	rig_expect(a, 5000, 7, 100, "the living owner's memory");
	rig_fill(a, LEN, 1, 0);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 5000), there));
	RIG_OK(rig_write(pair, rig_raw(t->addr, 64, t->lkey), rig_at(ma, 8000, 64)));
	rig_expect(a + 8000, 64, 7, 0, "sent from the living owner's memory");
	rig_fill(a, LEN, 1, 0);
}

enum end { EXIT, KILLED, EXEC };

static void wait_for_word(void)
{
	char c;

	if (recv(sock[1], &c, 1, 0) != 1)
		_exit(1);
}

static pid_t start_owner(enum end end, bool touch)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	own(touch);
	if (end == KILLED)
		for (;;)
			pause();
	wait_for_word();
	if (end == EXEC) {
		/*
		 * The new program says so itself: its name is in /proc before the old
		 * address space has gone.
		 */
		dup2(sock[1], STDOUT_FILENO);
		execlp("sh", "sh", "-c", "printf x; exec sleep 1000", (char *)NULL);
		_exit(1);
	}
	_exit(0);
}

static void end_owner(pid_t pid, enum end end)
{
	char c = 0;

	if (end == KILLED)
		kill(pid, SIGKILL);
	else
		ck_assert_int_eq(send(sock[0], "x", 1, 0), 1);
	if (end != EXEC) {
		bury(pid);
		return;
	}
	ck_assert_msg(recv(sock[0], &c, 1, 0) == 1 && c == 'x',
		      "the owner does not execute another program");
}

static void owner_ends(enum end end, bool used)
{
	pid_t pid = start_owner(end, true);
	struct tell t = hear();
	int err;

	if (used)
		check_alive(&t);
	end_owner(pid, end);
	region_is_dead(&t);
	still_good();
	err = rig_dereg_handle(rig, t.handle);
	ck_assert_msg(!err, "deregistration of a dead owner's region: %s", strerror(err));
	still_good();
	if (end == EXEC) {
		kill(pid, SIGKILL);
		bury(pid);
	}
}

START_TEST(owner_exits)
{
	RIG_NEEDS_ODP(rig);
	owner_ends(EXIT, true);
	owner_ends(EXIT, false);
}
END_TEST

START_TEST(owner_is_killed)
{
	RIG_NEEDS_ODP(rig);
	owner_ends(KILLED, true);
	owner_ends(KILLED, false);
}
END_TEST

START_TEST(owner_executes_another_program)
{
	RIG_NEEDS_ODP(rig);
	owner_ends(EXEC, true);
	owner_ends(EXEC, false);
}
END_TEST

/* The region of a dead owner as the local side. */
START_TEST(dead_owner_as_local_side)
{
	struct rig_span here;
	struct rig_res res;
	struct tell t;
	pid_t pid;

	RIG_NEEDS_ODP(rig);
	pid = start_owner(KILLED, true);
	t = hear();
	check_alive(&t);
	end_owner(pid, KILLED);
	here = rig_raw(t.addr, 64, t.lkey);
	refused(rig_read(pair, here, rig_at(ma, 0, 64)), IBV_WC_LOC_PROT_ERR, rig_now(), "read");
	res = rig_write(pair, here, rig_at(ma, 0, 64));
	ck_assert_int_ne(res.status, IBV_WC_SUCCESS);
	rig_reconnect(pair);
	rig_expect(a, LEN, 1, 0, "after refusals");
	still_good();
	ck_assert_int_eq(rig_dereg_handle(rig, t.handle), 0);
}
END_TEST

/* ------------------------------------------------------------------ the descriptor lives on elsewhere */

static void send_fd(int fd, const struct tell *t)
{
	union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } u = { 0 };
	struct iovec iov = { (void *)(uintptr_t)t, sizeof(*t) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.buf, .msg_controllen = sizeof(u.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(sock[1], &msg, 0) != sizeof(*t))
		_exit(1);
}

static int receive_fd(struct tell *t)
{
	union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } u = { 0 };
	struct iovec iov = { t, sizeof(*t) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.buf, .msg_controllen = sizeof(u.buf),
	};
	int fd;

	ck_assert_int_eq(recvmsg(sock[0], &msg, 0), sizeof(*t));
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	ck_assert_msg(!t->err, "the owner cannot register: %s", strerror(t->err));
	return fd;
}

/* A process with a context, a queue pair and a region of its own, that sends us its descriptor. */
static void independent_owner(uint32_t our_qpn)
{
	struct rig *own_rig = rig_open(NULL);
	struct rig_pair *p = rig_pair_loose(own_rig, IBV_QPT_RC);
	uint8_t *m = rig_map(LEN, 0, RIG_ANON);
	struct tell t = { .qpn = p->end[RIG_B].qp->qp_num };
	struct rig_mr *mr;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rig_fill(m, LEN, 7, 0);
	rig_join(p, RIG_B, our_qpn);
	t.err = rig_try_reg(own_rig, m, LEN, RIG_IOVA_SAME, RIG_RW, true, &mr);
	if (!t.err) {
		t.addr = mr->iova;
		t.rkey = mr->mr->rkey;
	}
	send_fd(own_rig->ctx->cmd_fd, &t);
	for (;;)
		pause();
}

START_TEST(descriptor_outlives_its_owner)
{
	struct rig_pair *loose;
	struct tell t;
	struct rig_res res;
	double start;
	pid_t pid;
	int fd;

	RIG_NEEDS_ODP(rig);
	loose = rig_pair_loose(rig, IBV_QPT_RC);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		independent_owner(loose->end[RIG_A].qp->qp_num);
	fd = receive_fd(&t);
	rig_join(loose, RIG_A, t.qpn);
	RIG_OK(rig_read(loose, rig_at(ma, 0, 5000), rig_raw(t.addr + 63, 5000, t.rkey)));
	rig_expect(a, 5000, 7, 63, "the living owner's memory");
	rig_fill(a, LEN, 1, 0);
	kill(pid, SIGKILL);
	bury(pid);
	/* Its context, queue pair and region live on behind our descriptor; its memory does not. */
	start = rig_now();
	res = rig_write(loose, rig_at(ma, 0, 64), rig_raw(t.addr, 64, t.rkey));
	ck_assert_msg(res.status == IBV_WC_REM_ACCESS_ERR, "%s", rig_status_name(res.status));
	ck_assert_msg(rig_now() - start < QUICK, "refused after %.1f s only", rig_now() - start);
	still_good();
	close(fd);
	still_good();
	rig_unpair(loose);
}
END_TEST

/* Death in the middle of traffic: every request ends, well or with the error, and none hangs. */
START_TEST(owner_dies_under_traffic)
{
	struct ibv_wc wc[32];
	struct rig_span local, there;
	struct rig_op op = { .verb = RIG_WRITE, .sg = &local, .nsg = 1 };
	int round, i, errors = 0;
	struct tell t;
	pid_t pid;

	RIG_NEEDS_ODP(rig);
	for (round = 0; round < 5; round++) {
		pid = start_owner(KILLED, round % 2);
		t = hear();
		local = rig_at(ma, 0, LEN);
		there = rig_raw(t.addr, LEN, t.rkey);
		op.remote = there;
		for (i = 0; i < 32; i++) {
			op.verb = i % 2 ? RIG_READ : RIG_WRITE;
			ck_assert_int_eq(rig_post(pair, &op), 0);
		}
		rig_sleep(0.002 * round);
		end_owner(pid, KILLED);
		rig_reap(rig, pair->end[RIG_A].scq, wc, 32, "traffic to an owner that dies");
		for (i = 0; i < 32; i++) {
			bool fine = wc[i].status == IBV_WC_SUCCESS ||
				    wc[i].status == IBV_WC_REM_ACCESS_ERR ||
				    wc[i].status == IBV_WC_WR_FLUSH_ERR;

			ck_assert_msg(fine, "request %d: %s", i, rig_status_name(wc[i].status));
			errors += wc[i].status == IBV_WC_REM_ACCESS_ERR;
		}
		rig_reconnect(pair);
		region_is_dead(&t);
		rig_fill(a, LEN, 1, 0);
		still_good();
		ck_assert_int_eq(rig_dereg_handle(rig, t.handle), 0);
	}
	printf("%d of 5 rounds were cut short by the owner's death\n", errors);
}
END_TEST

/* fork leaves the region with the parent: the child's copy of the memory is not reachable by it. */
START_TEST(child_is_not_the_owner)
{
	uint8_t *m;
	struct rig_mr *mr;
	pid_t pid;

	RIG_NEEDS_ODP(rig);
	m = rig_map(LEN, 0, RIG_ANON);
	rig_fill(m, LEN, 3, 0);
	mr = rig_reg(rig, m, LEN, RIG_IOVA_SAME, RIG_RW, true);
	RIG_OK(rig_read(pair, rig_at(ma, 0, LEN), rig_at(mr, 0, LEN)));
	rig_fill(a, LEN, 1, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		rig_fill(m, LEN, 4, 0);
		send(sock[1], "x", 1, 0);
		wait_for_word();
		_exit(rig_diff(m, LEN, 4, 0) >= 0);
	}
	ck_assert_int_eq(recv(sock[0], &(char){ 0 }, 1, 0), 1);
	RIG_OK(rig_read(pair, rig_at(ma, RIG_PAGE, 5000), rig_at(mr, 100, 5000)));
	rig_expect(a + RIG_PAGE, 5000, 3, 100, "the parent's bytes");
	rig_fill(a, LEN, 1, 0);
	RIG_OK(rig_write(pair, rig_at(ma, 0, LEN), rig_at(mr, 0, LEN)));
	rig_expect(m, LEN, 1, 0, "written to the parent");
	ck_assert_int_eq(send(sock[0], "x", 1, 0), 1);
	ck_assert_msg(!bury(pid), "the child's memory was changed");
	still_good();
	rig_dereg(mr);
	rig_unmap(m, LEN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("owner");
	TCase *tc = rig_tcase(s, "owner", 120);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, owner_exits);
	tcase_add_test(tc, owner_is_killed);
	tcase_add_test(tc, owner_executes_another_program);
	tcase_add_test(tc, dead_owner_as_local_side);
	tcase_add_test(tc, descriptor_outlives_its_owner);
	tcase_add_test(tc, owner_dies_under_traffic);
	tcase_add_test(tc, child_is_not_the_owner);
	return rig_main(&s, 1);
}
