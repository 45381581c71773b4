// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-demand memory regions of rxe: from registration to deregistration
 */
#include <linux/slab.h>

#include "binding.h"

/*
 * Make @mr an on-demand region of [start, start + length) of the caller, or of
 * all the caller's address space: to the engine that is a range like others,
 * and to stock code one that no iova is outside of.  On failure @mr is as
 * rxe_add_to_pool() left it, but for its keys, and stock code takes it down as
 * a region without memory.
 */
int rxe_odp_mr_init(struct rxe_dev *rxe, u64 start, u64 length, int access,
		    struct rxe_mr *mr)
{
	struct odp_region_attr attr = {
		.start = start,
		.length = length,
		.writable = ib_access_writable(access),
		.atomic_lock = rxe_odp_atomic_ops_lock(),
		.give_up = rxe_odp_give_up,
	};
	struct rxe_odp_umem *odp;
	struct odp_region *region;

	if (rxe_odp_is_implicit(start, length))
		attr.length = TASK_SIZE;

	rxe_odp_mr_init_keys(access, mr);
	rxe_odp_mr_init_pages(mr);

	odp = kzalloc(sizeof(*odp), GFP_KERNEL_ACCOUNT);
	if (!odp)
		return -ENOMEM;

	region = odp_region_create(&attr);
	if (IS_ERR(region)) {
		kfree(odp);
		rxe_dbg_mr(mr, "no on-demand region of %#llx bytes at %#llx: %ld\n",
			   length, start, PTR_ERR(region));
		return PTR_ERR(region);
	}

	odp->umem.ibdev = &rxe->ib_dev;
	odp->umem.address = start;
	odp->umem.length = length;
	odp->umem.writable = attr.writable;
	odp->umem.is_odp = 1;
	odp->region = region;

	mr->umem = &odp->umem;
	mr->ibmr.type = IB_MR_TYPE_USER;
	mr->state = RXE_MR_STATE_VALID;
	rxe_odp_count_region(1);
	return 0;
}

/* Stands where stock rxe_reg_user_mr() calls rxe_mr_init_user(). */
int rxe_odp_reg_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length,
			     int access, struct rxe_mr *mr)
{
	if (access & IB_ACCESS_ON_DEMAND)
		return rxe_odp_mr_init(rxe, start, length, access, mr);
	return rxe_mr_init_user(rxe, start, length, access, mr);
}

/*
 * Stands in the pool's table for stock rxe_mr_cleanup().  odp_region_kill()
 * has made every access let go of @mr by now (see device.c).  Should somebody
 * hold on to it all the same, stock code has given up waiting after 50 seconds
 * and is about to free @mr under them; we wait for as long as it takes.
 */
void rxe_odp_mr_cleanup(struct rxe_pool_elem *elem)
{
	struct rxe_mr *mr = container_of(elem, typeof(*mr), elem);
	struct odp_region *region = rxe_odp_region(mr);

	if (!region) {
		rxe_mr_cleanup(elem);
		return;
	}

	if (kref_read(&elem->ref_cnt))
		wait_for_completion(&elem->complete);

	rxe_put(mr_pd(mr));
	rxe_odp_count_region(-1);
	odp_region_destroy(region);
	kfree(container_of(mr->umem, struct rxe_odp_umem, umem));
	mr->umem = NULL;
}
