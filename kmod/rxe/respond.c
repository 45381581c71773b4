// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The responder does not wait for pages
 *
 * A request whose memory is not there stays at the head of its queue, "parked",
 * and the worker goes.  When the page is there it is executed.  If that takes
 * longer than the peer can be expected to wait, a reliable peer is told to come
 * back (RNR NAK), the request is dropped, and so, silently, is what the peer
 * sent after it, until it comes again; meanwhile the fault goes on.  Other peers
 * have no such answer: their packets wait, and what does not fit into the queue
 * is lost, as datagrams may be.
 *
 * The peer's transport timer is not known here.  Applications give both ends
 * the same one, so half of this end's is how long a request is parked, and a
 * request that comes a second time says that it was too long.
 */
#include <linux/random.h>
#include <linux/timer.h>

#include "binding.h"
#include "rxe_queue.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Jiffies a request is parked when this end has no timeout of its own. */
#define RXE_ODP_PATIENCE	max(HZ / 50, 1)
#define RXE_ODP_PATIENCE_MAX	(HZ / 4)

/* The engine asks as often while an access waits, and a jiffy late. */
#define RXE_ODP_QUESTION	(max(HZ / 100, 1) + 1UL)

/* Packets that wait behind a parked one; the rest is dropped. */
#define RXE_ODP_QUEUE_MAX	1024

static void rxe_odp_drop(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct ib_device *dev = qp->ibqp.device;

	kfree_skb(skb);
	rxe_put(qp);
	ib_device_put(dev);
}

/* Each packet in @queue holds @qp, whose destruction waits for that. */
void rxe_odp_drop_all(struct rxe_qp *qp, struct sk_buff_head *queue)
{
	struct sk_buff *skb;

	while ((skb = skb_dequeue(queue)))
		rxe_odp_drop(qp, skb);
}

/*
 * The packet at the head of @queue, from which only the caller's task takes.
 * Under the lock: who put it there has written it before, and given the lock back.
 */
struct sk_buff *rxe_odp_peek(struct sk_buff_head *queue)
{
	struct sk_buff *skb;
	unsigned long flags;

	if (skb_queue_empty_lockless(queue))
		return NULL;
	spin_lock_irqsave(&queue->lock, flags);
	skb = skb_peek(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return skb;
}

/* What a request by key touches, and what rights and bounds that takes. */
struct rxe_odp_target {
	struct rxe_odp_access	at;
	u32			bounds;	/* to be held against a window's, or 0 */
	int			access;
};

/*
 * The region that the key of @t opens to the peer of @qp, with a reference; a
 * window's bounds are held against the request's, and its base is found.
 */
static struct rxe_mr *rxe_odp_remote_mr(struct rxe_qp *qp,
					struct rxe_odp_target *t)
{
	struct rxe_mr *mr = NULL;
	struct rxe_mw *mw;

	if (!rkey_is_mw(t->at.key))
		return lookup_mr(qp->pd, t->access, t->at.key,
				 RXE_LOOKUP_REMOTE);

	mw = rxe_lookup_mw(qp, t->access, t->at.key);
	if (!mw)
		return NULL;
	/* The window holds its region, and lets it go under this lock. */
	spin_lock_bh(&mw->lock);
	if (mw->mr && (!t->bounds ||
		       rxe_odp_in_window(mw, t->at.iova, t->bounds))) {
		mr = mw->mr;
		if (!rxe_get(mr))
			mr = NULL;
		if (t->bounds && (mw->access & IB_ZERO_BASED))
			t->at.base = mw->addr;
	}
	spin_unlock_bh(&mw->lock);
	rxe_put(mw);
	return mr;
}

/* A write, read, atomic or atomic write that is not under way yet. */
static bool rxe_odp_target_new(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
			       struct rxe_odp_target *t)
{
	u32 len = sizeof(u64);

