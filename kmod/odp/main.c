// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * rdma_odp.ko: module set-up
 */
#include <linux/module.h>
#include <linux/nodemask.h>

#include "odp.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#if BITS_PER_LONG != 64 || PMD_SHIFT < ODP_LEAF_SHIFT
#error "rdma_odp needs a 64-bit kernel with 4 KiB pages"
#endif

struct odp_gauges odp_gauges;
struct workqueue_struct *odp_wq;

static int __init odp_init(void)
{
	int ret;

	ret = odp_table_init();
	if (ret)
		return ret;
	/*
	 * A job may sleep for as long as its owner likes, so there must be
	 * workers left for everybody else's (owner.c).
	 */
	odp_wq = alloc_workqueue("rdma_odp", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!odp_wq) {
		odp_table_exit();
		return -ENOMEM;
	}
	/* The workers of an unbound queue are shared out among the nodes. */
	odp_owner_share = max_t(unsigned int, 2,
				WQ_MAX_ACTIVE / 4 / num_online_nodes());
	odp_debugfs_init();
	return 0;
}

static void __exit odp_exit(void)
{
	odp_debugfs_exit();
	/*
	 * No driver is left, so no region is, but for those that a job keeps.
	 * While there is one some job is queued or runs, as each queues the
	 * next of its user's; and when there is none, no timer is either.
	 */
	while (atomic_long_read(&odp_gauges.regions))
		flush_workqueue(odp_wq);
	destroy_workqueue(odp_wq);
	odp_table_exit();
}

module_init(odp_init);
module_exit(odp_exit);

MODULE_DESCRIPTION("On-demand paging engine for software RDMA devices");
MODULE_AUTHOR("The odpreg maintainers");
MODULE_LICENSE("Dual BSD/GPL");
