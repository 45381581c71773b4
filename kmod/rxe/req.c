// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The requester: stock rxe_req.c, not sending a packet whose page is absent
 *
 * Nothing of a packet has been sent when its payload cannot be gathered, so the
 * peer need not know.  Stock code has no way back from there: it steps over
 * the WQE, marks it as failed, and moves the QP to the error state.  The last
 * is left out here, the others are undone (rxe_odp_undo_send()) before the
 * completer, which runs in the same task, can see them.
 *
 * A packet whose page is late at the peer is retransmitted.  What stock code
 * does wrong then is mended here:
 *
 *  - A WQE that was executed locally (bind, invalidate, register) is executed
 *    again when those before it are retransmitted (req_next_wqe()).
 *  - An atomic write or a flush is retransmitted to address 0: their masks are
 *    missing where stock code takes the remote address anew, which is the only
 *    use of this mask.
 *  - Reads and atomics keep their places among those that may be in flight, so
 *    that a fence before them never ends (rxe_odp_return_credits()).
 *  - The transport timer goes on from before an RNR NAK, and expires.
 */
#include "binding.h"
#include "rxe_queue.h"

#define WR_READ_OR_WRITE_MASK (WR_READ_MASK | WR_WRITE_MASK | \
			       WR_ATOMIC_WRITE_MASK | WR_FLUSH_MASK)

static void rxe_odp_req_error(struct rxe_qp *qp)
{
	if (likely(!rxe_odp_is_absent(qp, RXE_ODP_REQ)))
		rxe_qp_error(qp);
}

#define rxe_qp_error(qp)	rxe_odp_req_error(qp)

#include "hooked/rxe_req.c"

/*
 * WQEs have been rewound.  They give back their places among the reads and atomics
 * that may be in flight, and take them again when they are retransmitted: one
 * with a fence waits until nobody has any, and would wait for those behind it.
 */
static void rxe_odp_return_credits(struct rxe_qp *qp)
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
 * The transport timer begins anew with the first packet that is retransmitted:
 * so far it ran for the packets that are rewound.
 */
static void req_retry(struct rxe_qp *qp)
{
	struct rxe_odp_req *req = &to_odp_qp(qp)->req;
	u32 end = qp->req.psn;

	stock_req_retry(qp);
	rxe_odp_return_credits(qp);
	timer_delete(&qp->retrans_timer);
	qp->comp.timeout = 0;
	req->part.valid = false;
	if (psn_compare(end, qp->req.psn) <= 0 ||
	    (req->rewound && psn_compare(end, req->rewound_end) <= 0))
		return;
	req->rewound_end = end;
	req->rewound = true;
}

/*
 * Are there WQEs that were sent, are to be retransmitted and are not yet?  See
 * comp.c.
 */
bool rxe_odp_is_rewound(const struct rxe_odp_qp *oqp)
{
	return oqp->req.rewound &&
	       psn_compare(oqp->qp.req.psn, oqp->req.rewound_end) < 0;
}

/* Step over WQEs that are done.  The producer index is user space's. */
static struct rxe_send_wqe *req_next_wqe(struct rxe_qp *qp)
{
	struct rxe_queue *q = qp->sq.queue;
	struct rxe_send_wqe *wqe = stock_req_next_wqe(qp);
	u32 left = q->index_mask;

	while (unlikely(wqe && READ_ONCE(wqe->state) == wqe_state_done && left--)) {
		qp->req.wqe_index = queue_next_index(q, qp->req.wqe_index);
		wqe = stock_req_next_wqe(qp);
	}
	return wqe;
}

/* Copy @wqe and its list, or inline data.  Return: is it sound? */
static bool rxe_odp_copy_wqe(struct rxe_qp *qp, const struct rxe_send_wqe *wqe,
			     struct rxe_odp_wqe_copy *copy, u32 payload)
{
	const struct rxe_dma_info *dma = &copy->wqe.dma;
	u32 more;

	memcpy(&copy->wqe, wqe, sizeof(copy->wqe));
	/* Nothing else than the copy is looked at from here on. */
	barrier();
	if (copy->wqe.wr.send_flags & IB_SEND_INLINE) {
		if (dma->sge_offset > qp->sq.max_inline ||
		    payload > qp->sq.max_inline - dma->sge_offset)
			return false;
		more = dma->sge_offset + payload;
	} else {
		if (dma->num_sge > qp->sq.max_sge ||
		    (payload && dma->cur_sge >= dma->num_sge))
			return false;
		more = dma->num_sge * sizeof(struct rxe_sge);
	}
	memcpy(copy->more, (const u8 *)wqe + sizeof(*wqe), more);
	return true;
}

