// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Locks, wait queues and RCU of fibres
 *
 * Every lock and unlock is a scheduling point.  A writer that waits keeps new
 * readers out, as a kernel's queued rwlock does, so that recursive reading is
 * seen.  A grace period ends as soon as it may: what is used too late is then
 * used after it was freed.
 */
#include <limits.h>
#include <stdlib.h>

#include "mm.h"
#include "stub.h"

void stub_spin_init(spinlock_t *lock)
{
	lock->owner = NULL;
}

static bool spin_free(void *arg)
{
	return !((spinlock_t *)arg)->owner;
}

void stub_spin_lock(spinlock_t *lock, const char *what)
{
	struct task_struct *me = stub_current();

	stub_point(what);
	if (lock->owner == me)
		stub_bug("lock taken twice", what);
	stub_big_wait(spin_free, lock, ULONG_MAX, what);
	lock->owner = me;
	me->atomic++;
}

void stub_spin_unlock(spinlock_t *lock, const char *what)
{
	struct task_struct *me = stub_current();

	if (lock->owner != me)
		stub_bug("lock given back that was not held", what);
	lock->owner = NULL;
	me->atomic--;
	stub_point(what);
}

bool stub_spin_held(spinlock_t *lock)
{
	return lock->owner == stub_current();
}

void stub_rw_init(rwlock_t *lock)
{
	*lock = (rwlock_t){ 0 };
}

static bool rw_readable(void *arg)
{
	const rwlock_t *lock = arg;

	return !lock->writer && !lock->writers_waiting;
}

static bool rw_writable(void *arg)
{
	const rwlock_t *lock = arg;

	return !lock->writer && !lock->readers;
}

void stub_read_lock(rwlock_t *lock, const char *what)
{
	stub_point(what);
	if (lock->writer == stub_current())
		stub_bug("lock taken twice", what);
	stub_big_wait(rw_readable, lock, ULONG_MAX, what);
	lock->readers++;
	stub_current()->atomic++;
}

bool stub_read_trylock(rwlock_t *lock, const char *what)
{
	stub_point(what);
	if (!rw_readable(lock))
		return false;
	lock->readers++;
	stub_current()->atomic++;
	return true;
}

void stub_read_unlock(rwlock_t *lock, const char *what)
{
	if (lock->readers-- <= 0)
		stub_bug("lock given back that was not held", what);
	stub_current()->atomic--;
	stub_point(what);
}

void stub_write_lock(rwlock_t *lock, const char *what)
{
	stub_point(what);
	if (lock->writer == stub_current())
		stub_bug("lock taken twice", what);
	lock->writers_waiting++;
	stub_big_wait(rw_writable, lock, ULONG_MAX, what);
	lock->writers_waiting--;
	lock->writer = stub_current();
	stub_current()->atomic++;
}

void stub_write_unlock(rwlock_t *lock, const char *what)
{
	if (lock->writer != stub_current())
		stub_bug("lock given back that was not held", what);
	lock->writer = NULL;
	stub_current()->atomic--;
	stub_point(what);
}

/* Wait queues: a count of wake-ups */

struct waiter {
	wait_queue_head_t *wq;
	unsigned int seen;
	const struct task_struct *task;
};

void stub_wait_init(wait_queue_head_t *wq)
{
	wq->seq = 0;
}

unsigned int stub_wait_seen(wait_queue_head_t *wq)
{
	unsigned int seen = wq->seq;

	stub_point("wait queue entered");
	return seen;
}

static bool waiter_woken(void *arg)
{
	const struct waiter *w = arg;

	return w->wq->seq != w->seen || w->task->killed;
}

void stub_wait(wait_queue_head_t *wq, unsigned int seen,
	       unsigned long deadline, const char *what)
{
	struct waiter w = { .wq = wq, .seen = seen, .task = stub_current() };

	stub_point(what);
	stub_big_wait(waiter_woken, &w, deadline, what);
}

void stub_wake_up(wait_queue_head_t *wq, const char *what)
{
	stub_point(what);
	wq->seq++;
	stub_point(what);
}

/* RCU */

static struct rcu_head *rcu_first, **rcu_last = &rcu_first;
static unsigned long rcu_number;

void stub_rcu_read_lock(void)
{
	struct task_struct *me = stub_current();

	if (!me->rcu++)
		me->rcu_since = ++rcu_number;
}

static void rcu_run_ripe(void)
{
	struct rcu_head *head;

	while (rcu_first && !stub_rcu_section_before(rcu_first->since)) {
		head = rcu_first;
		rcu_first = head->next;
		if (!rcu_first)
			rcu_last = &rcu_first;
		stub_rcu_run(head);
	}
}

void stub_rcu_read_unlock(const char *what)
{
	if (stub_current()->rcu-- <= 0)
		stub_bug("rcu", "unlock without a lock");
	rcu_run_ripe();
	stub_point(what);
}

bool stub_rcu_held(void)
{
	return stub_current()->rcu;
}

void stub_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *),
		   size_t offset)
{
	head->func = func ? func : (void (*)(struct rcu_head *))offset;
	head->next = NULL;
	head->since = ++rcu_number;
	*rcu_last = head;
	rcu_last = &head->next;
	rcu_run_ripe();
}

static bool rcu_idle(void *arg)
{
	(void)arg;
	return !rcu_first;
}

void stub_rcu_barrier(void)
{
	stub_might_sleep("rcu_barrier");
	stub_big_wait(rcu_idle, NULL, ULONG_MAX, "rcu_barrier");
}