	if (pkt->mask & RXE_ATOMIC_MASK) {
		t->access = IB_ACCESS_REMOTE_ATOMIC;
		t->at.key = atmeth_rkey(pkt);
		t->at.iova = atmeth_va(pkt);
		t->bounds = len;
	} else if (pkt->mask & (RXE_READ_OR_WRITE_MASK | RXE_ATOMIC_WRITE_MASK)) {
		bool read = pkt->mask & RXE_READ_MASK;
		bool first = pkt->mask & RXE_RETH_MASK;

		t->access = read ? IB_ACCESS_REMOTE_READ :
				   IB_ACCESS_REMOTE_WRITE;
		t->at.key = first ? reth_rkey(pkt) : qp->resp.rkey;
		t->at.iova = first ? reth_va(pkt) : qp->resp.va;
		t->bounds = first ? reth_len(pkt) : qp->resp.resid;
		len = read ? t->bounds : payload_size(pkt);
	} else {
		return false;
	}
	t->at.base = 0;
	t->at.len = min3(len, t->bounds, (u32)qp->mtu);
	t->at.more = t->bounds;
	t->at.write = t->access != IB_ACCESS_REMOTE_READ;
	return t->at.len && rxe_odp_qp_allows(qp, pkt);
}

static bool rxe_odp_target_of(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
			      struct rxe_odp_target *t)
{
	struct resp_res *res = qp->resp.res;

	if (!res)
		return rxe_odp_target_new(qp, pkt, t);
	/* A read that is being answered; anything else is answered at once. */
	if (res->type != RXE_READ_MASK || !res->read.resid)
		return false;
	*t = (struct rxe_odp_target) {
		.at.key = res->read.rkey,
		.at.iova = res->read.va,
		.at.len = min_t(u32, res->read.resid, qp->mtu),
		.at.more = res->read.resid,
		.access = IB_ACCESS_REMOTE_READ,
	};
	return true;
}

static bool rxe_odp_wait_for_target(struct rxe_qp *qp,
				    struct rxe_odp_target *t)
{
	struct rxe_mr *mr;
	bool waits;

	if (rxe_odp_still_ready(qp, RXE_ODP_RESPONDER, t->at.key, t->at.iova,
				t->at.len, t->at.write))
		return false;
	mr = rxe_odp_remote_mr(qp, t);
	if (!mr)
		return false;
	waits = rxe_odp_wait_for(qp, RXE_ODP_RESPONDER, mr, &t->at) ==
		RXE_ODP_WAITS;
	rxe_put(mr);
	return waits;
}

/*
 * Take the next receive request from a queue that @qp shares: what is looked at
 * must be what is used.  Stock code gets it when it asks (stock_resp.c).
 */
static bool rxe_odp_take_shared(struct rxe_qp *qp)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_rq *rq = &qp->srq->rq;
	struct rxe_recv_wqe *wqe;
	unsigned long flags;
	u32 num_sge;

	if (oqp->held)
		return true;
	/* Resizing replaces the queue's memory under this lock. */
	spin_lock_irqsave(&rq->consumer_lock, flags);
	wqe = queue_head(rq->queue, QUEUE_TYPE_FROM_CLIENT);
	num_sge = wqe ? READ_ONCE(wqe->dma.num_sge) : U32_MAX;
	/* What stock code will not have stays where it is. */
	if (num_sge <= min_t(u32, rq->max_sge, RXE_MAX_SGE)) {
		memcpy(&oqp->recv, wqe, sizeof(*wqe) +
		       num_sge * sizeof(struct rxe_sge));
		oqp->recv.wqe.dma.num_sge = num_sge;
		queue_advance_consumer(rq->queue, QUEUE_TYPE_FROM_CLIENT);
		oqp->held = true;
	}
	spin_unlock_irqrestore(&rq->consumer_lock, flags);
	return oqp->held;
}

/*
 * A request that was taken goes with its queue pair: it is flushed where stock
 * code flushes its own.
 */
static void rxe_odp_flush_held(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;

	if (!oqp->held)
		return;
	oqp->held = false;
	if (READ_ONCE(qp->valid) && qp_state(qp) == IB_QPS_ERR)
		rxe_odp_post_error(qp, qp->rcq, oqp->recv.wqe.wr_id,
				   IB_WC_WR_FLUSH_ERR);
}

