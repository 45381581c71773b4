/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Traffic: a thread that moves data in and out of an ODP region in every direction and checks each
 * byte against a model, while other threads do to the memory what an address space can suffer.
 *
 * Events that keep the contents (fork, swapping out) need no word to the traffic: every check stays
 * exact. Events that drop contents say so page by page through a sequence count, odd while under
 * way, like a seqlock:
 *
 *	traffic					event
 *	-------					-----
 *	seq of the pages, even
 *	RDMA operation				seq++ (odd)
 *	compare with the model			drop the pages
 *	seq unchanged: every byte must match	seq++ (even)
 *	seq changed: every byte must be the
 *	  old one (of what was written: the
 *	  new one), or zero;
 *	  take the memory over as the model
 *
 * so that operations race with events, and the first operation after one is checked exactly. They
 * begin in the middle of events, too. What is beside the pages of an event is always exact.
 *
 * An event that makes a hole says so: only there, and only with the status that a hole has, may an
 * operation fail. While a hole is "shut", from after its cause until before it is mended, an operation
 * that begins and ends in that time must fail: the traffic knocks there on purpose.
 *
 * The CPU's own touches are kept out of a hole: the traffic says which pages it is at before it looks
 * whether an event is under way there, and an event waits for it to leave.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <pthread.h>
#include <stdatomic.h>

#include "rig.h"

enum traffic_kind {
	TRAFFIC_WRITE,		/* into the region, from the remote side */
	TRAFFIC_READ,		/* out of it */
	TRAFFIC_SEND,		/* out of it, from the local side */
	TRAFFIC_RECV,		/* into it: the receive buffer */
	TRAFFIC_LOCAL_READ,	/* into it: the local side of a READ */
	TRAFFIC_LOCAL_WRITE,	/* out of it: the local side of a WRITE */
	TRAFFIC_FADD,
	TRAFFIC_CAS,
	TRAFFIC_USUAL,
	/* Of devices and regions that have them: traffic->all. */
	TRAFFIC_WRITE_IMM = TRAFFIC_USUAL,
	TRAFFIC_ATOMIC_WRITE,
	TRAFFIC_FLUSH,		/* of bytes that are read then */
	TRAFFIC_KINDS,
};

enum traffic_event {
	EVENT_FORK,		/* child and parent write, child exits */
	EVENT_PAGEOUT,
	EVENT_DONTNEED,
	EVENT_FREE,
	EVENT_REPLACE,		/* mmap(MAP_FIXED) over it */
	EVENT_UNMAP,		/* munmap, then mmap at the same address: a hole for a while */
	EVENT_PROTECT,		/* read-only for a while */
	EVENT_NONE,		/* no access for a while */
	TRAFFIC_EVENTS,
};

enum traffic_shut {
	TRAFFIC_OPEN,
	TRAFFIC_SHUT_WRITES,	/* what goes in is refused */
	TRAFFIC_SHUT,		/* everything is */
};

const char *traffic_kind_name(enum traffic_kind kind);
const char *traffic_event_name(enum traffic_event event);

/* Held by a thread of the traffic while it makes mappings, or a hole that must stay one. */
extern pthread_mutex_t traffic_maps;

/* Largest operation of the traffic. */
#define TRAFFIC_MAX	(3 * RIG_PAGE)

struct traffic {
	struct rig *rig;
	struct rig_pair *pair;
	uint8_t *mem;
	size_t len;
	bool huge;
	bool given;			/* mem and region are the caller's */
	bool whole;			/* whole pages only, each in one packet */
	bool all;			/* of all kinds */
	bool read_only;			/* nothing goes into the region */
	uint8_t also;			/* what else an event may make of a byte, 0: nothing */
	struct rig_mr *odp;
	uint8_t *buf;			/* TRAFFIC_MAX of operand, then as much of result */
	struct rig_mr *pinned;
	uint8_t *model;
	unsigned int *model_seq;	/* of each page: what the model is true for */
	atomic_uint *seq;		/* of each page */
	atomic_uint *hole;		/* of each page: odd while what is there may be refused */
	atomic_uchar *shut;		/* of each page: enum traffic_shut */
	atomic_uint_fast64_t touched;	/* the pages that the traffic's CPU is at, first << 32 | count */
	atomic_uint_fast64_t aim;	/* where an event is about to come, the same way; 0: nowhere */
	unsigned int aimed;		/* one operation in so many goes there; 2 unless told */
	atomic_bool waits;		/* for an event to be over */
	struct rig_rand rnd;
	pthread_t thread;
	atomic_bool stop;
	uint64_t nonce;

	uint64_t ops[TRAFFIC_KINDS];
	uint64_t checked;		/* bytes */
	uint64_t bad;			/* bytes */
	uint64_t raced;			/* operations beside which an event began, was or ended */
	uint64_t excused;		/* operations that were refused, and a hole was there */
	atomic_uint_fast64_t knocks;	/* those of them that began and ended while it was shut */
	uint64_t failed;		/* operations that failed without one, or in another way; or came
					   through where they must not */
	char first[240];		/* the first mismatch */

	pthread_mutex_t one_event;
	atomic_uint_fast64_t events[TRAFFIC_EVENTS];
	atomic_uint_fast64_t child_bad;	/* bytes that changed in, or came from, a child */
};

/* len bytes of fresh memory, in 2 MiB pages where the kernel gives them if huge. */
struct traffic *traffic_new(struct rig *rig, size_t len, bool huge, uint64_t seed);
/* Over a region and memory of the caller's, which rig_fill() has filled by that seed, from 0. */
struct traffic *traffic_over(struct rig *rig, struct rig_mr *odp, uint8_t *mem, size_t len,
			     uint64_t seed);
/* Runs until traffic_stop(). */
void traffic_start(struct traffic *t);
/* Ends the thread and checks all of the memory once more. */
void traffic_stop(struct traffic *t);
void traffic_free(struct traffic *t);

/* Make one event on a random part. Any thread but the traffic's own; one at a time is served. */
void traffic_event(struct traffic *t, enum traffic_event event, struct rig_rand *rnd);

/*
 * For events of the caller's on pages [first, first + count): between the two, contents may become
 * zeros, and the CPU touches none of the pages. With hole, accesses may be refused. Events of several
 * threads are on different pages.
 */
void traffic_begin(struct traffic *t, size_t first, size_t count, bool hole);
void traffic_end(struct traffic *t, size_t first, size_t count, bool hole);
/* Between the two, of a hole: from now on everything is refused there, or no longer. */
void traffic_shut(struct traffic *t, size_t first, size_t count, enum traffic_shut shut);
/* An event is about to come there: operations go there from now on, until another place is named. */
void traffic_aim(struct traffic *t, size_t first, size_t count);
/*
 * Waits until something more than these has been refused in a shut hole; false: in vain, or what the
 * traffic has half done there has to wait for the end of the hole.
 */
bool traffic_wait_knock(struct traffic *t, uint64_t knocks, double seconds);

uint64_t traffic_ops(const struct traffic *t);

#endif
