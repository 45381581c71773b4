// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/user_namespace.h>

#include "world.h"

struct mm_struct *world_mm;
kuid_t stub_uid;
static struct user_namespace init_ns;
struct user_namespace *stub_user_ns = &init_ns;

/* The engine's statistics file is tested where there is a debugfs. */
void odp_debugfs_init(void)
{
}

void odp_debugfs_exit(void)
{
}

void world_up(void)
{
	if (stub_module_init())
		stub_bug("world", "the module does not load");
	world_mm = stub_mm_new();
	mmgrab(world_mm);
	current->mm = world_mm;
}

void world_exit_process(void)
{
	if (!current->mm)
		return;
	current->mm = NULL;
	mmput(world_mm);
}

static const char *left_behind(void)
{
	if (atomic_long_read(&odp_gauges.regions))
		return "a region is left";
	if (atomic_long_read(&odp_gauges.windows))
		return "a window is left";
	if (atomic_long_read(&odp_gauges.faults))
		return "a fault is left";
	if (atomic_long_read(&odp_gauges.leaves))
		return "a leaf is left";
	if (atomic_long_read(&odp_gauges.entries))
		return "entries are counted that are gone";
	if (stub_objects_live())
		return "an allocation is left";
	if (world_mm->mn_subscriptions)
		return "a notifier is left";
	if (stub_works())
		return "a work is left";
	if (stub_pages_used())
		return "a page is left";
	if (world_mm->memcg.charged || world_mm->memcg.refs)
		return "a memory cgroup has charges left";
	if (world_mm->count != 1 || world_mm->users)
		return "the address space is still held";
	return NULL;
}

const char *world_down(void)
{
	const char *left;

	world_exit_process();
	stub_module_exit();
	stub_exits_wait();
	left = left_behind();
	mmdrop(world_mm);
	world_mm = NULL;
	return left;
}

struct odp_region *world_region(unsigned long start, u64 length,
				bool writable)
{
	struct odp_region_attr attr = {
		.start = start,
		.length = length,
		.writable = writable,
	};
	struct odp_region *region = odp_region_create(&attr);

	if (IS_ERR(region))
		stub_bug("world", "no region");
	return region;
}

#ifndef STUB_THREADS
void world_reap(void)
{
	stub_advance(HZ + 1);
	stub_run_all();
}
#endif
