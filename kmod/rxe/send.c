// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Requester and completer do not wait for pages
 *
 * Nothing has been sent yet when the requester waits, and an answer that has
 * come is not lost while the completer does, so the peer need not know: the
 * packets stay where they are until the page is there.
 */
#include "binding.h"
#include "rxe_queue.h"

/*
 * The request that the requester takes next, or NULL.  It is user space's to
 * change: nothing read from it is true for longer than a moment.
 */
static const struct rxe_send_wqe *rxe_odp_next_wqe(struct rxe_qp *qp)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_queue *q = qp->sq.queue;

	/* Where it goes back to is looked at when it has (stock_req.c). */
	if (!q || rxe_odp_goes_back(qp))
		return NULL;
	if (qp->req.wqe_index == queue_get_producer(q, QUEUE_TYPE_FROM_CLIENT)) {
		oqp->request_end = qp->req.wqe_index;
		oqp->no_request = true;
		oqp->resends = false;
		return NULL;
	}
	return queue_addr_from_index(q, qp->req.wqe_index);
}

/*
 * Fault ahead where the answer to a read will go.  Nobody waits for that yet.
 * The read may be looked at many times before it is sent: it has a number then.
 */
static void rxe_odp_read_ahead(struct rxe_qp *qp,
			       const struct rxe_send_wqe *wqe)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_odp_place at;

	if (oqp->ahead_psn == qp->req.psn)
		return;
	oqp->ahead_psn = qp->req.psn;
	at = rxe_odp_place_of(&wqe->dma);
	if (READ_ONCE(wqe->dma.resid) > qp->mtu)
		rxe_odp_list_ahead(qp, RXE_ODP_COMPLETER, &at, qp->sq.max_sge,
				   IB_ACCESS_LOCAL_WRITE);
}

/* A datagram is one packet, whatever the path says. */
static u32 rxe_odp_mtu(struct rxe_qp *qp)
{
	if (qp_type(qp) == IB_QPT_RC || qp_type(qp) == IB_QPT_UC)
		return qp->mtu;
	return to_rdev(qp->ibqp.device)->port.mtu_cap;
}

/* Must the requester wait for what it would send next? */
static bool rxe_odp_send_waits(struct rxe_qp *qp)
{
	const struct rxe_send_wqe *wqe = rxe_odp_next_wqe(qp);
	struct rxe_odp_place at;
	u32 len;

	if (!wqe || (READ_ONCE(wqe->wr.send_flags) & IB_SEND_INLINE))
		return false;
	/* Draining: what has not begun must not, and stock code says so. */
	if (qp_state(qp) == IB_QPS_SQD &&
	    READ_ONCE(wqe->state) != wqe_state_processing)
		return false;
	switch (READ_ONCE(wqe->wr.opcode)) {
	case IB_WR_RDMA_READ:
		rxe_odp_read_ahead(qp, wqe);
		return false;
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
	case IB_WR_SEND_WITH_INV:
		break;
	default:
		return false;
	}
	len = min_t(u32, READ_ONCE(wqe->dma.resid), rxe_odp_mtu(qp));
	at = rxe_odp_place_of(&wqe->dma);
	return rxe_odp_wait_for_list(qp, RXE_ODP_REQUESTER, &at,
				     qp->sq.max_sge, len, 0);
}

/*
 * The request that stock code will take @pkt for: behind those at the head of
 * the queue that it completes on the way, as they need no answer or have it in
 * this one.  @psn is the next answer that it expects by then.
 */
