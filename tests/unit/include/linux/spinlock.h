/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Locks are in stub/lock.c: fibre or thread versions of the same calls. */
#ifndef STUB_LINUX_SPINLOCK_H
#define STUB_LINUX_SPINLOCK_H

#include <linux/kernel.h>

#ifdef STUB_THREADS
#define DEFINE_SPINLOCK(name)	spinlock_t name = { .m = PTHREAD_MUTEX_INITIALIZER }
#else
#define DEFINE_SPINLOCK(name)	spinlock_t name
#endif
#define spin_lock_init(l)	stub_spin_init(l)
#define spin_lock(l)		stub_spin_lock(l, STUB_HERE("spin_lock"))
#define spin_unlock(l)		stub_spin_unlock(l, STUB_HERE("spin_unlock"))
#define spin_lock_bh(l)		spin_lock(l)
#define spin_unlock_bh(l)	spin_unlock(l)

#define rwlock_init(l)		stub_rw_init(l)
#define read_lock(l)		stub_read_lock(l, STUB_HERE("read_lock"))
#define read_unlock(l)		stub_read_unlock(l, STUB_HERE("read_unlock"))
#define write_lock(l)		stub_write_lock(l, STUB_HERE("write_lock"))
#define write_unlock(l)		stub_write_unlock(l, STUB_HERE("write_unlock"))

#define lockdep_is_held(l)	stub_spin_held(l)
#define lockdep_assert_held(l) do { \
	if (!stub_spin_held(l)) \
		stub_bug("lock", STUB_HERE("not held")); \
} while (0)

#endif /* STUB_LINUX_SPINLOCK_H */
