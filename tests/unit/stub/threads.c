// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The same kernel on POSIX threads, for ThreadSanitizer
 *
 * Locks are pthread locks, and nothing here orders memory more than a kernel
 * would: readers of an RCU section share a pthread rwlock, which orders them
 * after grace periods only.  Time runs twice as fast, as a tick is 5 ms.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mm.h"
#include "stub.h"

#define TICK_NS		5000000L

struct thread {
	struct task_struct	task;		/* first */
	pthread_t		id;
	void			(*fn)(void *arg);
	void			*arg;
};

static __thread struct task_struct main_task = { .name = "main" };
static __thread struct task_struct *me;

static pthread_mutex_t big = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t big_cond = PTHREAD_COND_INITIALIZER;

struct task_struct *stub_current(void)
{
	return me ? me : &main_task;
}

void stub_bug(const char *kind, const char *what)
{
	fprintf(stderr, "stub: %s: %s (task %s)\n", kind, what,
		stub_current()->name);
	abort();
}

static void must(int err, const char *what)
{
	if (err)
		stub_bug("pthread", what);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	me = &t->task;
	t->fn(t->arg);
	if (t->task.worker)
		free(t);
	return NULL;
}

struct task_struct *stub_spawn(const char *name, struct mm_struct *mm,
			       void (*fn)(void *), void *arg)
{
	struct thread *t = calloc(1, sizeof(*t));
	bool worker = !mm;
	pthread_t id;

	if (!t)
		stub_bug("stub", "out of memory");
	t->task.name = name;
	t->task.mm = mm;
	t->task.worker = worker;
	t->fn = fn;
	t->arg = arg;
	must(pthread_create(&id, NULL, thread_main, t), "create");
	if (worker) {
		must(pthread_detach(id), "detach");
		return NULL;
	}
	t->id = id;
	return &t->task;
}

void stub_join(struct task_struct *task)
{
	struct thread *t = (struct thread *)task;

	must(pthread_join(t->id, NULL), "join");
	free(t);
}

/* Now and then, let the others in at a place of our choosing. */
void stub_point(const char *what)
{
	static __thread unsigned int n;

	(void)what;
	if (++n % 61 == 0)
		sched_yield();
}

void stub_yield(const char *what)
{
	stub_might_sleep(what);
	sched_yield();
}

static long long clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

unsigned long stub_jiffies(void)
{
	return clock_ns(CLOCK_REALTIME) / TICK_NS;
}

unsigned long stub_deadline(long timeout)
{
	return timeout == LONG_MAX ? ULONG_MAX : stub_jiffies() + timeout;
}

long stub_left(unsigned long deadline)
{
	return deadline == ULONG_MAX ? LONG_MAX :
				       (long)(deadline - stub_jiffies());
}

bool stub_killed(void)
{
	return false;
}

void stub_might_sleep(const char *what)
{
	const struct task_struct *t = stub_current();

	if (t->callback || t->atomic || t->rcu)
		stub_bug("sleeping where that is not allowed", what);
}

static int cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex,
		     unsigned long deadline)
{
	struct timespec t;
	long long ns;

	if (deadline == ULONG_MAX)
		return pthread_cond_wait(cond, mutex);
	ns = (long long)deadline * TICK_NS;
	t.tv_sec = ns / 1000000000LL;
	t.tv_nsec = ns % 1000000000LL;
	return pthread_cond_timedwait(cond, mutex, &t);
}

void stub_sleep(long ticks, const char *what)
{
	long long ns = ticks * TICK_NS;
	struct timespec t = { ns / 1000000000LL, ns % 1000000000LL };

	stub_might_sleep(what);
	nanosleep(&t, NULL);
}

void stub_big_lock(void)
{
	pthread_mutex_lock(&big);
}

void stub_big_unlock(void)
{
	pthread_mutex_unlock(&big);
}

void stub_big_wake(void)
{
	pthread_cond_broadcast(&big_cond);
}

void stub_big_wait(bool (*ready)(void *), void *arg, unsigned long deadline,
		   const char *what)
{
	(void)what;
	while (!ready(arg))
		if (cond_wait(&big_cond, &big, deadline) == ETIMEDOUT)
			return;
}

/* Locks */

void stub_spin_init(spinlock_t *lock)
{
	must(pthread_mutex_init(&lock->m, NULL), "mutex");
}

void stub_spin_lock(spinlock_t *lock, const char *what)
{
	stub_point(what);
	must(pthread_mutex_lock(&lock->m), what);
	stub_current()->atomic++;
}

