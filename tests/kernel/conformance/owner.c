// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Rows 8, 9 and 25: the owner of a region executes another program, exits, is killed, or is killed for
 * want of memory, with requests on their way; its descriptor lives on in this process.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "reaper.h"
#include "scene.h"

#define LEN		(4 * MIB)
#define LIMIT		(24 * MIB)
#define POSTED		16
#define STRANGERS	4		/* queue pairs: what is refused is the end of one */
#define SEED		0x09ull

enum end { EXECS, EXITS, KILLED, OUT_OF_MEMORY };

struct owner {
	uint8_t *mem;
	volatile uint32_t rkey, lkey, handle, qpn[STRANGERS];
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

/* ------------------------------------------------------------------ requests, until the end */

struct poster {
	struct scene *s;
	struct rig_pair *pair;
	atomic_uint batches;	/* that came through */
	atomic_bool enough;
	pthread_t thread;
};

static struct rig_span slot(struct scene *s, int i)
{
	return rig_at(s->stage.pinned, STAGE_WAY + (size_t)i * RIG_PAGE, RIG_PAGE);
}

/* Reads from odd pages, each to a page of its own, and writes to even ones. */
static void post_some(struct scene *s, struct rig_pair *pair)
{
	struct rig_span local[POSTED];
	struct rig_op op = { .nsg = 1 };
	int i;

	memset(s->stage.buf + STAGE_WAY, 0x5a, STAGE_WAY);
	for (i = 0; i < POSTED; i++) {
		local[i] = i % 2 ? slot(s, i) : ours(s);
		op.sg = &local[i];
		op.verb = i % 2 ? RIG_READ : RIG_WRITE;
		op.remote = theirs((size_t)i * RIG_PAGE);
		ck_assert_int_eq(rig_post(pair, &op), 0);
	}
}

/*
 * What succeeds has read the owner's bytes, and not what becomes of its pages; the first that does not
 * is refused, the rest flushed. Whether all came through.
 */
static bool reap_some(struct scene *s, struct rig_pair *pair)
{
	struct ibv_wc wc[POSTED];
	bool over = false;
	int i;

	rig_reap(s->rig, pair->end[RIG_A].scq, wc, POSTED, "requests to an owner that ends");
	for (i = 0; i < POSTED; i++) {
		if (wc[i].status == IBV_WC_SUCCESS && !over) {
			if (i % 2)
				rig_expect(s->stage.buf + STAGE_WAY + (size_t)i * RIG_PAGE,
					   RIG_PAGE, SEED, (uint64_t)i * RIG_PAGE,
					   "read %d from an owner that ends", i);
			continue;
		}
		ck_assert_msg(wc[i].status == (over ? IBV_WC_WR_FLUSH_ERR : IBV_WC_REM_ACCESS_ERR),
			      "request %d to an owner that ends, %s: %s", i,
			      over ? "after one was refused" : "the first not to succeed",
			      rig_status_name(wc[i].status));
		over = true;
	}
	return !over;
}

static void *post_on(void *arg)
{
	struct poster *p = arg;

	while (!atomic_load(&p->enough)) {
		post_some(p->s, p->pair);
		if (!reap_some(p->s, p->pair))
			break;
		atomic_fetch_add(&p->batches, 1);
	}
	return NULL;
}

/* Requests without a pause from here on; when this returns, some have come through. */
static void start_poster(struct poster *p, struct scene *s, struct rig_pair *pair)
{
	double end = rig_now() + 60;

	memset(p, 0, sizeof(*p));
	p->s = s;
	p->pair = pair;
	if (pthread_create(&p->thread, NULL, post_on, p))
		ck_abort_msg("cannot start a thread");
	while (!atomic_load(&p->batches)) {
		ck_assert_msg(rig_now() < end, "no request to the living owner comes through");
		rig_sleep(1e-3);
	}
}

/* The owner has gone: one of them is refused now, whatever it was in the middle of. */
static void end_poster(struct poster *p)
{
	unsigned int batches = atomic_load(&p->batches);
	double end = rig_now() + 60;

	while (pthread_tryjoin_np(p->thread, NULL)) {
		/* One may have been checked and not yet counted when the owner went. */
		ck_assert_msg(atomic_load(&p->batches) <= batches + 2 && rig_now() < end,
			      "the owner has gone, and requests to its memory still succeed");
		rig_sleep(1e-3);
	}
	printf("%u batches of %d requests until the end\n", atomic_load(&p->batches), POSTED);
}

/* ------------------------------------------------------------------ the end */

static void wait_for_end(enum end end)
{
	char path[80];
	int status;

	ck_assert_int_eq(waitpid(o->pid, &status, 0), o->pid);
	if (end != OUT_OF_MEMORY)
		return;
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "the owner was not killed for want of memory: %#x", status);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d", (int)o->pid);
	rmdir(path);
}

/* Killed, and kept from going: the reaper has to take the memory while the address space is there. */
static void meet_the_reaper(struct scene *s)
{
	unsigned long rss = LEN / KIB;
	const char *line;

	reaper_hold(o->pid, &o->go);
	line = reaper_says();
	ck_assert_msg(line, "the OOM reaper says nothing");
	ck_assert_msg(strstr(line, "reaped process"), "not reaped: %s", line);
	ck_assert_int_eq(sscanf(strstr(line, "anon-rss:"), "anon-rss:%lukB", &rss), 1);
	ck_assert_msg(rss < 1024, "the reaper left %lu KiB of %lu", rss, LEN / KIB);
	/* Up to 6.12 the reaper unmaps, by 7.2 it clears. */
	ck_assert_msg(stage_heard(&s->stage, "unmap|clear"), "the reaper was not heard:%s",
		      stage_heard_text(&s->stage));
	/* Only our engine tells one cause from another. */
	ck_assert_msg(s->stage.heard[0] < 0 || !stage_heard(&s->stage, "release"),
		      "the address space has ended before the reaper came");
}

