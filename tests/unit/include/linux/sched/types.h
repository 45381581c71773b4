/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Recent C libraries look for the types of the user interface here. */
#ifndef STUB_LINUX_SCHED_TYPES_H
#define STUB_LINUX_SCHED_TYPES_H

#include <asm/types.h>

#endif /* STUB_LINUX_SCHED_TYPES_H */
