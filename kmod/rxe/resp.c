// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The responder: stock rxe_resp.c, backing out of a packet whose page is absent
 *
 * The hooks below stand in front of the stock functions that touch memory.  They
 * call stock's and, when an access of that found a page absent (notify.c), undo
 * what stock code has done with the packet since it took it from the queue.
 * Nothing is committed before the data is there: PSN, MSN and opcode, resources
 * of reads and atomics, the receive WQE, references to region and window are as
 * they were.  The packet stays at the head of its queue (park.c), and the next
 * task run takes it for a new one.
 *
 * Two hooks are there for the keys: a duplicate of a READ is executed again,
 * and stock code checks it against nothing but the resource of the first.
 */
#include "binding.h"
#include "rxe_queue.h"

#define rxe_flush_pmem_iova(mr, iova, length) \
	rxe_odp_flush(qp, pkt->psn, mr, iova, length)

#include "hooked/rxe_resp.c"

/* The region is looked up again, as it may be gone by then. */
static enum resp_states rxe_odp_back_out(struct rxe_qp *qp,
					 struct rxe_pkt_info *pkt)
{
	/*
	 * A WQE taken for this packet: one of a shared queue is kept for it, as
	 * nobody else may have it now, one of the QP's own is still in its queue.
	 */
	if (pkt->mask & RXE_RWR_MASK) {
		to_odp_qp(qp)->resp.srq_kept = qp->srq;
		qp->resp.wqe = NULL;
	}
	if (qp->resp.mr) {
		rxe_put(qp->resp.mr);
		qp->resp.mr = NULL;
	}
	return RESPST_EXIT;
}

/* The same for a packet that has taken a resource, for its duplicates. */
static enum resp_states rxe_odp_back_out_res(struct rxe_qp *qp,
					     struct rxe_pkt_info *pkt)
{
	struct resp_res *res = qp->resp.res;

	free_rd_atomic_resource(res);
	qp->resp.res_head = res - qp->resp.resources;
	qp->resp.res = NULL;
	return rxe_odp_back_out(qp, pkt);
}

/* The key that @pkt is checked by: its own, or that of its message. */
static u32 rxe_odp_key_of(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	if (pkt->mask & RXE_RETH_MASK)
		return reth_rkey(pkt);
	if (pkt->mask & RXE_ATMETH_MASK)
		return atmeth_rkey(pkt);
	return qp->resp.rkey;
}

/*
 * Stock code looks a window up, then at its bounds, then at its region, which it
 * gets a reference to.  Under the window's lock nobody binds or invalidates it in
 * between:
 *
 *	responder				requester of the owner
 *	---------				----------------------
 *	window is valid, in bounds
 *						invalidate, bind elsewhere
 *	mr = mw->mr: another region, or
 *	one that is being freed
 */
static enum resp_states rxe_odp_check_rkey(struct rxe_qp *qp,
					   struct rxe_pkt_info *pkt)
{
	u32 key = rxe_odp_key_of(qp, pkt);
	struct rxe_mw *mw = NULL;
	enum resp_states state;

	if (unlikely(rkey_is_mw(key)))
		mw = rxe_pool_get_index(&to_rdev(qp->ibqp.device)->mw_pool,
					key >> 8);
	if (likely(!mw))
		return stock_check_rkey(qp, pkt);
	spin_lock_bh(&mw->lock);
	state = stock_check_rkey(qp, pkt);
	spin_unlock_bh(&mw->lock);
	rxe_put(mw);
	return state;
}

/* With a length of 0 in the RETH stock code checks neither key nor payload. */
static enum resp_states check_rkey(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	enum resp_states state = rxe_odp_check_rkey(qp, pkt);

	if (state == RESPST_EXECUTE && unlikely(!qp->resp.mr) &&
	    (pkt->mask & RXE_WRITE_MASK) && payload_size(pkt))
		return RESPST_ERR_LENGTH;
	return state;
}

/*
 * A fresh WQE is at its beginning and has as many SGEs as there is room for,
 * whatever user space has written since stock code checked it in the queue.
 */
static enum resp_states rxe_odp_fresh_wqe(struct rxe_qp *qp, u32 max_sge)
{
	struct rxe_dma_info *dma = &qp->resp.srq_wqe.wqe.dma;

	dma->num_sge = min(dma->num_sge, min_t(u32, max_sge, RXE_MAX_SGE));
	dma->cur_sge = 0;
	dma->sge_offset = 0;
	return RESPST_CHK_LENGTH;
}

static enum resp_states get_srq_wqe(struct rxe_qp *qp)
{
	struct rxe_odp_resp *resp = &to_odp_qp(qp)->resp;
	enum resp_states state = RESPST_CHK_LENGTH;

