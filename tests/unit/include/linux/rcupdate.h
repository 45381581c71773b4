/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_RCUPDATE_H
#define STUB_LINUX_RCUPDATE_H

#include <linux/kernel.h>

#define rcu_read_lock()		stub_rcu_read_lock()
#define rcu_read_unlock()	stub_rcu_read_unlock(STUB_HERE("rcu_read_unlock"))
#define rcu_barrier()		stub_rcu_barrier()
#define call_rcu(head, func)	stub_call_rcu(head, func, 0)
#define kfree_rcu(ptr, member) \
	stub_call_rcu(&(ptr)->member, NULL, \
		      offsetof(__typeof__(*(ptr)), member))

#define rcu_assign_pointer(p, v) \
	__atomic_store_n(&(p), v, __ATOMIC_RELEASE)
#define RCU_INIT_POINTER(p, v) \
	__atomic_store_n(&(p), v, __ATOMIC_RELAXED)

#define rcu_access_pointer(p)	__atomic_load_n(&(p), __ATOMIC_RELAXED)
#define RCU_INITIALIZER(v)	(v)
#define unrcu_pointer(p)	((void)(p))

/* A pointer is only as good as the section it was read in. */
#define rcu_dereference(p) ({ \
	__typeof__(p) rcu_p; \
	if (!stub_rcu_held()) \
		stub_bug("rcu", STUB_HERE("dereference outside a section")); \
	rcu_p = __atomic_load_n(&(p), __ATOMIC_ACQUIRE); \
	stub_point(STUB_HERE("rcu_dereference")); \
	rcu_p; })
#define rcu_dereference_protected(p, cond) ({ \
	if (!(cond)) \
		stub_bug("rcu", STUB_HERE("dereference not protected")); \
	__atomic_load_n(&(p), __ATOMIC_RELAXED); })

#endif /* STUB_LINUX_RCUPDATE_H */
