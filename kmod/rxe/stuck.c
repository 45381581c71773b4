// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An access that waits in its worker all the same
 *
 * A page may go between our look and stock code's copy, and user space can
 * change what it has queued more often than we follow (wait.c).  Then the worker
 * sleeps in the engine, with a packet or a request in stock code's hands, and
 * the engine asks us now and then whether to go on:
 *
 *	worker				destruction, change of state
 *	------				----------------------------
 *	stock code copies
 *	  the engine faults, sleeps
 *					dying or another state; schedules the
 *					  task, may wait until it has run
 *	  asks: gives up
 *	stock code takes it for an
 *	  error; nobody is told
 *	returns
 *					flushes, drains, goes on
 *
 * dying and the state are written before anybody waits for the task, and read
 * at every question, so no wait outlives them by more than one question.
 *
 * What stock code does about an error is meant for a queue pair that is up.
 * Here it is not, so the peer gets no NAK, the state stays what it was made, a
 * completion is that of a flush, or none where a flush would give none, and
 * there is no event.  One in another state is drained by the next pass of its
 * task.  One that is dying is up by its state; what is behind a request that was
 * given up must not be sent or executed, as that was not, so it is dropped.
 *
 * As long as the queue pair is up its peer is told to come back, as for a
 * request that is parked.
 */
#include <linux/workqueue.h>

#include "binding.h"

/* What the works of rxe's tasks call; all the same. */
static work_func_t rxe_odp_task_fn;

/* A queue pair has been made: this is one of its tasks. */
void rxe_odp_know_task(const struct rxe_task *task)
{
	WRITE_ONCE(rxe_odp_task_fn, task->work.func);
}

/* The task that the caller runs in, or NULL. */
static struct rxe_task *rxe_odp_current_task(void)
{
	struct work_struct *work = current_work();

	if (!work || work->func != READ_ONCE(rxe_odp_task_fn))
		return NULL;
	return container_of(work, struct rxe_task, work);
}

/* Has what @task does come to nothing, as its queue pair goes or is down? */
static bool rxe_odp_is_over(const struct rxe_task *task)
{
	struct rxe_qp *qp = task->qp;

	if (READ_ONCE(to_odp_qp(qp)->dying))
		return true;
	return task == &qp->recv_task ? !rxe_odp_receives(qp) :
					!rxe_odp_sends(qp);
}

/* The engine's question. */
bool rxe_odp_give_up(void)
{
	struct rxe_task *task = rxe_odp_current_task();
	struct rxe_odp_qp *oqp;

	if (!task)
		return false;
	if (rxe_odp_is_over(task))
		return true;

	oqp = to_odp_qp(task->qp);
	if (task == &oqp->qp.recv_task) {
		rxe_odp_request_is_stuck(oqp);
	} else {
		rxe_odp_orphan_all(&oqp->qp.resp_pkts);
		if (oqp->answer)
			skb_orphan(oqp->answer);
	}
	return false;
}

/* For who is told of an error that stands for nothing. */
static void rxe_odp_no_event(struct ib_event *event, void *context)
{
}

/* An access to on-demand memory has failed: remember that for the task. */
void rxe_odp_access_failed(void)
{
	struct rxe_task *task = rxe_odp_current_task();
	struct rxe_odp_qp *oqp;
	struct rxe_odp_pass *pass;

	if (!task)
		return;
	oqp = to_odp_qp(task->qp);
	pass = task == &oqp->qp.recv_task ? &oqp->recv_pass : &oqp->send_pass;
	pass->failed = true;
	if (pass->over || !rxe_odp_is_over(task))
		return;
	pass->over = true;
	if (pass != &oqp->recv_pass)
		return;
	/* Until the pass has ended; the other task may look at it as well. */
	oqp->event_handler = oqp->qp.ibqp.event_handler;
	WRITE_ONCE(oqp->qp.ibqp.event_handler, rxe_odp_no_event);
}

/* The responder's pass has ended: events again. */
void rxe_odp_recv_ended(struct rxe_odp_qp *oqp)
{
	if (unlikely(oqp->recv_pass.over))
		WRITE_ONCE(oqp->qp.ibqp.event_handler, oqp->event_handler);
}

/*
 * Is a request missing from what @oqp would go on with, as it was given up in
 * the last @pass for the sake of the destruction?  Until that ends the task.
 */
bool rxe_odp_is_lost(struct rxe_odp_qp *oqp, const struct rxe_odp_pass *pass)
{
	return pass->over && READ_ONCE(oqp->dying) && READ_ONCE(oqp->qp.valid);
}

/* Stands in @pass where stock code calls rxe_cq_post(). */
int rxe_odp_cq_post(struct rxe_qp *qp, const struct rxe_odp_pass *pass,
		    struct rxe_cq *cq, struct rxe_cqe *cqe, int solicited)
{
	if (unlikely(pass->over)) {
		if (READ_ONCE(to_odp_qp(qp)->dying) ||
		    READ_ONCE(qp->attr.qp_state) != IB_QPS_ERR)
			return 0;
		if (cq->is_user)
			cqe->uibwc.status = IB_WC_WR_FLUSH_ERR;
		else
			cqe->ibwc.status = IB_WC_WR_FLUSH_ERR;
	}
	return rxe_cq_post(cq, cqe, solicited);
}