	if (likely(!resp->srq_kept) && !rxe_odp_take_returned(qp))
		state = stock_get_srq_wqe(qp);
	resp->srq_kept = false;
	if (state != RESPST_CHK_LENGTH)
		return state;
	qp->resp.wqe = &qp->resp.srq_wqe.wqe;
	return rxe_odp_fresh_wqe(qp, qp->srq->rq.max_sge);
}

static enum resp_states rxe_get_recv_wqe(struct rxe_qp *qp)
{
	enum resp_states state = stock_rxe_get_recv_wqe(qp);

	return state == RESPST_CHK_LENGTH ?
		rxe_odp_fresh_wqe(qp, qp->rq.max_sge) : state;
}

/* Is @part what was copied of @pkt, to @key and @iova, by an earlier try? */
static bool rxe_odp_part_is(const struct rxe_odp_part *part,
			    const struct rxe_pkt_info *pkt, u32 key, u64 iova)
{
	return part->valid && part->psn == pkt->psn && part->key == key &&
	       part->iova == iova;
}

/*
 * Called for the header of a datagram, and then for the payload: bytes of the
 * packet are counted through both.
 */
static enum resp_states send_data_in(struct rxe_qp *qp, void *data_addr,
				     int data_len)
{
	struct rxe_odp_resp *resp = &to_odp_qp(qp)->resp;
	u32 before = resp->passed, done = 0;
	enum resp_states state = RESPST_NONE;
	int err;

	resp->passed += data_len;
	if (unlikely(resp->part.valid && resp->part.done > before))
		done = min_t(u32, resp->part.done - before, data_len);
	if (likely(!done)) {
		state = stock_send_data_in(qp, data_addr, data_len);
	} else {
		err = rxe_odp_scatter(qp, &qp->resp.wqe->dma, data_addr,
				      data_len, done);
		if (err)
			state = err == -ENOSPC ? RESPST_ERR_LENGTH :
						 RESPST_ERR_MALFORMED_WQE;
	}
	if (rxe_odp_is_absent(qp, RXE_ODP_RESP))
		resp->passed = before +
			(to_odp_qp(qp)->miss[RXE_ODP_RESP].stopped -
			 (u8 *)data_addr);
	return state;
}

static enum resp_states write_data_in(struct rxe_qp *qp,
				      struct rxe_pkt_info *pkt)
{
	struct rxe_odp_miss *miss = &to_odp_qp(qp)->miss[RXE_ODP_RESP];
	struct rxe_odp_part *part = &to_odp_qp(qp)->resp.part;
	u64 iova = qp->resp.va + qp->resp.offset;
	u32 len = payload_size(pkt), done;
	enum resp_states state;

	if (likely(!rxe_odp_part_is(part, pkt, qp->resp.rkey, iova))) {
		state = stock_write_data_in(qp, pkt);
	} else {
		done = min(part->done, len);
		if (!rxe_mr_copy(qp->resp.mr, iova + done,
				 payload_addr(pkt) + done, len - done,
				 RXE_TO_MR_OBJ)) {
			qp->resp.va += len;
			qp->resp.resid -= len;
			state = RESPST_NONE;
		} else {
			state = ODP_RKEY_VIOLATION(pkt);
		}
	}
	if (rxe_odp_is_absent(qp, RXE_ODP_RESP)) {
		*part = (struct rxe_odp_part) {
			.valid = true,
			.psn = pkt->psn,
			.key = qp->resp.rkey,
			.iova = iova,
			.done = miss->stopped - (u8 *)payload_addr(pkt),
		};
		return RESPST_EXIT;
	}
	part->valid = false;
	return state;
}

static enum resp_states rxe_odp_execute_send(struct rxe_qp *qp,
					     struct rxe_pkt_info *pkt)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_dma_info *dma = &qp->resp.wqe->dma;
	struct rxe_odp_position at;
	enum resp_states state;

	if (unlikely(oqp->resp.part.valid) &&
	    !rxe_odp_part_is(&oqp->resp.part, pkt, 0, 0))
		oqp->resp.part.valid = false;
	at = rxe_odp_position(dma);
	oqp->resp.passed = 0;
	oqp->miss[RXE_ODP_RESP].list = dma;
	state = stock_execute(qp, pkt);
	if (likely(!oqp->miss[RXE_ODP_RESP].absent)) {
		oqp->resp.part.valid = false;
		return state;
	}
	oqp->resp.part = (struct rxe_odp_part) {
		.valid = true,
		.psn = pkt->psn,
		.done = oqp->resp.passed,
	};
	rxe_odp_set_position(dma, &at);
	return rxe_odp_back_out(qp, pkt);
}

