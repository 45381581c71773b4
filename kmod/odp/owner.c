// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Owners: no user takes all the workers
 *
 * A fault may wait for as long as its owner's disk, FUSE server or userfaultfd
 * handler likes, and it waits in a worker of a queue that all users share.  So
 * each user has a share of the workers; what is beyond it waits for its turn
 * in a list of that user's.  Requests that nobody waits for have half of the share
 * at most, and come after the others.
 *
 * And each pays, by its memory cgroup, for what the engine allocates for it.
 *
 * A user is who is at the root of its user namespaces: the ids inside of one are
 * as many as its owner likes.
 */
#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "odp.h"

struct odp_owner {
	struct list_head	link;		/* odp_owners */
	kuid_t			uid;
	unsigned int		regions;	/* under odp_owners_lock */
	spinlock_t		lock;		/* all below */
	unsigned int		running;
	unsigned int		hints;		/* of them, nobody waits for */
	unsigned int		borrowed;	/* that nobody has paid for */
	struct list_head	waiting;
	struct list_head	waiting_hints;
};

/* Requests of one user that run at a time; odp_init() knows the machine. */
unsigned int odp_owner_share = WQ_MAX_ACTIVE / 4;

/* Requests that a user may have without paying for them. */
#define ODP_OWNER_CREDIT	1024

static LIST_HEAD(odp_owners);
static DEFINE_SPINLOCK(odp_owners_lock);

static kuid_t odp_current_user(void)
{
	const struct user_namespace *ns = current_user_ns();
	kuid_t uid = current_uid();

	for (; ns->parent; ns = ns->parent)
		uid = ns->owner;
	return uid;
}

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
	kuid_t uid = odp_current_user();

	spin_lock(&odp_owners_lock);
	owner = odp_owner_find(uid);
	spin_unlock(&odp_owners_lock);
	if (owner)
		return owner;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	new->uid = uid;
	new->regions = 1;
	spin_lock_init(&new->lock);
	INIT_LIST_HEAD(&new->waiting);
	INIT_LIST_HEAD(&new->waiting_hints);

	spin_lock(&odp_owners_lock);
	/* Somebody else of the same user may have been faster. */
	owner = odp_owner_find(uid);
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

/*
 * Charge what is allocated between these two to the memory cgroup of @mm: the
 * worker that allocates is not the owner.
 */
void odp_charge_begin(struct odp_charge *charge, struct mm_struct *mm)
{
	charge->memcg = get_mem_cgroup_from_mm(mm);
	charge->old = set_active_memcg(charge->memcg);
}

void odp_charge_end(struct odp_charge *charge)
{
	set_active_memcg(charge->old);
	mem_cgroup_put(charge->memcg);
}

/* May @owner have one more request, or hint, that it does not pay for? */
bool odp_owner_borrow(struct odp_owner *owner, bool hint)
{
	unsigned int credit = hint ? ODP_OWNER_CREDIT / 2 : ODP_OWNER_CREDIT;
	bool may;

	spin_lock(&owner->lock);
	may = owner->borrowed < credit;
	owner->borrowed += may;
	spin_unlock(&owner->lock);
	return may;
}

void odp_owner_pay_back(struct odp_owner *owner)
{
	spin_lock(&owner->lock);
	owner->borrowed--;
	spin_unlock(&owner->lock);
}

static bool odp_fault_is_hint(const struct odp_fault *fault)
{
	return fault->flags & ODP_FAULT_ASYNC;
}

/* May one more of its kind run?  Then it does.  The caller has owner->lock. */
static bool odp_owner_admit(struct odp_owner *owner, bool hint)
{
	if (owner->running >= odp_owner_share ||
	    (hint && owner->hints >= odp_owner_share / 2))
		return false;
	owner->running++;
	owner->hints += hint;
	return true;
}

/* Run @fault's work now, or when one of the same user is over. */
void odp_owner_run(struct odp_owner *owner, struct odp_fault *fault)
{
	bool hint = odp_fault_is_hint(fault);
	bool now;

	spin_lock(&owner->lock);
	now = odp_owner_admit(owner, hint);
	if (!now)
		list_add_tail(&fault->turn, hint ? &owner->waiting_hints :
						   &owner->waiting);
	spin_unlock(&owner->lock);
	if (now)
		queue_work(odp_wq, &fault->work);
}

/* @done, a request of @owner's, is over: it is the next one's turn. */
void odp_owner_next(struct odp_owner *owner, const struct odp_fault *done)
{
	struct odp_fault *fault;

	spin_lock(&owner->lock);
	owner->running--;
	owner->hints -= odp_fault_is_hint(done);
	fault = list_first_entry_or_null(&owner->waiting, struct odp_fault,
					 turn);
	if (!fault)
		fault = list_first_entry_or_null(&owner->waiting_hints,
						 struct odp_fault, turn);
	if (fault && odp_owner_admit(owner, odp_fault_is_hint(fault)))
		list_del(&fault->turn);
	else
		fault = NULL;
	spin_unlock(&owner->lock);
	if (fault)
		queue_work(odp_wq, &fault->work);
}
