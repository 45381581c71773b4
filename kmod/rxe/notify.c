// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Awaiting a page without holding a worker
 *
 * An access finds a page absent.  The engine is requested to fault it in, the
 * access fails, our hooks undo what stock code has done with the packet so far
 * (resp.c, req.c, comp.c), and the task of the QP goes idle.  The engine
 * notifies us, and the task is scheduled to try again.
 *
 * Each part of a QP awaits one page at a time.  The states of that miss:
 *
 *	from		event				to
 *	----		-----				--
 *	NONE		access finds a page absent	AWAITED
 *	AWAITED		the same again			AWAITED
 *	AWAITED		another page is absent		AWAITED, new ticket
 *	AWAITED		notified: there, or try again	NOTIFIED
 *	AWAITED		notified: there will be none	FAILED
 *	NOTIFIED	a page is absent		AWAITED, new ticket
 *	NOTIFIED	task run that does not back out	NONE
 *	FAILED		access to the same page		FAILED; it gets the error
 *	FAILED		another page is absent		AWAITED, new ticket
 *	FAILED		task run that does not back out	NONE
 *
 * So an error reaches every access to that page in the task run that meets it,
 * and none in a later run: there the page is requested again.
 *
 *	task				fault work
 *	----				----------
 *	absent: word = AWAITED, ticket
 *	request
 *					page there: notify
 *					  cmpxchg(word, AWAITED | ticket,
 *						  NOTIFIED | ticket)
 *	backs out, returns		  schedule the task
 *	  (scheduled meanwhile: the
 *	  task framework runs it again)
 *	tries again
 *
 * Ticket, error and state are one word: a notification of an older ticket, of a
 * page that is not awaited any more, changes nothing.
 *
 * A pending notification holds no rxe reference: it names the QP by its pool
 * index, and regions notify everybody before they go, so the device outlives its
 * notifications.
 */
#include <linux/bitfield.h>
#include <linux/random.h>
#include <linux/workqueue.h>

#include "binding.h"

/* A page may go as often as it comes: so often it is tried in one task run. */
#define RXE_ODP_TRIES		4

/* Faulted ahead of the copy in one go. */
#define RXE_ODP_AHEAD		SZ_4M

/* Less than this is not worth a second request. */
#define RXE_ODP_AHEAD_MIN	SZ_16K

/* Of a miss: what notifications compare and exchange. */
#define RXE_ODP_WORD_STATE	GENMASK_ULL(1, 0)
#define RXE_ODP_WORD_ERROR	GENMASK_ULL(17, 2)
#define RXE_ODP_WORD_TICKET	GENMASK_ULL(61, 32)

static u64 rxe_odp_word(enum rxe_odp_miss_state state, u32 ticket, int error)
{
	return FIELD_PREP(RXE_ODP_WORD_STATE, state) |
	       FIELD_PREP(RXE_ODP_WORD_ERROR, -error) |
	       FIELD_PREP(RXE_ODP_WORD_TICKET, ticket);
}

static enum rxe_odp_miss_state rxe_odp_word_state(u64 word)
{
	return FIELD_GET(RXE_ODP_WORD_STATE, word);
}

/* What the engine carries for us: QP, part, ticket. */
#define RXE_ODP_TICKET	GENMASK(29, 0)
#define RXE_ODP_ARG(index, side, ticket) \
	(((u64)(index) << 32) | ((u64)(side) << 30) | (ticket))

/* The request with @ticket is not in flight any more, if it was of this QP. */
static void rxe_odp_landed(struct rxe_odp_miss *miss, u32 ticket)
{
	unsigned int i;

	for (i = 0; i < RXE_ODP_REQUESTS; i++)
		if (cmpxchg(&miss->inflight[i], ticket, 0) == ticket)
			break;
}

