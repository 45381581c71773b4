// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Waiting for pages without holding a worker
 *
 * Before a packet is sent, executed or taken in by stock code, ours looks
 * whether the memory it touches is translated.  If not, the engine is asked for
 * it and the task of the queue pair goes idle; the engine tells us, and the
 * task is scheduled again:
 *
 *	task				fault work
 *	----				----------
 *	not ready
 *	pending = true, request
 *					page there: told
 *					  pending = false
 *	returns				  schedule the task
 *	  (scheduled meanwhile: the
 *	  task framework runs it again)
 *	not pending: look again
 *
 * What is told holds no reference to anything of rxe's in between: it names the
 * queue pair by its index, and regions tell everybody before they go, so the
 * device outlives what it is told.
 *
 * This is for speed and fairness only.  A page may go between our look and the
 * copy; then the copy waits for it as if nobody had looked (stuck.c).
 */
#include "binding.h"

/* Regions on demand there are; without any, packets are not looked at. */
static atomic_long_t rxe_odp_regions;

void rxe_odp_count_region(int n)
{
	atomic_long_add(n, &rxe_odp_regions);
}

bool rxe_odp_in_use(void)
{
	return atomic_long_read(&rxe_odp_regions);
}

/*
 * Requests of one queue pair and purpose that may be under way.  There is more
 * than one when the place to wait for has changed meanwhile, which user space
 * can do to its own queues as often as it likes.
 */
#define RXE_ODP_REQUESTS	4

/* Asked for ahead of the copy in one go, and when this little is left of it. */
#define RXE_ODP_AHEAD		SZ_4M
#define RXE_ODP_AHEAD_LEFT	SZ_2M

/* Less than this is not worth a second request. */
#define RXE_ODP_AHEAD_MIN	SZ_16K

/* So much memory is looked at in one go: what comes next lies there, often. */
#define RXE_ODP_LOOK		SZ_256K

/* What the engine carries for us: queue pair, purpose, ticket. */
#define RXE_ODP_TICKET	GENMASK(29, 0)
#define RXE_ODP_ARG(index, who, ticket) \
	(((u64)(index) << 32) | ((u64)(who) << 30) | ((ticket) & RXE_ODP_TICKET))

/* Was @ticket given to this queue pair, and not to one that had its index? */
static bool rxe_odp_ticket_is_ours(const struct rxe_odp_wait *wait, u32 ticket)
{
	u32 given = (READ_ONCE(wait->ticket) - wait->first) & RXE_ODP_TICKET;
	u32 nth = (ticket - wait->first) & RXE_ODP_TICKET;

	return nth && nth <= given;
}

static void rxe_odp_told(void *ctx, u64 arg, int ret)
{
	struct rxe_dev *rxe = ctx;
	enum rxe_odp_who who = (arg >> 30) & 3;
	u32 ticket = arg & RXE_ODP_TICKET;
	struct rxe_odp_wait *wait;
	struct rxe_qp *qp;

	qp = rxe_pool_get_index(&rxe->qp_pool, arg >> 32);
	if (!qp)
		return;
	wait = &to_odp_qp(qp)->wait[who];
	if (rxe_odp_ticket_is_ours(wait, ticket))
		atomic_dec(&wait->requests);
	if (ticket == (READ_ONCE(wait->ticket) & RXE_ODP_TICKET)) {
		WRITE_ONCE(wait->failed, ret);
		/* Pairs with the acquire in rxe_odp_wait_for(). */
		smp_store_release(&wait->pending, false);
	}
	rxe_sched_task(who == RXE_ODP_RESPONDER ? &qp->recv_task :
						  &qp->send_task);
	rxe_put(qp);
}

/*
 * What was ready the last time still is, if nothing at all was invalidated since:
 * that spares the packets of a warm transfer the look.  Pinned memory is ready
 * at any address.
 */
bool rxe_odp_still_ready(struct rxe_qp *qp, enum rxe_odp_who who, u32 key,
			 u64 iova, u32 len, bool write)
{
	const struct rxe_odp_wait *wait = &to_odp_qp(qp)->wait[who];

	return key == wait->ready.key && iova >= wait->ready.from &&
	       iova <= wait->ready.to && len <= wait->ready.to - iova &&
	       write <= wait->ready.write &&
	       wait->ready.generation == odp_generation();
}