static const struct rxe_send_wqe *
rxe_odp_answered(struct rxe_qp *qp, const struct rxe_pkt_info *pkt, u32 *psn)
{
	struct rxe_queue *q = qp->sq.queue;
	const struct rxe_send_wqe *wqe;
	u32 index, end, state, last;

	end = rxe_odp_sq_end(q);
	for (index = rxe_odp_sq_head(q); index != end;
	     index = queue_next_index(q, index)) {
		wqe = queue_addr_from_index(q, index);
		state = READ_ONCE(wqe->state);
		if (state == wqe_state_done)
			continue;
		if (state != wqe_state_pending && state != wqe_state_processing)
			return NULL;
		last = READ_ONCE(wqe->last_psn);
		if (psn_compare(pkt->psn, last) <= 0)
			return wqe;
		if (state != wqe_state_pending ||
		    (READ_ONCE(wqe->mask) & WR_ATOMIC_OR_READ_MASK))
			return NULL;
		if (psn_compare(last, *psn) >= 0)
			*psn = (last + 1) & BTH_PSN_MASK;
	}
	return NULL;
}

/*
 * Does @pkt come while requests are to be sent again, and would stock code drop it
 * for that?  Stock code goes back and sends in one go, so for its completer these
 * have never been sent.  An answer may come a second time when they are, or not:
 * a peer that refuses one of them is down by then, and one that had all it wanted
 * may be gone.  So it waits until they are sent, for which no answer is needed.
 */
static bool rxe_odp_answers_too_early(struct rxe_qp *qp,
				      const struct rxe_pkt_info *pkt)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	u32 psn = qp->comp.psn;

	if (likely(!oqp->resends))
		return false;
	if (psn_compare(qp->req.psn, oqp->resend_end) >= 0)
		oqp->resends = false;
	return oqp->resends && !rxe_odp_answered(qp, pkt, &psn);
}

/*
 * Must the completer wait for where the answer at the head of its queue goes, or
 * for what it answers?
 */
static bool rxe_odp_answer_waits(struct rxe_qp *qp)
{
	struct sk_buff *skb = rxe_odp_peek(&qp->resp_pkts);
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	const struct rxe_send_wqe *wqe;
	struct rxe_odp_place at;
	struct rxe_pkt_info *pkt;
	u32 len, psn = qp->comp.psn;

	oqp->no_answer = !skb;
	if (!skb || !qp->sq.queue)
		return false;
	pkt = SKB_TO_PKT(skb);
	WRITE_ONCE(oqp->early, rxe_odp_answers_too_early(qp, pkt));
	if (oqp->early)
		return true;
	if (pkt->mask & RXE_ATMACK_MASK)
		len = sizeof(u64);
	else if (pkt->mask & RXE_PAYLOAD_MASK)
		len = min_t(u32, payload_size(pkt), SZ_8K);
	else
		return false;
	wqe = rxe_odp_answered(qp, pkt, &psn);
	/* Stock code takes no other answer in. */
	if (!wqe || pkt->psn != psn)
		return false;
	at = rxe_odp_place_of(&wqe->dma);
	return rxe_odp_wait_for_list(qp, RXE_ODP_COMPLETER, &at,
				     qp->sq.max_sge, len,
				     IB_ACCESS_LOCAL_WRITE);
}

/* Is the request at the head done, without an answer? */
static bool rxe_odp_head_is_done(struct rxe_qp *qp)
{
	const struct rxe_send_wqe *wqe;

	wqe = queue_head(qp->sq.queue, QUEUE_TYPE_FROM_CLIENT);
	return wqe && READ_ONCE(wqe->state) == wqe_state_done;
}

static int rxe_odp_complete(struct rxe_qp *qp, bool look)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	bool waits = look && rxe_odp_answer_waits(qp);
	int ret = -EAGAIN;

	/* What is done does not wait with an answer that is for another. */
	if (waits)
		oqp->no_answer = true;
	if (!waits || rxe_odp_head_is_done(qp))
		ret = rxe_odp_completer(qp);
	oqp->no_answer = false;
	if (!waits)
		return ret;
	if (READ_ONCE(oqp->dying))
		rxe_odp_drop_all(qp, &qp->resp_pkts);
	else
		rxe_odp_orphan_all(&qp->resp_pkts);
	return -EAGAIN;
}

