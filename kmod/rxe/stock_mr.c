// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Stock rxe_mr.c, with the entry points that ours replace made weak
 *
 * The strong definitions in access.c win at link time, also for the calls made
 * inside rxe_mr.c (copy_data).  The stock code stays reachable under the names
 * *_pinned for everything that is not on demand.
 */
#include <linux/libnvdimm.h>

#include "binding.h"

#pragma weak rxe_mr_copy
#pragma weak rxe_mr_do_atomic_op
#pragma weak rxe_mr_do_atomic_write

#include "stock/rxe_mr.c"

typeof(rxe_mr_copy) rxe_mr_copy_pinned __alias(rxe_mr_copy);
typeof(rxe_mr_do_atomic_op) rxe_mr_do_atomic_op_pinned
	__alias(rxe_mr_do_atomic_op);
typeof(rxe_mr_do_atomic_write) rxe_mr_do_atomic_write_pinned
	__alias(rxe_mr_do_atomic_write);

/* Both are static in stock rxe_mr.c on some kernels. */
void rxe_odp_mr_init_keys(int access, struct rxe_mr *mr)
{
	rxe_mr_init(access, mr);
}

spinlock_t *rxe_odp_atomic_ops_lock(void)
{
	return &atomic_ops_lock;
}
