/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Tracepoints that nobody listens to. */
#ifndef STUB_LINUX_TRACEPOINT_H
#define STUB_LINUX_TRACEPOINT_H

#define TP_PROTO(...)		__VA_ARGS__
#define TP_ARGS(...)
#define TP_STRUCT__entry(...)
#define TP_fast_assign(...)
#define TP_printk(...)

#define DECLARE_EVENT_CLASS(name, proto, args, tstruct, assign, print)
#define DEFINE_EVENT(class, name, proto, args)		\
	static inline void trace_##name(proto) {}
#define TRACE_EVENT(name, proto, args, tstruct, assign, print)	\
	static inline void trace_##name(proto) {}

#endif /* STUB_LINUX_TRACEPOINT_H */
