// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * /sys/kernel/debug/rdma_odp/stats: what lives now, what was done since load
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "odp.h"

static struct dentry *odp_debugfs_dir;

static const char * const odp_stat_names[ODP_STAT_NR] = {
	[ODP_STAT_FAULTS]		= "page_faults",
	[ODP_STAT_FAULTS_READ]		= "faults_read",
	[ODP_STAT_FAULTS_WRITE]		= "faults_write",
	[ODP_STAT_FAULTS_UPGRADE]	= "faults_upgrade",
	[ODP_STAT_FAULTS_HANDLED]	= "page_faults_handled",
	[ODP_STAT_INVALIDATIONS]	= "page_invalidations",
	[ODP_STAT_INVALIDATIONS_HANDLED] = "page_invalidations_handled",
	[ODP_STAT_PREFETCH]		= "page_prefetch",
	[ODP_STAT_FAULTS_SHORT]		= "page_faults_short",
	[ODP_STAT_COLLISIONS]		= "fault_collisions",
	[ODP_STAT_AHEAD]		= "page_faults_ahead",
};

static const char * const odp_event_names[ODP_EVENTS] = {
	[MMU_NOTIFY_UNMAP]		= "unmap",
	[MMU_NOTIFY_CLEAR]		= "clear",
	[MMU_NOTIFY_PROTECTION_VMA]	= "protection_vma",
	[MMU_NOTIFY_PROTECTION_PAGE]	= "protection_page",
	[MMU_NOTIFY_SOFT_DIRTY]		= "soft_dirty",
	[MMU_NOTIFY_RELEASE]		= "release",
	[MMU_NOTIFY_MIGRATE]		= "migrate",
	[MMU_NOTIFY_EXCLUSIVE]		= "exclusive",
};

static void odp_events_show(struct seq_file *m)
{
	int i;

	for (i = 0; i < ODP_EVENTS; i++) {
		seq_printf(m, "invalidations_%s %lld\n", odp_event_names[i],
			   (s64)atomic64_read(&odp_gauges.event_calls[i]));
		seq_printf(m, "invalidations_%s_handled %lld\n",
			   odp_event_names[i],
			   (s64)atomic64_read(&odp_gauges.event_pages[i]));
	}
}

static int odp_stats_show(struct seq_file *m, void *unused)
{
	int i;

	seq_printf(m, "regions %ld\n", atomic_long_read(&odp_gauges.regions));
	seq_printf(m, "windows %ld\n", atomic_long_read(&odp_gauges.windows));
	seq_printf(m, "leaves %ld\n", atomic_long_read(&odp_gauges.leaves));
	seq_printf(m, "entries %ld\n", atomic_long_read(&odp_gauges.entries));
	seq_printf(m, "faults_in_flight %ld\n",
		   atomic_long_read(&odp_gauges.faults));
	for (i = 0; i < ODP_STAT_NR; i++)
		seq_printf(m, "%s %lld\n", odp_stat_names[i],
			   (s64)atomic64_read(&odp_gauges.stat[i]));
	odp_events_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(odp_stats);

void odp_debugfs_init(void)
{
	odp_debugfs_dir = debugfs_create_dir("rdma_odp", NULL);
	debugfs_create_file("stats", 0444, odp_debugfs_dir, NULL,
			    &odp_stats_fops);
}

void odp_debugfs_exit(void)
{
	debugfs_remove_recursive(odp_debugfs_dir);
}
