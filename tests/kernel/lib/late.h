/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * late: memory whose pages arrive a while after they were asked for, by a userfaultfd handler in a
 * thread of this process. Each page is late for itself, counted from its first fault.
 */
#ifndef LATE_H
#define LATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct late;

#define LATE_NEVER	1e9	/* until late_release() */

/*
 * size bytes, a multiple of the page, at addr (anonymous, not touched yet). Their content is
 * rig_fill()'s by seed, position 0 at addr. NULL with the reason where the machine has no
 * userfaultfd for faults of the kernel.
 */
struct late *late_pages(void *addr, size_t size, double seconds, uint64_t seed, char *why,
			size_t why_len);
/* What waits, and what comes later, arrives at once. */
void late_release(struct late *late);
/* Pages that somebody waits for now, and that anybody has waited for. */
unsigned int late_waiting(struct late *late);
unsigned int late_asked(struct late *late);
/* late_release(), then the end of the handler. */
void late_end(struct late *late);

#endif
