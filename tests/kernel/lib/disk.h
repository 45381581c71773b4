/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * disk: swap on a disk in memory (scsi_debug) that can be told to be slow.
 *
 * zram frees the slot of a page that is swapped in, so that the page is dirty at once; a disk keeps
 * it, and the page is clean until somebody writes.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stddef.h>

/* Swap on a fresh disk of that size; false with the reason where this machine has none. */
bool disk_swap_on(size_t bytes, char *why, size_t why_len);
/* Reads what is still swapped out back: slow unless disk_delay(0) came before. */
void disk_swap_off(void);

/* Every command takes that many seconds from now on. Waits for those under way. */
void disk_delay(double seconds);

#endif
