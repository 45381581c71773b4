// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What a grace period ends with; the same for fibres and threads. */
#include <linux/slab.h>

#include "stub.h"

/* As in a kernel, kfree_rcu() is a callback whose "address" is an offset. */
void stub_rcu_run(struct rcu_head *head)
{
	size_t offset = (size_t)head->func;

	if (offset < 4096)
		kfree((char *)head - offset);
	else
		head->func(head);
}