/* Where the first packet of a message will go. */
static bool rxe_odp_next_recv(struct rxe_qp *qp, struct rxe_odp_place *at)
{
	struct rxe_recv_wqe *wqe = NULL;
	u32 max = qp->rq.max_sge;

	if (qp->srq) {
		max = qp->srq->rq.max_sge;
		if (rxe_odp_take_shared(qp))
			wqe = &to_odp_qp(qp)->recv.wqe;
	} else if (qp->rq.queue) {
		wqe = queue_head(qp->rq.queue, QUEUE_TYPE_FROM_CLIENT);
	}
	if (!wqe)
		return false;
	*at = (struct rxe_odp_place) {
		.sge = wqe->dma.sge,
		.num_sge = min(READ_ONCE(wqe->dma.num_sge), max),
	};
	return true;
}

static bool rxe_odp_wait_for_recv(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	u32 len = payload_size(pkt);
	struct rxe_odp_place at;

	if (pkt->mask & RXE_START_MASK) {
		if (!rxe_odp_next_recv(qp, &at))
			return false;
	} else if (qp->resp.wqe) {
		at = rxe_odp_place_of(&qp->resp.wqe->dma);
	} else {
		return false;
	}
	if (qp_type(qp) == IB_QPT_UD || qp_type(qp) == IB_QPT_GSI)
		len += sizeof(union rdma_network_hdr);
	return rxe_odp_wait_for_list(qp, RXE_ODP_RESPONDER, &at, RXE_MAX_SGE,
				     min_t(u32, len, SZ_8K),
				     IB_ACCESS_LOCAL_WRITE);
}

/* A flush waits for so much of its range in one go. */
#define RXE_ODP_FLUSH_PIECE	SZ_4M

/*
 * Must @qp wait for a piece of the range that it is to flush?  What has been
 * there once does not begin that anew: all of a long range may never be.  And
 * nothing is waited for behind memory that is not persistent, where the access
 * will end.
 */
static bool rxe_odp_flush_waits_for(struct rxe_qp *qp, struct rxe_mr *mr,
				    struct rxe_odp_access *at)
{
	struct odp_region *region = rxe_odp_region(mr);
	struct rxe_odp_flush *flush = &to_odp_qp(qp)->flush;
	enum rxe_odp_verdict verdict;

	for (; flush->ready < flush->len; flush->ready += at->len) {
		at->iova = flush->iova + flush->ready;
		at->more = flush->len - flush->ready;
		at->len = min(at->more, RXE_ODP_FLUSH_PIECE);
		verdict = rxe_odp_wait_for(qp, RXE_ODP_RESPONDER, mr, at);
		if (verdict != RXE_ODP_READY)
			return verdict == RXE_ODP_WAITS;
		if (odp_region_flush_persistent(region,
						rxe_odp_va(mr, at->base + at->iova), 1))
			return false;
	}
	return false;
}

/* Is it the one that was looked at the last time, as far as that matters? */
static void rxe_odp_flush_begins(struct rxe_odp_flush *flush,
				 const struct rxe_odp_flush *now)
{
	if (flush->psn != now->psn || flush->key != now->key ||
	    flush->iova != now->iova || flush->len != now->len)
		*flush = *now;
}

/* A flush to persistence reads all of its range, or of the region. */
static bool rxe_odp_flush_waits(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	bool all = feth_sel(pkt) == IB_FLUSH_MR, waits = false;
	struct rxe_odp_target t = {
		.at.key = reth_rkey(pkt),
		.at.iova = reth_va(pkt),
		.bounds = all ? 0 : reth_len(pkt),
		.access = IB_ACCESS_FLUSH_PERSISTENT,
	};
	struct rxe_odp_flush now = { .psn = pkt->psn, .key = t.at.key };
	struct rxe_mr *mr;

	if (!(feth_plt(pkt) & IB_FLUSH_PERSISTENT) ||
	    !rxe_odp_qp_allows(qp, pkt))
		return false;
	mr = rxe_odp_remote_mr(qp, &t);
	if (!mr)
		return false;
	if (rxe_odp_region(mr)) {
		now.iova = all ? mr->ibmr.iova : t.at.iova;
		now.len = all ? mr->ibmr.length : t.bounds;
		rxe_odp_flush_begins(&to_odp_qp(qp)->flush, &now);
		waits = rxe_odp_flush_waits_for(qp, mr, &t.at);
	}
	rxe_put(mr);
	return waits;
}