static void rxe_odp_ahead(struct rxe_odp_wait *wait, struct odp_region *region,
			  u64 va, u64 more, bool write)
{
	u64 from = va, len;

	if (wait->ahead - va <= RXE_ODP_AHEAD) {
		/* Within what was asked for before. */
		from = wait->ahead;
		if (from - va > RXE_ODP_AHEAD_LEFT || from >= va + more)
			return;
	} else if (more < RXE_ODP_AHEAD_MIN) {
		return;
	}
	len = min_t(u64, va + more - from, RXE_ODP_AHEAD);
	wait->ahead = from + len;
	odp_region_ahead(region, from, len, write);
}

/* Ask for the pages. */
static enum rxe_odp_verdict rxe_odp_request(struct rxe_qp *qp,
					    enum rxe_odp_who who,
					    struct odp_region *region, u64 va,
					    u32 len, bool write)
{
	struct rxe_odp_wait *wait = &to_odp_qp(qp)->wait[who];
	struct odp_notify notify = {
		.fn = rxe_odp_told,
		.ctx = to_rdev(qp->ibqp.device),
	};
	int ret;

	wait->region = region;
	wait->va = va;
	wait->failed = 0;
	WRITE_ONCE(wait->ticket, wait->ticket + 1);
	notify.arg = RXE_ODP_ARG(qp->elem.index, who, wait->ticket);
	atomic_inc(&wait->requests);
	/* Before the request: we may be told before it returns. */
	WRITE_ONCE(wait->pending, true);
	ret = odp_region_request(region, va, len, write, &notify);
	if (ret == -EINPROGRESS)
		return RXE_ODP_WAITS;
	/* There already, or an error that the access will find as well. */
	WRITE_ONCE(wait->pending, false);
	atomic_dec(&wait->requests);
	return ret ? RXE_ODP_GO : RXE_ODP_READY;
}

/* Is it there?  Then remember that, and how much there is behind it. */
static bool rxe_odp_look(struct rxe_odp_wait *wait, struct odp_region *region,
			 const struct rxe_odp_access *at, u64 va)
{
	u64 generation = odp_generation();
	u64 len = max_t(u64, at->len, RXE_ODP_LOOK);

	len = odp_region_ready_bytes(region, va, len, at->write);
	if (len < at->len)
		return false;
	wait->ready = (struct rxe_odp_ready) {
		.key = at->key,
		.from = at->iova,
		.to = at->iova + len,
		.write = at->write,
		.generation = generation,
	};
	return true;
}

/*
 * Must the task of @qp wait before it touches what @at says of @mr?  Then it is
 * scheduled when it may look again.
 */
enum rxe_odp_verdict rxe_odp_wait_for(struct rxe_qp *qp, enum rxe_odp_who who,
				      struct rxe_mr *mr,
				      const struct rxe_odp_access *at)
{
	struct rxe_odp_wait *wait = &to_odp_qp(qp)->wait[who];
	struct odp_region *region = rxe_odp_region(mr);
	enum rxe_odp_verdict verdict;
	bool same;
	u64 va;

	if (!region) {
		wait->ready = (struct rxe_odp_ready) {
			.key = at->key,
			.to = U64_MAX,
			.write = true,
			.generation = odp_generation(),
		};
		return RXE_ODP_READY;
	}
	va = rxe_odp_va(mr, at->base + at->iova);
	if (rxe_odp_look(wait, region, at, va)) {
		if (unlikely(wait->ahead - va <= RXE_ODP_AHEAD_LEFT))
			rxe_odp_ahead(wait, region, va, at->more, at->write);
		return RXE_ODP_READY;
	}

	same = wait->region == region && wait->va == va;
	/* Pairs with the release in rxe_odp_told(). */
	if (smp_load_acquire(&wait->pending)) {
		if (same)
			return RXE_ODP_WAITS;
	} else if (same && wait->failed && wait->failed != -ENOMEM) {
		/*
		 * Let the access find out why, and say so.  But memory that is
		 * short is asked for again: that is no error, and the access
		 * would wait for it in the worker.
		 */
		wait->failed = 0;
		return RXE_ODP_GO;
	}
	/* The access asks for itself, and waits. */
	if (atomic_read(&wait->requests) >= RXE_ODP_REQUESTS)
		return RXE_ODP_GO;

	verdict = rxe_odp_request(qp, who, region, va, at->len, at->write);
	rxe_odp_ahead(wait, region, va, at->more, at->write);
	return verdict;
}

