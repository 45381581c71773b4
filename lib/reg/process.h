/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What a process has one of: the sign that it is still this process and not the child of its fork,
 * and the watch over its memory with its two threads. Made when first needed; stays to the end, for
 * a userfaultfd that nobody reads any more would hold up munmap() for ever, and a copy of it in a
 * child that was forked keeps it open after our close().
 */
#ifndef ODPREG_PROCESS_H
#define ODPREG_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "odpreg.h"

/*
 * Somebody who wants to know about changes. changed() is called by the thread that the
 * changing thread waits for: it takes no lock, allocates nothing, and makes no system call. reap()
 * is called some time after it has returned true, by a thread that may do all that.
 */
struct listener {
	_Atomic(struct listener *) next;
	bool (*changed)(struct listener *l, uint64_t start, uint64_t end);
	void (*reap)(struct listener *l);
	/* The first range that it wants watched and that ends after address; takes no lock. */
	bool (*wants)(struct listener *l, uint64_t address, uint64_t *start, uint64_t *end);
};

#define DROPS	1024

/* A range that madvise() was about to drop pages of, and when. */
struct drop {
	_Atomic uint64_t start;
	_Atomic uint64_t end;
	_Atomic uint64_t when;		/* nanoseconds, monotonic */
};

struct process {
	_Atomic uint32_t *alive;	/* 1; in the child of a fork the kernel has made it 0 */
	_Atomic(uint64_t) sequence;	/* odd while changes are being told to the listeners */
	_Atomic(struct listener *) listeners;
	_Atomic int fd;			/* userfaultfd; -1: not tried, -2: there is none */
	_Atomic uint32_t work;		/* for the reaper: a futex */
	pthread_mutex_t lock;		/* listeners come and go; the start; reaping */
	pthread_mutex_t arming;		/* what is wanted, and what is armed: inside all other locks */
	struct drop drop[DROPS];
	_Atomic uint64_t drops;
};

/* That of this process; NULL when out of memory. */
struct process *process_get(void);

static inline bool process_alive(const struct process *p)
{
	return atomic_load_explicit(p->alive, memory_order_relaxed);
}

/* ------------------------------------------------------------------ the watch */

/* 0, or the errno of userfaultfd. */
int watch_start(struct process *p);
/* From here on changes of these pages are told. 0 or an errno: EBUSY, EINVAL: it cannot be. */
int watch_arm(struct process *p, uint64_t start, uint64_t end);
/* No longer, but for what listeners want. */
void watch_disarm(struct process *p, uint64_t start, uint64_t end);
/* Whether pages of this range may be dropped at any moment by a madvise() that was told already. */
bool watch_dropping(struct process *p, uint64_t start, uint64_t end);
/* Wait until what happened before this call has been told. False: memory keeps changing. */
bool watch_settle(struct process *p, enum odpreg_check check);

void watch_listen(struct process *p, struct listener *l);
/* When it returns neither function of it is running or will run. */
void watch_unlisten(struct process *p, struct listener *l);

/* What the thread does with a message; for tests without a userfaultfd, too. */
void watch_tell(struct process *p, uint64_t start, uint64_t end, bool drop);
/* Has the listeners reap soon. */
void watch_reap_soon(struct process *p);

/* Private anonymous memory all through, by /proc/self/maps: of other memory nobody tells all changes. */
bool memory_is_private(uint64_t start, uint64_t end);

#endif
