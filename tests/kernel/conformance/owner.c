// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Rows 8, 9 and 25: the owner of a region executes another program, exits, is killed, or is killed for
 * want of memory, with requests on their way; its descriptor lives on in this process.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "scene.h"

#define LEN		(4 * MIB)
#define LIMIT		(24 * MIB)
#define POSTED		16
#define SEED		0x09ull

enum end { EXECS, EXITS, KILLED, OUT_OF_MEMORY };

struct owner {
	uint8_t *mem;
	volatile uint32_t rkey, lkey, handle, qpn;
	volatile int fd;
	volatile int ready;
	volatile int go;
	pid_t pid;
	int told[2];		/* closed by exec: the old address space has gone by then */
};

static struct owner *o;

static void take_all_memory(void)
{
	uint8_t *p;
	size_t i;

	for (;;) {
		p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (i = 0; p != MAP_FAILED && i < MIB; i += RIG_PAGE)
			p[i] = 1;
	}
}

static void end_as_told(enum end end)
{
	while (!o->go)
		rig_sleep(1e-3);
	if (end == EXECS) {
		/* The new program says so itself. */
		dup2(o->told[1], STDOUT_FILENO);
		execlp("sh", "sh", "-c", "printf x; exec sleep 1000", (char *)NULL);
	}
	if (end == OUT_OF_MEMORY)
		take_all_memory();
	if (end == EXITS)
		_exit(0);
	for (;;)
		pause();
}

static void be_owner(struct scene *s, enum end end)
{
	char why[200], path[80];
	struct rig_mr *mr;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (end == OUT_OF_MEMORY) {
		if (!rig_memcg(LIMIT, why, sizeof(why)))
			_exit(2);
		snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d/memory.swap.max",
			 (int)getpid());
		rig_write_file(path, "0");
	}
	rig_fill(o->mem, LEN, SEED, 0);
	mr = rig_reg(s->rig, o->mem, LEN, RIG_IOVA_SAME, RIG_RW, true);
	o->rkey = mr->mr->rkey;
	o->lkey = mr->mr->lkey;
	o->handle = mr->mr->handle;
	o->ready = 1;
	end_as_told(end);
}

static void wait_for_owner(void)
{
	double end = rig_now() + 60;

	while (!o->ready) {
		ck_assert_msg(!waitpid(o->pid, NULL, WNOHANG), "the owner ended too early");
		ck_assert_msg(rig_now() < end, "the owner does not get ready");
		rig_sleep(0.005);
	}
}

static void start_owner(struct scene *s, enum end end)
{
	pid_t pid;

	o = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	o->mem = rig_map(LEN, HUGE, RIG_ANON);
	ck_assert_int_eq(pipe(o->told), 0);
	fflush(NULL);
	pid = fork();
	if (!pid)
		be_owner(s, end);
	ck_assert_int_gt(pid, 0);
	o->pid = pid;
	wait_for_owner();
}

static struct rig_span theirs(size_t at)
{
	return rig_raw((uintptr_t)o->mem + at, RIG_PAGE, o->rkey);
}

static struct rig_span ours(struct scene *s)
{
	return rig_at(s->stage.pinned, 0, RIG_PAGE);
}

static void alive(struct scene *s)
{
	struct rig_span far = theirs(LEN - RIG_PAGE);

	RIG_OK(rig_read(s->stage.pair, ours(s), theirs(0)));
	rig_expect(s->stage.buf, RIG_PAGE, SEED, 0, "the living owner's memory");
	RIG_OK(rig_read(s->stage.pair, ours(s), far));
	rig_expect(s->stage.buf, RIG_PAGE, SEED, LEN - RIG_PAGE, "the living owner's memory");
	RIG_OK(rig_write(s->stage.pair, ours(s), far));
	far.lkey = o->lkey;
	RIG_OK(rig_send(s->stage.pair, far, ours(s)));
}