/* Keep what has been gathered, for when the rest is there; or gather it again. */
static void rxe_odp_keep_gathered(struct rxe_odp_qp *oqp,
				  struct rxe_pkt_info *pkt)
{
	struct rxe_odp_req *req = &oqp->req;
	u8 *payload = payload_addr(pkt);
	u32 done = oqp->miss[RXE_ODP_REQ].stopped - payload;

	if (done && !req->gathered)
		req->gathered = kmalloc(ib_mtu_enum_to_int(IB_MTU_4096),
					GFP_NOWAIT | __GFP_NOWARN);
	if (!done || !req->gathered)
		return;
	memcpy(req->gathered, payload, done);
	req->part = (struct rxe_odp_part) {
		.valid = true,
		.psn = pkt->psn,
		.done = done,
	};
}

/* As stock finish_packet() does, behind what has been gathered of @pkt before. */
static int rxe_odp_finish_rest(struct rxe_qp *qp, struct rxe_av *av,
			       struct rxe_send_wqe *wqe,
			       struct rxe_pkt_info *pkt, struct sk_buff *skb,
			       u32 payload)
{
	struct rxe_odp_req *req = &to_odp_qp(qp)->req;
	u8 *to = payload_addr(pkt);
	u32 done = req->part.done;
	int err;

	err = rxe_prepare(av, pkt, skb);
	if (!err)
		err = advance_dma_data(&wqe->dma, done);
	if (err)
		return err;
	memcpy(to, req->gathered, done);
	err = copy_data(qp->pd, 0, &wqe->dma, to + done, payload - done,
			RXE_FROM_MR_OBJ);
	if (!err)
		memset(to + payload, 0, bth_pad(pkt));
	return err;
}

/* Gather the payload, by a copy of the WQE that moves when all is done. */
static int rxe_odp_finish_payload(struct rxe_qp *qp, struct rxe_av *av,
				  struct rxe_send_wqe *wqe,
				  struct rxe_pkt_info *pkt,
				  struct sk_buff *skb, u32 payload)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_send_wqe *copy = &oqp->copy.wqe;
	struct rxe_odp_req *req = &oqp->req;
	int err;

	if (!rxe_odp_copy_wqe(qp, wqe, &oqp->copy, payload))
		return -EINVAL;
	oqp->miss[RXE_ODP_REQ].list = &copy->dma;
	if (likely(!req->part.valid) || req->part.psn != pkt->psn ||
	    req->part.done > payload ||
	    (copy->wr.send_flags & IB_SEND_INLINE))
		err = stock_finish_packet(qp, av, copy, pkt, skb, payload);
	else
		err = rxe_odp_finish_rest(qp, av, copy, pkt, skb, payload);
	if (likely(!err)) {
		const struct rxe_odp_position at = rxe_odp_position(&copy->dma);

		rxe_odp_set_position(&wqe->dma, &at);
		req->part.valid = false;
	}
	return err;
}

static int finish_packet(struct rxe_qp *qp, struct rxe_av *av,
			 struct rxe_send_wqe *wqe, struct rxe_pkt_info *pkt,
			 struct sk_buff *skb, u32 payload)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_odp_unsent unsent = {
		.wqe = wqe,
		.index = qp->req.wqe_index,
		.state = wqe->state,
		.status = wqe->status,
	};
	int err;

	if (pkt->mask & RXE_WRITE_OR_SEND_MASK)
		err = rxe_odp_finish_payload(qp, av, wqe, pkt, skb, payload);
	else if ((pkt->mask & RXE_ATOMIC_WRITE_MASK) && payload != sizeof(u64))
		err = -EINVAL;
	else
		err = stock_finish_packet(qp, av, wqe, pkt, skb, payload);
	if (likely(!err)) {
		if ((pkt->mask & RXE_READ_MASK) && wqe->dma.resid > qp->mtu &&
		    rxe_odp_copy_list(qp, wqe, &oqp->copy))
			rxe_odp_ahead_of_list(qp, RXE_ODP_COMP,
					      &oqp->copy.wqe.dma);
		return 0;
	}
	if (rxe_odp_is_absent(qp, RXE_ODP_REQ)) {
		rxe_odp_keep_gathered(oqp, pkt);
		oqp->req.unsent = unsent;
	} else if (err == -EFAULT) {
		/* flush_send_wqe() completes it with its own status. */
		oqp->req.failed_index = unsent.index;
		oqp->req.failed = true;
	}
	return err;
}