/* Requests up to @end have been sent, and will be again. */
static void rxe_odp_gone_back(struct rxe_odp_qp *oqp, u32 end)
{
	if (psn_compare(end, oqp->qp.req.psn) <= 0 ||
	    (oqp->resends && psn_compare(end, oqp->resend_end) <= 0))
		return;
	oqp->resend_end = end;
	oqp->resends = true;
}

/*
 * Requests have gone back.  They give back what they have of the reads and atomics
 * that may be under way, and take it again when they are sent: one with a fence
 * waits until nobody has any, and would wait for those behind it.
 */
static void rxe_odp_give_back(struct rxe_qp *qp)
{
	struct rxe_queue *q = qp->sq.queue;
	struct rxe_send_wqe *wqe;
	u32 index, end;

	end = rxe_odp_sq_end(q);
	for (index = rxe_odp_sq_head(q); index != end;
	     index = queue_next_index(q, index)) {
		wqe = queue_addr_from_index(q, index);
		if (READ_ONCE(wqe->state) != wqe_state_posted ||
		    !READ_ONCE(wqe->has_rd_atomic))
			continue;
		WRITE_ONCE(wqe->has_rd_atomic, 0);
		/* User space may have written it there. */
		if (atomic_read(&qp->req.rd_atomic) < qp->attr.max_rd_atomic)
			atomic_inc(&qp->req.rd_atomic);
	}
}

/*
 * Stock code stops when many of its packets are under way, and then says that it
 * wants to be told when they are few.  They may have become few in between, and
 * nobody is told of the last one.
 */
static bool rxe_odp_stopped_late(const struct rxe_qp *qp)
{
	if (!qp->need_req_skb)
		return false;
	/* Pairs with atomic_dec_return() where a packet is freed. */
	smp_mb();
	return atomic_read(&qp->skb_out) < RXE_INFLIGHT_SKBS_PER_QP_LOW;
}

static int rxe_odp_requester(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;
	bool stopped = qp->need_req_skb;
	u32 end = qp->req.psn;
	int ret;

	oqp->went_back = false;
	ret = rxe_requester(qp);
	oqp->no_request = false;
	if (oqp->went_back) {
		rxe_odp_gone_back(oqp, end);
		rxe_odp_give_back(qp);
		return 0;
	}
	return !stopped && rxe_odp_stopped_late(qp) ? 0 : ret;
}

/*
 * A queue pair that is being destroyed waits for its packets.  A UC one is held by
 * those that wait at its peer (respond.c), and would send as many again when they
 * let go of it.
 */
static bool rxe_odp_sends_no_more(const struct rxe_odp_qp *oqp)
{
	return unlikely(READ_ONCE(oqp->dying)) &&
	       qp_type(&oqp->qp) == IB_QPT_UC;
}

static int rxe_odp_send(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;
	bool up = rxe_odp_sends(qp), look = up && rxe_odp_in_use();
	int req, comp;

	/* What failed is told of when the queue pair is flushed. */
	if (up)
		oqp->send_pass = (struct rxe_odp_pass) {};
	oqp->looks = look;
	if (look && (rxe_odp_sends_no_more(oqp) || rxe_odp_send_waits(qp)))
		req = -EAGAIN;
	else
		req = rxe_odp_requester(oqp);
	comp = rxe_odp_complete(qp, look);
	/* Again, as long as one of the two has something to do. */
	return req && comp ? -EAGAIN : 0;
}

/* Stands where stock code calls rxe_sender(); see rxe_odp_receiver(). */
int rxe_odp_sender(struct rxe_qp *qp)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	int ret = -EAGAIN;

	if (likely(!rxe_odp_is_lost(oqp, &oqp->send_pass)))
		ret = rxe_odp_send(oqp);
	if (likely(!rxe_odp_is_lost(oqp, &oqp->send_pass)))
		return ret;
	rxe_odp_drop_all(qp, &qp->resp_pkts);
	return -EAGAIN;
}
