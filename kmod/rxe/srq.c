// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Shared receive queues: WQEs that were taken and not used
 *
 * A packet takes the next WQE of the queue, and may then have to await a page
 * for as long as that likes: the QP keeps the WQE for it (resp.c).  When the QP
 * is reset or destroyed meanwhile nobody would ever use it, or hear of it, and a
 * queue whose QPs come and go would run dry.  It cannot go back into the queue,
 * whose slot user space may have filled again.  So it goes to a list beside the
 * queue, which is used up first.
 */
#include <linux/slab.h>

#include "binding.h"

struct rxe_odp_returned {
	struct list_head	list;
	struct {
		struct rxe_recv_wqe	wqe;
		struct ib_sge		sge[RXE_MAX_SGE];
	} recv;
};

/* Stock verbs that ours call; the same for every rxe device. */
static typeof_member(struct ib_device, ops.create_srq) rxe_stock_create_srq;
static typeof_member(struct ib_device, ops.destroy_srq) rxe_stock_destroy_srq;

static struct rxe_odp_srq *to_odp_srq(struct rxe_srq *srq)
{
	return container_of(srq, struct rxe_odp_srq, srq);
}

/* Put the WQE that @qp has taken where the next packet finds it.  May sleep. */
void rxe_odp_return_wqe(struct rxe_qp *qp)
{
	struct rxe_odp_srq *osrq = to_odp_srq(qp->srq);
	struct rxe_odp_returned *returned;

	returned = kmalloc(sizeof(*returned), GFP_KERNEL_ACCOUNT);
	if (!returned)
		return;
	static_assert(sizeof(returned->recv) == sizeof(qp->resp.srq_wqe));
	memcpy(&returned->recv, &qp->resp.srq_wqe, sizeof(returned->recv));
	spin_lock(&osrq->lock);
	list_add_tail(&returned->list, &osrq->returned);
	spin_unlock(&osrq->lock);
}

/* Has a WQE been returned?  Then @qp has it. */
bool rxe_odp_take_returned(struct rxe_qp *qp)
{
	struct rxe_odp_srq *osrq = to_odp_srq(qp->srq);
	struct rxe_odp_returned *returned;

	if (likely(list_empty_careful(&osrq->returned)))
		return false;
	spin_lock(&osrq->lock);
	returned = list_first_entry_or_null(&osrq->returned,
					    struct rxe_odp_returned, list);
	if (returned)
		list_del_init(&returned->list);
	spin_unlock(&osrq->lock);
	if (!returned)
		return false;
	memcpy(&qp->resp.srq_wqe, &returned->recv, sizeof(returned->recv));
	kfree(returned);
	return true;
}

static int rxe_odp_create_srq(struct ib_srq *ibsrq,
			      struct ib_srq_init_attr *init,
			      struct ib_udata *udata)
{
	struct rxe_odp_srq *osrq = to_odp_srq(to_rsrq(ibsrq));

	spin_lock_init(&osrq->lock);
	INIT_LIST_HEAD(&osrq->returned);
	return rxe_stock_create_srq(ibsrq, init, udata);
}

/* No QP uses it any more. */
static int rxe_odp_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata)
{
	struct rxe_odp_srq *osrq = to_odp_srq(to_rsrq(ibsrq));
	struct rxe_odp_returned *returned, *next;
	int ret = rxe_stock_destroy_srq(ibsrq, udata);

	if (ret)
		return ret;
	list_for_each_entry_safe(returned, next, &osrq->returned, list)
		kfree(returned);
	return 0;
}

/* Ours go over those of stock code that @dev has. */
void rxe_odp_set_srq_ops(struct ib_device *dev)
{
	rxe_stock_create_srq = dev->ops.create_srq;
	rxe_stock_destroy_srq = dev->ops.destroy_srq;
	dev->ops.create_srq = rxe_odp_create_srq;
	dev->ops.destroy_srq = rxe_odp_destroy_srq;
	/* The core allocates them, and finds the ib_srq at their beginning. */
	static_assert(!offsetof(struct rxe_odp_srq, srq.ibsrq));
	dev->ops.size_ib_srq = sizeof(struct rxe_odp_srq);
}