/* Only the task, which calls this, puts tickets there.  Return: is there room? */
static bool rxe_odp_departs(struct rxe_odp_miss *miss, u32 ticket)
{
	unsigned int i;

	for (i = 0; i < RXE_ODP_REQUESTS; i++) {
		if (!READ_ONCE(miss->inflight[i])) {
			WRITE_ONCE(miss->inflight[i], ticket);
			return true;
		}
	}
	return false;
}

/*
 * Memory that is short now is no error: the access requests it again.  Nor is a
 * region that was killed: it is revived (mr.c), or its key is gone at once, which
 * stock code finds.
 */
static bool rxe_odp_is_transient(int ret)
{
	return !ret || ret == -EAGAIN || ret == -ENOMEM || ret == -ESHUTDOWN;
}

/* The engine's notification; under a spinlock of the engine. */
static void rxe_odp_notified(void *ctx, u64 arg, int ret)
{
	struct rxe_dev *rxe = ctx;
	enum rxe_odp_side side = (arg >> 30) & 3;
	u32 ticket = arg & RXE_ODP_TICKET;
	struct rxe_odp_miss *miss;
	struct rxe_qp *qp;
	s64 old, new;

	qp = rxe_pool_get_index(&rxe->qp_pool, arg >> 32);
	if (!qp)
		return;
	miss = &to_odp_qp(qp)->miss[side];
	rxe_odp_landed(miss, ticket);
	old = rxe_odp_word(RXE_ODP_MISS_AWAITED, ticket, 0);
	new = rxe_odp_is_transient(ret) ?
		rxe_odp_word(RXE_ODP_MISS_NOTIFIED, ticket, 0) :
		rxe_odp_word(RXE_ODP_MISS_FAILED, ticket, ret);
	/* Pairs with the acquire in rxe_odp_absent(). */
	atomic64_cmpxchg_release(&miss->word, old, new);
	rxe_sched_task(side == RXE_ODP_RESP ? &qp->recv_task : &qp->send_task);
	rxe_put(qp);
}

/* What the works of rxe's tasks call; all the same. */
static work_func_t rxe_odp_task_fn;

/* A QP has been made: this is one of its tasks. */
void rxe_odp_know_task(const struct rxe_task *task)
{
	WRITE_ONCE(rxe_odp_task_fn, task->work.func);
}

/*
 * The QP whose task run the caller is in, and which part of it: stock code
 * does not pass it to where it copies.
 */
static struct rxe_odp_qp *rxe_odp_current(enum rxe_odp_side *side)
{
	struct work_struct *work = current_work();
	struct rxe_odp_qp *oqp;
	struct rxe_task *task;

	if (WARN_ON_ONCE(!work || work->func != READ_ONCE(rxe_odp_task_fn)))
		return NULL;
	task = container_of(work, struct rxe_task, work);
	oqp = to_odp_qp(task->qp);
	*side = task == &oqp->qp.recv_task ? RXE_ODP_RESP : oqp->sends;
	return oqp;
}

/* What is left of the piece of @dma that @iova is in, from there on. */
static u64 rxe_odp_left_of_list(const struct rxe_dma_info *dma, u64 iova,
				u32 max)
{
	u64 off;

	if (dma->cur_sge >= max)
		return 0;
	off = iova - dma->sge[dma->cur_sge].addr;
	return off < dma->sge[dma->cur_sge].length ?
		dma->sge[dma->cur_sge].length - off : 0;
}

/* How far will the message that is being copied go on from @iova? */
static u64 rxe_odp_left(struct rxe_odp_qp *oqp, enum rxe_odp_side side, u64 iova)
{
	const struct rxe_dma_info *list = oqp->miss[side].list;
	struct resp_res *res = oqp->qp.resp.res;

	if (list)
		return rxe_odp_left_of_list(list, iova, RXE_MAX_SGE);
	if (side != RXE_ODP_RESP)
		return 0;
	if (res)
		return res->type == RXE_READ_MASK ? res->read.resid : 0;
	return oqp->qp.resp.resid;
}

