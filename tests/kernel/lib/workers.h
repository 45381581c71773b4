/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* workers: what the kernel's workers are doing. */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Does a worker of the kernel sleep in code whose stack names @where? Then its stack is in @stack. One
 * that is seen so twice, with the same stack, 50 ms apart: a worker may sleep for a moment, for a lock.
 */
bool worker_asleep(const char *where, char *stack, size_t size);

#endif
