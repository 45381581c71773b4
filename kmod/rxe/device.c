// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The rxe device as it is registered: true capabilities, our verbs over stock
 */
#include <linux/module.h>

#include "binding.h"

/* Stock verbs that ours call; the same for every rxe device. */
static typeof_member(struct ib_device, ops.reg_user_mr) rxe_stock_reg_user_mr;
static typeof_member(struct ib_device, ops.rereg_user_mr) rxe_stock_rereg_user_mr;
static typeof_member(struct ib_device, ops.dereg_mr) rxe_stock_dereg_mr;
static typeof_member(struct ib_device, ops.create_qp) rxe_stock_create_qp;
static typeof_member(struct ib_device, ops.modify_qp) rxe_stock_modify_qp;
static typeof_member(struct ib_device, ops.destroy_qp) rxe_stock_destroy_qp;

/*
 * Registration.  iova + length must not wrap, or the range checks of stock
 * code mean nothing.
 */
static struct ib_mr *rxe_odp_reg_user_mr(struct ib_pd *pd, u64 start, u64 length,
					 u64 iova, int access,
					 ODP_REG_DMAH_PARAM
					 struct ib_udata *udata)
{
	struct ib_mr *ibmr;
	u64 end;

	if (access & IB_ACCESS_ON_DEMAND) {
		if (check_add_overflow(iova, length, &end))
			return ERR_PTR(-EINVAL);
		/* An iova of all memory is the address itself. */
		if (rxe_odp_is_implicit(start, length) && iova)
			return ERR_PTR(-EINVAL);
	}
	ibmr = rxe_stock_reg_user_mr(pd, start, length, iova, access,
				     ODP_REG_DMAH_ARG udata);
	if (!IS_ERR(ibmr)) {
		/* Only the oldest of uverbs' ways to register does this. */
		ibmr->iova = iova;
		ibmr->length = length;
	}
	return ibmr;
}

/*
 * The region that a change of @mr comes to.  It is a new one, with new keys:
 * what began under the old rights or range ends with the old region.
 */
static struct ib_mr *rxe_odp_replace_mr(struct rxe_mr *mr, int flags, u64 start,
					u64 length, u64 iova, int access,
					struct ib_pd *pd, struct ib_udata *udata)
{
	if (!(flags & IB_MR_REREG_TRANS)) {
		start = mr->umem->address;
		length = mr->umem->length;
		iova = mr->ibmr.iova;
	}
	if (!(flags & IB_MR_REREG_ACCESS))
		access = mr->access;
	return rxe_odp_reg_user_mr(pd, start, length, iova, access,
				   ODP_REG_DMAH_NONE udata);
}

/*
 * Reregistration.  uverbs takes the old region down when we return a new one,
 * and does not look whether that works: so not while a window is bound to it.
 * Another protection domain alone is stock code's business.
 */
static struct ib_mr *rxe_odp_rereg_user_mr(struct ib_mr *ibmr, int flags,
					   u64 start, u64 length, u64 iova,
					   int access, struct ib_pd *pd,
					   struct ib_udata *udata)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	bool odp = rxe_odp_region(mr);

	if (flags & IB_MR_REREG_ACCESS)
		odp |= access & IB_ACCESS_ON_DEMAND;
	if (!odp || !mr->umem || !(flags & (IB_MR_REREG_TRANS | IB_MR_REREG_ACCESS)))
		return rxe_stock_rereg_user_mr(ibmr, flags, start, length, iova,
					       access, pd, udata);
	if (atomic_read(&mr->num_mw))
		return ERR_PTR(-EINVAL);
	return rxe_odp_replace_mr(mr, flags, start, length, iova, access, pd,
				  udata);
}

/*
 * Deregistration.  Stock rxe takes the key away, waits for the references to
 * the region, and frees it after 50 seconds whether they are gone or not.  A
 * fault may take longer than that; killing the engine's region first makes
 * every access that waits for one return and drop its reference now.
 *
 * Stock code refuses when memory windows are bound.  One may be bound between
 * our look and its own, so the region is revived when it refuses.
 */
static int rxe_odp_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct odp_region *region = rxe_odp_region(mr);
	int ret;

	if (!region || atomic_read(&mr->num_mw))
		return rxe_stock_dereg_mr(ibmr, udata);

	odp_region_kill(region);
	ret = rxe_stock_dereg_mr(ibmr, udata);
	if (ret)
		odp_region_revive(region);
	return ret;
}

static int rxe_odp_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *attr,
			     struct ib_udata *udata)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	int ret;

	rxe_odp_init_qp(to_odp_qp(qp));
	ret = rxe_stock_create_qp(ibqp, attr, udata);
	if (!ret)
		rxe_odp_know_task(&qp->recv_task);
	return ret;
}

