/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * reaper: a process that the kernel kills for want of memory, and that cannot go: its memory is then
 * for the OOM reaper to take, two seconds after the kill. One that goes at once never meets it.
 */
#ifndef REAPER_H
#define REAPER_H

#include <sys/types.h>

/*
 * Traces the child, sets *go, by which it begins to take more memory than it may have, and returns
 * when it stops on its way out, with its memory in place.
 */
void reaper_hold(pid_t pid, volatile int *go);
/* What the kernel says about reaping since rig_dmesg_mark(); NULL when it says nothing in time. */
const char *reaper_says(void);
/* The child goes on to its end. */
void reaper_release(pid_t pid);

#endif