/* Must the request at the head of the queue wait for its memory? */
static bool rxe_odp_request_waits(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	int diff = psn_compare(pkt->psn, qp->resp.psn);
	struct rxe_odp_target target;

	/* What stock code drops is not ours to look at; reads are read again. */
	if (qp_type(qp) == IB_QPT_RC && !qp->resp.res && diff &&
	    (diff > 0 || !(pkt->mask & RXE_READ_MASK)))
		return false;
	if (qp->resp.drop_msg && !(pkt->mask & RXE_START_MASK))
		return false;
	if (!qp->resp.res && (pkt->mask & RXE_SEND_MASK))
		return rxe_odp_wait_for_recv(qp, pkt);
	if (!qp->resp.res && (pkt->mask & RXE_FLUSH_MASK))
		return rxe_odp_flush_waits(qp, pkt);
	return rxe_odp_target_of(qp, pkt, &target) &&
	       rxe_odp_wait_for_target(qp, &target);
}

static void rxe_odp_timer(struct timer_list *t)
{
	struct rxe_odp_qp *oqp = container_of(t, struct rxe_odp_qp, timer);

	if (!rxe_get(&oqp->qp))
		return;
	WRITE_ONCE(oqp->nak, true);
	rxe_sched_task(&oqp->qp.recv_task);
	rxe_put(&oqp->qp);
}

/*
 * A packet of the loopback holds the queue pair that sent it, and counts as being
 * sent, until it is freed.  One that waits must do neither, or not for long: its
 * sender may go, or have something for others.  New ones are met when they
 * schedule the task.
 */
