// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibv_advise_mr(): prefetch into on-demand regions
 *
 * Every element of the list is checked before the first page is touched, so a
 * bad argument changes nothing.  The errors are those of mlx5, which has ENOENT
 * also for regions that are not on demand; but a range that is not in the region
 * is an error without IB_UVERBS_ADVISE_MR_FLAG_FLUSH, too.
 *
 * An asynchronous prefetch holds the engine's region and not the rxe region:
 * deregistration never waits for it.
 */
#include "binding.h"

/* The on-demand region of @lkey with a reference, or an ERR_PTR. */
static struct rxe_mr *rxe_odp_get_mr(struct rxe_pd *pd, u32 lkey)
{
	struct rxe_dev *rxe = to_rdev(pd->ibpd.device);
	struct rxe_mr *mr;
	int ret;

	mr = rxe_pool_get_index(&rxe->mr_pool, lkey >> 8);
	if (!mr)
		return ERR_PTR(-ENOENT);
	if (mr->lkey != lkey || mr->state != RXE_MR_STATE_VALID ||
	    !rxe_odp_region(mr))
		ret = -ENOENT;
	else if (mr_pd(mr) != pd)
		ret = -EPERM;
	else
		return mr;

	rxe_put(mr);
	return ERR_PTR(ret);
}

static int rxe_odp_check_sge(const struct rxe_mr *mr, const struct ib_sge *sge,
			     unsigned int flags)
{
	u64 offset = sge->addr - mr->ibmr.iova;

	if (sge->addr < mr->ibmr.iova || sge->length > mr->ibmr.length ||
	    offset > mr->ibmr.length - sge->length)
		return -EFAULT;
	if ((flags & ODP_PREFETCH_WRITE) && !ib_access_writable(mr->access))
		return -EPERM;
	return 0;
}

static int rxe_odp_prefetch_sge(struct rxe_pd *pd, const struct ib_sge *sge,
				unsigned int flags, bool check_only)
{
	struct rxe_mr *mr = rxe_odp_get_mr(pd, sge->lkey);
	int ret;

	if (IS_ERR(mr))
		return PTR_ERR(mr);
	ret = rxe_odp_check_sge(mr, sge, flags);
	if (!ret && !check_only && sge->length)
		ret = odp_region_prefetch(rxe_odp_region(mr),
					  rxe_odp_va(mr, sge->addr),
					  sge->length, flags);
	rxe_put(mr);
	/* The region was deregistered meanwhile: its key is not valid. */
	return ret == -ESHUTDOWN ? -ENOENT : ret;
}

int rxe_odp_advise_mr(struct ib_pd *ibpd,
		      enum ib_uverbs_advise_mr_advice advice, u32 flags,
		      struct ib_sge *sg_list, u32 num_sge,
		      struct uverbs_attr_bundle *attrs)
{
	struct rxe_pd *pd = to_rpd(ibpd);
	unsigned int prefetch = 0;
	int ret = 0;
	u32 i;

	switch (advice) {
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH:
		break;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE:
		prefetch = ODP_PREFETCH_WRITE;
		break;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT:
		prefetch = ODP_PREFETCH_NO_FAULT;
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (!(flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH))
		prefetch |= ODP_PREFETCH_ASYNC;

	for (i = 0; i < num_sge && !ret; i++)
		ret = rxe_odp_prefetch_sge(pd, &sg_list[i], prefetch, true);
	for (i = 0; i < num_sge && !ret; i++)
		ret = rxe_odp_prefetch_sge(pd, &sg_list[i], prefetch, false);
	return ret;
}
