// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What rxe does to memory: on-demand regions go to the engine, the rest to the
 * stock code
 *
 * All of these run in rxe's workers, in process context.  Key, protection
 * domain and access rights have been checked by stock code; the engine checks
 * the range and the right to write once more, in 64 bits.
 */
#include "binding.h"

/* The access is over.  Return: did it fail? */
static bool rxe_odp_fails(int ret)
{
	if (likely(!ret))
		return false;
	rxe_odp_access_failed();
	return true;
}

static int rxe_odp_copy(struct odp_region *region, struct rxe_mr *mr, u64 iova,
			void *addr, unsigned int length,
			enum rxe_mr_copy_dir dir)
{
	u64 va = rxe_odp_va(mr, iova);
	int ret;

	if (dir == RXE_TO_MR_OBJ)
		ret = odp_region_write(region, va, addr, length);
	else
		ret = odp_region_read(region, va, addr, length);
	/* The only errno that stock code takes for a protection error. */
	return rxe_odp_fails(ret) ? -EFAULT : 0;
}

int rxe_mr_copy(struct rxe_mr *mr, u64 iova, void *addr, unsigned int length,
		enum rxe_mr_copy_dir dir)
{
	struct odp_region *region = mr ? rxe_odp_region(mr) : NULL;

	if (!region)
		return rxe_mr_copy_pinned(mr, iova, addr, length, dir);
	if (!length)
		return 0;
	return rxe_odp_copy(region, mr, iova, addr, length, dir);
}

static RXE_RESP_STATE rxe_odp_atomic(struct odp_region *region,
				     struct rxe_mr *mr, u64 iova, int opcode,
				     u64 compare, u64 swap_add, u64 *orig_val)
{
	u64 va = rxe_odp_va(mr, iova);
	int ret;

	if (mr->state != RXE_MR_STATE_VALID)
		return RESPST_ERR_RKEY_VIOLATION;
	if (!IS_ALIGNED(va, sizeof(u64)))
		return RESPST_ERR_MISALIGNED_ATOMIC;

	if (opcode == IB_OPCODE_RC_COMPARE_SWAP)
		ret = odp_region_cmpxchg64(region, va, compare, swap_add,
					   orig_val);
	else
		ret = odp_region_fetch_add64(region, va, swap_add, orig_val);
	return rxe_odp_fails(ret) ? RESPST_ERR_RKEY_VIOLATION : RESPST_NONE;
}

RXE_RESP_STATE rxe_mr_do_atomic_op(struct rxe_mr *mr, u64 iova, int opcode,
				   u64 compare, u64 swap_add, u64 *orig_val)
{
	struct odp_region *region = rxe_odp_region(mr);

	if (!region)
		return rxe_mr_do_atomic_op_pinned(mr, iova, opcode, compare,
						  swap_add, orig_val);
	return rxe_odp_atomic(region, mr, iova, opcode, compare, swap_add,
			      orig_val);
}

static RXE_RESP_STATE rxe_odp_store(struct odp_region *region,
				    struct rxe_mr *mr, u64 iova, u64 value)
{
	u64 va = rxe_odp_va(mr, iova);

	if (mr->state != RXE_MR_STATE_VALID)
		return RESPST_ERR_RKEY_VIOLATION;
	if (!IS_ALIGNED(va, sizeof(u64)))
		return RESPST_ERR_MISALIGNED_ATOMIC;
	return rxe_odp_fails(odp_region_store64(region, va, value)) ?
		RESPST_ERR_RKEY_VIOLATION : RESPST_NONE;
}

RXE_RESP_STATE rxe_mr_do_atomic_write(struct rxe_mr *mr, u64 iova, u64 value)
{
	struct odp_region *region = rxe_odp_region(mr);

	if (!region)
		return rxe_mr_do_atomic_write_pinned(mr, iova, value);
	return rxe_odp_store(region, mr, iova, value);
}

/*
 * Stands where stock rxe_resp.c calls rxe_flush_pmem_iova(), whose length has 32
 * bits: that of a whole region may have more.
 */
int rxe_odp_flush(struct rxe_mr *mr, u64 iova, u64 length)
{
	struct odp_region *region = mr ? rxe_odp_region(mr) : NULL;
	int ret;

	if (!region)
		return rxe_flush_pmem_iova(mr, iova, length);
	ret = odp_region_flush_persistent(region, rxe_odp_va(mr, iova), length);
	return rxe_odp_fails(ret) ? ret : 0;
}

#ifdef RXE_HAS_ODP_HOOKS
/*
 * Stock rxe on this kernel asks for these by name where it sees umem.is_odp;
 * they take the place of its rxe_odp.c.
 */
const struct mmu_interval_notifier_ops rxe_mn_ops;

int rxe_odp_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length, u64 iova,
			 int access_flags, struct rxe_mr *mr)
{
	int ret = rxe_odp_mr_init(rxe, start, length, access_flags, mr);

	if (!ret) {
		mr->ibmr.iova = iova;
		mr->ibmr.length = length;
	}
	return ret;
}

int rxe_odp_mr_copy(struct rxe_mr *mr, u64 iova, void *addr, int length,
		    enum rxe_mr_copy_dir dir)
{
	return rxe_mr_copy(mr, iova, addr, length, dir);
}

enum resp_states rxe_odp_atomic_op(struct rxe_mr *mr, u64 iova, int opcode,
				   u64 compare, u64 swap_add, u64 *orig_val)
{
	return rxe_mr_do_atomic_op(mr, iova, opcode, compare, swap_add,
				   orig_val);
}

enum resp_states rxe_odp_do_atomic_write(struct rxe_mr *mr, u64 iova, u64 value)
{
	return rxe_mr_do_atomic_write(mr, iova, value);
}

int rxe_odp_flush_pmem_iova(struct rxe_mr *mr, u64 iova, unsigned int length)
{
	return rxe_odp_flush(mr, iova, length);
}

int rxe_ib_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice,
		     u32 flags, struct ib_sge *sg_list, u32 num_sge,
		     struct uverbs_attr_bundle *attrs)
{
	return rxe_odp_advise_mr(ibpd, advice, flags, sg_list, num_sge, attrs);
}
#endif /* RXE_HAS_ODP_HOOKS */
