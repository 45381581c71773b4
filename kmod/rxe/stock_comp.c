// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Stock rxe_comp.c, which takes no answer that ours has not looked at
 *
 * When there was none to look at, one that comes before stock code looks for
 * itself stays for the next pass of the task: who queues an answer schedules the
 * task behind that, and a task that runs already runs once more.
 */
#include "binding.h"

static struct sk_buff *rxe_odp_take_answer(struct sk_buff_head *queue)
{
	struct rxe_qp *qp = container_of(queue, struct rxe_qp, resp_pkts);

	return to_odp_qp(qp)->no_answer ? NULL : skb_dequeue(queue);
}

/* All uses in stock rxe_comp.c are on the queue of answers. */
#define skb_dequeue(queue)		rxe_odp_take_answer(queue)

#include "stock/rxe_comp.c"