/*
 * Stock code waits for the packets in the queue pair's queues, and they may be
 * waiting for a page.
 */
static int rxe_odp_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	struct rxe_odp_qp *oqp = to_odp_qp(to_rqp(ibqp));
	int ret;

	/* The one case that stock code refuses: nothing happens to it then. */
	if (atomic_read(&oqp->qp.mcg_num))
		return rxe_stock_destroy_qp(ibqp, udata);

	rxe_odp_set_dying(oqp);
	ret = rxe_stock_destroy_qp(ibqp, udata);
	rxe_odp_exit_qp(oqp);
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
	/* Who had something for it meanwhile could not schedule it. */
	rxe_sched_task(task);
}

/*
 * A change of how many reads the peer may have under way.  Stock code replaces
 * what it remembers of them, on some kernels while the responder may be using it
 * (and a read may be parked half answered for as long as its next page takes),
 * and clears as many as there will be, not as many as there are.  So the old ones
 * are not there for it, and come back when it fails.
 */
static int rxe_odp_change_reads(struct ib_qp *ibqp, struct ib_qp_attr *attr,
				int mask, struct ib_udata *udata)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	struct resp_res *old;
	int count, ret;

	rxe_disable_task(&qp->recv_task);
	rxe_odp_forget_read(qp);
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

static int rxe_odp_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr,
			     int mask, struct ib_udata *udata)
{
	int ret;

	if (mask & IB_QP_MAX_DEST_RD_ATOMIC)
		ret = rxe_odp_change_reads(ibqp, attr, mask, udata);
	else
		ret = rxe_stock_modify_qp(ibqp, attr, mask, udata);
	/*
	 * Its numbers begin anew.  The task may run by now, whose this is, but
	 * has sent nothing yet that it could have gone back to.
	 */
	if (!ret && (mask & IB_QP_SQ_PSN))
		to_odp_qp(to_rqp(ibqp))->resends = false;
	return ret;
}

static const struct ib_device_ops rxe_odp_ops = {
	.advise_mr = rxe_odp_advise_mr,
	.fill_res_mr_entry = rxe_odp_fill_res_mr_entry,
	.fill_stat_mr_entry = rxe_odp_fill_stat_mr_entry,
};

static void rxe_odp_set_caps(struct rxe_dev *rxe)
{
	struct ib_odp_caps *caps = &rxe->attr.odp_caps;

	rxe->attr.kernel_cap_flags |= IBK_ON_DEMAND_PAGING;
	caps->general_caps = IB_ODP_SUPPORT | IB_ODP_SUPPORT_IMPLICIT;
	caps->per_transport_caps.rc_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_WRITE | IB_ODP_SUPPORT_READ |
		IB_ODP_SUPPORT_ATOMIC | IB_ODP_SUPPORT_SRQ_RECV |
		ODP_CAP_FLUSH_ATOMIC_WRITE;
	caps->per_transport_caps.uc_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_WRITE;
	caps->per_transport_caps.ud_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_SRQ_RECV;
}

/* Stands where stock rxe calls ib_register_device(). */
int rxe_odp_register_device(struct ib_device *dev, const char *name,
			    struct device *dma_device)
{
	rxe_odp_set_caps(container_of(dev, struct rxe_dev, ib_dev));
	/* Fills what stock has left empty ... */
	ib_set_device_ops(dev, &rxe_odp_ops);
	/* ... and this puts ours over what it has set. */
	rxe_stock_reg_user_mr = dev->ops.reg_user_mr;
	rxe_stock_rereg_user_mr = dev->ops.rereg_user_mr;
	rxe_stock_dereg_mr = dev->ops.dereg_mr;
	dev->ops.reg_user_mr = rxe_odp_reg_user_mr;
	dev->ops.rereg_user_mr = rxe_odp_rereg_user_mr;
	dev->ops.dereg_mr = rxe_odp_dereg_mr;
	rxe_stock_create_qp = dev->ops.create_qp;
	rxe_stock_destroy_qp = dev->ops.destroy_qp;
	rxe_stock_modify_qp = dev->ops.modify_qp;
	dev->ops.create_qp = rxe_odp_create_qp;
	dev->ops.modify_qp = rxe_odp_modify_qp;
	dev->ops.destroy_qp = rxe_odp_destroy_qp;
	/* The core allocates them, and finds the ib_qp at their beginning. */
	static_assert(!offsetof(struct rxe_odp_qp, qp.ibqp));
	dev->ops.size_ib_qp = sizeof(struct rxe_odp_qp);
	return ib_register_device(dev, name, dma_device);
}

/* How a user tells this module from the distribution's: modinfo -F odpreg. */
MODULE_INFO(odpreg, ODPREG_VERSION);