void rxe_odp_orphan_all(struct sk_buff_head *queue)
{
	struct sk_buff_head list;
	struct sk_buff *skb;
	unsigned long flags;

	/* Not under the lock: this may be the last reference to a socket. */
	__skb_queue_head_init(&list);
	spin_lock_irqsave(&queue->lock, flags);
	skb_queue_splice_init(queue, &list);
	spin_unlock_irqrestore(&queue->lock, flags);
	skb_queue_walk(&list, skb)
		skb_orphan(skb);
	spin_lock_irqsave(&queue->lock, flags);
	skb_queue_splice(&list, queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/*
 * Nothing but its own packets slows down who sends to a UC queue pair: without
 * them it sends more than the queue takes while a page is faulted in, and the rest
 * is lost.  So they are taken off it a while after the first of them had to wait,
 * however often what is at the head has changed since, and those that come later
 * a while after that.
 */
static void rxe_odp_orphan_late(struct rxe_odp_qp *oqp)
{
	if (!oqp->holds) {
		oqp->holds = true;
		oqp->lets_go = jiffies + RXE_ODP_PATIENCE_MAX;
	}
	if (time_before(jiffies, oqp->lets_go)) {
		mod_timer(&oqp->timer, oqp->lets_go);
		return;
	}
	oqp->holds = false;
	rxe_odp_orphan_all(&oqp->qp.req_pkts);
}

/* Requests wait: nobody may have to wait for them, or for long. */
static void rxe_odp_orphan_requests(struct rxe_odp_qp *oqp)
{
	if (qp_type(&oqp->qp) == IB_QPT_UC)
		rxe_odp_orphan_late(oqp);
	else
		rxe_odp_orphan_all(&oqp->qp.req_pkts);
}

/* How long its peer is left without a word, in jiffies. */
static unsigned long rxe_odp_patience(const struct rxe_qp *qp)
{
	unsigned long patience = qp->qp_timeout_jiffies / 2;

	return min_t(unsigned long, patience ?: RXE_ODP_PATIENCE,
		     RXE_ODP_PATIENCE_MAX);
}

/* From now on the peer is listened for.  @psn: with which it would ask again. */
static void rxe_odp_park_at(struct rxe_odp_qp *oqp, struct rxe_pkt_info *pkt,
			    u32 psn)
{
	trace_odp_park(&oqp->qp, pkt);
	WRITE_ONCE(oqp->nak, false);
	WRITE_ONCE(oqp->parked_psn, psn);
	WRITE_ONCE(oqp->parked, true);
}

static void rxe_odp_park(struct rxe_odp_qp *oqp, struct rxe_pkt_info *pkt)
{
	if (oqp->parked)
		return;
	rxe_odp_park_at(oqp, pkt, pkt->psn);
	if (qp_type(&oqp->qp) == IB_QPT_RC)
		mod_timer(&oqp->timer, jiffies + rxe_odp_patience(&oqp->qp));
}

static void rxe_odp_unpark(struct rxe_odp_qp *oqp)
{
	if (!oqp->parked)
		return;
	WRITE_ONCE(oqp->parked, false);
	timer_delete(&oqp->timer);
}

/*
 * When the peer is to come back, as the code of an RNR timer: 10 ms, or what the
 * application has set if that is longer.  0, the longest, is as good as unset.
 */
static u8 rxe_odp_rnr_code(const struct rxe_qp *qp)
{
	return max_t(u8, qp->attr.min_rnr_timer & 0x1f, IB_RNR_TIMER_010_24);
}

/* The read that @qp stands in, if it does. */
static struct resp_res *rxe_odp_read_of(const struct rxe_qp *qp)
{
	struct resp_res *res = qp->resp.res;

	return res && res->type == RXE_READ_MASK ? res : NULL;
}

/*
 * A read that was being answered goes on from where it stands: the peer asks
 * for the rest, as a request of its own.
 */
static u32 rxe_odp_stop_read(struct rxe_qp *qp, const struct resp_res *res)
{
	qp->resp.res = NULL;
	if (!res->replay) {
		qp->resp.opcode = -1;
		/* It was counted when it began, and will be again. */
		qp->resp.msn--;
	}
	if (psn_compare(res->cur_psn, qp->resp.psn) > 0)
		qp->resp.psn = res->cur_psn;
	return res->cur_psn;
}

static void rxe_odp_tell_rnr(struct rxe_qp *qp, u32 psn)
{
	u8 code = rxe_odp_rnr_code(qp);

	trace_odp_rnr_nak(qp, psn, code);
	rxe_odp_send_rnr_nak(qp, psn, code);
}

static void rxe_odp_nak(struct rxe_odp_qp *oqp, struct rxe_pkt_info *pkt)
{
	struct rxe_qp *qp = &oqp->qp;
	struct resp_res *res = rxe_odp_read_of(qp);

	rxe_odp_tell_rnr(qp, res ? rxe_odp_stop_read(qp, res) : pkt->psn);
	/*
	 * Drop what follows without a word, until this one comes again.  That
	 * may be in the queue, too, sent while the first one was parked; but
	 * the peer has been told to send it once more, and will.
	 */
	qp->resp.sent_psn_nak = 1;
	rxe_odp_unpark(oqp);
	rxe_odp_drop_all(qp, &qp->req_pkts);
}

/*
 * The responder of @qp is not running, and what it needs to answer a read is
 * about to be replaced: one that it stands in is asked for again by the peer.
 */
void rxe_odp_forget_read(struct rxe_qp *qp)
{
	struct sk_buff *skb = rxe_odp_peek(&qp->req_pkts);

	if (rxe_odp_read_of(qp) && skb)
		rxe_odp_nak(to_odp_qp(qp), SKB_TO_PKT(skb));
	qp->resp.res = NULL;
}

/*
 * Is it time to tell the peer of a request that is stuck?  It may have been
 * parked before, and this is asked at times only: so the peer is told early.
 * One that has been told has nothing to wait for until it is back, and then
 * begins anew.
 */
static bool rxe_odp_tells_stuck(struct rxe_odp_qp *oqp)
{
	unsigned long patience = rxe_odp_patience(&oqp->qp) / 2;
	struct rxe_odp_pass *pass = &oqp->recv_pass;

	patience -= min(patience, RXE_ODP_QUESTION);
	if (!pass->stuck) {
		pass->stuck = true;
		pass->since = jiffies;
		return false;
	}
	if (pass->told) {
		if (!READ_ONCE(oqp->nak))
			return false;
		WRITE_ONCE(oqp->nak, false);
		pass->told = false;
		pass->since = jiffies;
	}
	pass->told = READ_ONCE(oqp->nak) ||
		     time_after_eq(jiffies, pass->since + patience);
	return pass->told;
}

/*
 * The access of the request at the head waits in the worker.  It will be executed
 * and is not dropped; the peer, who is told to come back, does so with a duplicate.
 */
void rxe_odp_request_is_stuck(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;
	struct sk_buff *skb = rxe_odp_peek(&qp->req_pkts);
	struct resp_res *res = rxe_odp_read_of(qp);

	if (!skb)
		return;
	rxe_odp_orphan_requests(oqp);
	/* Who asks for the rest of a read begins there. */
	if (!oqp->recv_pass.stuck)
		rxe_odp_park_at(oqp, SKB_TO_PKT(skb), res ? res->cur_psn :
				SKB_TO_PKT(skb)->psn);
	if (!rxe_odp_tells_stuck(oqp) || qp_type(qp) != IB_QPT_RC)
		return;
	/* Before it is told, so that it cannot be back yet. */
	WRITE_ONCE(oqp->nak, false);
	rxe_odp_tell_rnr(qp, oqp->parked_psn);
	/*
	 * What is behind the head comes again, and until then nothing that is
	 * behind that is wanted.  Nobody else takes from the queue.
	 */
	qp->resp.sent_psn_nak = 1;
	while (skb_queue_len_lockless(&qp->req_pkts) > 1)
		rxe_odp_drop(qp, skb_dequeue_tail(&qp->req_pkts));
}

/* The request at the head has to wait. */
static int rxe_odp_hold(struct rxe_odp_qp *oqp, struct rxe_pkt_info *pkt)
{
	struct rxe_qp *qp = &oqp->qp;

	if (READ_ONCE(oqp->dying)) {
		rxe_odp_drop_all(qp, &qp->req_pkts);
		return -EAGAIN;
	}
	if (oqp->parked && READ_ONCE(oqp->nak) && qp_type(qp) == IB_QPT_RC) {
		rxe_odp_nak(oqp, pkt);
		return 0;
	}
	/* The look at a flush may have been stuck; it is not any more. */
	if (oqp->recv_pass.stuck)
		rxe_odp_unpark(oqp);
	rxe_odp_park(oqp, pkt);
	rxe_odp_orphan_requests(oqp);
	return -EAGAIN;
}

/* A queue pair that is not up: what was taken for it, or stands half done, goes. */
static void rxe_odp_recv_down(struct rxe_odp_qp *oqp)
{
	rxe_odp_flush_held(oqp);
	/* Numbers begin anew after a reset. */
	oqp->flush.psn = U32_MAX;
	/* A read that was parked half answered; a reset frees it. */
	oqp->qp.resp.res = NULL;
}

static int rxe_odp_receive(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;
	struct sk_buff *skb;
	int ret;

	oqp->recv_pass = (struct rxe_odp_pass) {};
	if (!rxe_odp_receives(qp)) {
		rxe_odp_recv_down(oqp);
	} else if (rxe_odp_in_use()) {
		skb = rxe_odp_peek(&qp->req_pkts);
		if (skb && rxe_odp_request_waits(qp, SKB_TO_PKT(skb)))
			return rxe_odp_hold(oqp, SKB_TO_PKT(skb));
		/*
		 * Stock code would go, too, or take one that has come since:
		 * that is for the next pass, which it has asked for behind
		 * queueing it.
		 */
		if (!skb) {
			rxe_odp_unpark(oqp);
			oqp->holds = false;
			return -EAGAIN;
		}
	}
	rxe_odp_unpark(oqp);
	oqp->recv_pass = (struct rxe_odp_pass) {};
	ret = rxe_receiver(qp);
	/* It may have been stuck. */
	rxe_odp_unpark(oqp);
	rxe_odp_recv_ended(oqp);
	return ret;
}

/*
 * Stands where stock code calls rxe_receiver(), once for each request.  The pass
 * that gives one up may be the last; and what comes after it schedules another.
 */
int rxe_odp_receiver(struct rxe_qp *qp)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	int ret = -EAGAIN;

	if (likely(!rxe_odp_is_lost(oqp, &oqp->recv_pass)))
		ret = rxe_odp_receive(oqp);
	if (likely(!rxe_odp_is_lost(oqp, &oqp->recv_pass)))
		return ret;
	rxe_odp_drop_all(qp, &qp->req_pkts);
	return -EAGAIN;
}

/* Does @queue, where a packet waits for memory, take one more? */
static bool rxe_odp_has_room(const struct sk_buff_head *queue)
{
	return skb_queue_len_lockless(queue) <= RXE_ODP_QUEUE_MAX;
}

/*
 * Stands where stock code queues a request; in softirq.
 *
 * The reference of a packet goes with it, and stock code schedules the task when
 * it has queued the packet.  A task that was at work, or that a destruction has
 * scheduled, may be done with it by then, and that was the last reference: so one
 * is held here until the task has been scheduled, and the same for answers.
 */
void rxe_odp_resp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	bool parked = READ_ONCE(oqp->parked);

	/* The peer has waited for longer than it wants to. */
	if (unlikely(parked) &&
	    SKB_TO_PKT(skb)->psn == READ_ONCE(oqp->parked_psn))
		WRITE_ONCE(oqp->nak, true);
	if (unlikely(parked) && !rxe_odp_has_room(&qp->req_pkts)) {
		rxe_odp_drop(qp, skb);
		return;
	}
	rxe_get(qp);
	rxe_resp_queue_pkt(qp, skb);
	rxe_put(qp);
}

