/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The binding of rxe to the ODP engine - private declarations
 *
 * Stock rxe is not edited: kmod/rxe/Kbuild says which of its global symbols is
 * ours, kmod/hooks which of its static functions.  docs/binding.md says how it
 * works.
 */
#ifndef RXE_ODP_BINDING_H
#define RXE_ODP_BINDING_H

#include <linux/mutex.h>
#include <linux/timer.h>

#include <rdma/ib_umem.h>

#include "rxe.h"
#include "rxe_loc.h"
#include "rxe_queue.h"
#include "rdma_odp.h"
#include "odp_compat.h"

/*
 * What mr->umem points to in an on-demand region.  Stock code tells such a
 * region by umem.is_odp and reads umem.writable; nothing is pinned.
 */
struct rxe_odp_umem {
	struct ib_umem		umem;
	struct odp_region	*region;
};

/* How a user registers the whole address space: NULL, SIZE_MAX. */
static inline bool rxe_odp_is_implicit(u64 start, u64 length)
{
	return !start && length == U64_MAX;
}

/* The engine's region behind @mr, or NULL when @mr is of another kind. */
static inline struct odp_region *rxe_odp_region(const struct rxe_mr *mr)
{
	if (!mr->umem || !mr->umem->is_odp)
		return NULL;
	return container_of(mr->umem, struct rxe_odp_umem, umem)->region;
}

/*
 * The iova of an on-demand region as a virtual address of the owner mm.  An
 * iova below the region's wraps to an address outside of it, which the engine
 * refuses.
 */
static inline u64 rxe_odp_va(const struct rxe_mr *mr, u64 iova)
{
	return mr->umem->address + (iova - mr->ibmr.iova);
}

/* The parts of a QP that touch memory; each awaits one page at a time. */
enum rxe_odp_side {
	RXE_ODP_RESP,		/* responder: what the peer's requests touch */
	RXE_ODP_REQ,		/* requester: what is sent */
	RXE_ODP_COMP,		/* completer: where responses go */
	RXE_ODP_SIDES,
};

/*
 * Requests of one part of a QP that may be in flight.  There is more than one when
 * the page to await has changed meanwhile, which user space can do to its own
 * queues as often as it likes.  The next page is requested when one of these has
 * been notified.
 */
#define RXE_ODP_REQUESTS	4

/* A page that an access found absent; notify.c has the transitions. */
enum rxe_odp_miss_state {
	RXE_ODP_MISS_NONE,
	RXE_ODP_MISS_AWAITED,	/* requested, not notified yet */
	RXE_ODP_MISS_NOTIFIED,	/* the page was there */
	RXE_ODP_MISS_FAILED,	/* there will be none, and why */
};

struct rxe_odp_miss {
	atomic64_t		word;		/* ticket, error, state */
	u32			ticket;		/* of the last request */
	u32			inflight[RXE_ODP_REQUESTS]; /* tickets, 0: none */
	struct odp_region	*region;	/* where; compared, never used */
	u32			key;
	u64			va;
	bool			write;
	u64			ahead;		/* end of what was faulted ahead */
	bool			absent;		/* by this run: it backs out */
	const u8		*stopped;	/* of the bytes it copies, the first left */
	const struct rxe_dma_info *list;	/* that this run's copy follows */
};

/*
 * A packet of which the first bytes were copied before a page was absent.  The
 * next try goes on behind them: they must not be written twice, and the pages
 * of the packet need not all be present at once.
 */
struct rxe_odp_part {
	bool			valid;
	u32			psn;
	u32			key;		/* of a write */
	u64			iova;
	u32			done;		/* bytes */
};

/* A flush to persistence, which may be longer than all of memory. */
struct rxe_odp_flush {
	bool			valid;
	u32			psn;
	u32			key;
	u64			iova;
	u64			len;
	u64			done;		/* bytes */
};

/* The packet at the head of the responder's queue; park.c has the transitions. */
enum rxe_odp_park_state {
	RXE_ODP_PARK_NONE,	/* it is being executed, or there is none */
	RXE_ODP_PARK_WAITS,	/* it awaits a page, the peer a response */
	RXE_ODP_PARK_NAK_DUE,	/* and the peer has done so for long enough */
};

struct rxe_odp_park {
	enum rxe_odp_park_state	state;
	u32			psn;		/* the peer would retransmit it */
	u32			spoken;		/* the same, when it heard from us last */
	u32			msn;		/* message in which it waits: */
	unsigned long		since;		/* in jiffies */
	unsigned long		patience;
	struct timer_list	timer;
	atomic_long_t		bytes;		/* reserved for what is queued */
	unsigned long		orphan_at;	/* in jiffies, 0: not now; UC */
};

struct rxe_odp_resp {
	struct rxe_odp_part	part;
	u32			passed;		/* bytes of the packet, by this run */
	struct rxe_odp_flush	flush;
	struct rxe_odp_park	park;
	bool			srq_kept;	/* resp.srq_wqe is for the head */
};

