// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions: creation, end of life
 *
 * A region is O(1) to make whatever its length: nothing is mapped, looked at
 * or subscribed to until the first access.
 *
 * Life and death.  The driver's reference is dropped by odp_region_destroy().
 * Every fault request in flight has one of its own, so a fault that waits for
 * a slow disk or a userfaultfd handler keeps the region's memory, never the
 * driver's object, alive:
 *
 *	deregistration			fault in flight
 *	--------------			---------------
 *					handle_mm_fault() ... waits ...
 *	odp_region_kill()
 *	  dead = true
 *	  wake up whoever waits		the waiter returns -ESHUTDOWN
 *	odp_region_destroy()
 *	  put
 *	returns
 *					... the page arrives
 *					region is dead: installs nothing
 *					put: last one, tears the windows down
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "odp.h"

void odp_region_get(struct odp_region *region)
{
	kref_get(&region->kref);
}

/* For who has found it without a reference.  Return: false: it is going. */
bool odp_region_tryget(struct odp_region *region)
{
	return kref_get_unless_zero(&region->kref);
}

static void odp_region_release(struct kref *kref)
{
	struct odp_region *region = container_of(kref, struct odp_region, kref);

	/*
	 * From here on no reaper can be started, by callbacks either; one that
	 * is queued or running holds the region, so there is none.
	 */
	disable_delayed_work_sync(&region->reap_timer);
	/* The last kill has left nobody to be notified. */
	disable_delayed_work_sync(&region->retry_timer);
	odp_windows_destroy(region);
	xa_destroy(&region->windows);
	mmdrop(region->mm);
	odp_owner_put(region->owner);
	atomic_long_dec(&odp_gauges.regions);
	kfree(region);
}

/*
 * May sleep: the last reference removes the region's notifiers, which waits for
 * invalidations of the owner's.  So no worker may drop one outside of a job.
 */
void odp_region_put(struct odp_region *region)
{
	kref_put(&region->kref, odp_region_release);
}

/**
 * odp_region_create - make a region of the calling process's memory
 * @attr: what it covers and grants
 *
 * The region belongs to the mm of the caller for all its life.  The memory is
 * neither touched nor looked at: whether an access is allowed is decided when
 * it happens.
 *
 * Context: process context of the owner, may sleep.
 * Return: the region, or an ERR_PTR: -EINVAL for a length of 0 or a range that
 * wraps, -EFAULT for addresses that are not the user's, -ENOMEM.
 */
struct odp_region *odp_region_create(const struct odp_region_attr *attr)
{
	struct odp_region *region;
	u64 end;

	if (!current->mm || !attr->length ||
	    check_add_overflow((u64)attr->start, attr->length, &end) ||
	    PAGE_ALIGN(end) < end)
		return ERR_PTR(-EINVAL);
	if (end > TASK_SIZE)
		return ERR_PTR(-EFAULT);

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);

	region->owner = odp_owner_get();
	if (!region->owner) {
		kfree(region);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&region->kref);
	region->mm = current->mm;
	mmgrab(region->mm);
	region->start = attr->start;
	region->length = attr->length;
	region->writable = attr->writable;
	region->atomic_lock = attr->atomic_lock;
	odp_windows_init(region);
	spin_lock_init(&region->fault_lock);
	INIT_LIST_HEAD(&region->faults);
	odp_starved_init(region);
	atomic_long_inc(&odp_gauges.regions);
	return region;
}
EXPORT_SYMBOL_GPL(odp_region_create);

/**
 * odp_region_kill - refuse all further access and wake up who waits
 * @region: the region
 *
 * Every prefetch that is waited for returns -ESHUTDOWN now, every later access
 * fails the same way, and whoever was to be notified of a request has been, with
 * -ESHUTDOWN, when this returns.  Copies under way finish.  Call it before
 * waiting for the users of the driver's object.
 *
 * Context: process context, does not sleep.
 */
void odp_region_kill(struct odp_region *region)
{
	struct odp_fault *fault;

	WRITE_ONCE(region->dead, true);
	spin_lock(&region->fault_lock);
	list_for_each_entry(fault, &region->faults, list) {
		wake_up_all(&fault->wait);
		odp_fault_tell(fault, -ESHUTDOWN);
	}
	odp_starved_tell(region, -ESHUTDOWN);
	spin_unlock(&region->fault_lock);
}
EXPORT_SYMBOL_GPL(odp_region_kill);

/**
 * odp_region_revive - take odp_region_kill() back
 * @region: a killed region that the driver could not deregister after all
 *
 * Context: any.
 */
void odp_region_revive(struct odp_region *region)
{
	WRITE_ONCE(region->dead, false);
}
EXPORT_SYMBOL_GPL(odp_region_revive);

/**
 * odp_region_destroy - give the driver's reference back
 * @region: the region; not to be used afterwards
 *
 * The driver guarantees that no access function runs or will run on @region.
 * Does not wait for faults in flight: the last of them frees the region.  They
 * touch nothing but the owner's page tables, and tell nobody of their end.
 *
 * Context: process context, may sleep.
 */
void odp_region_destroy(struct odp_region *region)
{
	odp_region_kill(region);
	odp_region_put(region);
}
EXPORT_SYMBOL_GPL(odp_region_destroy);

static u64 odp_region_stat(struct odp_region *region, enum odp_region_stat stat)
{
	return atomic64_read(&region->stat[stat]);
}

/**
 * odp_region_get_stats - what has happened to a region
 * @region: the region
 * @stats: where the counts go; each is true for itself
 *
 * Context: any.
 */
void odp_region_get_stats(struct odp_region *region,
			  struct odp_region_stats *stats)
{
	stats->page_faults = odp_region_stat(region, ODP_STAT_FAULTS);
	stats->page_faults_handled =
		odp_region_stat(region, ODP_STAT_FAULTS_HANDLED);
	stats->page_invalidations =
		odp_region_stat(region, ODP_STAT_INVALIDATIONS);
	stats->page_invalidations_handled =
		odp_region_stat(region, ODP_STAT_INVALIDATIONS_HANDLED);
	stats->page_prefetch = odp_region_stat(region, ODP_STAT_PREFETCH);
}
EXPORT_SYMBOL_GPL(odp_region_get_stats);