/* Stands where stock code queues an answer; in softirq. */
void rxe_odp_comp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_odp_wait *wait = &oqp->wait[RXE_ODP_COMPLETER];

	if (unlikely(READ_ONCE(wait->pending) || READ_ONCE(oqp->early)) &&
	    !rxe_odp_has_room(&qp->resp_pkts)) {
		rxe_odp_drop(qp, skb);
		return;
	}
	rxe_get(qp);
	rxe_comp_queue_pkt(qp, skb);
	rxe_put(qp);
}

/* A new queue pair; nothing of it runs yet. */
void rxe_odp_init_qp(struct rxe_odp_qp *oqp)
{
	unsigned int i;

	timer_setup(&oqp->timer, rxe_odp_timer, 0);
	/* No packet has this number. */
	oqp->ahead_psn = U32_MAX;
	oqp->flush.psn = U32_MAX;
	/* What a queue pair of the past is told must not fit. */
	for (i = 0; i < RXE_ODP_WHO_NR; i++) {
		oqp->wait[i].first = get_random_u32();
		oqp->wait[i].ticket = oqp->wait[i].first;
	}
}

/* Packets that wait for memory, and accesses, let go of the queue pair. */
void rxe_odp_set_dying(struct rxe_odp_qp *oqp)
{
	WRITE_ONCE(oqp->dying, true);
	rxe_sched_task(&oqp->qp.recv_task);
	rxe_sched_task(&oqp->qp.send_task);
}

/* No task of @oqp runs any more, and its memory is about to go. */
void rxe_odp_exit_qp(struct rxe_odp_qp *oqp)
{
	timer_delete_sync(&oqp->timer);
}
