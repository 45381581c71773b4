/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_MEMCONTROL_H
#define STUB_LINUX_MEMCONTROL_H

#include <linux/mm.h>

struct mem_cgroup *get_mem_cgroup_from_mm(struct mm_struct *mm);
struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg);
void mem_cgroup_put(struct mem_cgroup *memcg);

#endif /* STUB_LINUX_MEMCONTROL_H */
