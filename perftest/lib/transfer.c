// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Messages: posting them, waiting for them, timing them. */
#include <poll.h>

#include "bench.h"

#define DEADLINE_MS	120000	/* a completion that takes as long never comes */
#define BATCH		16

const char *const bench_verb_name[] = { "write", "read", "send", "atomic" };

void bench_flow_init(struct bench_flow *f, struct bench_pair *pair, enum bench_verb verb,
		     const void *local, const struct ibv_mr *lmr, const void *remote,
		     const struct ibv_mr *rmr)
{
	*f = (struct bench_flow){
		.pair = pair, .verb = verb, .local = (uintptr_t)local, .remote = (uintptr_t)remote,
		.lkey = lmr->lkey, .rkey = rmr->rkey, .size = PAGE, .count = 1, .depth = 1,
	};
	/* what a send lands in is named by a local key of the other side */
	if (verb == VERB_SEND)
		f->rkey = rmr->lkey;
}

static uint64_t place(const struct bench_flow *f, uint64_t base, uint64_t span, uint64_t i)
{
	return base + (span > f->size ? i * f->size % (span - span % f->size) : 0);
}

static void post_recv(struct bench_flow *f, uint64_t i)
{
	struct ibv_sge sge = {
		place(f, f->remote, f->remote_span, i), (uint32_t)f->size, f->rkey
	};
	struct ibv_recv_wr *bad, wr = { .sg_list = &sge, .num_sge = 1 };
	int err = ibv_post_recv(f->pair->b, &wr, &bad);

	if (err)
		bench_die("cannot post a receive: %s", strerror(err));
}

static void post(struct bench_flow *f, uint64_t wr_id)
{
	static const enum ibv_wr_opcode opcode[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND, IBV_WR_ATOMIC_FETCH_AND_ADD
	};
	uint64_t remote = place(f, f->remote, f->remote_span, f->posted);
	struct ibv_sge sge = {
		place(f, f->local, f->local_span, f->posted), (uint32_t)f->size, f->lkey
	};
	struct ibv_send_wr *bad, wr = {
		.wr_id = wr_id, .sg_list = &sge, .num_sge = 1, .opcode = opcode[f->verb],
		.send_flags = IBV_SEND_SIGNALED,
	};
	int err;

	if (f->verb == VERB_ATOMIC) {
		wr.wr.atomic.remote_addr = remote;
		wr.wr.atomic.rkey = f->rkey;
		wr.wr.atomic.compare_add = 1;
	} else if (f->verb != VERB_SEND) {
		wr.wr.rdma.remote_addr = remote;
		wr.wr.rdma.rkey = f->rkey;
	} else {
		post_recv(f, f->posted);
	}
	err = ibv_post_send(f->pair->a, &wr, &bad);
	if (err)
		bench_die("cannot post a %s of %llu bytes: %s", bench_verb_name[f->verb],
			  (unsigned long long)f->size, strerror(err));
	f->posted++;
}

static int poll_now(struct ibv_wc *wc)
{
	int n = ibv_poll_cq(bench_queues.scq, BATCH, wc);

	if (n < 0)
		bench_die("cannot poll the completion queue of %s", bench.device);
	return n;
}

static void sleep_for_event(void)
{
	struct pollfd fd = { .fd = bench_queues.channel->fd, .events = POLLIN };
	struct ibv_cq *cq;
	void *context;

	if (poll(&fd, 1, DEADLINE_MS) == 0)
		bench_die("no completion came for %d s", DEADLINE_MS / 1000);
	if (ibv_get_cq_event(bench_queues.channel, &cq, &context))
		bench_die("cannot wait for a completion: %s", strerror(errno));
	ibv_ack_cq_events(cq, 1);
}

/* At least one completion. A queue is asked to tell of the next one, and looked at again before. */
static int wait_some(struct ibv_wc *wc)
{
	double start = bench_now();
	int n;

	while (!(n = poll_now(wc))) {
		if (bench.polls) {
			if (bench_now() > start + DEADLINE_MS / 1000)
				bench_die("no completion came for %d s", DEADLINE_MS / 1000);
			continue;
		}
		if (ibv_req_notify_cq(bench_queues.scq, 0))
			bench_die("cannot ask for events: %s", strerror(errno));
		n = poll_now(wc);
		if (n)
			return n;
		sleep_for_event();
	}
	return n;
}

static void drain_receives(void)
{
	struct ibv_wc wc[BATCH];
	int i, n;

	while ((n = ibv_poll_cq(bench_queues.rcq, BATCH, wc)) > 0)
		for (i = 0; i < n; i++)
			if (wc[i].status != IBV_WC_SUCCESS)
				bench_die("a receive failed: %s", ibv_wc_status_str(wc[i].status));
}

static void fill_queue(struct bench_flow *f, uint64_t id)
{
	while (f->posted < f->count && f->posted - f->done < f->depth)
		post(f, id);
}

static void complete(struct bench_flow *flows, const struct ibv_wc *wc)
{
	struct bench_flow *f = &flows[wc->wr_id];

	if (wc->status != IBV_WC_SUCCESS)
		bench_die("a %s of %llu bytes (number %llu of %llu) on %s failed: %s",
			  bench_verb_name[f->verb], (unsigned long long)f->size,
			  (unsigned long long)f->done + 1, (unsigned long long)f->count,
			  bench.device, ibv_wc_status_str(wc->status));
	f->done++;
}

double bench_run(struct bench_flow *flows, unsigned int n)
{
	struct ibv_wc wc[BATCH];
	uint64_t left = 0;
	double start;
	unsigned int i;
	int k, got;

	for (i = 0; i < n; i++) {
		flows[i].posted = 0;
		flows[i].done = 0;
		left += flows[i].count;
	}
	start = bench_now();
	for (i = 0; i < n; i++)
		fill_queue(&flows[i], i);
	while (left) {
		got = wait_some(wc);
		for (k = 0; k < got; k++)
			complete(flows, &wc[k]);
		drain_receives();
		for (k = 0; k < got; k++)
			fill_queue(&flows[wc[k].wr_id], wc[k].wr_id);
		left -= (uint64_t)got;
	}
	return bench_now() - start;
}

double bench_one(struct bench_flow *flow)
{
	uint64_t count = flow->count;
	double seconds;

	flow->count = 1;
	seconds = bench_run(flow, 1);
	flow->count = count;
	return seconds;
}
