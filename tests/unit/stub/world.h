/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The engine loaded, and a process to use it: what every test starts from. */
#ifndef STUB_WORLD_H
#define STUB_WORLD_H

#include "mm.h"
#include "odp.h"

extern struct mm_struct *world_mm;

/* Load the module, become a process. */
void world_up(void);
/*
 * Exit, unload, and look for what was left behind.  Return: NULL, or what is
 * wrong.
 */
const char *world_down(void);
/* The process exits now, whoever else holds its address space. */
void world_exit_process(void);

struct odp_region *world_region(unsigned long start, u64 length,
				bool writable);
/*
 * What a driver makes of the interface: try, request what is absent, wait until
 * notified, try again.
 */
int world_read(struct odp_region *region, u64 va, void *buf, size_t len);
int world_write(struct odp_region *region, u64 va, const void *buf, size_t len);
int world_cmpxchg64(struct odp_region *region, u64 va, u64 compare, u64 swap,
		    u64 *orig);
int world_fetch_add64(struct odp_region *region, u64 va, u64 add, u64 *orig);
int world_store64(struct odp_region *region, u64 va, u64 value);
int world_flush(struct odp_region *region, u64 va, u64 len);

/* Let the reaper look at what has been empty for a while. */
void world_reap(void);

#endif /* STUB_WORLD_H */
