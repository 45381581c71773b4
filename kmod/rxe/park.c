// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The packet at the head of the responder's queue awaits a page
 *
 * A request packet whose page is absent is parked: it stays at the head of its
 * queue, the worker goes, and when the page is there it is executed.  The states:
 *
 *	from	 event				to	 action
 *	----	 -----				--	 ------
 *	NONE	 head's page is absent		WAITS	 start the timer
 *	WAITS	 task run, still absent		WAITS
 *	WAITS	 head executed			NONE	 stop the timer
 *	WAITS	 timer; duplicate of the head	NAK_DUE	 schedule the task
 *	NAK_DUE	 head executed			NONE
 *	NAK_DUE	 still absent, progress since	WAITS	 ACK, start the timer
 *	NAK_DUE	 still absent			NONE	 RNR NAK, drop the queue
 *	any	 QP is being destroyed		NONE	 drop the queue
 *
 * The peer of an RC QP has a transport timer, which is not known here and runs
 * from its last packet or our last response.  A page that is late must not
 * cost it a retry, so we send a response RXE_ODP_PATIENCE after the head was
 * parked.  If packets of the same message have been executed since our last
 * response, that is an ACK for these, as it would be without a page to await.
 * If not, it is an RNR NAK: the head and all packets behind it are dropped,
 * until the peer retransmits, and meanwhile the fault goes on.  A duplicate of
 * the head says that this was too late for this peer, and halves its patience,
 * down to a jiffy.
 *
 * UC and UD have no such response.  Their packets wait, as many as fit.
 */
#include <linux/hash.h>
#include <linux/timer.h>

#include "binding.h"
#include "rxe_queue.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * In jiffies.  Well below the shortest transport timeout that makes sense on a
 * host that schedules by the jiffy (33 ms), above what most pages take.
 */
#define RXE_ODP_PATIENCE	max(HZ / 125UL, 1UL)

/* In jiffies: for so long packets parked here hold the UC QP that sent them. */
#define RXE_ODP_HOLD		(HZ / 4)

/* Packets that wait behind a parked one, and their memory, of all on a device. */
#define RXE_ODP_QUEUE_MAX	1024

/* So many may wait while others have all of that, up to four times it. */
#define RXE_ODP_QUEUE_MIN	16
#define RXE_ODP_BYTES_MAX	SZ_64M

/* No message has this sequence number. */
#define RXE_ODP_NO_MSN		U32_MAX

/* By device; devices that meet in one share it. */
#define RXE_ODP_DEVICE_BITS	4
static atomic_long_t rxe_odp_bytes[BIT(RXE_ODP_DEVICE_BITS)];

static atomic_long_t *rxe_odp_bytes_of(struct rxe_qp *qp)
{
	return &rxe_odp_bytes[hash_ptr(qp->ibqp.device, RXE_ODP_DEVICE_BITS)];
}

static void rxe_odp_reserve(struct rxe_odp_qp *oqp, long bytes)
{
	atomic_long_add(bytes, &oqp->resp.park.bytes);
	atomic_long_add(bytes, rxe_odp_bytes_of(&oqp->qp));
}

static void rxe_odp_unreserve_all(struct rxe_odp_qp *oqp)
{
	long bytes = atomic_long_xchg(&oqp->resp.park.bytes, 0);

	atomic_long_sub(bytes, rxe_odp_bytes_of(&oqp->qp));
}

static void rxe_odp_drop(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct ib_device *dev = qp->ibqp.device;

	kfree_skb(skb);
	rxe_put(qp);
	ib_device_put(dev);
}

/* Each packet in @queue holds @qp, whose destruction waits for that. */
void rxe_odp_drop_all(struct rxe_qp *qp, struct sk_buff_head *queue)
{
	struct sk_buff *skb;

	while ((skb = skb_dequeue(queue)))
		rxe_odp_drop(qp, skb);
}

/*
 * The packet at the head of @queue, from which only the caller's task takes.
 * Under the lock: who queued it has written it before, and released the lock.
 */
struct sk_buff *rxe_odp_peek(struct sk_buff_head *queue)
{
	struct sk_buff *skb;
	unsigned long flags;

