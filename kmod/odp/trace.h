/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Tracepoints, /sys/kernel/tracing/events/rdma_odp
 *
 * Addresses are the owner's.  A region is named by its hashed pointer, the
 * same in all events of one boot.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rdma_odp

#if !defined(ODP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ODP_TRACE_H

#include <linux/mmu_notifier.h>
#include <linux/tracepoint.h>

#include "odp.h"

#ifndef ODP_TRACE_NAMES
#define ODP_TRACE_NAMES
#define odp_show_fault(flags)						\
	__print_flags(flags, "|",					\
		      { ODP_FAULT_WRITE,	"write" },		\
		      { ODP_FAULT_SNAPSHOT,	"no_fault" },		\
		      { ODP_FAULT_PREFETCH,	"prefetch" },		\
		      { ODP_FAULT_ASYNC,	"async" },		\
		      { ODP_FAULT_AHEAD,	"ahead" })

#define odp_show_event(event)						\
	__print_symbolic(event,						\
			 { MMU_NOTIFY_UNMAP,		"unmap" },	\
			 { MMU_NOTIFY_CLEAR,		"clear" },	\
			 { MMU_NOTIFY_PROTECTION_VMA,	"protection_vma" }, \
			 { MMU_NOTIFY_PROTECTION_PAGE,	"protection_page" }, \
			 { MMU_NOTIFY_SOFT_DIRTY,	"soft_dirty" },	\
			 { MMU_NOTIFY_RELEASE,		"release" },	\
			 { MMU_NOTIFY_MIGRATE,		"migrate" },	\
			 { MMU_NOTIFY_EXCLUSIVE,	"exclusive" })
#endif

DECLARE_EVENT_CLASS(odp_fault_class,
	TP_PROTO(const struct odp_region *region, u64 va, u64 len,
		 unsigned int flags),
	TP_ARGS(region, va, len, flags),
	TP_STRUCT__entry(
		__field(const void *, region)
		__field(u64, va)
		__field(u64, len)
		__field(unsigned int, flags)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->va = va;
		__entry->len = len;
		__entry->flags = flags;
	),
	TP_printk("region=%p va=%#llx len=%llu flags=%s", __entry->region,
		  __entry->va, __entry->len, odp_show_fault(__entry->flags))
);

/* An access found no translation and asks for one. */
DEFINE_EVENT(odp_fault_class, odp_fault,
	TP_PROTO(const struct odp_region *region, u64 va, u64 len,
		 unsigned int flags),
	TP_ARGS(region, va, len, flags)
);

/* Somebody asks for translations that nobody needs yet. */
DEFINE_EVENT(odp_fault_class, odp_prefetch,
	TP_PROTO(const struct odp_region *region, u64 va, u64 len,
		 unsigned int flags),
	TP_ARGS(region, va, len, flags)
);

/* The pages were mapped, or could be at once: no job is queued. */
DEFINE_EVENT(odp_fault_class, odp_fault_short,
	TP_PROTO(const struct odp_region *region, u64 va, u64 len,
		 unsigned int flags),
	TP_ARGS(region, va, len, flags)
);

/* A queued fault or prefetch is over. */
TRACE_EVENT(odp_fault_done,
	TP_PROTO(const struct odp_fault *fault),
	TP_ARGS(fault),
	TP_STRUCT__entry(
		__field(const void *, region)
		__field(u64, va)
		__field(u64, len)
		__field(unsigned int, flags)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->region = fault->region;
		__entry->va = fault->start;
		__entry->len = fault->end - fault->start;
		__entry->flags = fault->flags;
		__entry->ret = fault->ret;
	),
	TP_printk("region=%p va=%#llx len=%llu flags=%s ret=%d",
		  __entry->region, __entry->va, __entry->len,
		  odp_show_fault(__entry->flags), __entry->ret)
);

/* The kernel took a range away from a window, and with it so many pages. */
TRACE_EVENT(odp_invalidate,
	TP_PROTO(const struct odp_region *region, u64 start, u64 end,
		 unsigned int event, unsigned int pages),
	TP_ARGS(region, start, end, event, pages),
	TP_STRUCT__entry(
		__field(const void *, region)
		__field(u64, start)
		__field(u64, end)
		__field(unsigned int, event)
		__field(unsigned int, pages)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->start = start;
		__entry->end = end;
		__entry->event = event;
		__entry->pages = pages;
	),
	TP_printk("region=%p va=%#llx len=%llu event=%s pages=%u",
		  __entry->region, __entry->start,
		  __entry->end - __entry->start,
		  odp_show_event(__entry->event), __entry->pages)
);

DECLARE_EVENT_CLASS(odp_window_class,
	TP_PROTO(const struct odp_region *region, unsigned long index),
	TP_ARGS(region, index),
	TP_STRUCT__entry(
		__field(const void *, region)
		__field(unsigned long, index)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->index = index;
	),
	TP_printk("region=%p va=%#lx", __entry->region,
		  __entry->index << ODP_WINDOW_SHIFT)
);

DEFINE_EVENT(odp_window_class, odp_window_create,
	TP_PROTO(const struct odp_region *region, unsigned long index),
	TP_ARGS(region, index)
);

DEFINE_EVENT(odp_window_class, odp_window_reap,
	TP_PROTO(const struct odp_region *region, unsigned long index),
	TP_ARGS(region, index)
);

#endif /* ODP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