/* The WQE is as it was before stock code failed to send a packet of it. */
static void rxe_odp_undo_send(struct rxe_odp_qp *oqp, int noack_pkts)
{
	const struct rxe_odp_unsent *unsent = &oqp->req.unsent;

	WRITE_ONCE(unsent->wqe->state, unsent->state);
	WRITE_ONCE(unsent->wqe->status, unsent->status);
	oqp->qp.req.wqe_index = unsent->index;
	oqp->qp.req.noack_pkts = noack_pkts;
}

/*
 * Does the requester itself await a page of the oldest WQE that is not
 * complete?  Then the peer may owe us no response, and an expired timer proves
 * nothing.
 */
bool rxe_odp_awaits_own_page(struct rxe_odp_qp *oqp)
{
	return unlikely(oqp->req.blocked) &&
	       rxe_odp_sq_head(oqp->qp.sq.queue) == oqp->qp.req.wqe_index;
}

/*
 * Stock code stops when many of its packets are in flight, and only then sets
 * need_req_skb, to be scheduled when they are few.  They may have become few
 * in between, and then the last of them schedules nobody.
 */
static bool rxe_odp_stopped_late(const struct rxe_qp *qp)
{
	if (!qp->need_req_skb)
		return false;
	/* Pairs with atomic_dec_return() where a packet is freed. */
	smp_mb();
	return atomic_read(&qp->skb_out) < RXE_INFLIGHT_SKBS_PER_QP_LOW;
}

/*
 * A QP that is being destroyed waits for its packets in flight.  Those of a UC
 * QP may be parked at its peer, and it would send as many again when they are
 * freed.
 */
static bool rxe_odp_sends_no_more(struct rxe_odp_qp *oqp)
{
	return unlikely(READ_ONCE(oqp->dying)) &&
	       qp_type(&oqp->qp) == IB_QPT_UC && rxe_odp_sends(&oqp->qp);
}

/* The QP is not up: nothing is awaited, nothing will be retransmitted. */
static void rxe_odp_send_down(struct rxe_odp_qp *oqp)
{
	oqp->req.blocked = false;
	oqp->req.rewound = false;
	oqp->req.part.valid = false;
	oqp->comp.part.valid = false;
	rxe_odp_miss_forget(&oqp->miss[RXE_ODP_REQ]);
	rxe_odp_miss_forget(&oqp->miss[RXE_ODP_COMP]);
}

static int rxe_odp_requester(struct rxe_odp_qp *oqp)
{
	struct rxe_odp_miss *miss = &oqp->miss[RXE_ODP_REQ];
	struct rxe_qp *qp = &oqp->qp;
	int noack_pkts = qp->req.noack_pkts, ret;
	bool stopped = qp->need_req_skb;

	if (rxe_odp_sends_no_more(oqp))
		return -EAGAIN;
	oqp->sends = RXE_ODP_REQ;
	rxe_odp_run_begins(miss);
	ret = rxe_requester(qp);
	oqp->req.blocked = miss->absent;
	if (unlikely(miss->absent)) {
		rxe_odp_undo_send(oqp, noack_pkts);
		return -EAGAIN;
	}
	rxe_odp_run_ends(miss);
	/* At once: PSNs wrap, and then it would be so again. */
	if (unlikely(oqp->req.rewound) && !rxe_odp_is_rewound(oqp))
		oqp->req.rewound = false;
	return !stopped && rxe_odp_stopped_late(qp) ? 0 : ret;
}

/* Stands where stock code calls rxe_sender(). */
int rxe_odp_sender(struct rxe_qp *qp)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	int req, comp;

	if (unlikely(!rxe_odp_sends(qp)))
		rxe_odp_send_down(oqp);
	req = rxe_odp_requester(oqp);
	oqp->sends = RXE_ODP_COMP;
	comp = rxe_odp_completer(oqp);
	/* Again, as long as one of the two has something to do. */
	return req && comp ? -EAGAIN : 0;
}
