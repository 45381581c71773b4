/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What nearly every kernel header brings along. */
#ifndef STUB_LINUX_KERNEL_H
#define STUB_LINUX_KERNEL_H

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bits.h>
#include <linux/types.h>

#include "../../stub/stub.h"

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define min(a, b) ({ \
	__auto_type min_a = (a); \
	__auto_type min_b = (b); \
	min_a < min_b ? min_a : min_b; })
#define max(a, b) ({ \
	__auto_type max_a = (a); \
	__auto_type max_b = (b); \
	max_a > max_b ? max_a : max_b; })
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))

#define IS_ALIGNED(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)
#define check_add_overflow(a, b, sum)	__builtin_add_overflow(a, b, sum)

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

#define cmpxchg(ptr, old, new) ({ \
	__typeof__(*(ptr)) cmpxchg_old = (old); \
	__atomic_compare_exchange_n(ptr, &cmpxchg_old, new, false, \
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); \
	cmpxchg_old; })

#define EXPORT_SYMBOL_GPL(name)	_Static_assert(sizeof(&(name)), "no symbol")

#define ERESTARTSYS		512
#define ERR_MAX			4095
#define ERR_PTR(err)		((void *)(long)(err))
#define PTR_ERR(ptr)		((long)(ptr))
#define IS_ERR(ptr)		((unsigned long)(ptr) >= (unsigned long)-ERR_MAX)
#define PTR_ERR_OR_ZERO(ptr)	(IS_ERR(ptr) ? (int)PTR_ERR(ptr) : 0)

#define HZ			100
#define jiffies			stub_jiffies()
#define time_after(a, b)	((long)((b) - (a)) < 0)
#define time_before(a, b)	time_after(b, a)

#define MAX_SCHEDULE_TIMEOUT	LONG_MAX

#define cond_resched()		stub_yield(STUB_HERE("cond_resched"))

#endif /* STUB_LINUX_KERNEL_H */