void stub_spin_unlock(spinlock_t *lock, const char *what)
{
	stub_current()->atomic--;
	must(pthread_mutex_unlock(&lock->m), what);
}

/* Who holds it is checked where tasks are fibres. */
bool stub_spin_held(spinlock_t *lock)
{
	(void)lock;
	return true;
}

void stub_rw_init(rwlock_t *lock)
{
	must(pthread_rwlock_init(&lock->rw, NULL), "rwlock");
}

void stub_read_lock(rwlock_t *lock, const char *what)
{
	stub_point(what);
	must(pthread_rwlock_rdlock(&lock->rw), what);
	stub_current()->atomic++;
}

bool stub_read_trylock(rwlock_t *lock, const char *what)
{
	stub_point(what);
	if (pthread_rwlock_tryrdlock(&lock->rw))
		return false;
	stub_current()->atomic++;
	return true;
}

void stub_read_unlock(rwlock_t *lock, const char *what)
{
	stub_current()->atomic--;
	must(pthread_rwlock_unlock(&lock->rw), what);
}

void stub_write_lock(rwlock_t *lock, const char *what)
{
	stub_point(what);
	must(pthread_rwlock_wrlock(&lock->rw), what);
	stub_current()->atomic++;
}

void stub_write_unlock(rwlock_t *lock, const char *what)
{
	stub_current()->atomic--;
	must(pthread_rwlock_unlock(&lock->rw), what);
}

void stub_wait_init(wait_queue_head_t *wq)
{
	must(pthread_mutex_init(&wq->m, NULL), "mutex");
	must(pthread_cond_init(&wq->c, NULL), "cond");
	wq->seq = 0;
}

unsigned int stub_wait_seen(wait_queue_head_t *wq)
{
	unsigned int seen;

	pthread_mutex_lock(&wq->m);
	seen = wq->seq;
	pthread_mutex_unlock(&wq->m);
	return seen;
}

void stub_wait(wait_queue_head_t *wq, unsigned int seen,
	       unsigned long deadline, const char *what)
{
	(void)what;
	pthread_mutex_lock(&wq->m);
	while (wq->seq == seen)
		if (cond_wait(&wq->c, &wq->m, deadline) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&wq->m);
}

void stub_wake_up(wait_queue_head_t *wq, const char *what)
{
	stub_point(what);
	pthread_mutex_lock(&wq->m);
	wq->seq++;
	pthread_cond_broadcast(&wq->c);
	pthread_mutex_unlock(&wq->m);
}

/* RCU */

static pthread_rwlock_t rcu = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t rcu_once = PTHREAD_ONCE_INIT;
static struct rcu_head *rcu_list;
static long rcu_pending;

static void *rcu_thread(void *arg)
{
	struct rcu_head *list, *next;

	for (;;) {
		stub_sleep(1, "rcu");
		stub_big_lock();
		list = rcu_list;
		rcu_list = NULL;
		stub_big_unlock();
		if (!list)
			continue;
		/* Every section that was open has ended between these two. */
		pthread_rwlock_wrlock(&rcu);
		pthread_rwlock_unlock(&rcu);
		for (; list; list = next) {
			next = list->next;
			stub_rcu_run(list);
			stub_big_lock();
			rcu_pending--;
			stub_big_wake();
			stub_big_unlock();
		}
	}
	return arg;
}

static void rcu_start(void)
{
	pthread_t id;

	must(pthread_create(&id, NULL, rcu_thread, NULL), "create");
	must(pthread_detach(id), "detach");
}

void stub_rcu_read_lock(void)
{
	if (!stub_current()->rcu++)
		pthread_rwlock_rdlock(&rcu);
}

void stub_rcu_read_unlock(const char *what)
{
	(void)what;
	if (!--stub_current()->rcu)
		pthread_rwlock_unlock(&rcu);
}

bool stub_rcu_held(void)
{
	return stub_current()->rcu;
}

void stub_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *),
		   size_t offset)
{
	pthread_once(&rcu_once, rcu_start);
	head->func = func ? func : (void (*)(struct rcu_head *))offset;
	stub_big_lock();
	head->next = rcu_list;
	rcu_list = head;
	rcu_pending++;
	stub_big_unlock();
}

static bool rcu_idle(void *arg)
{
	(void)arg;
	return !rcu_pending;
}

void stub_rcu_barrier(void)
{
	stub_big_lock();
	stub_big_wait(rcu_idle, NULL, ULONG_MAX, "rcu_barrier");
	stub_big_unlock();
}