/* What a WQE was before stock code failed to send a packet of it. */
struct rxe_odp_unsent {
	struct rxe_send_wqe	*wqe;
	u32			index;
	u32			state;
	u32			status;
};

struct rxe_odp_req {
	bool			blocked;	/* the next packet awaits a page */
	struct rxe_odp_unsent	unsent;
	struct rxe_odp_part	part;		/* of it that was gathered: */
	u8			*gathered;	/* an MTU, or NULL */
	bool			rewound;	/* to be retransmitted up to: */
	u32			rewound_end;	/* PSN */
	bool			failed;		/* a WQE, at its memory: */
	u32			failed_index;
};

struct rxe_odp_comp {
	bool			keeps;		/* the response at the head */
	bool			dropped;	/* responses behind it */
	struct rxe_odp_part	part;
};

/*
 * A send WQE, copied from the queue that user space may be writing to: what is
 * judged is what is used, and what is in the queue changes when all is done.
 */
struct rxe_odp_wqe_copy {
	struct rxe_send_wqe	wqe;
	u8			more[RXE_MAX_INLINE_DATA]; /* or list */
};

/* Our QP: rxe's, and behind it what ours knows of it. */
struct rxe_odp_qp {
	struct rxe_qp		qp;
	struct mutex		modify_lock;	/* one ibv_modify_qp() at a time */
	bool			dying;
	enum rxe_odp_side	sends;		/* which half of send_task runs */
	struct rxe_odp_wqe_copy	copy;		/* send_task's */
	struct rxe_odp_miss	miss[RXE_ODP_SIDES];
	struct timer_list	retry;		/* of an access that was not awaited */
	struct rxe_odp_resp	resp;
	struct rxe_odp_req	req;
	struct rxe_odp_comp	comp;
};

/* Our SRQ: the WQEs that were taken and not used, and are next; srq.c. */
struct rxe_odp_srq {
	struct rxe_srq		srq;
	spinlock_t		lock;		/* of the list */
	struct list_head	returned;
};

static inline struct rxe_odp_qp *to_odp_qp(struct rxe_qp *qp)
{
	return container_of(qp, struct rxe_odp_qp, qp);
}

/* Does @qp execute requests?  Otherwise stock code drains it. */
static inline bool rxe_odp_receives(const struct rxe_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->attr.qp_state);

	return READ_ONCE(qp->valid) && state >= IB_QPS_RTR &&
	       state != IB_QPS_ERR;
}

/* Does it send requests? */
static inline bool rxe_odp_sends(const struct rxe_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->attr.qp_state);

	return READ_ONCE(qp->valid) &&
	       (state == IB_QPS_RTS || state == IB_QPS_SQD);
}

/* A position in an SGE list, to restore.  User space may be writing to it. */
struct rxe_odp_position {
	u32			cur_sge;
	u32			sge_offset;
	u32			resid;
};

static inline struct rxe_odp_position
rxe_odp_position(const struct rxe_dma_info *dma)
{
	return (struct rxe_odp_position) {
		.cur_sge = READ_ONCE(dma->cur_sge),
		.sge_offset = READ_ONCE(dma->sge_offset),
		.resid = READ_ONCE(dma->resid),
	};
}

static inline void rxe_odp_set_position(struct rxe_dma_info *dma,
					const struct rxe_odp_position *at)
{
	WRITE_ONCE(dma->cur_sge, at->cur_sge);
	WRITE_ONCE(dma->sge_offset, at->sge_offset);
	WRITE_ONCE(dma->resid, at->resid);
}

/* The WQEs in a send queue. */
static inline u32 rxe_odp_sq_head(const struct rxe_queue *q)
{
	return queue_get_consumer(q, QUEUE_TYPE_FROM_CLIENT) & q->index_mask;
}

/* User space writes it, and it may have any value. */
static inline u32 rxe_odp_sq_end(const struct rxe_queue *q)
{
	return queue_get_producer(q, QUEUE_TYPE_FROM_CLIENT) & q->index_mask;
}

/* stock_mr.c: stock functions whose names are ours now */
int rxe_mr_copy_pinned(struct rxe_mr *mr, u64 iova, void *addr,
		       unsigned int length, enum rxe_mr_copy_dir dir);
RXE_RESP_STATE rxe_mr_do_atomic_op_pinned(struct rxe_mr *mr, u64 iova,
					  int opcode, u64 compare,
					  u64 swap_add, u64 *orig_val);
RXE_RESP_STATE rxe_mr_do_atomic_write_pinned(struct rxe_mr *mr, u64 iova,
					     u64 value);
void rxe_odp_mr_init_keys(int access, struct rxe_mr *mr);
/* The lock around stock rxe's own 64-bit atomics. */
spinlock_t *rxe_odp_atomic_ops_lock(void);

