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
/* Let the reaper look at what has been empty for a while. */
void world_reap(void);

#endif /* STUB_WORLD_H */