/* Requests that are on their way while the owner ends: each ends too, well or with the right error. */
static void post_some(struct scene *s)
{
	struct rig_span local = ours(s);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &local, .nsg = 1 };
	int i;

	for (i = 0; i < POSTED; i++) {
		op.verb = i % 2 ? RIG_READ : RIG_WRITE;
		op.remote = theirs((size_t)i * RIG_PAGE);
		ck_assert_int_eq(rig_post(s->stage.pair, &op), 0);
	}
}

static void reap_some(struct scene *s)
{
	struct ibv_wc wc[POSTED];
	int i;

	rig_reap(s->rig, s->stage.pair->end[RIG_A].scq, wc, POSTED,
		 "requests to an owner that ends");
	for (i = 0; i < POSTED; i++)
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS ||
			      wc[i].status == IBV_WC_REM_ACCESS_ERR ||
			      wc[i].status == IBV_WC_WR_FLUSH_ERR, "request %d: %s", i,
			      rig_status_name(wc[i].status));
	rig_reconnect(s->stage.pair);
}

static void end_owner(enum end end)
{
	char path[80], c;
	int status;

	o->go = 1;
	if (end == KILLED)
		kill(o->pid, SIGKILL);
	if (end == EXECS) {
		ck_assert_msg(read(o->told[0], &c, 1) == 1 && c == 'x',
			      "the owner does not execute another program");
		return;
	}
	ck_assert_int_eq(waitpid(o->pid, &status, 0), o->pid);
	if (end != OUT_OF_MEMORY)
		return;
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "the owner was not killed for want of memory: %#x", status);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d", (int)o->pid);
	rmdir(path);
}

static void refused(struct scene *s, struct rig_res res, int want, const char *what)
{
	ck_assert_msg(res.status == want, "%s, the owner has gone: %s instead of %s", what,
		      rig_status_name(res.status), rig_status_name(want));
	rig_reconnect(s->stage.pair);
}

static void dead(struct scene *s)
{
	struct rig_span word = theirs(0), local = theirs(RIG_PAGE);
	struct rig_res res;

	word.len = 8;
	local.lkey = o->lkey;
	refused(s, rig_write(s->stage.pair, ours(s), theirs(0)), IBV_WC_REM_ACCESS_ERR, "write");
	refused(s, rig_read(s->stage.pair, ours(s), theirs(LEN - RIG_PAGE)), IBV_WC_REM_ACCESS_ERR,
		"read");
	if (rig_odp_atomics(s->rig))
		refused(s, rig_fadd(s->stage.pair, rig_at(s->stage.pinned, 0, 8), word, 1),
			IBV_WC_REM_ACCESS_ERR, "atomic");
	res = rig_send(s->stage.pair, local, ours(s));
	refused(s, res, stage_local_refusal(&s->stage, res), "send");
	RIG_OK(rig_write(s->stage.other, ours(s), rig_at(s->stage.pinned, STAGE_WAY, RIG_PAGE)));
}

static void owner_ends(struct scene *s, enum end end)
{
	int64_t released;
	int err;

	start_owner(s, end);
	alive(s);
	stage_mark(&s->stage);
	post_some(s);
	end_owner(end);
	reap_some(s);
	/* The reaper of the OOM killer may have come first, but the end of the address space tells too. */
	released = stage_heard(&s->stage, "release|unmap");
	ck_assert_msg(released, "the end of the address space was not heard:%s",
		      stage_heard_text(&s->stage));
	dead(s);
	if (end == EXECS) {
		kill(o->pid, SIGKILL);
		waitpid(o->pid, NULL, 0);
	}
	err = rig_dereg_handle(s->rig, o->handle);
	/* Another driver than rxe is not asked this way: its region goes with the device. */
	ck_assert_msg(!err || err == EINVAL, "deregistration of a dead owner's region: %s",
		      strerror(err));
	close(o->told[0]);
	close(o->told[1]);
	rig_unmap(o->mem, LEN);
	munmap(o, RIG_PAGE);
	s->rounds++;
}

