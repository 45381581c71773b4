// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Owners: no user takes all the workers
 *
 * A fault may sleep for as long as its owner's disk, FUSE server or userfaultfd
 * handler likes; the removal of a window, for as long as the owner keeps an
 * invalidation of its mm open.  Both sleep in a worker of a queue that all
 * users share.  So everything that may sleep is a job, each user has a share
 * of the workers, and a job beyond it waits for its turn in a list of that
 * user's.  Jobs that nobody waits for (hints, reapers) have half of the share at
 * most, and come after the others.
 *
 * A job keeps its place in the share until its function has returned, and the
 * function gives back whatever the job holds.  So the last put of a region by
 * a job, which removes all of its windows, sleeps in the share too:
 *
 *	deregistration			job (fault, hint, reaper)
 *	--------------			-------------------------
 *					sleeps, holds the region
 *	odp_region_destroy()
 *	  put: not the last
 *	returns
 *					... done
 *					put: the last one, removes windows
 *					place in the share: the next job's turn
 *
 * No job waits for another one.  What a region waits for when it goes are the
 * timer of its reaper, whose work function does not sleep, and invalidations of
 * the owner's mm, which wait for no job.  Hence a share that is full empties
 * when its owner's pages arrive and its invalidations end.
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
	atomic_t		refs;		/* regions and jobs */
	spinlock_t		lock;		/* all below */
	unsigned int		running;	/* jobs */
	unsigned int		background;	/* of them, nobody waits for */
	unsigned int		borrowed;	/* that nobody has paid for */
	struct list_head	waiting;
	struct list_head	waiting_background;
};

/* Jobs of one user that run at a time; odp_init() knows the machine. */
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
			atomic_inc(&owner->refs);
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
	atomic_set(&new->refs, 1);
	spin_lock_init(&new->lock);
	INIT_LIST_HEAD(&new->waiting);
	INIT_LIST_HEAD(&new->waiting_background);

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

void odp_owner_put(struct odp_owner *owner)
{
	/* odp_owner_find() takes references under the lock: none to the dead. */
	if (!atomic_dec_and_lock(&owner->refs, &odp_owners_lock))
		return;
	list_del(&owner->link);
	spin_unlock(&odp_owners_lock);
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

/* May one more of its kind run?  Then it does.  The caller has owner->lock. */
static bool odp_owner_admit(struct odp_owner *owner, bool background)
{
	if (owner->running >= odp_owner_share ||
	    (background && owner->background >= odp_owner_share / 2))
		return false;
	owner->running++;
	owner->background += background;
	return true;
}

/* A job of @owner's is over: it is the next one's turn. */
static void odp_owner_next(struct odp_owner *owner, bool background)
{
	struct odp_job *job;

	spin_lock(&owner->lock);
	owner->running--;
	owner->background -= background;
	job = list_first_entry_or_null(&owner->waiting, struct odp_job, turn);
	if (!job)
		job = list_first_entry_or_null(&owner->waiting_background,
					       struct odp_job, turn);
	if (job && odp_owner_admit(owner, job->background))
		list_del(&job->turn);
	else
		job = NULL;
	spin_unlock(&owner->lock);
	if (job)
		queue_work(odp_wq, &job->work);
}

static void odp_job_work(struct work_struct *work)
{
	struct odp_job *job = container_of(work, struct odp_job, work);
	struct odp_owner *owner = job->owner;
	bool background = job->background;

	job->fn(job);
	/* @job may be gone, and its region, but for what is held here. */
	odp_owner_next(owner, background);
	odp_owner_put(owner);
}

/* @fn may sleep for @owner; it may free @job. */
void odp_job_init(struct odp_job *job, struct odp_owner *owner,
		  void (*fn)(struct odp_job *job), bool background)
{
	INIT_WORK(&job->work, odp_job_work);
	job->owner = owner;
	job->fn = fn;
	job->background = background;
}

/*
 * Run @job in a worker, now or when another one of the same user is over.  It
 * is not queued, nor waiting for its turn; it may be in its function.
 */
void odp_job_queue(struct odp_job *job)
{
	struct odp_owner *owner = job->owner;
	bool now;

	atomic_inc(&owner->refs);
	spin_lock(&owner->lock);
	now = odp_owner_admit(owner, job->background);
	if (!now)
		list_add_tail(&job->turn, job->background ?
					  &owner->waiting_background :
					  &owner->waiting);
	spin_unlock(&owner->lock);
	if (now)
		queue_work(odp_wq, &job->work);
}
