// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Bringing on-demand memory in ahead of a transfer. */
#include <errno.h>
#include <sys/mman.h>

#include "reg.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22	/* since 5.14 */
#define MADV_POPULATE_WRITE	23
#endif

#define PIECE	(1ull << 30)	/* the length of an SGE has 32 bits */

/* Into the process's own page tables, from where the device gets it without waiting. */
static int populate(const struct odpreg_domain *d, uint64_t start, uint64_t end, bool write)
{
	uint64_t from = start & ~(d->page - 1);
	uint64_t to = (end + d->page - 1) & ~(d->page - 1);

	if (!madvise((void *)(uintptr_t)from, to - from,
		     write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ))
		return 0;
	/* An older kernel; memory that is there, but not so: it is advice. */
	return errno == ENOMEM || errno == EFAULT ? errno : 0;
}

static int advise(struct odpreg_domain *d, const struct odpreg_mem *mem, uint64_t start,
		  uint64_t end, unsigned int flags)
{
	enum ibv_advise_mr_advice advice = flags & ODPREG_PREFETCH_WRITE ?
		IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE : IBV_ADVISE_MR_ADVICE_PREFETCH;
	struct ibv_sge sge = { .lkey = mem->lkey };
	uint64_t len;
	int err;

	for (; start < end; start += len) {
		len = end - start < PIECE ? end - start : PIECE;
		sge.addr = start;
		sge.length = (uint32_t)len;
		err = d->ops->advise(d->pd, advice,
				     flags & ODPREG_PREFETCH_WAIT ? IBV_ADVISE_MR_FLAG_FLUSH : 0, &sge);
		if (err)
			return err;
	}
	return 0;
}

int odpreg_prefetch(struct odpreg_domain *d, const struct odpreg_mem *mem, void *addr, size_t len,
		    unsigned int flags)
{
	uint64_t start = (uintptr_t)addr;
	int err;

	if (!process_alive(d->process))
		return ECHILD;
	if (mem->kind == ODPREG_AUTO || start + len < start ||
	    (flags & ~(ODPREG_PREFETCH_WRITE | ODPREG_PREFETCH_WAIT)))
		return EINVAL;
	if (!len || (mem->kind != ODPREG_IMPLICIT && mem->kind != ODPREG_EXPLICIT))
		return 0;
	reg_count(&d->n.prefetched, len);
	err = advise(d, mem, start, start + len, flags);
	if (err == EOPNOTSUPP || err == ENOSYS || err == EPROTONOSUPPORT)
		err = populate(d, start, start + len, flags & ODPREG_PREFETCH_WRITE);
	return err == ENOMEM || err == EFAULT ? err : 0;
}
