/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The binding of rxe to the ODP engine - private declarations
 *
 * Stock rxe is built unmodified; the Makefile and the wrapper units bind these
 * functions in at its seams.  kmod/rxe/Kbuild says which symbol goes where.
 */
#ifndef RXE_ODP_BINDING_H
#define RXE_ODP_BINDING_H

#include <rdma/ib_umem.h>

#include "rxe.h"
#include "rxe_loc.h"
#include "rdma_odp.h"
#include "odp_compat.h"

/*
 * What mr->umem points to in an on-demand region.  Stock code tells such a
 * region by umem.is_odp and asks for umem.writable; nothing is pinned.
 */
struct rxe_odp_umem {
	struct ib_umem		umem;
	struct odp_region	*region;
};

/* The user's way of asking for all of the address space: NULL, SIZE_MAX. */
static inline bool rxe_odp_is_implicit(u64 start, u64 length)
{
	return !start && length == U64_MAX;
}

/* The engine's region behind @mr, or NULL when @mr is of another kind. */
static inline struct odp_region *rxe_odp_region(const struct rxe_mr *mr)
{
	if (!mr->umem || !mr->umem->is_odp)
		return NULL;
	return container_of(mr->umem, struct rxe_odp_umem, umem)->region;
}

/*
 * The iova of an on-demand region as the owner's virtual address.  An iova
 * below the region's wraps to an address outside of it, which the engine
 * refuses.
 */
static inline u64 rxe_odp_va(const struct rxe_mr *mr, u64 iova)
{
	return mr->umem->address + (iova - mr->ibmr.iova);
}

/* stock_mr.c: stock functions whose names are ours now */
int rxe_mr_copy_pinned(struct rxe_mr *mr, u64 iova, void *addr,
		       unsigned int length, enum rxe_mr_copy_dir dir);
RXE_RESP_STATE rxe_mr_do_atomic_op_pinned(struct rxe_mr *mr, u64 iova,
					  int opcode, u64 compare,
					  u64 swap_add, u64 *orig_val);
RXE_RESP_STATE rxe_mr_do_atomic_write_pinned(struct rxe_mr *mr, u64 iova,
					     u64 value);
int rxe_flush_pmem_iova_pinned(struct rxe_mr *mr, u64 iova,
			       unsigned int length);
void rxe_odp_mr_init_keys(int access, struct rxe_mr *mr);
/* The lock around stock rxe's own 64-bit atomics. */
spinlock_t *rxe_odp_atomic_ops_lock(void);

/* mr.c */
int rxe_odp_mr_init(struct rxe_dev *rxe, u64 start, u64 length, int access,
		    struct rxe_mr *mr);
int rxe_odp_reg_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length,
			     int access, struct rxe_mr *mr);
void rxe_odp_mr_cleanup(struct rxe_pool_elem *elem);

/* window.c */
struct rxe_mw *rxe_odp_lookup_mw(struct rxe_qp *qp, int access, u32 rkey);

/* advise.c */
int rxe_odp_advise_mr(struct ib_pd *ibpd,
		      enum ib_uverbs_advise_mr_advice advice, u32 flags,
		      struct ib_sge *sg_list, u32 num_sge,
		      struct uverbs_attr_bundle *attrs);

/* complete.c */
int rxe_odp_completer(struct rxe_qp *qp);

/* stats.c */
int rxe_odp_fill_stat_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);
int rxe_odp_fill_res_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);

/* device.c */
int rxe_odp_register_device(struct ib_device *dev, const char *name,
			    struct device *dma_device);

#endif /* RXE_ODP_BINDING_H */
