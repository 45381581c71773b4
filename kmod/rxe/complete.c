// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The status of a send request whose on-demand memory could not be read
 *
 * Stock rxe sets the request's status (local protection error), moves the
 * queue pair to the error state, and then its completer, which sees that
 * state, flushes the whole send queue: the application is told that the
 * request was flushed, not what was wrong with it.  Before stock flushes, this
 * completes the request that failed with its own status, after those ahead of
 * it.  Requests on pinned memory complete as they do with stock rxe.
 */
#include "binding.h"
#include "rxe_queue.h"

/* Did @wqe fail at a piece of on-demand memory?  User space can write to it. */
static bool rxe_odp_failed(struct rxe_qp *qp, const struct rxe_send_wqe *wqe)
{
	struct rxe_dev *rxe = to_rdev(qp->ibqp.device);
	u32 cur = READ_ONCE(wqe->dma.cur_sge);
	struct rxe_mr *mr;
	bool odp;

	if (READ_ONCE(wqe->state) != wqe_state_error ||
	    READ_ONCE(wqe->status) != IB_WC_LOC_PROT_ERR ||
	    cur >= qp->sq.max_sge)
		return false;

	mr = rxe_pool_get_index(&rxe->mr_pool,
				READ_ONCE(wqe->dma.sge[cur].lkey) >> 8);
	if (!mr)
		return false;
	odp = rxe_odp_region(mr);
	rxe_put(mr);
	return odp;
}

/* How many requests there are up to and with the one that failed, or 0. */
static unsigned int rxe_odp_find_failed(struct rxe_qp *qp)
{
	struct rxe_queue *q = qp->sq.queue;
	unsigned int n = 1;
	u32 index, end;

	end = rxe_odp_sq_end(q);
	for (index = rxe_odp_sq_head(q); index != end;
	     index = queue_next_index(q, index), n++)
		if (rxe_odp_failed(qp, queue_addr_from_index(q, index)))
			return n;
	return 0;
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

static void rxe_odp_complete_failed(struct rxe_qp *qp)
{
	struct rxe_queue *q = qp->sq.queue;
	struct rxe_send_wqe *wqe;
	unsigned int n;

	for (n = rxe_odp_find_failed(qp); n; n--) {
		wqe = queue_head(q, q->type);
		if (!wqe)
			return;
		rxe_odp_post_error(qp, qp->scq, wqe->wr.wr_id, n == 1 ?
				   IB_WC_LOC_PROT_ERR : IB_WC_WR_FLUSH_ERR);
		queue_advance_consumer(q, q->type);
	}
}

/* Stands before stock rxe_completer(). */
int rxe_odp_completer(struct rxe_qp *qp)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	unsigned long flags;
	int ret;

	/* The state is looked at twice: here for free, there for good. */
	if (unlikely(qp_state(qp) == IB_QPS_ERR) && qp->sq.queue) {
		spin_lock_irqsave(&qp->state_lock, flags);
		if (qp->valid && qp_state(qp) == IB_QPS_ERR &&
		    !oqp->send_pass.over)
			rxe_odp_complete_failed(qp);
		spin_unlock_irqrestore(&qp->state_lock, flags);
	}
	ret = rxe_completer(qp);
	oqp->answer = NULL;
	return ret;
}
