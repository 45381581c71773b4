// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The life of a memory region.
 *
 * Fork. libibverbs keeps registered memory out of children when the application asks for
 * that (ibv_fork_init), by a count for each range: up before it calls us to register pinned
 * memory, down when a region goes whose vmr->access does not say "on demand". So a
 * region that is on demand by our own doing keeps the application's flags there: what went
 * up comes down. See rereg_mr for where libibverbs itself does not balance.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider.h"

#define ODP	IBV_ACCESS_ON_DEMAND

static struct odpreg_mr *to_mr(struct verbs_mr *vmr)
{
	return container_of(vmr, struct odpreg_mr, vmr);
}

/* What the kernel is told when the application asks for access. */
static int told(int access, const void *addr, size_t length)
{
	/* all of the address space cannot be pinned: it is an error, not a wish for ODP */
	bool everything = !addr && length == SIZE_MAX;

	if (odpreg_settings()->mode == ODPREG_ALWAYS && !everything)
		access |= ODP;
	/* Huge pages are found where there are any; rxe has never heard of the flag. */
	if (access & ODP)
		access &= ~IBV_ACCESS_HUGETLB;
	return access;
}

static bool refused(const struct ibv_context *context, int access)
{
	if (odpreg_settings()->mode != ODPREG_NEVER || !(access & ODP))
		return false;
	odpreg_debug("%s: on-demand registration refused: ODPREG_MODE=never",
		     context->device->name);
	errno = EOPNOTSUPP;
	return true;
}

static const char *kind(int told_access, int access)
{
	if (!(told_access & ODP))
		return "pinned";
	return access & ODP ? "on demand" : "on demand instead of pinned";
}

/* The end of every registration: ret is 0 or an errno. Consumes mr if it failed. */
static struct ibv_mr *registered(struct ibv_pd *pd, struct odpreg_mr *mr, const void *addr,
				 size_t length, int access, int ret)
{
	const char *device = pd->context->device->name;
	const char *prefetch = "";

	if (ret) {
		odpreg_debug("%s: %zu bytes at %p, access %#x: not registered, %s: %s", device,
			     length, addr, access, kind(mr->access, access), strerror(ret));
		free(mr);
		errno = ret;
		return NULL;
	}
	mr->vmr.access = access;
	if (mr->access & ODP)
		prefetch = odpreg_prefetch(pd, mr, mr->vmr.ibv_mr.lkey, length);
	odpreg_debug("%s: %zu bytes at %p, access %#x, key %#x: %s%s", device, length, addr, access,
		     mr->vmr.ibv_mr.lkey, kind(mr->access, access), prefetch);
	return &mr->vmr.ibv_mr;
}

struct ibv_mr *odpreg_reg_mr(struct ibv_pd *pd, void *addr, size_t length, uint64_t iova,
			     int access)
{
	struct ib_uverbs_reg_mr_resp resp;
	struct odpreg_mr *mr;
	struct ibv_reg_mr cmd;
	int ret;

	if (refused(pd->context, access))
		return NULL;
	mr = calloc(1, sizeof(*mr));
	if (!mr)
		return NULL;
	mr->access = told(access, addr, length);
	mr->iova = iova;
	ret = ibv_cmd_reg_mr(pd, addr, length, iova, mr->access, &mr->vmr, &cmd, sizeof(cmd), &resp,
			     sizeof(resp));
	return registered(pd, mr, addr, length, access, ret);
}

#ifdef HAVE_REG_MR_EX
#define EX_KNOWN	(IBV_REG_MR_MASK_IOVA | IBV_REG_MR_MASK_ADDR | IBV_REG_MR_MASK_FD |	\
			 IBV_REG_MR_MASK_FD_OFFSET | IBV_REG_MR_MASK_DMAH)
/* Whether a dma-buf is pinned is its exporter's business. */
#define EX_DEVICE	(IBV_REG_MR_MASK_FD | IBV_REG_MR_MASK_FD_OFFSET | IBV_REG_MR_MASK_DMAH)

struct ibv_mr *odpreg_reg_mr_ex(struct ibv_pd *pd, struct ibv_mr_init_attr *attr)
{
	uint64_t iova = attr->comp_mask & IBV_REG_MR_MASK_IOVA ? attr->iova : (uintptr_t)attr->addr;
	struct odpreg_mr *mr;
	int ret;

	if (attr->comp_mask & ~(uint64_t)EX_KNOWN) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	/* by the command that every kernel has */
	if ((attr->comp_mask & (EX_DEVICE | IBV_REG_MR_MASK_ADDR)) == IBV_REG_MR_MASK_ADDR)
		return odpreg_reg_mr(pd, attr->addr, attr->length, iova, attr->access);
	if (refused(pd->context, attr->access))
		return NULL;
	mr = calloc(1, sizeof(*mr));
	if (!mr)
		return NULL;
	mr->access = attr->access;
	mr->iova = iova;
	ret = ibv_cmd_reg_mr_ex(pd, &mr->vmr, attr);
	return registered(pd, mr, NULL, attr->length, attr->access, ret);
}
#endif

