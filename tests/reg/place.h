/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory whose place nobody else is given when it is unmapped: far below where the kernel looks for
 * room first, and where the sanitizers leave it to programs.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdint.h>

static inline void *place_of_its_own(void)
{
#ifdef __SANITIZE_THREAD__
	static uintptr_t next = 0x1000000000;
#else
	static uintptr_t next = 0x200000000000;
#endif

	next += 1ul << 24;
	return (void *)next;
}

#endif
