/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A set of address ranges that is searched without a lock.
 *
 * The ranges are [start, end), none inside of another, in an array sorted by start; so the ends are
 * sorted too, and the only range that can contain a given one is the last that starts at or before
 * it. Knows nothing of verbs: values are pointers that it hands back.
 *
 * One writer at a time (the caller's lock), any number of readers. A writer makes the sequence odd
 * while the array is between two states; a reader that met a writer begins again:
 *
 *	reader				writer
 *	------				------
 *	ticket = sequence (even)
 *					sequence++ (odd)
 *	reads entries			moves entries (each store a release)
 *					sequence++ (even)
 *	sequence != ticket: again
 *
 * An entry's load is an acquire: who has seen a moved entry also sees the odd sequence. Arrays
 * that were outgrown stay until the set goes, so that a reader never reads what was freed.
 */
#ifndef ODPREG_INTERVAL_H
#define ODPREG_INTERVAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval_array;

struct interval_set {
	_Atomic uint64_t sequence;
	_Atomic(struct interval_array *) array;
	_Atomic size_t count;
};

void interval_init(struct interval_set *set);
/* Nobody may be reading. */
void interval_free(struct interval_set *set);

/* ------------------------------------------------------------------ writer */

/* Room for so many ranges: what interval_insert() needs beforehand. 0 or ENOMEM. */
int interval_reserve(struct interval_set *set, size_t count);
/*
 * False, with nothing changed, when a range of the set contains this one. Ranges inside of it are
 * taken out first, each told to gone (which must not touch the set).
 */
bool interval_insert(struct interval_set *set, uint64_t start, uint64_t end, void *value,
		     void (*gone)(void *value, void *arg), void *arg);
/* False when the set has no such range with this value. */
bool interval_remove(struct interval_set *set, uint64_t start, uint64_t end, void *value);
/* ------------------------------------------------------------------ readers */

/*
 * Value of the range that contains [start, end), NULL when there is none. It was in the set while
 * interval_same(ticket) is true.
 */
void *interval_find(struct interval_set *set, uint64_t start, uint64_t end, uint64_t *ticket);
bool interval_same(struct interval_set *set, uint64_t ticket);
/* The first range that ends after address: false when there is none. */
bool interval_first(struct interval_set *set, uint64_t address, uint64_t *start, uint64_t *end);
/*
 * fn for every range that overlaps [start, end) and is in the set all the time; for one that comes
 * or goes meanwhile perhaps, and perhaps twice. Takes no lock and allocates nothing. Returns the
 * number of ranges of the last, undisturbed pass.
 */
size_t interval_overlaps(struct interval_set *set, uint64_t start, uint64_t end,
			 void (*fn)(void *value, void *arg), void *arg);

#endif