static void end_owner(struct scene *s, enum end end)
{
	char c;

	if (end == OUT_OF_MEMORY) {
		meet_the_reaper(s);
		return;
	}
	o->go = 1;
	if (end == KILLED)
		kill(o->pid, SIGKILL);
	if (end == EXECS)
		ck_assert_msg(read(o->told[0], &c, 1) == 1 && c == 'x',
			      "the owner does not execute another program");
	else
		wait_for_end(end);
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

static void ended(struct scene *s)
{
	ck_assert_msg(stage_heard(&s->stage, "release|unmap"),
		      "the end of the address space was not heard:%s",
		      stage_heard_text(&s->stage));
}

static void owner_ends(struct scene *s, enum end end)
{
	struct poster p;
	int err;

	start_owner(s, end);
	alive(s);
	stage_mark(&s->stage);
	start_poster(&p, s, s->stage.pair);
	end_owner(s, end);
	end_poster(&p);
	rig_reconnect(s->stage.pair);
	/* Of the reaper it has been heard already, and there was nothing left for the end. */
	if (end != OUT_OF_MEMORY)
		ended(s);
	dead(s);
	if (end == OUT_OF_MEMORY) {
		reaper_release(o->pid);
		wait_for_end(end);
		dead(s);
	}
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

/* A process with a device, queue pairs and a region of its own. */
static void be_stranger(const struct rig_attr *attr, const uint32_t *our_qpn)
{
	struct rig *rig = rig_open(attr);
	struct rig_pair *pair;
	struct rig_mr *mr;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rig_fill(o->mem, LEN, SEED, 0);
	for (i = 0; i < STRANGERS; i++) {
		pair = rig_pair_loose(rig, IBV_QPT_RC);
		rig_join(pair, RIG_B, our_qpn[i]);
		o->qpn[i] = pair->end[RIG_B].qp->qp_num;
	}
	mr = rig_reg(rig, o->mem, LEN, RIG_IOVA_SAME, RIG_RW, true);
	o->rkey = mr->mr->rkey;
	o->handle = mr->mr->handle;
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

static void start_stranger(struct scene *s, struct rig_pair **loose)
{
	uint32_t qpn[STRANGERS];
	pid_t pid;
	int i;

	for (i = 0; i < STRANGERS; i++) {
		loose[i] = rig_pair_loose(s->rig, IBV_QPT_RC);
		qpn[i] = loose[i]->end[RIG_A].qp->qp_num;
	}
	o = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	o->mem = rig_map(LEN, HUGE, RIG_ANON);
	fflush(NULL);
	pid = fork();
	if (!pid)
		be_stranger(&s->rig->attr, qpn);
	ck_assert_int_gt(pid, 0);
	o->pid = pid;
	wait_for_owner();
	for (i = 0; i < STRANGERS; i++)
		rig_join(loose[i], RIG_A, o->qpn[i]);
}

/* The region goes by the descriptor that outlived its owner; after that there is no such region. */
static void dereg_by(struct scene *s, int fd)
{
	struct ibv_context ctx = { .cmd_fd = fd };
	struct rig theirs = { .ctx = &ctx };
	int err = rig_dereg_handle(&theirs, o->handle);

	/* Another driver than rxe is not asked this way. */
	if (err == EINVAL && strncmp(ibv_get_device_name(s->rig->ctx->device), "rxe", 3))
		return;
	ck_assert_msg(!err, "deregistration by a descriptor that outlived its owner: %s",
		      strerror(err));
	err = rig_dereg_handle(&theirs, o->handle);
	ck_assert_msg(err == ENOENT, "the region was deregistered, and is still there: %s",
		      strerror(err));
}

static void run_descriptor(struct scene *s)
{
	struct rig_pair *loose[STRANGERS];
	struct rig_span word;
	struct poster p;
	int fd, i;

	start_stranger(s, loose);
	fd = take_descriptor();
	RIG_OK(rig_read(loose[0], ours(s), theirs(0)));
	rig_expect(s->stage.buf, RIG_PAGE, SEED, 0, "the living owner's memory");
	word = theirs(0);
	word.len = 8;
	stage_mark(&s->stage);
	start_poster(&p, s, loose[0]);
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
	end_poster(&p);
	ended(s);
	RIG_FAILS(rig_write(loose[1], ours(s), theirs(0)), IBV_WC_REM_ACCESS_ERR);
	RIG_FAILS(rig_read(loose[2], ours(s), theirs(LEN - RIG_PAGE)), IBV_WC_REM_ACCESS_ERR);
	if (rig_odp_atomics(s->rig))
		RIG_FAILS(rig_fadd(loose[3], rig_at(s->stage.pinned, 0, 8), word, 1),
			  IBV_WC_REM_ACCESS_ERR);
	dereg_by(s, fd);
	close(fd);
	RIG_OK(rig_write(s->stage.other, ours(s), slot(s, 0)));
	for (i = 0; i < STRANGERS; i++)
		rig_unpair(loose[i]);
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
	{ 9, "descriptor", "the owner is killed, its descriptor lives on elsewhere", "release",
	  PAGES_4K, ON_ANON, GONE, 0, .run = run_descriptor },
	{ 25, "oom", "the OOM killer takes the owner, the OOM reaper its memory", "unmap|clear", PAGES_4K, ON_ANON, GONE, 0,
	  .run = run_oom, .log = "*" },
	{ 0 }
};