static void rxe_odp_ahead(struct rxe_odp_miss *miss, struct odp_region *region,
			  u64 va, u64 left, bool write)
{
	u64 len = min_t(u64, left, RXE_ODP_AHEAD);

	/* Not what has been requested before. */
	if (left < RXE_ODP_AHEAD_MIN || miss->ahead - va - 1 < RXE_ODP_AHEAD)
		return;
	miss->ahead = va + len;
	odp_region_ahead(region, va, len, write);
}

/* Request the pages, if one more may be in flight.  Return: as rxe_odp_absent(). */
static int rxe_odp_request(struct rxe_odp_qp *oqp, enum rxe_odp_side side,
			   struct rxe_mr *mr, u64 va, u32 len, bool write)
{
	struct odp_region *region = rxe_odp_region(mr);
	struct rxe_odp_miss *miss = &oqp->miss[side];
	struct odp_notify notify = {
		.fn = rxe_odp_notified,
		.ctx = to_rdev(oqp->qp.ibqp.device),
	};
	u32 ticket = (miss->ticket + 1) & RXE_ODP_TICKET ?: 1;
	int ret;

	/* Each of those in flight schedules the task, which then comes here. */
	if (!rxe_odp_departs(miss, ticket))
		return -EINPROGRESS;
	miss->region = region;
	miss->key = mr->lkey;
	miss->va = va;
	miss->write = write;
	miss->ticket = ticket;
	notify.arg = RXE_ODP_ARG(oqp->qp.elem.index, side, ticket);
	/* Before the request: we may be notified before it returns. */
	atomic64_set(&miss->word,
		     rxe_odp_word(RXE_ODP_MISS_AWAITED, ticket, 0));
	ret = odp_region_request(region, va, len, write, &notify);
	if (ret == -EINPROGRESS)
		return ret;
	/* Nobody is notified of this one. */
	atomic64_set(&miss->word, 0);
	rxe_odp_landed(miss, ticket);
	return ret;
}

/*
 * The task tries again without a notification, but not at once: tasks of other
 * QPs are queued behind it.
 */
static int rxe_odp_try_later(struct rxe_odp_qp *oqp)
{
	mod_timer(&oqp->retry, jiffies + 1);
	return -EINPROGRESS;
}

static void rxe_odp_retry(struct timer_list *t)
{
	struct rxe_odp_qp *oqp = container_of(t, struct rxe_odp_qp, retry);

	if (!rxe_get(&oqp->qp))
		return;
	rxe_sched_task(&oqp->qp.recv_task);
	rxe_sched_task(&oqp->qp.send_task);
	rxe_put(&oqp->qp);
}

/**
 * rxe_odp_absent - an access has found a page absent
 * @mr: the region
 * @iova: where
 * @addr: the byte that was to be copied from or to there, or NULL
 * @len: what is left of the access
 * @write: it writes
 * @tries: how often it has been here, in this task run
 *
 * Context: a task of rxe's; may sleep for memory, not for the page.
 * Return: 0: it is there now, try again; -EINPROGRESS: back out, the task will be
 * scheduled; else an error, that the access fails with.
 */
int rxe_odp_absent(struct rxe_mr *mr, u64 iova, const u8 *addr, u32 len,
		   bool write, unsigned int tries)
{
	struct odp_region *region = rxe_odp_region(mr);
	u64 va = rxe_odp_va(mr, iova), word;
	struct rxe_odp_miss *miss;
	enum rxe_odp_side side;
	struct rxe_odp_qp *oqp;
	int ret = -EINPROGRESS;
	bool same;

	oqp = rxe_odp_current(&side);
	if (!oqp)
		return -EFAULT;
	miss = &oqp->miss[side];
	same = miss->region == region && miss->key == mr->lkey &&
	       miss->va == va && miss->write == write;
	/* Pairs with the release in rxe_odp_notified(). */
	word = atomic64_read_acquire(&miss->word);
	if (same && rxe_odp_word_state(word) == RXE_ODP_MISS_FAILED)
		return -(int)FIELD_GET(RXE_ODP_WORD_ERROR, word);
	if (same && rxe_odp_word_state(word) == RXE_ODP_MISS_AWAITED)
		goto absent;
	if (tries >= RXE_ODP_TRIES) {
		ret = rxe_odp_try_later(oqp);
		goto absent;
	}
	ret = rxe_odp_request(oqp, side, mr, va, len, write);
	if (ret && rxe_odp_is_transient(ret))
		ret = rxe_odp_try_later(oqp);
	rxe_odp_ahead(miss, region, va, rxe_odp_left(oqp, side, iova), write);
	if (ret != -EINPROGRESS)
		return ret;
absent:
	miss->stopped = addr;
	miss->absent = true;
	return ret;
}