/*
 * ibv_rereg_mr() puts its counts of memory that is not for children up for a new range and
 * down for the old one as if all memory were pinned, and leaves them alone when only the
 * rights change. For what the application knows to be on demand the counts were not up and
 * will not be taken down, so:
 *
 *			libibverbs		ours
 *	new range	new up, old down	old up if it was on demand; new down if it is now
 *	same range	-			up if it was on demand and is no more;
 *						down if it is now and was not
 *
 * What may fail comes before the kernel is asked.
 */
struct fork_counts {
	bool translation;
	bool was_odp;
	bool is_odp;
};

static int counts_before(const struct fork_counts *c, const struct ibv_mr *mr)
{
	if (c->was_odp && (c->translation || !c->is_odp))
		return ibv_dontfork_range(mr->addr, mr->length) ? errno : 0;
	return 0;
}

static void counts_undo(const struct fork_counts *c, const struct ibv_mr *mr)
{
	if (c->was_odp && (c->translation || !c->is_odp))
		ibv_dofork_range(mr->addr, mr->length);
}

static void counts_after(const struct fork_counts *c, const struct ibv_mr *mr, void *addr,
			 size_t length)
{
	if (c->translation && c->is_odp)
		ibv_dofork_range(addr, length);
	else if (!c->translation && !c->was_odp && c->is_odp)
		ibv_dofork_range(mr->addr, mr->length);
}

/* Returns the length of the region from now on. */
static size_t note_change(struct odpreg_mr *mr, int flags, void *addr, size_t length, int access,
			  int told_access)
{
	if (flags & IBV_REREG_MR_CHANGE_ACCESS) {
		mr->vmr.access = access;
		mr->access = told_access;
	}
	if (!(flags & IBV_REREG_MR_CHANGE_TRANSLATION))
		return mr->vmr.ibv_mr.length;
	mr->iova = (uintptr_t)addr;
	return length;
}

static void report_change(struct odpreg_mr *mr, int flags, struct ibv_pd *pd, size_t length)
{
	const struct ibv_mr *ibmr = &mr->vmr.ibv_mr;
	const char *prefetch = "";

	if ((mr->access & ODP) &&
	    flags & (IBV_REREG_MR_CHANGE_TRANSLATION | IBV_REREG_MR_CHANGE_ACCESS))
		prefetch = odpreg_prefetch(pd, mr, ibmr->lkey, length);
	odpreg_debug("%s: registered again, %zu bytes, access %#x, key %#x: %s%s",
		     ibmr->context->device->name, length, mr->vmr.access, ibmr->lkey,
		     kind(mr->access, mr->vmr.access), prefetch);
}

int odpreg_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *pd, void *addr, size_t length,
		    int access)
{
	bool change_access = flags & IBV_REREG_MR_CHANGE_ACCESS;
	struct odpreg_mr *mr = to_mr(vmr);
	struct fork_counts counts = {
		.translation = flags & IBV_REREG_MR_CHANGE_TRANSLATION,
		.was_odp = vmr->access & ODP,
		.is_odp = (change_access ? access : vmr->access) & ODP,
	};
	struct ib_uverbs_rereg_mr_resp resp;
	struct ibv_rereg_mr cmd;
	int told_access, ret;

	if (change_access && refused(vmr->ibv_mr.context, access))
		return EOPNOTSUPP;
	told_access = change_access ? told(access, vmr->ibv_mr.addr, vmr->ibv_mr.length) : 0;
	ret = counts_before(&counts, &vmr->ibv_mr);
	if (ret)
		return ret;
	ret = ibv_cmd_rereg_mr(vmr, (uint32_t)flags, addr, length, (uintptr_t)addr, told_access, pd,
			       &cmd, sizeof(cmd), &resp, sizeof(resp));
	if (ret) {
		counts_undo(&counts, &vmr->ibv_mr);
		errno = ret;
		return ret;
	}
	counts_after(&counts, &vmr->ibv_mr, addr, length);
	length = note_change(mr, flags, addr, length, access, told_access);
	report_change(mr, flags, flags & IBV_REREG_MR_CHANGE_PD ? pd : vmr->ibv_mr.pd, length);
	return 0;
}

/* A region that a memory window is bound to stays, and stays as it is. */
int odpreg_dereg_mr(struct verbs_mr *vmr)
{
	int ret = ibv_cmd_dereg_mr(vmr);

	if (!ret)
		free(to_mr(vmr));
	return ret;
}
