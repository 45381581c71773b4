// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The completer: stock rxe_comp.c, keeping a response that it cannot take in yet
 *
 * A response is kept at the head of its queue in two cases: the page where its
 * data goes is absent; or it is for a WQE that is rewound and not yet
 * retransmitted.  Stock rxe takes such a WQE for one that was never sent, and
 * would drop the response.
 * That may be the only one (a fatal NAK is sent once), so it waits until every
 * rewound WQE has been retransmitted, for which no response is needed.
 */
#include "binding.h"
#include "rxe_queue.h"

#include "hooked/rxe_comp.c"

/* Leave the response at the head of its queue: free_pkt() puts it back there. */
static enum comp_state rxe_odp_keep(struct rxe_qp *qp)
{
	WRITE_ONCE(to_odp_qp(qp)->comp.keeps, true);
	return COMPST_EXIT;
}

static void free_pkt(struct rxe_pkt_info *pkt)
{
	if (unlikely(to_odp_qp(pkt->qp)->comp.keeps))
		skb_queue_head(&pkt->qp->resp_pkts, PKT_TO_SKB(pkt));
	else
		stock_free_pkt(pkt);
}

static inline enum comp_state get_wqe(struct rxe_qp *qp,
				      struct rxe_pkt_info *pkt,
				      struct rxe_send_wqe **wqe_p)
{
	enum comp_state state = stock_get_wqe(qp, pkt, wqe_p);

	if (unlikely(state == COMPST_DONE) && *wqe_p &&
	    rxe_odp_is_rewound(to_odp_qp(qp)))
		return rxe_odp_keep(qp);
	return state;
}

static inline enum comp_state check_psn(struct rxe_qp *qp,
					struct rxe_pkt_info *pkt,
					struct rxe_send_wqe *wqe)
{
	enum comp_state state = stock_check_psn(qp, pkt, wqe);

	if (unlikely(state == COMPST_DONE || state == COMPST_ERROR_RETRY) &&
	    psn_compare(pkt->psn, wqe->last_psn) > 0 &&
	    rxe_odp_is_rewound(to_odp_qp(qp)))
		return rxe_odp_keep(qp);
	return state;
}

/*
 * A peer that sends an RNR NAK is alive, so the retry count is restored.
 * Otherwise a page that is late, and a packet lost now and then meanwhile,
 * would exhaust it.
 */
static inline enum comp_state check_ack(struct rxe_qp *qp,
					struct rxe_pkt_info *pkt,
					struct rxe_send_wqe *wqe)
{
	enum comp_state state = stock_check_ack(qp, pkt, wqe);

	if (unlikely(state == COMPST_RNR_RETRY)) {
		qp->comp.retry_cnt = qp->attr.retry_cnt;
		qp->comp.started_retry = 0;
	}
	return state;
}

/* Copy the list of @wqe, whose data is not inline.  Return: is it sound? */
bool rxe_odp_copy_list(struct rxe_qp *qp, const struct rxe_send_wqe *wqe,
		       struct rxe_odp_wqe_copy *copy)
{
	struct rxe_dma_info *dma = &copy->wqe.dma;

	memcpy(dma, &wqe->dma, sizeof(*dma));
	/* Nothing else than the copy is looked at from here on. */
	barrier();
	if (dma->num_sge > qp->sq.max_sge || dma->cur_sge >= dma->num_sge)
		return false;
	memcpy(copy->more, (const u8 *)wqe + sizeof(*wqe),
	       dma->num_sge * sizeof(struct rxe_sge));
	return true;
}

/*
 * Put @len bytes of a response where they go.  The WQE's list moves when all
 * of them are copied.
 */
static enum comp_state rxe_odp_take_in(struct rxe_qp *qp,
				       struct rxe_pkt_info *pkt,
				       struct rxe_send_wqe *wqe, u8 *addr,
				       u32 len)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_odp_miss *miss = &oqp->miss[RXE_ODP_COMP];
	struct rxe_odp_part *part = &oqp->comp.part;
	struct rxe_dma_info *dma = &oqp->copy.wqe.dma;
	struct rxe_odp_position at;
	u32 done = 0;
	int err = 0;

	if (unlikely(part->valid && part->psn == pkt->psn))
		done = min(part->done, len);
	if (len && !rxe_odp_copy_list(qp, wqe, &oqp->copy))
		err = -EINVAL;
	miss->list = dma;
	if (likely(len && !err))
		err = rxe_odp_scatter(qp, dma, addr, len, done);
	if (unlikely(miss->absent)) {
		*part = (struct rxe_odp_part) {
			.valid = true,
			.psn = pkt->psn,
			.done = miss->stopped - addr,
		};
		return rxe_odp_keep(qp);
	}
	part->valid = false;
	if (unlikely(err)) {
		wqe->status = IB_WC_LOC_PROT_ERR;
		return COMPST_ERROR;
	}
	if (len) {
		at = rxe_odp_position(dma);
		rxe_odp_set_position(&wqe->dma, &at);
	}
	return COMPST_COMP_ACK;
}

