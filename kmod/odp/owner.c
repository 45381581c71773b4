// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Owners: no user takes all the workers
 *
 * A fault may wait for as long as its owner's disk, FUSE server or userfaultfd
 * handler likes, and it waits in a worker of a queue that all users share.  So
 * each user has a share of the workers; what is beyond it waits for its turn
 * in a list of that user's.
 */
#include <linux/cred.h>
#include <linux/slab.h>

#include "odp.h"

struct odp_owner {
	struct list_head	link;		/* odp_owners */
	kuid_t			uid;
	unsigned int		regions;	/* under odp_owners_lock */
	spinlock_t		lock;		/* running, backlog */
	unsigned int		running;
	struct list_head	backlog;
};

/* Requests of one user that run at a time. */
unsigned int odp_owner_share = WQ_MAX_ACTIVE / 4;

static LIST_HEAD(odp_owners);
static DEFINE_SPINLOCK(odp_owners_lock);

static struct odp_owner *odp_owner_find(kuid_t uid)
{
	struct odp_owner *owner;

	list_for_each_entry(owner, &odp_owners, link) {
		if (uid_eq(owner->uid, uid)) {
			owner->regions++;
			return owner;
		}
	}
	return NULL;
}

/* The caller's user, for a region.  May sleep.  Return: NULL without memory. */
struct odp_owner *odp_owner_get(void)
{
	struct odp_owner *owner, *new;

	spin_lock(&odp_owners_lock);
	owner = odp_owner_find(current_uid());
	spin_unlock(&odp_owners_lock);
	if (owner)
		return owner;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	new->uid = current_uid();
	new->regions = 1;
	spin_lock_init(&new->lock);
	INIT_LIST_HEAD(&new->backlog);

	spin_lock(&odp_owners_lock);
	/* Somebody else of the same user may have been faster. */
	owner = odp_owner_find(new->uid);
	if (!owner)
		list_add(&new->link, &odp_owners);
	spin_unlock(&odp_owners_lock);
	if (!owner)
		return new;
	kfree(new);
	return owner;
}

/* A region of @owner's is gone, and so are its requests. */
void odp_owner_put(struct odp_owner *owner)
{
	bool last;

	spin_lock(&odp_owners_lock);
	last = !--owner->regions;
	if (last)
		list_del(&owner->link);
	spin_unlock(&odp_owners_lock);
	if (last)
		kfree(owner);
}

/* Run @fault's work now, or when one of the same user is over. */
void odp_owner_run(struct odp_owner *owner, struct odp_fault *fault)
{
	bool now;

	spin_lock(&owner->lock);
	now = owner->running < odp_owner_share;
	if (now)
		owner->running++;
	else
		list_add_tail(&fault->turn, &owner->backlog);
	spin_unlock(&owner->lock);
	if (now)
		queue_work(odp_wq, &fault->work);
}

/* A request of @owner's is over: it is the next one's turn. */
void odp_owner_next(struct odp_owner *owner)
{
	struct odp_fault *fault;

	spin_lock(&owner->lock);
	fault = list_first_entry_or_null(&owner->backlog, struct odp_fault,
					 turn);
	if (fault)
		list_del(&fault->turn);
	else
		owner->running--;
	spin_unlock(&owner->lock);
	if (fault)
		queue_work(odp_wq, &fault->work);
}
