// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Stock rxe_req.c, with one mistake less, and no request that ours has not
 * looked at
 *
 * When a request is sent again stock code takes its remote address from the
 * work request anew, but not for the verbs that came last: an atomic write or a
 * flush goes to address 0 the second time.  On demand, sending again is what
 * happens to any request for memory that is not there.
 *
 * The mask is used in that place only.
 *
 * When there was no request to look at, one that is posted before stock code
 * looks for itself stays for the next pass of the task: who posts it schedules
 * the task behind that, and a task that runs already runs once more.
 *
 * When stock code goes back to what is to be sent again, it finds nothing there
 * to send: that is for the next pass as well, which looks at it.  Its memory was
 * there when it was sent, and may be gone by now.
 *
 * A queue pair that is down stays as it is when an access gives up (stuck.c).
 */
#include "binding.h"
#include "rxe_queue.h"

/*
 * Called once to go back and once for the next request, in that order.  A timer
 * may ask for going back between stock code's look at that and the second call,
 * which is then taken for the first: the answer is right for both, and one more
 * pass goes back.
 */
static u32 rxe_odp_producer(struct rxe_qp *qp, const struct rxe_queue *q,
			    enum queue_type type)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);

	if (oqp->went_back)
		return qp->req.wqe_index;
	oqp->went_back = oqp->looks && rxe_odp_goes_back(qp);
	return oqp->no_request ? oqp->request_end : queue_get_producer(q, type);
}

/* All uses in stock rxe_req.c are on the send queue, with a qp at hand. */
#define queue_get_producer(q, type)	rxe_odp_producer(qp, q, type)

#define rxe_qp_error(qp)		rxe_odp_send_error(qp)

#define WR_READ_OR_WRITE_MASK (WR_READ_MASK | WR_WRITE_MASK | \
			       WR_ATOMIC_WRITE_MASK | WR_FLUSH_MASK)

#include "stock/rxe_req.c"