static inline enum comp_state do_read(struct rxe_qp *qp,
				      struct rxe_pkt_info *pkt,
				      struct rxe_send_wqe *wqe)
{
	enum comp_state state = rxe_odp_take_in(qp, pkt, wqe,
						payload_addr(pkt),
						payload_size(pkt));

	if (state == COMPST_COMP_ACK &&
	    (wqe->dma.resid || !(pkt->mask & RXE_END_MASK)))
		return COMPST_UPDATE_COMP;
	return state;
}

static inline enum comp_state do_atomic(struct rxe_qp *qp,
					struct rxe_pkt_info *pkt,
					struct rxe_send_wqe *wqe)
{
	u64 orig = atmack_orig(pkt);

	return rxe_odp_take_in(qp, pkt, wqe, (u8 *)&orig, sizeof(orig));
}

void rxe_odp_post_error(struct rxe_qp *qp, struct rxe_cq *cq, u64 wr_id,
			enum ib_wc_status status)
{
	struct rxe_cqe cqe = {};

	if (cq->is_user) {
		cqe.uibwc.wr_id = wr_id;
		cqe.uibwc.status = status;
		cqe.uibwc.qp_num = qp->ibqp.qp_num;
	} else {
		cqe.ibwc.wr_id = wr_id;
		cqe.ibwc.status = status;
		cqe.ibwc.qp = &qp->ibqp;
	}
	rxe_cq_post(cq, &cqe, 0);
}

/*
 * A WQE whose on-demand memory could not be read completes with its own
 * status, not with that of a flush, and in the order of the queue.
 */
static int flush_send_wqe(struct rxe_qp *qp, struct rxe_send_wqe *wqe)
{
	struct rxe_odp_req *req = &to_odp_qp(qp)->req;

	if (!req->failed ||
	    queue_index_from_addr(qp->sq.queue, wqe) != req->failed_index)
		return stock_flush_send_wqe(qp, wqe);
	req->failed = false;
	rxe_odp_post_error(qp, qp->scq, wqe->wr.wr_id, IB_WC_LOC_PROT_ERR);
	return 0;
}

/*
 * A transport timer that expires while the RNR timer runs, or while the
 * requester awaits a page of its own, says nothing about the peer.
 */
static void rxe_odp_judge_timeout(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;

	if (qp->req.wait_for_rnr_timer ||
	    (rxe_odp_sends(qp) && rxe_odp_awaits_own_page(oqp)))
		qp->comp.timeout = 0;
}

/*
 * Responses were dropped behind one that was kept.  Those to come would be out of
 * sequence, or there are none: what is not answered is requested again, as after
 * a loss on the wire, but it costs no retry.
 */
static bool rxe_odp_asks_again(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;

	if (!skb_queue_empty_lockless(&qp->resp_pkts))
		return false;
	WRITE_ONCE(oqp->comp.dropped, false);
	if (!rxe_odp_sends(qp) || psn_compare(qp->req.psn, qp->comp.psn) <= 0)
		return false;
	qp->req.need_retry = 1;
	return true;
}

/* Return: as a task. */
int rxe_odp_completer(struct rxe_odp_qp *oqp)
{
	struct rxe_odp_miss *miss = &oqp->miss[RXE_ODP_COMP];
	struct rxe_qp *qp = &oqp->qp;
	int ret;

	if (unlikely(qp->comp.timeout))
		rxe_odp_judge_timeout(oqp);
	rxe_odp_run_begins(miss);
	/* A run that will not look at the head still keeps it. */
	if (!qp->req.need_retry)
		WRITE_ONCE(oqp->comp.keeps, false);
	ret = rxe_completer(qp);
	if (likely(!oqp->comp.keeps)) {
		rxe_odp_run_ends(miss);
		if (unlikely(READ_ONCE(oqp->comp.dropped)) &&
		    rxe_odp_asks_again(oqp))
			return 0;
		return ret;
	}
	if (READ_ONCE(oqp->dying))
		rxe_odp_drop_all(qp, &qp->resp_pkts);
	else
		rxe_odp_orphan_all(&qp->resp_pkts);
	return ret;
}