static enum resp_states execute(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	enum resp_states state;

	if (pkt->mask & RXE_SEND_MASK)
		return rxe_odp_execute_send(qp, pkt);
	to_odp_qp(qp)->miss[RXE_ODP_RESP].list = NULL;
	state = stock_execute(qp, pkt);
	if (rxe_odp_is_absent(qp, RXE_ODP_RESP))
		return rxe_odp_back_out(qp, pkt);
	return state;
}

/*
 * A READ between two responses goes on there; the MSN of a fresh one was
 * counted in execute(), and will be again.
 *
 * Stock code tells by resp.length whether a READ has a region.  That is of the
 * last request executed, which a duplicate is not.
 */
static enum resp_states read_reply(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	struct resp_res *res = qp->resp.res;
	enum rdatm_res_state was = res ? res->state : rdatm_res_state_new;
	u32 length = qp->resp.length, psn = qp->resp.psn;
	enum resp_states state;

	if (res && res->replay)
		qp->resp.length = res->read.length;
	to_odp_qp(qp)->miss[RXE_ODP_RESP].list = NULL;
	state = stock_read_reply(qp, pkt);
	qp->resp.length = length;
	/* One that was aborted, and not counted (park.c), ends as a duplicate. */
	if (unlikely(res && res->replay && qp->resp.psn != psn))
		qp->resp.msn++;
	if (likely(!rxe_odp_is_absent(qp, RXE_ODP_RESP)))
		return state;
	if (res) {
		res->state = was;
		return RESPST_EXIT;
	}
	qp->resp.msn--;
	return rxe_odp_back_out_res(qp, pkt);
}

/*
 * For each response of a READ but the first, and each of a duplicate: key,
 * rights, PD, and bounds of region and window are checked as for the first.
 */
static struct rxe_mr *rxe_recheck_mr(struct rxe_qp *qp, u32 rkey)
{
	struct resp_res *res = qp->resp.res;

	return rxe_odp_lookup_remote(qp, IB_ACCESS_REMOTE_READ, rkey,
				     res->read.va, res->read.resid);
}

static enum resp_states atomic_reply(struct rxe_qp *qp,
				     struct rxe_pkt_info *pkt)
{
	enum resp_states state = stock_atomic_reply(qp, pkt);

	return rxe_odp_is_absent(qp, RXE_ODP_RESP) ?
		rxe_odp_back_out_res(qp, pkt) : state;
}

static enum resp_states atomic_write_reply(struct rxe_qp *qp,
					   struct rxe_pkt_info *pkt)
{
	enum resp_states state = stock_atomic_write_reply(qp, pkt);

	return rxe_odp_is_absent(qp, RXE_ODP_RESP) ?
		rxe_odp_back_out_res(qp, pkt) : state;
}

/*
 * Stock code asks whether there are resources for reads and atomics, but not for
 * flushes, and does not say by which PSN a duplicate finds one.
 */
static enum resp_states process_flush(struct rxe_qp *qp,
				      struct rxe_pkt_info *pkt)
{
	enum resp_states state;
	struct resp_res *res;

	if (unlikely(!qp->attr.max_dest_rd_atomic))
		return RESPST_ERR_TOO_MANY_RDMA_ATM_REQ;
	state = stock_process_flush(qp, pkt);
	if (rxe_odp_is_absent(qp, RXE_ODP_RESP))
		return rxe_odp_back_out_res(qp, pkt);
	res = qp->resp.res;
	if (res && !res->replay) {
		res->first_psn = pkt->psn;
		res->last_psn = pkt->psn;
		res->cur_psn = pkt->psn;
	}
	return state;
}

/* The resource of a request of @type that had @psn, or NULL. */
static struct resp_res *rxe_odp_find_res(struct rxe_qp *qp, u32 psn, int type)
{
	struct resp_res *res = qp->resp.resources;
	struct resp_res *end = res + qp->attr.max_dest_rd_atomic;

	for (; res && res < end; res++)
		if (res->type == type &&
		    psn_compare(psn, res->first_psn) >= 0 &&
		    psn_compare(psn, res->last_psn) <= 0)
			return res;
	return NULL;
}

/*
 * Set @res to answer a READ again, from the packet with the PSN of @pkt on.  Where
 * that lies follows from the first request alone, and @pkt has to say the same:
 * no duplicate can move or extend it.
 */
static bool rxe_odp_repeat_read(struct rxe_qp *qp, struct resp_res *res,
				struct rxe_pkt_info *pkt)
{
	u64 skip = (u64)((pkt->psn - res->first_psn) & BTH_PSN_MASK) * qp->mtu;
	u64 va = res->read.va_org + skip;