/*
 * A copy has crossed 2 MiB and ends at @iova.  If the message was faulted
 * ahead up to somewhere near, fault in what comes next.
 */
void rxe_odp_goes_on(struct rxe_mr *mr, u64 iova, bool write)
{
	u64 behind, left, from, len;
	struct rxe_odp_miss *miss;
	enum rxe_odp_side side;
	struct rxe_odp_qp *oqp;

	oqp = rxe_odp_current(&side);
	if (!oqp)
		return;
	miss = &oqp->miss[side];
	behind = miss->ahead - rxe_odp_va(mr, iova);
	left = rxe_odp_left(oqp, side, iova);
	if (behind - 1 >= RXE_ODP_AHEAD || left <= behind)
		return;
	from = miss->ahead;
	len = min_t(u64, left - behind, RXE_ODP_AHEAD);
	miss->ahead += len;
	odp_region_ahead(rxe_odp_region(mr), from, len, write);
}

/*
 * Begin to fault in the first SGE of @dma, for a response that will come.
 */
void rxe_odp_ahead_of_list(struct rxe_qp *qp, enum rxe_odp_side side,
			   const struct rxe_dma_info *dma)
{
	const struct rxe_sge *sge = &dma->sge[dma->cur_sge];
	struct odp_region *region;
	struct rxe_mr *mr;
	u64 va;

	if (dma->cur_sge >= dma->num_sge || dma->sge_offset >= sge->length)
		return;
	mr = lookup_mr(qp->pd, IB_ACCESS_LOCAL_WRITE, sge->lkey,
		       RXE_LOOKUP_LOCAL);
	if (!mr)
		return;
	region = rxe_odp_region(mr);
	if (region) {
		va = rxe_odp_va(mr, sge->addr + dma->sge_offset);
		if (!odp_region_ready(region, va, 1, true))
			rxe_odp_ahead(&to_odp_qp(qp)->miss[side], region, va,
				      sge->length - dma->sge_offset, true);
	}
	rxe_put(mr);
}

/* A new QP; nothing of it runs yet. */
void rxe_odp_notify_init(struct rxe_odp_qp *oqp)
{
	struct rxe_odp_miss *miss;

	timer_setup(&oqp->retry, rxe_odp_retry, 0);
	/* Notifications of one that had its index must not fit. */
	for (miss = oqp->miss; miss < oqp->miss + RXE_ODP_SIDES; miss++)
		miss->ticket = get_random_u32() & RXE_ODP_TICKET;
}

/* No task of @oqp runs any more. */
void rxe_odp_notify_exit(struct rxe_odp_qp *oqp)
{
	timer_delete_sync(&oqp->retry);
}

/* The result of the last request has had its effect.  Not if it is awaited. */
void rxe_odp_miss_forget(struct rxe_odp_miss *miss)
{
	u64 word = atomic64_read(&miss->word);

	if (rxe_odp_word_state(word) == RXE_ODP_MISS_AWAITED)
		return;
	/* Nobody else changes the word of a miss that is not awaited. */
	atomic64_set(&miss->word, 0);
	miss->region = NULL;
}
