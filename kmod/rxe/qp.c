// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs: their life, and changes of their state
 */
#include "binding.h"

/* Stock verbs that ours call; the same for every rxe device. */
static typeof_member(struct ib_device, ops.create_qp) rxe_stock_create_qp;
static typeof_member(struct ib_device, ops.modify_qp) rxe_stock_modify_qp;
static typeof_member(struct ib_device, ops.destroy_qp) rxe_stock_destroy_qp;

static int rxe_odp_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *attr,
			     struct ib_udata *udata)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	struct rxe_odp_qp *oqp = to_odp_qp(qp);
	int ret;

	mutex_init(&oqp->modify_lock);
	rxe_odp_notify_init(oqp);
	rxe_odp_park_init(oqp);
	ret = rxe_stock_create_qp(ibqp, attr, udata);
	if (!ret)
		rxe_odp_know_task(&qp->recv_task);
	return ret;
}

/*
 * Stock code waits for the packets in the QP's queues, and they may be parked: so
 * both tasks run once more, and drop what they would park.
 */
static int rxe_odp_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	struct rxe_odp_qp *oqp = to_odp_qp(to_rqp(ibqp));
	int ret;

	/* The one case that stock code refuses: nothing happens to it then. */
	if (atomic_read(&oqp->qp.mcg_num))
		return rxe_stock_destroy_qp(ibqp, udata);

	WRITE_ONCE(oqp->dying, true);
	rxe_sched_task(&oqp->qp.recv_task);
	rxe_sched_task(&oqp->qp.send_task);
	ret = rxe_stock_destroy_qp(ibqp, udata);
	rxe_odp_drop_kept(oqp);
	rxe_odp_notify_exit(oqp);
	rxe_odp_park_exit(oqp);
	kfree(oqp->req.gathered);
	mutex_destroy(&oqp->modify_lock);
	return ret;
}

/*
 * Let a task run again that was disabled, unless stock code has: it may be
 * running then, and rxe_enable_task() would call it idle.
 */
static void rxe_odp_enable_task(struct rxe_task *task)
{
	unsigned long flags;

	spin_lock_irqsave(&task->lock, flags);
	if (task->state == TASK_STATE_DRAINED)
		task->state = TASK_STATE_IDLE;
	spin_unlock_irqrestore(&task->lock, flags);
	/* Whatever was queued for it meanwhile could not schedule it. */
	rxe_sched_task(task);
}

/*
 * A change of how many READs and atomics the peer may have in flight.  Stock
 * code replaces the responder's resources, on some kernels while the responder
 * may be using them (a READ awaits a page between two responses), and clears
 * as many as there will be, not as many as there are.  So stock code finds
 * none, and the old ones are restored when it fails.
 */
static int rxe_odp_change_reads(struct ib_qp *ibqp, struct ib_qp_attr *attr,
				int mask, struct ib_udata *udata)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	struct resp_res *old;
	int count, ret;

	rxe_disable_task(&qp->recv_task);
	rxe_odp_abort_read(qp);
	old = qp->resp.resources;
	count = qp->attr.max_dest_rd_atomic;
	qp->resp.resources = NULL;
	ret = rxe_stock_modify_qp(ibqp, attr, mask, udata);
	if (qp->resp.resources) {
		kfree(old);
	} else {
		qp->resp.resources = old;
		qp->attr.max_dest_rd_atomic = count;
	}
	rxe_odp_enable_task(&qp->recv_task);
	return ret;
}

/*
 * One change at a time: uverbs lets two threads in, and each of them would
 * stop the tasks, restart them while the other still relies on that, and free
 * what it has replaced.
 */
static int rxe_odp_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr,
			     int mask, struct ib_udata *udata)
{
	struct rxe_odp_qp *oqp = to_odp_qp(to_rqp(ibqp));
	u32 ack_psn;
	int ret;

	mutex_lock(&oqp->modify_lock);
	ack_psn = oqp->qp.resp.ack_psn;
	/* Duplicates are acknowledged up to there, and stock code leaves it. */
	if ((mask & IB_QP_RQ_PSN) && !rxe_odp_receives(&oqp->qp))
		oqp->qp.resp.ack_psn = attr->rq_psn & BTH_PSN_MASK;
	if (mask & IB_QP_MAX_DEST_RD_ATOMIC)
		ret = rxe_odp_change_reads(ibqp, attr, mask, udata);
	else
		ret = rxe_stock_modify_qp(ibqp, attr, mask, udata);
	if (ret && !rxe_odp_receives(&oqp->qp))
		oqp->qp.resp.ack_psn = ack_psn;
	/*
	 * Its PSNs begin anew.  The task may run by now, whose this is, but has sent
	 * nothing yet that it could have rewound, or that could have failed.
	 */
	if (!ret && (mask & IB_QP_SQ_PSN)) {
		oqp->req.rewound = false;
		oqp->req.failed = false;
	}
	mutex_unlock(&oqp->modify_lock);
	return ret;
}

/* Ours go over those of stock code that @dev has. */
void rxe_odp_set_qp_ops(struct ib_device *dev)
{
	rxe_stock_create_qp = dev->ops.create_qp;
	rxe_stock_modify_qp = dev->ops.modify_qp;
	rxe_stock_destroy_qp = dev->ops.destroy_qp;
	dev->ops.create_qp = rxe_odp_create_qp;
	dev->ops.modify_qp = rxe_odp_modify_qp;
	dev->ops.destroy_qp = rxe_odp_destroy_qp;
}
