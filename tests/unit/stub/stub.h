/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The kernel that the engine's sources are compiled against in userspace
 *
 * Two builds of the same stubs.  By default every task is a fibre and exactly
 * one runs at a time: a switch happens only at a scheduling point or where a
 * task blocks, so a run is repeatable, and the explorer can choose.  With
 * STUB_THREADS tasks are POSIX threads, for ThreadSanitizer.
 *
 * The stubs judge while they serve: sleeping where that is not allowed, use of
 * a freed page, a deadlock and the like end in stub_bug().
 */
#ifndef STUB_STUB_H
#define STUB_STUB_H

#include <stdbool.h>
#include <stddef.h>
#ifdef STUB_THREADS
#include <pthread.h>
#endif

#include <linux/types.h>

#define STUB_STR1(x)		#x
#define STUB_STR(x)		STUB_STR1(x)
#define STUB_HERE(what)		what " " __FILE__ ":" STUB_STR(__LINE__)

struct mm_struct;
struct mem_cgroup;

struct task_struct {
	struct mm_struct	*mm;
	struct mem_cgroup	*active_memcg;
	const char		*name;
	bool			killed;
	bool			worker;
	bool			noio;		/* memalloc_noio_save() */
	int			atomic;		/* spinlocks held */
	int			callback;	/* inside a notifier callback */
	int			rcu;		/* depth of read sections */
	unsigned long		rcu_since;	/* number of the outermost */
	void			*kmapped;	/* page under kmap_local */
};

#ifdef STUB_THREADS
typedef struct spinlock { pthread_mutex_t m; } spinlock_t;
typedef struct { pthread_rwlock_t rw; } rwlock_t;
typedef struct {
	pthread_mutex_t m;
	pthread_cond_t c;
	unsigned int seq;
} wait_queue_head_t;
#else
typedef struct spinlock { struct task_struct *owner; } spinlock_t;
typedef struct {
	struct task_struct *writer;
	int readers;
	int writers_waiting;
} rwlock_t;
typedef struct { unsigned int seq; } wait_queue_head_t;
#endif

/* sched.c or threads.c: tasks, time */
struct task_struct *stub_current(void);
struct task_struct *stub_spawn(const char *name, struct mm_struct *mm,
			       void (*fn)(void *), void *arg);
void stub_join(struct task_struct *task);
void stub_point(const char *what);
void stub_yield(const char *what);
void stub_sleep(long ticks, const char *what);
unsigned long stub_jiffies(void);
unsigned long stub_deadline(long timeout);
long stub_left(unsigned long deadline);
bool stub_killed(void);
void stub_might_sleep(const char *what);
void stub_bug(const char *kind, const char *what) __attribute__((noreturn));

/* The big lock of the stubs' own lists, and waiting under it. */
void stub_big_lock(void);
void stub_big_unlock(void);
/* Waits until @ready or @deadline; called and returns with the big lock. */
void stub_big_wait(bool (*ready)(void *), void *arg, unsigned long deadline,
		   const char *what);
void stub_big_wake(void);

/* lock.c or threads.c */
void stub_spin_init(spinlock_t *lock);
void stub_spin_lock(spinlock_t *lock, const char *what);
void stub_spin_unlock(spinlock_t *lock, const char *what);
bool stub_spin_held(spinlock_t *lock);
void stub_rw_init(rwlock_t *lock);
void stub_read_lock(rwlock_t *lock, const char *what);
bool stub_read_trylock(rwlock_t *lock, const char *what);
void stub_read_unlock(rwlock_t *lock, const char *what);
void stub_write_lock(rwlock_t *lock, const char *what);
void stub_write_unlock(rwlock_t *lock, const char *what);
void stub_wait_init(wait_queue_head_t *wq);
unsigned int stub_wait_seen(wait_queue_head_t *wq);
void stub_wait(wait_queue_head_t *wq, unsigned int seen,
	       unsigned long deadline, const char *what);
void stub_wake_up(wait_queue_head_t *wq, const char *what);

/* rcu.c or threads.c */
void stub_rcu_read_lock(void);
void stub_rcu_read_unlock(const char *what);
bool stub_rcu_held(void);
void stub_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *),
		   size_t offset);
void stub_rcu_run(struct rcu_head *head);
void stub_rcu_barrier(void);

#ifndef STUB_THREADS
/*
 * The explorer's seat.  @n tasks can run; the first of them is the one that
 * runs on by default.  @free: the running one cannot, so that no choice is a
 * preemption.  Returns the index of the one that shall run.
 */
extern int (*stub_chooser)(int n, bool free);
/* Called before the report of stub_bug() or of a sanitizer is complete. */
extern void (*stub_reporter)(void);
void stub_advance(unsigned long ticks);		/* move time on */
void stub_run_all(void);	/* until nothing but time can make a move */
void stub_kill(struct task_struct *task);
void stub_print_trail(void);
void stub_trail_clear(void);
bool stub_rcu_section_before(unsigned long number);
#endif

#endif /* STUB_STUB_H */
