// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows on on-demand regions: their bounds
 *
 * Stock rxe checks a window's key, rights and queue pair, and then the range
 * against the region that the window is bound to, not against the window: a
 * key to eight bytes opens all of the region.  Where that may be the whole
 * address space of a process it must not be so.
 */
#include "binding.h"

/* Whether [@va, @va + @len), an address as the peer gives it, is in @mw. */
bool rxe_odp_in_window(const struct rxe_mw *mw, u64 va, u64 len)
{
	u64 first = mw->access & IB_ZERO_BASED ? 0 : mw->addr;

	/* An address below the window wraps to an offset beyond it. */
	return va >= first && len <= mw->length &&
	       va - first <= mw->length - len;
}

/* Is the request at the head of the queue a flush that names no range? */
static bool rxe_odp_flushes_all(struct rxe_qp *qp, int access)
{
	struct sk_buff *skb = NULL;

	if (access & (IB_ACCESS_FLUSH_GLOBAL | IB_ACCESS_FLUSH_PERSISTENT))
		skb = rxe_odp_peek(&qp->req_pkts);
	return skb && feth_sel(SKB_TO_PKT(skb)) == IB_FLUSH_MR;
}

/*
 * Stands where stock check_rkey() calls rxe_lookup_mw(), which it does when it
 * has the range of the request from its header, and once for each request.
 */
struct rxe_mw *rxe_odp_lookup_mw(struct rxe_qp *qp, int access, u32 rkey)
{
	struct rxe_mw *mw = rxe_lookup_mw(qp, access, rkey);
	struct rxe_mr *mr = mw ? READ_ONCE(mw->mr) : NULL;

	if (!mr || !rxe_odp_region(mr) ||
	    rxe_odp_in_window(mw, qp->resp.va, qp->resp.resid) ||
	    rxe_odp_flushes_all(qp, access))
		return mw;
	rxe_put(mw);
	return NULL;
}