/* One piece of a scatter list in user space's hands, as it is at this moment. */
static enum rxe_odp_verdict
rxe_odp_wait_for_piece(struct rxe_qp *qp, enum rxe_odp_who who,
		       const struct rxe_sge *sge, u32 offset, u32 len, u32 more,
		       int access)
{
	struct rxe_odp_access at = {
		.key = READ_ONCE(sge->lkey),
		.iova = READ_ONCE(sge->addr) + offset,
		.len = len,
		.more = more,
		.write = access & IB_ACCESS_LOCAL_WRITE,
	};
	enum rxe_odp_verdict verdict;
	struct rxe_mr *mr;

	if (rxe_odp_still_ready(qp, who, at.key, at.iova, len, at.write))
		return RXE_ODP_READY;
	mr = lookup_mr(qp->pd, access, at.key, RXE_LOOKUP_LOCAL);
	if (!mr)
		return RXE_ODP_GO;
	verdict = rxe_odp_wait_for(qp, who, mr, &at);
	rxe_put(mr);
	return verdict;
}

/*
 * Must the task wait for the @len bytes of a local scatter list from where @at
 * stands?  The list may be user space's to change; it has no more than @max
 * elements.
 *
 * The copy goes through the list in the same order, so the first piece that
 * cannot be had is where it ends: nothing behind it is waited for.  Waiting for
 * that would also make this forget the piece, which is remembered by its place,
 * ask for it again, and so on without end.
 */
bool rxe_odp_wait_for_list(struct rxe_qp *qp, enum rxe_odp_who who,
			   const struct rxe_odp_place *at, u32 max, u32 len,
			   int access)
{
	u32 num = min(at->num_sge, max);
	u32 offset = at->sge_offset;
	u32 cur = at->cur_sge;
	enum rxe_odp_verdict verdict;
	u32 size, n;

	while (len && cur < num) {
		size = READ_ONCE(at->sge[cur].length);
		if (offset < size) {
			n = min(len, size - offset);
			verdict = rxe_odp_wait_for_piece(qp, who, &at->sge[cur],
							 offset, n,
							 size - offset, access);
			if (verdict != RXE_ODP_READY)
				return verdict == RXE_ODP_WAITS;
			len -= n;
		}
		cur++;
		offset = 0;
	}
	return false;
}

/*
 * Begin to fault in what the first piece of a local scatter list is, for an
 * access that will come.  It is asked for once, however often this is called.
 */
void rxe_odp_list_ahead(struct rxe_qp *qp, enum rxe_odp_who who,
			const struct rxe_odp_place *at, u32 max, int access)
{
	bool write = access & IB_ACCESS_LOCAL_WRITE;
	const struct rxe_sge *sge;
	struct odp_region *region;
	struct rxe_mr *mr;
	u32 size;
	u64 va;

	if (at->cur_sge >= min(at->num_sge, max))
		return;
	sge = &at->sge[at->cur_sge];
	size = READ_ONCE(sge->length);
	if (at->sge_offset >= size)
		return;
	mr = lookup_mr(qp->pd, access, READ_ONCE(sge->lkey), RXE_LOOKUP_LOCAL);
	if (!mr)
		return;
	region = rxe_odp_region(mr);
	if (region) {
		va = rxe_odp_va(mr, READ_ONCE(sge->addr) + at->sge_offset);
		if (!odp_region_ready(region, va, 1, write))
			rxe_odp_ahead(&to_odp_qp(qp)->wait[who], region, va,
				      size - at->sge_offset, write);
	}
	rxe_put(mr);
}