	if (skip > res->read.length || reth_len(pkt) > res->read.length - skip)
		return false;
	/* Without data there is no key, and no address. */
	if (res->read.length &&
	    (reth_rkey(pkt) != res->read.rkey ||
	     reth_va(pkt) + rxe_odp_zero_base(qp, res->read.rkey) != va))
		return false;
	res->state = skip ? rdatm_res_state_replay : rdatm_res_state_new;
	res->read.va = va;
	res->read.resid = reth_len(pkt);
	return true;
}

/*
 * A duplicate.  Stock code takes whatever resource has its PSN, of whatever
 * kind of request, and lets a READ move the origin that the next one is
 * checked against.
 */
static enum resp_states duplicate_request(struct rxe_qp *qp,
					  struct rxe_pkt_info *pkt)
{
	static const struct {
		int			type;
		enum resp_states	state;
	} kinds[] = {
		{ RXE_READ_MASK,	 RESPST_READ_REPLY },
		{ RXE_ATOMIC_MASK,	 RESPST_ATOMIC_REPLY },
		{ RXE_ATOMIC_WRITE_MASK, RESPST_ATOMIC_WRITE_REPLY },
		{ RXE_FLUSH_MASK,	 RESPST_PROCESS_FLUSH },
	};
	struct resp_res *res;
	unsigned int i;

	if (pkt->mask & (RXE_SEND_MASK | RXE_WRITE_MASK))
		return stock_duplicate_request(qp, pkt);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (pkt->mask & kinds[i].type)
			break;
	if (i == ARRAY_SIZE(kinds))
		return RESPST_CLEANUP;
	res = rxe_odp_find_res(qp, pkt->psn, kinds[i].type);
	if (!res || (res->type == RXE_READ_MASK &&
		     !rxe_odp_repeat_read(qp, res, pkt)))
		return RESPST_CLEANUP;
	res->replay = 1;
	res->cur_psn = pkt->psn;
	qp->resp.res = res;
	return kinds[i].state;
}

void rxe_odp_send_ack(struct rxe_qp *qp, u8 syndrome, u32 psn)
{
	send_ack(qp, syndrome, psn);
}

/*
 * A WQE that was taken from a shared queue and is not used: in the error state it
 * is flushed, where stock code flushes those of the QP's own, else the next
 * packet of any QP may have it.  May sleep.
 */
void rxe_odp_drop_kept(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;

	/* In the middle of a message: it begins anew. */
	if (qp->srq && qp->resp.wqe) {
		qp->resp.wqe->dma.resid = qp->resp.wqe->dma.length;
		qp->resp.wqe = NULL;
		oqp->resp.srq_kept = true;
	}
	if (!oqp->resp.srq_kept)
		return;
	oqp->resp.srq_kept = false;
	if (READ_ONCE(qp->valid) && qp_state(qp) == IB_QPS_ERR)
		rxe_odp_post_error(qp, qp->rcq, qp->resp.srq_wqe.wqe.wr_id,
				   IB_WC_WR_FLUSH_ERR);
	else
		rxe_odp_return_wqe(qp);
}

/*
 * The QP is not up.  Put what a packet that will not be executed has taken.
 * Stock code does not put resp.mr when the CQ was full, and a deregistration
 * would wait for that for ever.
 */
static void rxe_odp_recv_down(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;

	rxe_odp_drop_kept(oqp);
	/* PSNs begin anew after a reset. */
	oqp->resp.flush.valid = false;
	oqp->resp.part.valid = false;
	rxe_odp_miss_forget(&oqp->miss[RXE_ODP_RESP]);
	rxe_odp_park_reset(oqp);
	/* A READ between two responses; a reset frees it. */
	qp->resp.res = NULL;
	if (qp->resp.mr) {
		rxe_put(qp->resp.mr);
		qp->resp.mr = NULL;
	}
}

/* Stands where stock code calls rxe_receiver(), once for each packet. */
int rxe_odp_receiver(struct rxe_qp *qp)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	struct rxe_odp_miss *miss = &oqp->miss[RXE_ODP_RESP];
	int ret;

	if (unlikely(!rxe_odp_receives(qp)))
		rxe_odp_recv_down(oqp);
	rxe_odp_run_begins(miss);
	ret = rxe_receiver(qp);
	if (unlikely(miss->absent))
		return rxe_odp_park(oqp);
	/*
	 * A fault that fails after its packet was dropped with an RNR NAK is for
	 * the packet when it comes again, which clears this.
	 */
	if (!qp->resp.sent_psn_nak)
		rxe_odp_run_ends(miss);
	rxe_odp_unpark(oqp, ret);
	return ret;
}
