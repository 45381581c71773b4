// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What rxe does to memory: on-demand regions go to the engine, the rest to the
 * stock code
 *
 * All of these run in rxe's workers, in process context, and none of them waits
 * for a page.  An access that finds one absent (notify.c) fails with an errno
 * that stock code takes for a protection error; our hooks in resp.c, req.c and
 * comp.c, through which stock code came here, know better and back out.
 *
 * Key, protection domain and access rights have been checked by stock code; the
 * engine checks the range and the right to write once more, in 64 bits.
 */
#include "binding.h"

/* A page is absent, or the region dead, which may be for a moment (mr.c). */
static bool rxe_odp_tries_again(int ret)
{
	return ret == -EAGAIN || ret == -ESHUTDOWN;
}

static int rxe_odp_copy(struct odp_region *region, struct rxe_mr *mr, u64 iova,
			u8 *addr, unsigned int length, enum rxe_mr_copy_dir dir)
{
	bool write = dir == RXE_TO_MR_OBJ;
	unsigned int tries = 0;
	u64 done = 0;
	int ret;

	do {
		ret = odp_region_try_copy(region, rxe_odp_va(mr, iova), addr,
					  length, write, &done);
		if (likely(!rxe_odp_tries_again(ret)))
			break;
		iova += done;
		addr += done;
		length -= done;
		ret = rxe_odp_absent(mr, iova, addr, length, write, tries++);
	} while (!ret);
	/* The only errno that stock code takes for a protection error. */
	if (unlikely(ret))
		return -EFAULT;
	if (unlikely((iova ^ (iova + length)) & ~(SZ_2M - 1ull)))
		rxe_odp_goes_on(mr, iova + length, write);
	return 0;
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
	unsigned int tries = 0;
	int ret;

	if (mr->state != RXE_MR_STATE_VALID)
		return RESPST_ERR_RKEY_VIOLATION;
	if (!IS_ALIGNED(va, sizeof(u64)))
		return RESPST_ERR_MISALIGNED_ATOMIC;

	do {
		ret = odp_region_try_atomic64(region, va,
					      opcode == IB_OPCODE_RC_COMPARE_SWAP,
					      compare, swap_add, orig_val);
		if (!rxe_odp_tries_again(ret))
			break;
		ret = rxe_odp_absent(mr, iova, NULL, sizeof(u64), true, tries++);
	} while (!ret);
	return ret ? RESPST_ERR_RKEY_VIOLATION : RESPST_NONE;
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
	unsigned int tries = 0;
	int ret;

	if (mr->state != RXE_MR_STATE_VALID)
		return RESPST_ERR_RKEY_VIOLATION;
	if (!IS_ALIGNED(va, sizeof(u64)))
		return RESPST_ERR_MISALIGNED_ATOMIC;
	do {
		ret = odp_region_try_store64(region, va, value);
		if (!rxe_odp_tries_again(ret))
			break;
		ret = rxe_odp_absent(mr, iova, NULL, sizeof(u64), true, tries++);
	} while (!ret);
	return ret ? RESPST_ERR_RKEY_VIOLATION : RESPST_NONE;
}

RXE_RESP_STATE rxe_mr_do_atomic_write(struct rxe_mr *mr, u64 iova, u64 value)
{
	struct odp_region *region = rxe_odp_region(mr);

	if (!region)
		return rxe_mr_do_atomic_write_pinned(mr, iova, value);
	return rxe_odp_store(region, mr, iova, value);
}

/* So much of its range a flush requests at a time. */
#define RXE_ODP_FLUSH_PIECE	SZ_4M

/* Is @flush what has been begun of this one? */
static bool rxe_odp_flush_is(const struct rxe_odp_flush *flush, u32 psn, u32 key,
			     u64 iova, u64 length)
{
	return flush->valid && flush->psn == psn && flush->key == key &&
	       flush->iova == iova && flush->len == length;
}

/*
 * Stands where stock rxe_resp.c calls rxe_flush_pmem_iova(), whose length has 32
 * bits: that of a whole region may have more.  What has been flushed once for
 * a packet is not flushed again: a long range may never be mapped as a whole.
 */
int rxe_odp_flush(struct rxe_qp *qp, u32 psn, struct rxe_mr *mr, u64 iova,
		  u64 length)
{
	struct rxe_odp_flush *flush = &to_odp_qp(qp)->resp.flush;
	struct odp_region *region = mr ? rxe_odp_region(mr) : NULL;
	unsigned int tries = 0;
	u64 done = 0, left;
	int ret = 0;

	if (!region)
		return rxe_flush_pmem_iova(mr, iova, length);
	if (!rxe_odp_flush_is(flush, psn, mr->rkey, iova, length))
		*flush = (struct rxe_odp_flush) {
			.valid = true,
			.psn = psn,
			.key = mr->rkey,
			.iova = iova,
			.len = length,
		};
	while (!ret && flush->done < length) {
		left = length - flush->done;
		ret = odp_region_try_flush(region,
					   rxe_odp_va(mr, iova + flush->done),
					   left, &done);
		if (!rxe_odp_tries_again(ret))
			break;
		if (done)
			tries = 0;
		flush->done += done;
		left = min(left - done, (u64)RXE_ODP_FLUSH_PIECE);
		ret = rxe_odp_absent(mr, iova + flush->done, NULL, left, false,
				     tries++);
	}
	if (ret != -EINPROGRESS)
		flush->valid = false;
	return ret;
}

/*
 * Copy @len bytes at @addr, of which @done are copied already, to the position
 * of @dma, which is that of the first byte.  Return: as copy_data().
 */
int rxe_odp_scatter(struct rxe_qp *qp, struct rxe_dma_info *dma, u8 *addr,
		    u32 len, u32 done)
{
	int err;

	if (likely(!done))
		return copy_data(qp->pd, IB_ACCESS_LOCAL_WRITE, dma, addr, len,
				 RXE_TO_MR_OBJ);
	err = advance_dma_data(dma, done);
	if (err)
		return err;
	return copy_data(qp->pd, IB_ACCESS_LOCAL_WRITE, dma, addr + done,
			 len - done, RXE_TO_MR_OBJ);
}

#ifdef RXE_HAS_ODP_HOOKS
/*
 * Stock rxe on this kernel calls these where it sees umem.is_odp; they take
 * the place of its rxe_odp.c.
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
	/* resp.c calls rxe_odp_flush() where stock code would call this. */
	return -EOPNOTSUPP;
}

int rxe_ib_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice,
		     u32 flags, struct ib_sge *sg_list, u32 num_sge,
		     struct uverbs_attr_bundle *attrs)
{
	return rxe_odp_advise_mr(ibpd, advice, flags, sg_list, num_sge, attrs);
}
#endif /* RXE_HAS_ODP_HOOKS */
