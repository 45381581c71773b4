// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Keys of the peer: memory windows and their bounds
 *
 * Stock rxe checks a window's key, rights and QP, and then the range against the
 * region that the window is bound to, not against the window: a key to eight
 * bytes opens all of the region.  Here it opens the window, on any kind of region.
 */
#include "binding.h"

/* Whether [@va, @va + @len), an address as the peer gives it, is in @mw. */
static bool rxe_odp_in_window(const struct rxe_mw *mw, u64 va, u64 len)
{
	u64 first = mw->access & IB_ZERO_BASED ? 0 : mw->addr;

	/* An address below the window wraps to an offset beyond it. */
	return va >= first && len <= mw->length &&
	       va - first <= mw->length - len;
}

/* Is the packet at the head of the queue a flush that names no range? */
static bool rxe_odp_flushes_all(struct rxe_qp *qp, int access)
{
	struct sk_buff *skb = NULL;

	if (access & (IB_ACCESS_FLUSH_GLOBAL | IB_ACCESS_FLUSH_PERSISTENT))
		skb = rxe_odp_peek(&qp->req_pkts);
	return skb && feth_sel(SKB_TO_PKT(skb)) == IB_FLUSH_MR;
}

/*
 * Stands where stock check_rkey() calls rxe_lookup_mw(), which it does when it
 * has the range of the message from its header, and once for each packet.
 */
struct rxe_mw *rxe_odp_lookup_mw(struct rxe_qp *qp, int access, u32 rkey)
{
	struct rxe_mw *mw = rxe_lookup_mw(qp, access, rkey);

	if (!mw || rxe_odp_in_window(mw, qp->resp.va, qp->resp.resid) ||
	    rxe_odp_flushes_all(qp, access))
		return mw;
	rxe_put(mw);
	return NULL;
}

/* What is added to addresses in requests by @rkey to this QP. */
u64 rxe_odp_zero_base(struct rxe_qp *qp, u32 rkey)
{
	struct rxe_mw *mw = NULL;
	u64 base = 0;

	if (rkey_is_mw(rkey))
		mw = rxe_lookup_mw(qp, 0, rkey);
	if (!mw)
		return 0;
	spin_lock_bh(&mw->lock);
	if (mw->access & IB_ZERO_BASED)
		base = mw->addr;
	spin_unlock_bh(&mw->lock);
	rxe_put(mw);
	return base;
}

/* The region that @mw opens [@iova, @iova + @len) of, with a reference, or NULL. */
static struct rxe_mr *rxe_odp_window_mr(struct rxe_mw *mw, u32 rkey, u64 iova,
					u64 len)
{
	struct rxe_mr *mr = NULL;
	u64 base;

	/* The window holds its region, and lets it go under this lock. */
	spin_lock_bh(&mw->lock);
	base = mw->access & IB_ZERO_BASED ? mw->addr : 0;
	if (mw->mr && mw->rkey == rkey && mw->state == RXE_MW_STATE_VALID &&
	    rxe_odp_in_window(mw, iova - base, len)) {
		mr = mw->mr;
		if (!rxe_get(mr))
			mr = NULL;
	}
	spin_unlock_bh(&mw->lock);
	return mr;
}

/**
 * rxe_odp_lookup_remote - the region that a key opens to the peer
 * @qp: the peer's QP
 * @access: rights that the access takes
 * @rkey: of a region or a window
 * @iova: in the region; that of a zero-based window has been added
 * @len: bytes
 *
 * Return: the region, with a reference, or NULL when @rkey does not open all of the
 * range with these rights to this QP.
 */
struct rxe_mr *rxe_odp_lookup_remote(struct rxe_qp *qp, int access, u32 rkey,
				     u64 iova, u64 len)
{
	struct rxe_mr *mr;
	struct rxe_mw *mw;

	if (rkey_is_mw(rkey)) {
		mw = rxe_lookup_mw(qp, access, rkey);
		if (!mw)
			return NULL;
		mr = rxe_odp_window_mr(mw, rkey, iova, len);
		rxe_put(mw);
	} else {
		mr = lookup_mr(qp->pd, access, rkey, RXE_LOOKUP_REMOTE);
	}
	if (mr && mr_check_range(mr, iova, len)) {
		rxe_put(mr);
		return NULL;
	}
	return mr;
}
