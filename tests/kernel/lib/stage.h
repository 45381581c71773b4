/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * stage: one ODP region and everything that looks at it, for the rows of the table of memory events.
 *
 * What a row checks:
 * - stage_reads():	an RDMA READ and a SEND from the region return what the CPU sees (1)
 * - stage_writes():	WRITE, receive and fetch-and-add are seen by the CPU (2)
 * - stage_ghost...():	the page that left the mapping lives on, pinned, under its new owner: it is
 *			filled with a pattern that must neither be read nor be written over (3)
 * - stage_refused():	an access that is forbidden now has the right status, and only the queue pair
 *			that tried it is dead (4)
 * - stage_mark(), stage_invalidated():	the notifier was heard, or not (5)
 * - stage_close():	nothing is left in the engine, and nothing in the kernel log (6)
 */
#ifndef STAGE_H
#define STAGE_H

#include "rig.h"

#define STAGE_LEN	(4ul << 20)
#define STAGE_EVENTS	8		/* causes of invalidation that are counted apart */
#define STAGE_WAY	(64ul << 10)	/* the largest piece that is looked at in one go */

struct stage {
	struct rig *rig;
	struct rig_pair *pair;
	struct rig_pair *other;		/* must live on whatever happens to the first */
	uint8_t *mem;
	size_t len;
	bool huge;
	bool given;			/* mem is the caller's */
	bool whole;			/* accesses of whole pages only, each in one packet */
	const char *log;		/* kernel log lines that contain this are no defect; "*": none
					   but those that say so */
	struct rig_mr *odp;
	uint8_t *buf;			/* STAGE_WAY of operand, then as much of result */
	struct rig_mr *pinned;
	struct rig_mr *ghost;		/* pinned, over a piece of mem as it was then */
	size_t ghost_at;
	uint64_t nonce;
	int64_t invalidations;
	int64_t heard[STAGE_EVENTS];
	int64_t baseline[5];
};

/* false when the device has no ODP; the caller skips. */
bool stage_open(struct stage *s, bool huge);
/*
 * The same on memory of the caller's, with these rights (of RIG_RW, say), on a rig that is open. To
 * keep to whole pages the rig has an MTU of a page.
 */
void stage_open_over(struct stage *s, struct rig *rig, uint8_t *mem, size_t len, int access,
		     bool whole);
void stage_close(struct stage *s);

void stage_reads(struct stage *s, size_t at, uint32_t len, const char *when);
void stage_writes(struct stage *s, size_t at, uint32_t len, const char *when);
/* Both, on pieces that begin and end anywhere in [at, at + len). */
void stage_works(struct stage *s, size_t at, size_t len, const char *when);

/* The status of the remote and of the local side; the pair is made anew after each. */
void stage_refused(struct stage *s, size_t at, uint32_t len, bool write_only, const char *when);

/* What a request must end with whose local memory is forbidden. Of a driver that is asked for whole
 * pages only a flush is taken too: stock rxe does that, and there is more to see. */
int stage_local_refusal(const struct stage *s, struct rig_res res);

/* Before the event; len up to STAGE_WAY. */
void stage_ghost(struct stage *s, size_t at, uint32_t len);
/* After the event, with something mapped at the place again. */
void stage_ghost_is_gone(struct stage *s, const char *when);
/* In two steps, for memory that others access meanwhile: filled after the event; looked at, let go. */
void stage_ghost_fill(struct stage *s);
void stage_ghost_kept(struct stage *s, const char *when);

void stage_mark(struct stage *s);
/* Since stage_mark(); true also where nobody counts. */
bool stage_invalidated(struct stage *s);
/*
 * Invalidations since stage_mark() by the causes in the list: names as in "clear|unmap", or "any". -1
 * where nobody counts; without our engine only "any" can be told, by the counters of the regions.
 */
int64_t stage_heard(struct stage *s, const char *causes);
/* Everything that was heard since stage_mark(), for a message. */
const char *stage_heard_text(struct stage *s);

#endif
