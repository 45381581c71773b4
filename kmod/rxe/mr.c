// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-demand memory regions of rxe: from registration to deregistration
 */
#include <linux/slab.h>

#include "binding.h"

/* Stock verbs that ours call; the same for every rxe device. */
static typeof_member(struct ib_device, ops.reg_user_mr) rxe_stock_reg_user_mr;
static typeof_member(struct ib_device, ops.rereg_user_mr) rxe_stock_rereg_user_mr;
static typeof_member(struct ib_device, ops.dereg_mr) rxe_stock_dereg_mr;

/*
 * Make @mr an on-demand region of [start, start + length) of the caller, or of
 * all the caller's address space: to the engine that is a range like others,
 * and to stock code one that no iova is outside of.  On failure @mr is as
 * rxe_add_to_pool() left it, but for its keys, and stock code takes it down as
 * a region without memory.
 */
int rxe_odp_mr_init(struct rxe_dev *rxe, u64 start, u64 length, int access,
		    struct rxe_mr *mr)
{
	struct odp_region_attr attr = {
		.start = start,
		.length = length,
		.writable = ib_access_writable(access),
		.atomic_lock = rxe_odp_atomic_ops_lock(),
	};
	struct rxe_odp_umem *odp;
	struct odp_region *region;

	if (rxe_odp_is_implicit(start, length))
		attr.length = TASK_SIZE;

	rxe_odp_mr_init_keys(access, mr);
	rxe_odp_mr_init_pages(mr);

	odp = kzalloc(sizeof(*odp), GFP_KERNEL_ACCOUNT);
	if (!odp)
		return -ENOMEM;

	region = odp_region_create(&attr);
	if (IS_ERR(region)) {
		kfree(odp);
		rxe_dbg_mr(mr, "no on-demand region of %#llx bytes at %#llx: %ld\n",
			   length, start, PTR_ERR(region));
		return PTR_ERR(region);
	}

	odp->umem.ibdev = &rxe->ib_dev;
	odp->umem.address = start;
	odp->umem.length = length;
	odp->umem.writable = attr.writable;
	odp->umem.is_odp = 1;
	odp->region = region;

	mr->umem = &odp->umem;
	mr->ibmr.type = IB_MR_TYPE_USER;
	mr->state = RXE_MR_STATE_VALID;
	return 0;
}

/* Stands where stock rxe_reg_user_mr() calls rxe_mr_init_user(). */
int rxe_odp_reg_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length,
			     int access, struct rxe_mr *mr)
{
	if (access & IB_ACCESS_ON_DEMAND)
		return rxe_odp_mr_init(rxe, start, length, access, mr);
	return rxe_mr_init_user(rxe, start, length, access, mr);
}

/*
 * Stands in the pool's table for stock rxe_mr_cleanup().  No access that
 * awaits a page holds @mr (see rxe_odp_dereg_mr()).  Should somebody hold it
 * all the same, stock code has timed out after 50 seconds and is about to free
 * @mr under them; we wait for as long as it takes.
 */
void rxe_odp_mr_cleanup(struct rxe_pool_elem *elem)
{
	struct rxe_mr *mr = container_of(elem, typeof(*mr), elem);
	struct odp_region *region = rxe_odp_region(mr);

	if (!region) {
		rxe_mr_cleanup(elem);
		return;
	}

	if (kref_read(&elem->ref_cnt))
		wait_for_completion(&elem->complete);

	rxe_put(mr_pd(mr));
	odp_region_destroy(region);
	kfree(container_of(mr->umem, struct rxe_odp_umem, umem));
	mr->umem = NULL;
}

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
 * Deregistration.  No access holds the region while it awaits a page; killing the
 * engine's region first completes what is awaited with an error, so that the
 * packets that were backed out for it end, too.
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

/* Ours go over those of stock code that @dev has. */
void rxe_odp_set_mr_ops(struct ib_device *dev)
{
	rxe_stock_reg_user_mr = dev->ops.reg_user_mr;
	rxe_stock_rereg_user_mr = dev->ops.rereg_user_mr;
	rxe_stock_dereg_mr = dev->ops.dereg_mr;
	dev->ops.reg_user_mr = rxe_odp_reg_user_mr;
	dev->ops.rereg_user_mr = rxe_odp_rereg_user_mr;
	dev->ops.dereg_mr = rxe_odp_dereg_mr;
}
