// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Row 26: deregistration, and the end of the device, while another thread changes the address space. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "scene.h"

#define LEN	(2 * MIB)
#define RW	(PROT_READ | PROT_WRITE)

/* What the bytes are: fresh, of the CPU, of the wire. And of whoever gets the pages afterwards. */
#define BY_CPU	1
#define BY_WIRE	2
#define OTHERS	0xa5
#define NOTHING	0x5a		/* in a buffer, before anything has been read */

#define CALM	480ul		/* pages that are always mapped; the rest is unmapped now and then */
#define PAGES	(LEN / RIG_PAGE)
#define HOLE	((PAGES - CALM) * RIG_PAGE)
#define FLYING	64u		/* requests that meet the deregistration, at most */
#define SLOTS	((unsigned int)(STAGE_WAY / RIG_PAGE))

struct storm {
	uint8_t *mem;
	uint8_t *grave;		/* fresh memory, to get the pages that were unmapped */
	bool open;		/* there is a hole */
	atomic_uint ask;	/* a ticket: leave it open */
	atomic_uint shown;	/* the same: it is, and will be */
	atomic_bool stop;
	atomic_uint count;
	atomic_uint holes;
	atomic_uint bad;	/* bytes of the grave that somebody else changed */
	pthread_t thread;
};

