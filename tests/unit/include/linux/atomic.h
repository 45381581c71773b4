/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * atomic_t is a scheduling point of the explorer: reference counts steer the
 * engine.  atomic_long_t and atomic64_t are not: the engine only counts with
 * them.  Memory order is the kernel's: full where a value is returned, none
 * elsewhere, so that ThreadSanitizer sees no order that a kernel would not give.
 */
#ifndef STUB_LINUX_ATOMIC_H
#define STUB_LINUX_ATOMIC_H

#include <linux/kernel.h>

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { s64 counter; } atomic64_t;

#define STUB_ATOMIC(type, prefix, word, point) \
static inline word prefix##_read(const type *v) \
{ \
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED); \
} \
static inline void prefix##_set(type *v, word n) \
{ \
	__atomic_store_n(&v->counter, n, __ATOMIC_RELAXED); \
	point(#prefix "_set"); \
} \
static inline void prefix##_add(word n, type *v) \
{ \
	point(#prefix "_add"); \
	__atomic_fetch_add(&v->counter, n, __ATOMIC_RELAXED); \
} \
static inline void prefix##_sub(word n, type *v) \
{ \
	prefix##_add(-n, v); \
} \
static inline void prefix##_inc(type *v) \
{ \
	prefix##_add(1, v); \
} \
static inline void prefix##_dec(type *v) \
{ \
	prefix##_add(-1, v); \
} \
static inline word prefix##_fetch_add(word n, type *v) \
{ \
	point(#prefix "_fetch_add"); \
	return __atomic_fetch_add(&v->counter, n, __ATOMIC_SEQ_CST); \
}

#define STUB_NO_POINT(what)	((void)0)
#define STUB_ATOMIC_POINT(what)	stub_point(what)

STUB_ATOMIC(atomic_t, atomic, int, STUB_ATOMIC_POINT)
STUB_ATOMIC(atomic_long_t, atomic_long, long, STUB_NO_POINT)
STUB_ATOMIC(atomic64_t, atomic64, s64, STUB_NO_POINT)

static inline bool atomic_dec_and_test(atomic_t *v)
{
	stub_point("atomic_dec_and_test");
	return __atomic_sub_fetch(&v->counter, 1, __ATOMIC_SEQ_CST) == 0;
}

static inline int atomic_dec_return_release(atomic_t *v)
{
	stub_point("atomic_dec_return_release");
	return __atomic_sub_fetch(&v->counter, 1, __ATOMIC_RELEASE);
}

static inline void atomic_set_release(atomic_t *v, int n)
{
	__atomic_store_n(&v->counter, n, __ATOMIC_RELEASE);
	stub_point("atomic_set_release");
}

static inline int atomic_cmpxchg(atomic_t *v, int old, int new)
{
	stub_point("atomic_cmpxchg");
	return cmpxchg(&v->counter, old, new);
}

static inline bool stub_dec_unless_one(atomic_t *v)
{
	int old = atomic_read(v);

	stub_point("atomic_dec_unless_one");
	old = atomic_read(v);
	do {
		if (old == 1)
			return false;
	} while (!__atomic_compare_exchange_n(&v->counter, &old, old - 1, true,
					      __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return true;
}

/* Add one unless the value fails the test of the name. */
static inline bool stub_inc_unless(atomic_t *v, bool (*refused)(int))
{
	int old = atomic_read(v);

	stub_point("atomic_inc_unless");
	old = atomic_read(v);
	do {
		if (refused(old))
			return false;
	} while (!__atomic_compare_exchange_n(&v->counter, &old, old + 1, true,
					      __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return true;
}

static inline bool stub_is_negative(int n)
{
	return n < 0;
}

static inline bool stub_is_zero(int n)
{
	return n == 0;
}

static inline bool atomic_inc_unless_negative(atomic_t *v)
{
	return stub_inc_unless(v, stub_is_negative);
}

static inline bool atomic_inc_not_zero(atomic_t *v)
{
	return stub_inc_unless(v, stub_is_zero);
}

/* True with @lock held when that was the last. */
#define atomic_dec_and_lock(v, lock) ({ \
	bool dec_last = false; \
	if (!stub_dec_unless_one(v)) { \
		stub_spin_lock(lock, STUB_HERE("atomic_dec_and_lock")); \
		dec_last = atomic_dec_and_test(v); \
		if (!dec_last) \
			stub_spin_unlock(lock, STUB_HERE("atomic_dec_and_lock")); \
	} \
	dec_last; })

#endif /* STUB_LINUX_ATOMIC_H */
