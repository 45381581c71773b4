/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_TYPES_H
#define STUB_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What uapi headers call these; `long long` so that %llu fits, as in kernels. */
typedef unsigned long long u64;
typedef long long s64;
typedef unsigned int u32;
typedef unsigned char u8;
typedef unsigned int gfp_t;
typedef unsigned long long phys_addr_t;

#define __rcu
#define __init
#define __exit

struct list_head {
	struct list_head *next, *prev;
};

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
	unsigned long since;		/* section number when it was queued */
};

#endif /* STUB_LINUX_TYPES_H */