static void run_execs(struct scene *s)
{
	owner_ends(s, EXECS);
	owner_ends(s, EXECS);
}

static void run_exits(struct scene *s)
{
	owner_ends(s, EXITS);
	owner_ends(s, EXITS);
}

static void run_killed(struct scene *s)
{
	owner_ends(s, KILLED);
	owner_ends(s, KILLED);
}

static void run_oom(struct scene *s)
{
	owner_ends(s, OUT_OF_MEMORY);
}

/* ------------------------------------------------------------------ the descriptor lives on elsewhere */

/* A process with a device, a queue pair and a region of its own. */
static void be_stranger(const struct rig_attr *attr, uint32_t our_qpn)
{
	struct rig *rig = rig_open(attr);
	struct rig_pair *pair = rig_pair_loose(rig, IBV_QPT_RC);
	struct rig_mr *mr;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rig_fill(o->mem, LEN, SEED, 0);
	rig_join(pair, RIG_B, our_qpn);
	mr = rig_reg(rig, o->mem, LEN, RIG_IOVA_SAME, RIG_RW, true);
	o->rkey = mr->mr->rkey;
	o->qpn = pair->end[RIG_B].qp->qp_num;
	o->fd = rig->ctx->cmd_fd;
	o->ready = 1;
	for (;;)
		pause();
}

static int take_descriptor(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, o->pid, 0);
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, o->fd, 0);

	ck_assert_msg(fd >= 0, "pidfd_getfd: %s", strerror(errno));
	close(pidfd);
	return fd;
}

static void run_descriptor(struct scene *s)
{
	struct rig_pair *loose = rig_pair_loose(s->rig, IBV_QPT_RC);
	struct rig_res res;
	pid_t pid;
	int fd;

	o = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	o->mem = rig_map(LEN, HUGE, RIG_ANON);
	fflush(NULL);
	pid = fork();
	if (!pid)
		be_stranger(&s->rig->attr, loose->end[RIG_A].qp->qp_num);
	ck_assert_int_gt(pid, 0);
	o->pid = pid;
	wait_for_owner();
	fd = take_descriptor();
	rig_join(loose, RIG_A, o->qpn);
	RIG_OK(rig_read(loose, ours(s), theirs(0)));
	rig_expect(s->stage.buf, RIG_PAGE, SEED, 0, "the living owner's memory");
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
	res = rig_write(loose, ours(s), theirs(0));
	ck_assert_msg(res.status == IBV_WC_REM_ACCESS_ERR,
		      "write by a descriptor that outlived its owner: %s", rig_status_name(res.status));
	close(fd);
	RIG_OK(rig_write(s->stage.other, ours(s), rig_at(s->stage.pinned, STAGE_WAY, RIG_PAGE)));
	rig_unpair(loose);
	rig_unmap(o->mem, LEN);
	munmap(o, RIG_PAGE);
	s->rounds++;
}

const struct row owner_rows[] = {
	{ 8, "exec", "the owner executes another program", "release", PAGES_4K, ON_ANON, GONE, 0,
	  .run = run_execs },
	{ 9, "exit", "the owner exits", "release", PAGES_4K, ON_ANON, GONE, 0, .run = run_exits },
	{ 9, "kill", "the owner is killed", "release", PAGES_4K, ON_ANON, GONE, 0,
	  .run = run_killed },
	{ 9, "descriptor", "the owner is killed, its descriptor lives on elsewhere", NULL, PAGES_4K,
	  ON_ANON, GONE, 0, .run = run_descriptor },
	{ 25, "oom", "the OOM killer takes the owner", "unmap|release", PAGES_4K, ON_ANON, GONE, 0,
	  .run = run_oom, .log = "*" },
	{ 0 }
};