/* Between the two calls nobody may make a mapping: it would be put right there, under the region. */
static void make_hole(struct storm *t)
{
	uint8_t *at = t->mem + CALM * RIG_PAGE;

	pthread_mutex_lock(&traffic_maps);
	munmap(at, HOLE);
	mmap(at, HOLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	t->grave = mmap(NULL, HOLE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_unlock(&traffic_maps);
	memset(t->grave, OTHERS, HOLE);
	t->open = true;
	atomic_fetch_add(&t->holes, 1);
}

static void fill_hole(struct storm *t)
{
	uint8_t *at = t->mem + CALM * RIG_PAGE;

	if (rig_diff_byte(t->grave, HOLE, OTHERS) >= 0)
		atomic_fetch_add(&t->bad, 1);
	munmap(t->grave, HOLE);
	mmap(at, HOLE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(at, BY_CPU, HOLE);
	t->open = false;
}

static void hole(struct storm *t)
{
	unsigned int ask = atomic_load(&t->ask);

	if (!t->open)
		make_hole(t);
	else if (!ask)
		fill_hole(t);
	atomic_store(&t->shown, t->open ? ask : 0);
}

/* Mapped over, dropped, unprotected, unmapped: the pages before CALM are never without memory. */
static void *storm(void *arg)
{
	struct storm *t = arg;
	unsigned int i = 0;

	while (!atomic_load(&t->stop)) {
		size_t at = i * 37 % (CALM - 16) * RIG_PAGE;

		switch (i++ % 5) {
		case 0:
			mmap(t->mem + at, 8 * RIG_PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			     -1, 0);
			break;
		case 1:
			madvise(t->mem + at, 16 * RIG_PAGE, MADV_DONTNEED);
			break;
		case 2:
			mprotect(t->mem + at, RIG_PAGE, PROT_READ);
			mprotect(t->mem + at, RIG_PAGE, RW);
			break;
		case 3:
			hole(t);
			break;
		default:
			memset(t->mem + at, BY_CPU, 4 * RIG_PAGE);
			/* On few slow processors the device would not have its turn for long. */
			rig_sleep(2e-4);
		}
		atomic_fetch_add(&t->count, 1);
	}
	if (t->open)
		fill_hole(t);
	return NULL;
}

static void start_storm(struct storm *t)
{
	memset(t, 0, sizeof(*t));
	t->mem = rig_map(LEN, HUGE, RIG_ANON);
	if (pthread_create(&t->thread, NULL, storm, t))
		ck_abort_msg("cannot start a thread");
}

static void end_storm(struct storm *t)
{
	atomic_store(&t->stop, true);
	pthread_join(t->thread, NULL);
	printf("%u changes, %u holes\n", atomic_load(&t->count), atomic_load(&t->holes));
	ck_assert_msg(atomic_load(&t->count) > 20 && atomic_load(&t->holes) > 2,
		      "the other thread did nothing");
	ck_assert_msg(!atomic_load(&t->bad), "memory of others, which got the pages, was changed");
	rig_unmap(t->mem, LEN);
}

/* Every byte is one that somebody has put there, or that the buffer had before. */
static void only(const uint8_t *bytes, size_t len, bool whole, const char *what)
{
	size_t i;

	for (i = 0; i < len; i++)
		ck_assert_msg(bytes[i] <= BY_WIRE || (!whole && bytes[i] == NOTHING),
			      "%s: byte %zu is %#04x, which nobody has put there", what, i, bytes[i]);
}

/* A page that is always mapped has its bytes, one that is not is refused. */
static void look(struct scene *s, struct storm *t, struct rig_mr *mr)
{
	struct rig_span local = rig_at(s->stage.pinned, 0, RIG_PAGE);
	unsigned int i;
	double end;

	for (i = 0; i < 4; i++) {
		memset(s->stage.buf, NOTHING, RIG_PAGE);
		RIG_OK(rig_read(s->stage.pair, local,
				rig_at(mr, (s->rounds * 4 + i) % CALM * RIG_PAGE, RIG_PAGE)));
		only(s->stage.buf, RIG_PAGE, true, "a read beside the storm");
	}
	end = rig_now() + 60;
	atomic_store(&t->ask, s->rounds + 1);
	while (atomic_load(&t->shown) != s->rounds + 1) {
		ck_assert_msg(rig_now() < end, "the other thread makes no hole: %u changes and %u holes until now",
			      atomic_load(&t->count), atomic_load(&t->holes));
		rig_sleep(1e-4);
	}
	RIG_FAILS(rig_read(s->stage.pair, local,
			   rig_at(mr, (CALM + s->rounds % (PAGES - CALM)) * RIG_PAGE, RIG_PAGE)),
		  IBV_WC_REM_ACCESS_ERR);
	atomic_store(&t->ask, 0);
}

static void reconnect(struct scene *s)
{
	pthread_mutex_lock(&traffic_maps);
	rig_reconnect(s->stage.pair);
	pthread_mutex_unlock(&traffic_maps);
}

/* Reads and writes all over the region, which are on their way when it goes. How many did not get there? */
static unsigned int dereg_in_flight(struct scene *s, struct rig_mr *mr, unsigned int count)
{
	struct rig_span local[SLOTS], from = rig_at(s->stage.pinned, STAGE_WAY, RIG_PAGE);
	struct rig_op op = { .nsg = 1 };
	struct ibv_wc wc[FLYING];
	unsigned int i, refused = 0;

	memset(s->stage.buf, NOTHING, STAGE_WAY);
	memset(s->stage.buf + STAGE_WAY, BY_WIRE, RIG_PAGE);
	for (i = 0; i < count; i++) {
		local[i % SLOTS] = rig_at(s->stage.pinned, i % SLOTS * RIG_PAGE, RIG_PAGE);
		op.verb = i % 2 ? RIG_READ : RIG_WRITE;
		op.sg = i % 2 ? &local[i % SLOTS] : &from;
		/* The hole only now and then: it would refuse the rest before the region can. */
		op.remote = rig_at(mr, (s->rounds + i) * 29 % (s->rounds % 4 ? CALM : PAGES) *
				   RIG_PAGE, RIG_PAGE);
		ck_assert_int_eq(rig_post(s->stage.pair, &op), 0);
	}
	rig_dereg(mr);
	rig_reap(s->rig, s->stage.pair->end[RIG_A].scq, wc, (int)count,
		 "requests to a region that goes");
	for (i = 0; i < count; i++) {
		ck_assert_msg(wc[i].status == IBV_WC_SUCCESS ||
			      wc[i].status == IBV_WC_REM_ACCESS_ERR ||
			      wc[i].status == IBV_WC_WR_FLUSH_ERR,
			      "request %u to a region that goes: %s", i,
			      rig_status_name(wc[i].status));
		refused += wc[i].status != IBV_WC_SUCCESS;
	}
	only(s->stage.buf, STAGE_WAY, false, "a read from a region that goes");
	return s->rounds % 4 ? refused : 0;
}

static void run_dereg(struct scene *s)
{
	double end = rig_now() + s->seconds;
	unsigned int count = 8, met = 0, refused;
	struct rig_mr *mr;
	struct storm t;

	start_storm(&t);
	/* As many requests as it takes for the last of them to be late. */
	for (; s->rounds < 10 || rig_now() < end; s->rounds++) {
		mr = rig_reg(s->rig, t.mem, LEN, RIG_IOVA_SAME, RIG_RW, true);
		look(s, &t, mr);
		reconnect(s);
		refused = dereg_in_flight(s, mr, count);
		reconnect(s);
		met += !!refused;
		if (!refused && count < FLYING)
			count *= 2;
	}
	printf("%u of %u deregistrations met requests, of %u at a time\n", met, s->rounds, count);
	ck_assert_msg(met, "no deregistration met a request: all of them were faster");
	end_storm(&t);
}

static void post_reads(struct rig_pair *pair, struct rig_mr *local, struct rig_mr *mr, unsigned int at)
{
	struct rig_span span = rig_at(local, 0, RIG_PAGE);
	struct rig_op op = { .verb = RIG_READ, .sg = &span, .nsg = 1 };
	unsigned int i;

	for (i = 0; i < 8; i++) {
		op.remote = rig_at(mr, (at + i) * 29 % CALM * RIG_PAGE, RIG_PAGE);
		if (rig_post(pair, &op))
			_exit(3);
	}
}

/*
 * A process that closes the device, or is killed, with all that hangs off it and requests on their way,
 * in a storm of its own. What is found wrong is its exit status.
 */
static void be_closing(bool waits_for_kill, volatile int *ready)
{
	struct rig *rig = rig_open(NULL);
	struct rig_pair *pair = rig_pair(rig, IBV_QPT_RC);
	uint8_t *buf = rig_map(RIG_PAGE, 0, RIG_ANON);
	struct rig_mr *local = rig_reg(rig, buf, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, false), *mr;
	struct ibv_wc wc[8];
	struct storm t;
	unsigned int i, j;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start_storm(&t);
	mr = rig_reg(rig, t.mem, LEN, RIG_IOVA_SAME, RIG_READ_ONLY, true);
	for (i = 0; waits_for_kill || i < 5; i++) {
		post_reads(pair, local, mr, i * 8);
		rig_reap(rig, pair->end[RIG_A].scq, wc, 8, "reads beside a storm");
		for (j = 0; j < 8; j++)
			if (wc[j].status != IBV_WC_SUCCESS)
				_exit(4);
		for (j = 0; j < RIG_PAGE; j++)
			if (buf[j] > BY_CPU)
				_exit(5);
		*ready = 1;
	}
	while (!waits_for_kill && atomic_load(&t.holes) < 2)
		rig_sleep(1e-3);
	if (atomic_load(&t.bad))
		_exit(6);
	post_reads(pair, local, mr, i * 8);
	/* The descriptor, without taking down anything first. */
	close(rig->ctx->cmd_fd);
	_exit(0);
}

static void run_close(struct scene *s)
{
	volatile int *ready = mmap(NULL, RIG_PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool kills;
	int status;
	pid_t pid;

	for (; s->rounds < 6; s->rounds++) {
		kills = s->rounds % 2;
		*ready = 0;
		fflush(NULL);
		pid = fork();
		if (!pid)
			be_closing(kills, ready);
		ck_assert_int_gt(pid, 0);
		if (kills) {
			while (!*ready && !waitpid(pid, &status, WNOHANG))
				rig_sleep(1e-3);
			rig_sleep(0.02 * s->rounds);
			kill(pid, SIGKILL);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(kills ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL :
			      !status,
			      "the process ended with %#x (3: no request could be posted, 4: a read "
			      "failed, 5: wrong bytes, 6: pages of others were changed)", status);
	}
	munmap((void *)ready, RIG_PAGE);
}

const struct row storm_rows[] = {
	{ 26, "dereg", "deregistration, with requests on their way, while another thread unmaps", NULL,
	  PAGES_4K, ON_ANON, ZEROS, 0, .run = run_dereg },
	{ 26, "close", "close of the device, or death, in the same", NULL, PAGES_4K, ON_ANON, ZEROS,
	  0, .run = run_close },
	{ 0 }
};
