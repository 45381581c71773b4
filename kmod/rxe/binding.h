/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The binding of rxe to the ODP engine - private declarations
 *
 * Stock rxe is built unmodified; the Makefile and the wrapper units bind these
 * functions in at its seams.  kmod/rxe/Kbuild says which symbol goes where.
 */
#ifndef RXE_ODP_BINDING_H
#define RXE_ODP_BINDING_H

#include <linux/timer.h>

#include <rdma/ib_umem.h>

#include "rxe.h"
#include "rxe_loc.h"
#include "rxe_queue.h"
#include "rdma_odp.h"
#include "odp_compat.h"

/*
 * What mr->umem points to in an on-demand region.  Stock code tells such a
 * region by umem.is_odp and asks for umem.writable; nothing is pinned.
 */
struct rxe_odp_umem {
	struct ib_umem		umem;
	struct odp_region	*region;
};

/* The user's way of asking for all of the address space: NULL, SIZE_MAX. */
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
 * The iova of an on-demand region as the owner's virtual address.  An iova
 * below the region's wraps to an address outside of it, which the engine
 * refuses.
 */
static inline u64 rxe_odp_va(const struct rxe_mr *mr, u64 iova)
{
	return mr->umem->address + (iova - mr->ibmr.iova);
}

/* What of a queue pair may wait for memory; each for one place at a time. */
enum rxe_odp_who {
	RXE_ODP_RESPONDER,	/* requests of the peer */
	RXE_ODP_REQUESTER,	/* what it sends */
	RXE_ODP_COMPLETER,	/* answers to its reads and atomics */
	RXE_ODP_WHO_NR,
};

/* What is to be done about memory that a packet touches. */
enum rxe_odp_verdict {
	RXE_ODP_READY,	/* it is there */
	RXE_ODP_WAITS,	/* it is not; the task is told when to look again */
	RXE_ODP_GO,	/* nor will it be by waiting: the access sees to it */
};

/* What a packet touches, by key and address as stock code will check them. */
struct rxe_odp_access {
	u32			key;
	u64			iova;
	u64			base;		/* of a zero-based window, else 0 */
	u32			len;		/* now */
	u64			more;		/* in all, of the message, from here */
	bool			write;
};

/* What was ready when nothing had been invalidated since. */
struct rxe_odp_ready {
	u32			key;
	u64			from;		/* iova */
	u64			to;
	bool			write;
	u64			generation;
};

struct rxe_odp_wait {
	u32			first;		/* ticket of none */
	u32			ticket;		/* of the last request */
	bool			pending;	/* it is not over */
	int			failed;		/* it is, with this error */
	atomic_t		requests;	/* under way, of all tickets */
	struct odp_region	*region;	/* where: to be compared only */
	u64			va;
	u64			ahead;		/* asked for up to here, 0: not */
	struct rxe_odp_ready	ready;		/* the task's own */
};

/* A flush to persistence. */
struct rxe_odp_flush {
	u32			psn;
	u32			key;
	u64			iova;
	u64			len;
	u64			ready;		/* bytes that have been there */
};

/* A task calls stock code for one thing to do; what came of its accesses. */
struct rxe_odp_pass {
	bool			failed;		/* one to on-demand memory */
	bool			over;		/* and the queue pair was down */
	bool			stuck;		/* a request of the peer is */
	bool			told;		/* it was, and is not back yet */
	unsigned long		since;		/* it waits, in jiffies */
};

/* Our queue pair: rxe's, and behind it what ours knows of it. */
struct rxe_odp_qp {
	struct rxe_qp		qp;
	struct rxe_odp_wait	wait[RXE_ODP_WHO_NR];
	bool			dying;
	struct rxe_odp_pass	recv_pass;
	struct rxe_odp_pass	send_pass;
	struct sk_buff		*answer;	/* in the completer's hands */
	typeof_member(struct ib_qp, event_handler) event_handler; /* put by */
	bool			parked;		/* the request at the head waits */
	bool			nak;		/* it has for long enough */
	u32			parked_psn;
	u32			ahead_psn;	/* of the last read asked ahead for */
	bool			resends;	/* what was sent, up to there: */
	u32			resend_end;	/* PSN */
	bool			early;		/* the answer at the head is */
	bool			no_answer;	/* none was there to be looked at */
	bool			no_request;	/* nor a request */
	u32			request_end;	/* where one would have been */
	bool			looks;		/* what is sent is looked at */
	bool			went_back;	/* to send again what is now next */
	struct rxe_odp_flush	flush;		/* the last one looked at */
	struct timer_list	timer;		/* of a parked request */
	bool			holds;		/* a UC sender, until then: */
	unsigned long		lets_go;	/* in jiffies */
	bool			held;		/* recv is from the shared queue */
	struct {
		struct rxe_recv_wqe	wqe;
		struct rxe_sge		sge[RXE_MAX_SGE];
	} recv;
};

static inline struct rxe_odp_qp *to_odp_qp(struct rxe_qp *qp)
{
	return container_of(qp, struct rxe_odp_qp, qp);
}

/* Can @qp execute requests at all?  Otherwise stock code takes it down. */
static inline bool rxe_odp_receives(const struct rxe_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->attr.qp_state);

	return READ_ONCE(qp->valid) && state >= IB_QPS_RTR &&
	       state != IB_QPS_ERR;
}

