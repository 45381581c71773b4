// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Stock rxe_comp.c, which takes no answer that ours has not looked at
 *
 * When there was none to look at, one that comes before stock code looks for
 * itself stays for the next pass of the task: who queues an answer schedules the
 * task behind that, and a task that runs already runs once more.
 *
 * And which tells nobody of an access that gave up (stuck.c).
 */
#include "binding.h"

static struct sk_buff *rxe_odp_take_answer(struct sk_buff_head *queue)
{
	struct rxe_qp *qp = container_of(queue, struct rxe_qp, resp_pkts);
	struct rxe_odp_qp *oqp = to_odp_qp(qp);

	oqp->answer = oqp->no_answer ? NULL : skb_dequeue(queue);
	return oqp->answer;
}

/* All uses in stock rxe_comp.c are on the queue of answers. */
#define skb_dequeue(queue)		rxe_odp_take_answer(queue)

/* All uses have a qp at hand. */
#define rxe_cq_post(cq, cqe, solicited) \
	rxe_odp_cq_post(qp, &to_odp_qp(qp)->send_pass, cq, cqe, solicited)
#define rxe_qp_error(qp)		rxe_odp_send_error(qp)

#include "stock/rxe_comp.c"
