/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Ways in which a part of the translation table can keep a page from going away
 * during a copy, all with the same two users: an access, which looks an entry up and copies
 * from its page, and an invalidation, which takes the entry away and returns
 * when no copy uses it any more.
 */
#ifndef ODP_LOCKS_WAYS_H
#define ODP_LOCKS_WAYS_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/spinlock.h>

#define LOCKS_ENTRIES	512

/* A part of the table: what a leaf of the engine is.  Every way uses its own fields. */
struct locks_part {
	rwlock_t	rwlock;
	spinlock_t	lock;		/* invalidations, all but rwlock */
	atomic_t	users;		/* in flight, or references */
	unsigned int	closed;		/* sequence: odd while one invalidates */
	unsigned long	entry[LOCKS_ENTRIES] ____cacheline_aligned;
} ____cacheline_aligned;

struct locks_way {
	const char	*name;
	/* Copy @len bytes of the page of @slot; false when there is none. */
	bool		(*access)(struct locks_part *part, unsigned int slot,
				  void *to, unsigned int len);
	void		(*clear)(struct locks_part *part, unsigned int slot);
	int		users;		/* of a part that nobody accesses */
};

#define LOCKS_WAYS	4
extern const struct locks_way locks_ways[LOCKS_WAYS];

void locks_part_init(struct locks_part *part, const struct locks_way *way,
		     void *page);

#endif /* ODP_LOCKS_WAYS_H */
