// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define PAGE	4096ull
#define KEEP	64	/* pages whose first 8 bytes are noted */

struct fake_mr {
	struct ibv_mr mr;
	bool odp;
	uint64_t start;
	uint64_t word[KEEP];
};

static bool may_pin(struct fake *f, uint64_t len)
{
	uint64_t now = atomic_load(&f->pinned);

	while (!f->limit || now + len <= f->limit)
		if (atomic_compare_exchange_weak(&f->pinned, &now, now + len))
			return true;
	return false;
}

static int refused(struct fake *f, size_t len, int access)
{
	int again = atomic_load(&f->again);

	while (again > 0)
		if (atomic_compare_exchange_weak(&f->again, &again, again - 1))
			return EAGAIN;
	if (f->refuse)
		return f->refuse;
	if (!(access & IBV_ACCESS_ON_DEMAND))
		return may_pin(f, len) ? 0 : ENOMEM;
	return len == SIZE_MAX ? f->refuse_implicit : f->refuse_odp;
}

/* Pages that the test has not touched read as zero, as they would be pinned. */
static void look_at(struct fake_mr *mr, uint64_t addr, size_t len)
{
	uint64_t page;

	mr->start = addr & ~(PAGE - 1);
	for (page = 0; page < KEEP && mr->start + page * PAGE < addr + len; page++)
		mr->word[page] = atomic_load_explicit(
			(_Atomic uint64_t *)(uintptr_t)(mr->start + page * PAGE), memory_order_relaxed);
}

static struct ibv_mr *fake_reg(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	struct fake *f = (struct fake *)pd;
	struct fake_mr *mr;
	int err = refused(f, len, access);

	if (err) {
		errno = err;
		return NULL;
	}
	mr = calloc(1, sizeof(*mr));
	if (!mr)
		abort();
	mr->odp = access & IBV_ACCESS_ON_DEMAND;
	mr->mr.pd = pd;
	mr->mr.addr = addr;
	mr->mr.length = len;
	mr->mr.lkey = (uint32_t)atomic_fetch_add(&f->made, 1) + 1;
	mr->mr.rkey = mr->mr.lkey | 0x80000000u;
	if (!mr->odp)
		look_at(mr, (uintptr_t)addr, len);
	if (f->meanwhile)
		f->meanwhile(f->arg);
	atomic_fetch_add(&f->alive, 1);
	return &mr->mr;
}

static int fake_dereg(struct ibv_mr *ibmr)
{
	struct fake_mr *mr = (struct fake_mr *)ibmr;
	struct fake *f = (struct fake *)ibmr->pd;

	if (!mr->odp)
		atomic_fetch_sub(&f->pinned, ibmr->length);
	atomic_fetch_sub(&f->alive, 1);
	free(mr);
	return 0;
}

static int fake_advise(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
		       struct ibv_sge *sge)
{
	struct fake *f = (struct fake *)pd;

	(void)advice;
	(void)flags;
	(void)sge;
	atomic_fetch_add(&f->advised, 1);
	return f->advise_error;
}

static int fake_query(struct ibv_pd *pd, struct ibv_odp_caps *caps)
{
	*caps = ((struct fake *)pd)->caps;
	return 0;
}

void fake_init(struct fake *f, bool odp, bool implicit)
{
	memset(f, 0, sizeof(*f));
	f->ops = (struct reg_ops){
		.reg = fake_reg, .dereg = fake_dereg, .advise = fake_advise, .query = fake_query,
	};
	if (!odp)
		return;
	f->caps.general_caps = IBV_ODP_SUPPORT | (implicit ? IBV_ODP_SUPPORT_IMPLICIT : 0);
	f->caps.per_transport_caps.rc_odp_caps = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV |
						 IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ;
}

uint64_t fake_holds(const struct odpreg_mem *mem, uint64_t addr)
{
	const struct region *r = mem->region;
	const struct fake_mr *mr = (const struct fake_mr *)r->mr;
	uint64_t page = (addr - mr->start) / PAGE;

	return page < KEEP ? mr->word[page] : 0;
}