	if (skb_queue_empty_lockless(queue))
		return NULL;
	spin_lock_irqsave(&queue->lock, flags);
	skb = skb_peek(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return skb;
}

/*
 * A packet of the loopback holds the QP that sent it, and counts as in flight,
 * until it is freed.  One that is parked must do neither, or not for long: its
 * sender may be destroyed, or have packets for others.
 */
void rxe_odp_orphan_all(struct sk_buff_head *queue)
{
	struct sk_buff_head list;
	struct sk_buff *skb;
	unsigned long flags;

	/* Not under the lock: this may be the last reference to a socket. */
	__skb_queue_head_init(&list);
	spin_lock_irqsave(&queue->lock, flags);
	skb_queue_splice_init(queue, &list);
	spin_unlock_irqrestore(&queue->lock, flags);
	skb_queue_walk(&list, skb)
		skb_orphan(skb);
	spin_lock_irqsave(&queue->lock, flags);
	skb_queue_splice(&list, queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/*
 * Over loopback, a UC sender's only backpressure is its own packets in flight:
 * without them it sends more than the queue takes while a page is faulted in, and
 * the rest is lost.  So they are orphaned a while after the first of them had to
 * wait, however often the head has changed since, and those that come later a
 * while after that.
 */
static void rxe_odp_orphan_late(struct rxe_odp_qp *oqp)
{
	struct rxe_odp_park *park = &oqp->resp.park;

	if (!park->orphan_at)
		park->orphan_at = (jiffies + RXE_ODP_HOLD) | 1;
	if (time_before(jiffies, park->orphan_at)) {
		mod_timer(&park->timer, park->orphan_at);
		return;
	}
	park->orphan_at = 0;
	rxe_odp_orphan_all(&oqp->qp.req_pkts);
}

static void rxe_odp_timer(struct timer_list *t)
{
	struct rxe_odp_park *park = container_of(t, struct rxe_odp_park, timer);
	struct rxe_odp_qp *oqp = container_of(park, struct rxe_odp_qp,
					      resp.park);

	if (!rxe_get(&oqp->qp))
		return;
	cmpxchg(&park->state, RXE_ODP_PARK_WAITS, RXE_ODP_PARK_NAK_DUE);
	rxe_sched_task(&oqp->qp.recv_task);
	rxe_put(&oqp->qp);
}

/*
 * The RNR timer for the peer, as its code: what the application has set, and
 * 10 ms at least.  The code 0 is the longest time.
 */
static u8 rxe_odp_rnr_code(const struct rxe_qp *qp)
{
	u8 code = qp->attr.min_rnr_timer & 0x1f;

	return code ? max_t(u8, code, IB_RNR_TIMER_010_24) : code;
}

/* The READ whose responses are being sent, or NULL. */
static struct resp_res *rxe_odp_read_of(const struct rxe_qp *qp)
{
	struct resp_res *res = qp->resp.res;

	return res && res->type == RXE_READ_MASK ? res : NULL;
}

/*
 * Abort a READ between two of its responses: the peer requests the rest, as a
 * READ of its own.
 */
static void rxe_odp_stop_read(struct rxe_qp *qp, const struct resp_res *res)
{
	qp->resp.res = NULL;
	if (!res->replay) {
		qp->resp.opcode = -1;
		/* It was counted when it began, and will be again. */
		qp->resp.msn--;
	}
	if (psn_compare(res->cur_psn, qp->resp.psn) > 0)
		qp->resp.psn = res->cur_psn;
}

/*
 * RNR NAK.  What follows is dropped without a response until @psn comes
 * again.  A duplicate of it may be in the queue already, and is dropped as
 * well: the peer retransmits because of the NAK.
 */
static void rxe_odp_nak(struct rxe_odp_qp *oqp, u32 psn)
{
	struct resp_res *res = rxe_odp_read_of(&oqp->qp);
	u8 code = rxe_odp_rnr_code(&oqp->qp);
	struct rxe_qp *qp = &oqp->qp;

	if (res)
		rxe_odp_stop_read(qp, res);
	trace_odp_rnr_nak(qp, psn, code);
	rxe_counter_inc(to_rdev(qp->ibqp.device), RXE_CNT_SND_RNR);
	rxe_odp_send_ack(qp, AETH_RNR_NAK | code, psn);
	qp->resp.sent_psn_nak = 1;
	oqp->resp.park.msn = RXE_ODP_NO_MSN;
	rxe_odp_unpark(oqp, 0);
	rxe_odp_drop_all(qp, &qp->req_pkts);
}

/* The PSN from which the peer would retransmit, of the packet at the head. */
static u32 rxe_odp_wanted(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct resp_res *res = rxe_odp_read_of(qp);

	return res ? res->cur_psn : SKB_TO_PKT(skb)->psn;
}

/*
 * The responder of @qp is not running, and its resources are about to be
 * replaced: the peer has to request the rest of a READ again.
 */
void rxe_odp_abort_read(struct rxe_qp *qp)
{
	struct sk_buff *skb = rxe_odp_peek(&qp->req_pkts);

	if (rxe_odp_read_of(qp) && skb)
		rxe_odp_nak(to_odp_qp(qp), rxe_odp_wanted(qp, skb));
	qp->resp.res = NULL;
}

/*
 * When did the peer of an RC QP get our last response?  The last packet of a
 * message is acknowledged, and each response of a READ counts.
 */
static void rxe_odp_silence(struct rxe_odp_qp *oqp, u32 wanted)
{
	struct rxe_odp_park *park = &oqp->resp.park;
	struct rxe_qp *qp = &oqp->qp;

	if (park->msn == qp->resp.msn &&
	    (wanted == park->spoken || !rxe_odp_read_of(qp)))
		return;
	park->msn = qp->resp.msn;
	park->spoken = wanted;
	park->since = jiffies;
}

static void rxe_odp_waits(struct rxe_odp_qp *oqp, u32 wanted)
{
	struct rxe_odp_park *park = &oqp->resp.park;

	WRITE_ONCE(park->psn, wanted);
	/* Whoever queues a duplicate of the head reads psn after the state. */
	smp_store_release(&park->state, RXE_ODP_PARK_WAITS);
	if (qp_type(&oqp->qp) == IB_QPT_RC)
		mod_timer(&park->timer, park->since + park->patience);
}

/* Send an ACK or an RNR NAK if it is time.  Return: the queue was dropped. */
static bool rxe_odp_speak(struct rxe_odp_qp *oqp, u32 wanted)
{
	struct rxe_odp_park *park = &oqp->resp.park;
	struct rxe_qp *qp = &oqp->qp;

	rxe_odp_silence(oqp, wanted);
	if (READ_ONCE(park->state) != RXE_ODP_PARK_NAK_DUE &&
	    time_before(jiffies, park->since + park->patience))
		return false;
	/* An ACK is for what was executed, and for nothing that was before. */
	if (wanted == park->spoken ||
	    psn_compare(qp->resp.ack_psn, park->spoken) <= 0) {
		rxe_odp_nak(oqp, wanted);
		return true;
	}
	rxe_odp_send_ack(qp, AETH_ACK_UNLIMITED,
			 (qp->resp.ack_psn - 1) & BTH_PSN_MASK);
	park->spoken = wanted;
	park->since = jiffies;
	if (park->state != RXE_ODP_PARK_NONE)
		rxe_odp_waits(oqp, wanted);
	return false;
}

/* Count what is queued for the device, until the head is executed. */
static void rxe_odp_account(struct rxe_odp_qp *oqp)
{
	struct sk_buff_head *queue = &oqp->qp.req_pkts;
	unsigned long flags;
	struct sk_buff *skb;
	long bytes = 0;

	spin_lock_irqsave(&queue->lock, flags);
	skb_queue_walk(queue, skb)
		bytes += skb->truesize;
	spin_unlock_irqrestore(&queue->lock, flags);
	rxe_odp_reserve(oqp, bytes);
}

static void rxe_odp_wait(struct rxe_odp_qp *oqp, struct rxe_pkt_info *pkt,
			 u32 wanted)
{
	struct rxe_odp_park *park = &oqp->resp.park;

	if (park->state != RXE_ODP_PARK_NONE)
		return;
	trace_odp_park(&oqp->qp, pkt);
	rxe_odp_unreserve_all(oqp);
	rxe_odp_account(oqp);
	rxe_odp_waits(oqp, wanted);
}

/*
 * The packet at the head has been backed out of: park it, or send an RNR NAK.
 * Return: as a task.
 */
int rxe_odp_park(struct rxe_odp_qp *oqp)
{
	struct rxe_qp *qp = &oqp->qp;
	struct sk_buff *skb = rxe_odp_peek(&qp->req_pkts);
	u32 wanted;

	if (WARN_ON_ONCE(!skb))
		return -EAGAIN;
	if (READ_ONCE(oqp->dying)) {
		rxe_odp_drop_kept(oqp);
		rxe_odp_drop_all(qp, &qp->req_pkts);
		rxe_odp_unpark(oqp, 0);
		return -EAGAIN;
	}
	wanted = rxe_odp_wanted(qp, skb);
	if (qp_type(qp) == IB_QPT_RC && rxe_odp_speak(oqp, wanted))
		return 0;
	rxe_odp_wait(oqp, SKB_TO_PKT(skb), wanted);
	if (qp_type(qp) == IB_QPT_UC)
		rxe_odp_orphan_late(oqp);
	else
		rxe_odp_orphan_all(&qp->req_pkts);
	return -EAGAIN;
}

/* The head was executed, or there is none any more.  @idle: the queue is empty. */
void rxe_odp_unpark(struct rxe_odp_qp *oqp, bool idle)
{
	struct rxe_odp_park *park = &oqp->resp.park;

	if (unlikely(park->state != RXE_ODP_PARK_NONE)) {
		WRITE_ONCE(park->state, RXE_ODP_PARK_NONE);
		timer_delete(&park->timer);
		rxe_odp_unreserve_all(oqp);
	}
	if (unlikely(idle && park->orphan_at))
		park->orphan_at = 0;
}

/* Does @queue, of @qp, where a packet is parked, take one more? */
static bool rxe_odp_has_room(struct rxe_qp *qp, const struct sk_buff_head *queue)
{
	u32 len = skb_queue_len_lockless(queue);
	long bytes = atomic_long_read(rxe_odp_bytes_of(qp));

	if (len < RXE_ODP_QUEUE_MIN)
		return bytes <= 4 * RXE_ODP_BYTES_MAX;
	return len <= RXE_ODP_QUEUE_MAX && bytes <= RXE_ODP_BYTES_MAX;
}

/* A packet comes while one is parked.  Return: it is queued behind that. */
static bool rxe_odp_queue_behind(struct rxe_odp_qp *oqp, struct sk_buff *skb)
{
	struct rxe_odp_park *park = &oqp->resp.park;

	/* A duplicate of the head: the peer's transport timer has expired. */
	if (SKB_TO_PKT(skb)->psn == READ_ONCE(park->psn) &&
	    qp_type(&oqp->qp) == IB_QPT_RC &&
	    cmpxchg(&park->state, RXE_ODP_PARK_WAITS,
		    RXE_ODP_PARK_NAK_DUE) == RXE_ODP_PARK_WAITS)
		WRITE_ONCE(park->patience,
			   max(READ_ONCE(park->patience) / 2, 1UL));
	if (!rxe_odp_has_room(&oqp->qp, &oqp->qp.req_pkts))
		return false;
	rxe_odp_reserve(oqp, skb->truesize);
	return true;
}

/*
 * Stands where stock code queues a request packet; in softirq.
 *
 * Stock code queues the packet, which holds @qp, and then schedules the task.
 * A task that was running, or that a destruction has scheduled, may have freed
 * the packet by then, and with it the last reference: so one is held here
 * until the task has been scheduled, and the same for responses.
 */
void rxe_odp_resp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_odp_qp *oqp = to_odp_qp(qp);

	/* Pairs with the release in rxe_odp_waits(). */
	if (unlikely(smp_load_acquire(&oqp->resp.park.state) !=
		     RXE_ODP_PARK_NONE) && !rxe_odp_queue_behind(oqp, skb)) {
		rxe_odp_drop(qp, skb);
		return;
	}
	rxe_get(qp);
	rxe_resp_queue_pkt(qp, skb);
	rxe_put(qp);
}

/*
 * Is there room behind a response that is kept?  A fatal NAK is sent once, so ACKs
 * and NAKs find some where others do not; a hostile peer sends any number.
 */
static bool rxe_odp_takes_response(struct rxe_qp *qp, struct sk_buff *skb)
{
	if (SKB_TO_PKT(skb)->opcode == IB_OPCODE_RC_ACKNOWLEDGE)
		return skb_queue_len_lockless(&qp->resp_pkts) <=
		       2 * RXE_ODP_QUEUE_MAX;
	return rxe_odp_has_room(qp, &qp->resp_pkts);
}

/* Stands where stock code queues a response; in softirq. */
void rxe_odp_comp_queue_pkt(struct rxe_qp *qp, struct sk_buff *skb)
{
	if (unlikely(READ_ONCE(to_odp_qp(qp)->comp.keeps)) &&
	    !rxe_odp_takes_response(qp, skb)) {
		/* The completer may have taken the last one in by now. */
		WRITE_ONCE(to_odp_qp(qp)->comp.dropped, true);
		rxe_sched_task(&qp->send_task);
		rxe_odp_drop(qp, skb);
		return;
	}
	rxe_get(qp);
	rxe_comp_queue_pkt(qp, skb);
	rxe_put(qp);
}

/* The peer is another one, or the same from the beginning. */
void rxe_odp_park_reset(struct rxe_odp_qp *oqp)
{
	oqp->resp.park.patience = RXE_ODP_PATIENCE;
	oqp->resp.park.msn = RXE_ODP_NO_MSN;
}

/* A new QP; nothing of it runs yet. */
void rxe_odp_park_init(struct rxe_odp_qp *oqp)
{
	struct rxe_odp_park *park = &oqp->resp.park;

	timer_setup(&park->timer, rxe_odp_timer, 0);
	rxe_odp_park_reset(oqp);
}

/* No task of @oqp runs any more, and no packet of it is left. */
void rxe_odp_park_exit(struct rxe_odp_qp *oqp)
{
	timer_delete_sync(&oqp->resp.park.timer);
	rxe_odp_unreserve_all(oqp);
}
