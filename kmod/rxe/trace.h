/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Tracepoints of the binding, in the engine's /sys/kernel/tracing/events/rdma_odp
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rdma_odp

#if !defined(RXE_ODP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RXE_ODP_TRACE_H

#include <linux/tracepoint.h>

#include "binding.h"

/* A request packet is parked: it awaits a page at the head of its queue. */
TRACE_EVENT(odp_park,
	TP_PROTO(const struct rxe_qp *qp, const struct rxe_pkt_info *pkt),
	TP_ARGS(qp, pkt),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(u32, psn)
		__field(u8, opcode)
	),
	TP_fast_assign(
		__entry->qpn = qp->ibqp.qp_num;
		__entry->psn = pkt->psn;
		__entry->opcode = pkt->opcode;
	),
	TP_printk("qpn=%#x psn=%#x opcode=%#x", __entry->qpn, __entry->psn,
		  __entry->opcode)
);

/* RNR NAK to the peer of a packet that was parked for its patience. */
TRACE_EVENT(odp_rnr_nak,
	TP_PROTO(const struct rxe_qp *qp, u32 psn, u8 timer),
	TP_ARGS(qp, psn, timer),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(u32, psn)
		__field(u8, timer)
	),
	TP_fast_assign(
		__entry->qpn = qp->ibqp.qp_num;
		__entry->psn = psn;
		__entry->timer = timer;
	),
	TP_printk("qpn=%#x psn=%#x timer=%u", __entry->qpn, __entry->psn,
		  __entry->timer)
);

#endif /* RXE_ODP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
