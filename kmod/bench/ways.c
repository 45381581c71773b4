// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The ways themselves
 *
 * An entry is the address of a page, or 0.  Invalidations of one part are few
 * and take turns; accesses are many.
 */
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/processor.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "ways.h"

static bool locks_copy(struct locks_part *part, unsigned int slot, void *to,
		       unsigned int len)
{
	void *page = (void *)READ_ONCE(part->entry[slot]);

	if (!page)
		return false;
	memcpy(to, page, len);
	return true;
}

/* What the engine does. */
static bool locks_rwlock_access(struct locks_part *part, unsigned int slot,
				void *to, unsigned int len)
{
	bool done;

	read_lock(&part->rwlock);
	done = locks_copy(part, slot, to, len);
	read_unlock(&part->rwlock);
	return done;
}

static void locks_rwlock_clear(struct locks_part *part, unsigned int slot)
{
	write_lock(&part->rwlock);
	WRITE_ONCE(part->entry[slot], 0);
	write_unlock(&part->rwlock);
}

/*
 * A count of copies in flight, and a sequence that is odd while somebody
 * invalidates.  Either the access sees the odd sequence, or the invalidation
 * sees the access counted: there is a full barrier on both sides.
 */
static bool locks_seqcount_access(struct locks_part *part, unsigned int slot,
				  void *to, unsigned int len)
{
	bool done;

	preempt_disable();
	for (;;) {
		atomic_inc(&part->users);
		smp_mb__after_atomic(); /* pairs with that in the other one */
		if (!(READ_ONCE(part->closed) & 1))
			break;
		atomic_dec(&part->users);
		while (READ_ONCE(part->closed) & 1)
			cpu_relax();
	}
	done = locks_copy(part, slot, to, len);
	atomic_dec_return_release(&part->users);
	preempt_enable();
	return done;
}

static void locks_seqcount_clear(struct locks_part *part, unsigned int slot)
{
	spin_lock(&part->lock);
	WRITE_ONCE(part->closed, part->closed + 1);
	smp_mb(); /* pairs with that after atomic_inc() */
	while (atomic_read_acquire(&part->users))
		cpu_relax();
	WRITE_ONCE(part->entry[slot], 0);
	/* The entry is gone for whoever sees the sequence even. */
	smp_store_release(&part->closed, part->closed + 1);
	spin_unlock(&part->lock);
}

/*
 * Parts found under RCU, with a reference for the time of the copy.  An
 * invalidation gives up the part's own reference and waits until nobody has
 * one; who comes meanwhile gets none and would fault.
 */
static bool locks_refcount_access(struct locks_part *part, unsigned int slot,
				  void *to, unsigned int len)
{
	bool done = false;

	rcu_read_lock();
	preempt_disable();
	if (atomic_inc_not_zero(&part->users)) {
		done = locks_copy(part, slot, to, len);
		atomic_dec_return_release(&part->users);
	}
	preempt_enable();
	rcu_read_unlock();
	return done;
}

static void locks_refcount_clear(struct locks_part *part, unsigned int slot)
{
	spin_lock(&part->lock);
	atomic_dec(&part->users);
	while (atomic_cmpxchg(&part->users, 0, 0))
		cpu_relax();
	WRITE_ONCE(part->entry[slot], 0);
	atomic_set_release(&part->users, 1);
	spin_unlock(&part->lock);
}

/*
 * Every processor says which part it copies from, and counts its copies: odd
 * while there is one.  Nothing is written that others write; an invalidation
 * asks all processors, and waits for the copy that it finds, not for those that
 * come after it.  Either the access sees the entry gone, or the invalidation
 * sees it announced: a full barrier on both sides.
 */
struct locks_announced {
	struct locks_part	*part;
	unsigned long		count;
};

static DEFINE_PER_CPU_ALIGNED(struct locks_announced, locks_announced);

static bool locks_announce_access(struct locks_part *part, unsigned int slot,
				  void *to, unsigned int len)
{
	struct locks_announced *mine = get_cpu_ptr(&locks_announced);
	unsigned long count = mine->count;
	bool done;

	WRITE_ONCE(mine->part, part);
	/* Whoever sees the count odd sees the part. */
	smp_store_release(&mine->count, count + 1);
	smp_mb(); /* pairs with that in locks_announce_clear() */
	done = locks_copy(part, slot, to, len);
	/* The copy is over for whoever sees the count even. */
	smp_store_release(&mine->count, count + 2);
	put_cpu_ptr(&locks_announced);
	return done;
}

static void locks_announce_wait(struct locks_announced *theirs,
				struct locks_part *part)
{
	/* Pairs with both releases above. */
	unsigned long count = smp_load_acquire(&theirs->count);

	if ((count & 1) && READ_ONCE(theirs->part) == part)
		/* The same: what was copied has been copied. */
		while (smp_load_acquire(&theirs->count) == count)
			cpu_relax();
}

static void locks_announce_clear(struct locks_part *part, unsigned int slot)
{
	int cpu;

	spin_lock(&part->lock);
	WRITE_ONCE(part->entry[slot], 0);
	smp_mb(); /* pairs with that in locks_announce_access() */
	for_each_possible_cpu(cpu)
		locks_announce_wait(per_cpu_ptr(&locks_announced, cpu), part);
	spin_unlock(&part->lock);
}

void locks_part_init(struct locks_part *part, const struct locks_way *way,
		     void *page)
{
	unsigned int i;

	rwlock_init(&part->rwlock);
	spin_lock_init(&part->lock);
	atomic_set(&part->users, way->users);
	part->closed = 0;
	for (i = 0; i < LOCKS_ENTRIES; i++)
		part->entry[i] = (unsigned long)page;
}

const struct locks_way locks_ways[LOCKS_WAYS] = {
	{ "rwlock", locks_rwlock_access, locks_rwlock_clear },
	{ "seqcount", locks_seqcount_access, locks_seqcount_clear },
	{ "refcount", locks_refcount_access, locks_refcount_clear, 1 },
	{ "announce", locks_announce_access, locks_announce_clear },
};
