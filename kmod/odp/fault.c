// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Fault requests: who waits for a page, and who does not
 *
 * A few pages that are mapped, or can be without waiting, are translated in the
 * caller's context.  Anything slower is a job (owner.c), because the caller (a
 * driver's packet worker) has others to serve, and a fault may take as long as
 * the owner's disk or userfaultfd handler pleases.
 *
 * The caller is notified, once: by the job, or by the end of the region,
 * whichever comes first.  Both notify under fault_lock, so when
 * odp_region_kill() returns nobody is being notified, and odp_region_destroy(),
 * which kills again after the last access, is the end of it.
 *
 * Only a prefetch that its caller wants to be done when it returns is waited
 * for, by a process that can be killed, until it is done or the region ends:
 *
 *	caller			job			deregistration
 *	------			---			--------------
 *	queue, wait
 *				populate ... slow
 *							kill: dead, wake up
 *	returns -ESHUTDOWN
 *	drops the driver's
 *	reference					waits for that: done
 *				... done, wakes nobody,
 *				puts the region
 *
 * The request is counted: one reference of the caller's, one of the job's.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "odp.h"
#include "trace.h"

/* One that the owner's cgroup is charged for. */
static struct odp_fault *odp_fault_alloc_paid(struct odp_region *region,
					      gfp_t gfp)
{
	struct odp_charge charge;
	struct odp_fault *fault;

	odp_charge_begin(&charge, region->mm);
	fault = kzalloc(sizeof(*fault), gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	odp_charge_end(&charge);
	return fault;
}

/*
 * The owner pays for it.  Where its cgroup has nothing left at the moment, a
 * driver gets some on credit: its peer shall wait for memory, not meet an error,
 * and its worker, which has others to serve, does not reclaim.  A prefetch
 * reclaims; read-ahead goes without.
 */
static struct odp_fault *odp_fault_alloc(struct odp_region *region,
					 unsigned int flags)
{
	struct odp_fault *fault;

	if (flags & ODP_FAULT_PREFETCH)
		return odp_fault_alloc_paid(region, GFP_KERNEL | __GFP_NORETRY);
	fault = odp_fault_alloc_paid(region, GFP_NOWAIT);
	if (fault || !odp_owner_borrow(region->owner, flags & ODP_FAULT_AHEAD))
		return fault;
	fault = kzalloc(sizeof(*fault), GFP_NOWAIT | __GFP_NOWARN);
	if (fault)
		fault->borrowed = true;
	else
		odp_owner_pay_back(region->owner);
	return fault;
}

/*
 * Starved requests: there is no memory for the fault
 *
 * Neither the owner's cgroup nor its credit nor, perhaps, the host has any.
 * That is no error of the access.  Who asked is notified a little later to try
 * again; what remembers that is small and does not live longer, so that it
 * needs no limit: a requester has one of them at a time.
 */
struct odp_starved {
	struct list_head	list;		/* region->starved */
	struct odp_notify	notify;
};

#define ODP_RETRY_DELAY		max(HZ / 50, 1)

/* Notify everybody.  The caller has fault_lock, as for odp_fault_tell(). */
void odp_starved_tell(struct odp_region *region, int ret)
{
	struct odp_starved *starved, *next;

	list_for_each_entry_safe(starved, next, &region->starved, list) {
		list_del(&starved->list);
		starved->notify.fn(starved->notify.ctx, starved->notify.arg,
				   ret);
		kfree(starved);
	}
}

/* Does not sleep, so it is no job; odp_region_release() waits for it. */
static void odp_starved_retry(struct work_struct *work)
{
	struct odp_region *region = container_of(to_delayed_work(work),
						 struct odp_region,
						 retry_timer);

	spin_lock(&region->fault_lock);
	odp_starved_tell(region, 0);
	spin_unlock(&region->fault_lock);
}

void odp_starved_init(struct odp_region *region)
{
	INIT_LIST_HEAD(&region->starved);
	INIT_DELAYED_WORK(&region->retry_timer, odp_starved_retry);
}

/* Return: as odp_fault_notify(). */
static int odp_fault_starved(struct odp_region *region,
			     const struct odp_notify *notify)
{
	struct odp_starved *starved;

	starved = kzalloc(sizeof(*starved), GFP_NOWAIT | __GFP_NOWARN);
	if (!starved)
		starved = kzalloc(sizeof(*starved), GFP_KERNEL | __GFP_NOFAIL);
	starved->notify = *notify;
	spin_lock(&region->fault_lock);
	list_add_tail(&starved->list, &region->starved);
	spin_unlock(&region->fault_lock);
	queue_delayed_work(odp_wq, &region->retry_timer, ODP_RETRY_DELAY);
	return -EINPROGRESS;
}

static void odp_fault_release(struct kref *kref)
{
	kfree(container_of(kref, struct odp_fault, kref));
}

static void odp_fault_put(struct odp_fault *fault)
{
	kref_put(&fault->kref, odp_fault_release);
}

/* Tell who wants to know, if nobody has yet.  The caller has fault_lock. */
void odp_fault_tell(struct odp_fault *fault, int ret)
{
	struct odp_notify notify = fault->notify;

	fault->notify.fn = NULL;
	if (notify.fn)
		notify.fn(notify.ctx, notify.arg, ret);
}

static void odp_fault_run(struct odp_job *job)
{
	struct odp_fault *fault = container_of(job, struct odp_fault, job);
	struct odp_region *region = fault->region;

	if (odp_region_dead(region))
		fault->ret = -ESHUTDOWN;
	else
		fault->ret = odp_populate(region, fault->start, fault->end,
					  fault->flags);

	trace_odp_fault_done(fault);
	/* Pairs with the acquire in odp_fault_finished(). */
	smp_store_release(&fault->done, true);
	wake_up_all(&fault->wait);

	spin_lock(&region->fault_lock);
	list_del(&fault->list);
	odp_fault_tell(fault, fault->ret);
	if (fault->flags & ODP_FAULT_ASYNC)
		region->prefetches--;
	spin_unlock(&region->fault_lock);

	if (fault->borrowed)
		odp_owner_pay_back(region->owner);
	odp_fault_put(fault);
	atomic_long_dec(&odp_gauges.faults);
	odp_region_put(region);
}

/* Queue a request; the caller has a reference to what is returned. */
static struct odp_fault *odp_fault_start(struct odp_region *region,
					 unsigned long va, u64 len,
					 unsigned int flags,
					 const struct odp_notify *notify)
{
	struct odp_fault *fault;

	fault = odp_fault_alloc(region, flags);
	if (!fault)
		return NULL;
	kref_init(&fault->kref);
	kref_get(&fault->kref);
	odp_job_init(&fault->job, region->owner, odp_fault_run,
		     flags & ODP_FAULT_ASYNC);
	init_waitqueue_head(&fault->wait);
	fault->start = va & PAGE_MASK;
	fault->end = PAGE_ALIGN(va + len);
	fault->flags = flags;
	if (notify)
		fault->notify = *notify;
	odp_region_get(region);
	fault->region = region;

	spin_lock(&region->fault_lock);
	list_add_tail(&fault->list, &region->faults);
	spin_unlock(&region->fault_lock);

	atomic_long_inc(&odp_gauges.faults);
	odp_job_queue(&fault->job);
	return fault;
}

static bool odp_fault_finished(struct odp_fault *fault)
{
	/* Pairs with the release in odp_fault_run(): ret is there too. */
	return smp_load_acquire(&fault->done);
}

static void odp_fault_account(struct odp_region *region, unsigned long va,
			      u64 len, unsigned int flags)
{
	u64 pages = (PAGE_ALIGN(va + len) - (va & PAGE_MASK)) >> PAGE_SHIFT;

	if (flags & (ODP_FAULT_AHEAD | ODP_FAULT_PREFETCH)) {
		trace_odp_prefetch(region, va, len, flags);
		odp_count(region, flags & ODP_FAULT_AHEAD ? ODP_STAT_AHEAD :
							    ODP_STAT_PREFETCH,
			  pages);
	} else {
		trace_odp_fault(region, va, len, flags);
		odp_count(region, ODP_STAT_FAULTS, 1);
		odp_count(region, odp_access_cause(region, va, len, flags), 1);
	}
}

/* Whoever asked for a prefetch waits for as long as it likes to: it can be killed. */
static int odp_fault_wait(struct odp_fault *fault)
{
	struct odp_region *region = fault->region;
	int ret;

	ret = wait_event_killable(fault->wait,
				  odp_fault_finished(fault) ||
				  odp_region_dead(region));
	if (odp_fault_finished(fault))
		return fault->ret;
	/* Woken by a kill of the region's, which may have been taken back. */
	return ret ? -EINTR : -ESHUTDOWN;
}

/* Is it all there, or can be at once, so that there is nothing to queue? */
static bool odp_fault_short(struct odp_region *region, unsigned long va,
			    u64 len, unsigned int flags)
{
	if (!odp_populate_now(region, va & PAGE_MASK, PAGE_ALIGN(va + len),
			      flags))
		return false;
	trace_odp_fault_short(region, va, len, flags);
	odp_count(region, ODP_STAT_FAULTS_SHORT, 1);
	return true;
}

/*
 * Translate [@va, @va + @len), which lies in the region, and wait for it: for
 * prefetches only.
 * Return: 0 or an error listed in rdma_odp.h, -EINTR when the caller is killed.
 */
int odp_fault(struct odp_region *region, unsigned long va, u64 len,
	      unsigned int flags)
{
	struct odp_fault *fault;
	int ret;

	odp_fault_account(region, va, len, flags);
	if (odp_fault_short(region, va, len, flags))
		return 0;

	fault = odp_fault_start(region, va, len, flags, NULL);
	if (!fault)
		return -ENOMEM;

	ret = odp_fault_wait(fault);
	odp_fault_put(fault);
	return ret;
}

/*
 * The same, but @notify is told when it is over.  Return: 0 when there was
 * nothing to wait for, -EINPROGRESS when @notify will be told or has been.
 */
int odp_fault_notify(struct odp_region *region, unsigned long va, u64 len,
		     unsigned int flags, const struct odp_notify *notify)
{
	struct odp_fault *fault;

	odp_fault_account(region, va, len, flags);
	if (odp_fault_short(region, va, len, flags))
		return 0;

	fault = odp_fault_start(region, va, len, flags, notify);
	if (!fault)
		return odp_fault_starved(region, notify);
	odp_fault_put(fault);
	return -EINPROGRESS;
}

/*
 * Asynchronous prefetches of one region that may be under way.  One more is
 * forgotten: it is a hint, and nobody may queue up work without end.
 */
#define ODP_PREFETCH_MAX	64

static bool odp_prefetch_admit(struct odp_region *region)
{
	bool admit;

	spin_lock(&region->fault_lock);
	admit = region->prefetches < ODP_PREFETCH_MAX;
	if (admit)
		region->prefetches++;
	spin_unlock(&region->fault_lock);
	return admit;
}

/* Translate without anybody waiting.  Return: 0 or -ENOMEM. */
int odp_fault_async(struct odp_region *region, unsigned long va, u64 len,
		    unsigned int flags)
{
	struct odp_fault *fault;

	odp_fault_account(region, va, len, flags);
	if (!odp_prefetch_admit(region))
		return 0;
	fault = odp_fault_start(region, va, len, flags | ODP_FAULT_ASYNC, NULL);
	if (fault) {
		odp_fault_put(fault);
		return 0;
	}
	spin_lock(&region->fault_lock);
	region->prefetches--;
	spin_unlock(&region->fault_lock);
	return -ENOMEM;
}
