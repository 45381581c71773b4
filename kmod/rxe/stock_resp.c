// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Stock rxe_resp.c, what of it ours needs and cannot name from outside, and what
 * it has to ask ours: which receive request of a shared queue is next, to flush
 * memory to persistence, and to tell nobody of an access that gave up (stuck.c).
 *
 * respond.c takes that from the queue to see whether its memory is there, and
 * holds it until stock code asks, so that no other queue pair gets it meanwhile.
 */
#include "binding.h"
#include "rxe_queue.h"

static void *rxe_odp_recv_head(struct rxe_qp *qp, struct rxe_queue *q,
			       enum queue_type type)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);

	return oqp->held ? &oqp->recv.wqe : queue_head(q, type);
}

static void rxe_odp_recv_advance(struct rxe_qp *qp, struct rxe_queue *q,
				 enum queue_type type)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);

	if (oqp->held)
		oqp->held = false;
	else
		queue_advance_consumer(q, type);
}

/* All uses in stock rxe_resp.c are on receive queues, with a qp at hand. */
#define queue_head(q, type)		rxe_odp_recv_head(qp, q, type)
#define queue_advance_consumer(q, type)	rxe_odp_recv_advance(qp, q, type)
#define rxe_flush_pmem_iova		rxe_odp_flush

/*
 * A request whose access has failed is ended as if its queue pair were up.  With
 * one that is not, stock code of some kernels would begin to execute the request
 * again instead, which fails again, for ever.
 */
static enum ib_qp_state rxe_odp_recv_state(struct rxe_qp *qp)
{
	return to_odp_qp(qp)->recv_pass.failed ? IB_QPS_RTS : qp_state(qp);
}

static int rxe_odp_recv_xmit(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
			     struct sk_buff *skb)
{
	if (unlikely(to_odp_qp(qp)->recv_pass.over)) {
		kfree_skb(skb);
		return 0;
	}
	return rxe_xmit_packet(qp, pkt, skb);
}

static void rxe_odp_recv_error(struct rxe_qp *qp)
{
	if (!to_odp_qp(qp)->recv_pass.over)
		rxe_qp_error(qp);
}

/* All uses have a qp at hand. */
#define qp_state(qp)			rxe_odp_recv_state(qp)
#define rxe_xmit_packet(qp, pkt, skb)	rxe_odp_recv_xmit(qp, pkt, skb)
#define rxe_qp_error(qp)		rxe_odp_recv_error(qp)
#define rxe_cq_post(cq, cqe, solicited) \
	rxe_odp_cq_post(qp, &to_odp_qp(qp)->recv_pass, cq, cqe, solicited)

#include "stock/rxe_resp.c"

/* Do the rights of @qp itself allow what @pkt asks for? */
bool rxe_odp_qp_allows(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	return check_qp_attr_access(qp, pkt);
}

/* "Receiver not ready": come back with @psn in the time that @timer encodes. */
void rxe_odp_send_rnr_nak(struct rxe_qp *qp, u32 psn, u8 timer)
{
	rxe_counter_inc(to_rdev(qp->ibqp.device), RXE_CNT_SND_RNR);
	send_ack(qp, AETH_RNR_NAK | timer, psn);
}