/* And make some? */
static inline bool rxe_odp_sends(const struct rxe_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->attr.qp_state);

	return READ_ONCE(qp->valid) &&
	       (state == IB_QPS_RTS || state == IB_QPS_SQD);
}

/* Stands where the sending side of stock code calls rxe_qp_error(). */
static inline void rxe_odp_send_error(struct rxe_qp *qp)
{
	if (!to_odp_qp(qp)->send_pass.over)
		rxe_qp_error(qp);
}

/* Will the requester, or does it, go back to send requests again? */
static inline bool rxe_odp_goes_back(const struct rxe_qp *qp)
{
	return READ_ONCE(qp->req.need_retry) &&
	       !READ_ONCE(qp->req.wait_for_rnr_timer);
}

/* A place in a scatter list that user space may be changing. */
struct rxe_odp_place {
	const struct rxe_sge	*sge;
	u32			num_sge;
	u32			cur_sge;
	u32			sge_offset;
};

static inline struct rxe_odp_place
rxe_odp_place_of(const struct rxe_dma_info *dma)
{
	return (struct rxe_odp_place) {
		.sge = dma->sge,
		.num_sge = READ_ONCE(dma->num_sge),
		.cur_sge = READ_ONCE(dma->cur_sge),
		.sge_offset = READ_ONCE(dma->sge_offset),
	};
}

/* The requests in a send queue. */
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
int rxe_odp_flush(struct rxe_mr *mr, u64 iova, u64 length);

/* mr.c */
int rxe_odp_mr_init(struct rxe_dev *rxe, u64 start, u64 length, int access,
		    struct rxe_mr *mr);
int rxe_odp_reg_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length,
			     int access, struct rxe_mr *mr);
void rxe_odp_mr_cleanup(struct rxe_pool_elem *elem);

/* complete.c */
void rxe_odp_post_error(struct rxe_qp *qp, struct rxe_cq *cq, u64 wr_id,
			enum ib_wc_status status);

/* stock_resp.c */
bool rxe_odp_qp_allows(struct rxe_qp *qp, struct rxe_pkt_info *pkt);
void rxe_odp_send_rnr_nak(struct rxe_qp *qp, u32 psn, u8 timer);

/* wait.c */
void rxe_odp_count_region(int n);
bool rxe_odp_in_use(void);
bool rxe_odp_still_ready(struct rxe_qp *qp, enum rxe_odp_who who, u32 key,
			 u64 iova, u32 len, bool write);
enum rxe_odp_verdict rxe_odp_wait_for(struct rxe_qp *qp, enum rxe_odp_who who,
				      struct rxe_mr *mr,
				      const struct rxe_odp_access *at);
bool rxe_odp_wait_for_list(struct rxe_qp *qp, enum rxe_odp_who who,
			   const struct rxe_odp_place *at, u32 max, u32 len,
			   int access);
void rxe_odp_list_ahead(struct rxe_qp *qp, enum rxe_odp_who who,
			const struct rxe_odp_place *at, u32 max, int access);

/* stuck.c */
void rxe_odp_know_task(const struct rxe_task *task);
bool rxe_odp_give_up(void);
void rxe_odp_access_failed(void);
bool rxe_odp_is_lost(struct rxe_odp_qp *oqp, const struct rxe_odp_pass *pass);
void rxe_odp_recv_ended(struct rxe_odp_qp *oqp);
int rxe_odp_cq_post(struct rxe_qp *qp, const struct rxe_odp_pass *pass,
		    struct rxe_cq *cq, struct rxe_cqe *cqe, int solicited);

/* respond.c */
int rxe_odp_receiver(struct rxe_qp *qp);
void rxe_odp_resp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb);
void rxe_odp_comp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb);
void rxe_odp_drop_all(struct rxe_qp *qp, struct sk_buff_head *queue);
struct sk_buff *rxe_odp_peek(struct sk_buff_head *queue);
void rxe_odp_orphan_all(struct sk_buff_head *queue);
void rxe_odp_init_qp(struct rxe_odp_qp *oqp);
void rxe_odp_set_dying(struct rxe_odp_qp *oqp);
void rxe_odp_exit_qp(struct rxe_odp_qp *oqp);
void rxe_odp_forget_read(struct rxe_qp *qp);
void rxe_odp_request_is_stuck(struct rxe_odp_qp *oqp);

/* send.c */
int rxe_odp_sender(struct rxe_qp *qp);

/* window.c */
bool rxe_odp_in_window(const struct rxe_mw *mw, u64 va, u64 len);
struct rxe_mw *rxe_odp_lookup_mw(struct rxe_qp *qp, int access, u32 rkey);

/* advise.c */
int rxe_odp_advise_mr(struct ib_pd *ibpd,
		      enum ib_uverbs_advise_mr_advice advice, u32 flags,
		      struct ib_sge *sg_list, u32 num_sge,
		      struct uverbs_attr_bundle *attrs);

/* complete.c */
int rxe_odp_completer(struct rxe_qp *qp);

/* stats.c */
int rxe_odp_fill_stat_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);
int rxe_odp_fill_res_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);

/* device.c */
int rxe_odp_register_device(struct ib_device *dev, const char *name,
			    struct device *dma_device);

#endif /* RXE_ODP_BINDING_H */