/* access.c */
int rxe_odp_flush(struct rxe_qp *qp, u32 psn, struct rxe_mr *mr, u64 iova,
		  u64 length);
int rxe_odp_scatter(struct rxe_qp *qp, struct rxe_dma_info *dma, u8 *addr,
		    u32 len, u32 done);

/* notify.c */
void rxe_odp_know_task(const struct rxe_task *task);
void rxe_odp_notify_init(struct rxe_odp_qp *oqp);
void rxe_odp_notify_exit(struct rxe_odp_qp *oqp);
void rxe_odp_miss_forget(struct rxe_odp_miss *miss);
int rxe_odp_absent(struct rxe_mr *mr, u64 iova, const u8 *addr, u32 len,
		   bool write, unsigned int tries);
void rxe_odp_goes_on(struct rxe_mr *mr, u64 iova, bool write);
void rxe_odp_ahead_of_list(struct rxe_qp *qp, enum rxe_odp_side side,
			   const struct rxe_dma_info *dma);

/* An access of this run of @side has found a page absent: it backs out. */
static inline bool rxe_odp_is_absent(struct rxe_qp *qp, enum rxe_odp_side side)
{
	return unlikely(to_odp_qp(qp)->miss[side].absent);
}

static inline void rxe_odp_run_begins(struct rxe_odp_miss *miss)
{
	miss->absent = false;
}

/* Without backing out: what the last miss came to has had its effect. */
static inline void rxe_odp_run_ends(struct rxe_odp_miss *miss)
{
	if (unlikely(miss->region))
		rxe_odp_miss_forget(miss);
}

/* park.c */
int rxe_odp_park(struct rxe_odp_qp *oqp);
void rxe_odp_unpark(struct rxe_odp_qp *oqp, bool idle);
void rxe_odp_park_init(struct rxe_odp_qp *oqp);
void rxe_odp_park_reset(struct rxe_odp_qp *oqp);
void rxe_odp_park_exit(struct rxe_odp_qp *oqp);
void rxe_odp_drop_all(struct rxe_qp *qp, struct sk_buff_head *queue);
struct sk_buff *rxe_odp_peek(struct sk_buff_head *queue);
void rxe_odp_orphan_all(struct sk_buff_head *queue);
void rxe_odp_abort_read(struct rxe_qp *qp);
void rxe_odp_resp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb);
void rxe_odp_comp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb);

/* resp.c */
int rxe_odp_receiver(struct rxe_qp *qp);
void rxe_odp_drop_kept(struct rxe_odp_qp *oqp);
void rxe_odp_send_ack(struct rxe_qp *qp, u8 syndrome, u32 psn);

/* req.c */
int rxe_odp_sender(struct rxe_qp *qp);
bool rxe_odp_is_rewound(const struct rxe_odp_qp *oqp);
bool rxe_odp_awaits_own_page(struct rxe_odp_qp *oqp);

/* comp.c */
int rxe_odp_completer(struct rxe_odp_qp *oqp);
bool rxe_odp_copy_list(struct rxe_qp *qp, const struct rxe_send_wqe *wqe,
		       struct rxe_odp_wqe_copy *copy);
void rxe_odp_post_error(struct rxe_qp *qp, struct rxe_cq *cq, u64 wr_id,
			enum ib_wc_status status);

/* mr.c */
int rxe_odp_mr_init(struct rxe_dev *rxe, u64 start, u64 length, int access,
		    struct rxe_mr *mr);
int rxe_odp_reg_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length,
			     int access, struct rxe_mr *mr);
void rxe_odp_mr_cleanup(struct rxe_pool_elem *elem);
void rxe_odp_set_mr_ops(struct ib_device *dev);

/* mw.c */
struct rxe_mw *rxe_odp_lookup_mw(struct rxe_qp *qp, int access, u32 rkey);
u64 rxe_odp_zero_base(struct rxe_qp *qp, u32 rkey);
struct rxe_mr *rxe_odp_lookup_remote(struct rxe_qp *qp, int access, u32 rkey,
				     u64 iova, u64 len);

/* qp.c */
void rxe_odp_set_qp_ops(struct ib_device *dev);

/* srq.c */
void rxe_odp_return_wqe(struct rxe_qp *qp);
bool rxe_odp_take_returned(struct rxe_qp *qp);
void rxe_odp_set_srq_ops(struct ib_device *dev);

/* advise.c */
int rxe_odp_advise_mr(struct ib_pd *ibpd,
		      enum ib_uverbs_advise_mr_advice advice, u32 flags,
		      struct ib_sge *sg_list, u32 num_sge,
		      struct uverbs_attr_bundle *attrs);

/* stats.c */
int rxe_odp_fill_stat_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);
int rxe_odp_fill_res_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);

/* device.c */
int rxe_odp_register_device(struct ib_device *dev, const char *name,
			    struct device *dma_device);

#endif /* RXE_ODP_BINDING_H */
