/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Kernel differences, all of them: what build.sh found out by compiling
 * compat/probe_*.c, turned into names that the binding uses.
 */
#ifndef ODP_COMPAT_H
#define ODP_COMPAT_H

#include "odp_compat_config.h"

#include "rxe.h"
#include "rxe_loc.h"

/* Atomics return an int on some kernels, an enum resp_states on others. */
#define RXE_RESP_STATE	typeof(rxe_mr_do_atomic_write(NULL, 0, 0))

/* ->reg_user_mr() has grown a DMA handle. */
#ifdef ODP_HAVE_REG_USER_MR_DMAH
#define ODP_REG_DMAH_PARAM	struct ib_dmah *dmah,
#define ODP_REG_DMAH_ARG	dmah,
#define ODP_REG_DMAH_NONE	NULL,
#else
#define ODP_REG_DMAH_PARAM
#define ODP_REG_DMAH_ARG
#define ODP_REG_DMAH_NONE
#endif

/* A violated key, of a packet that no receive WQE can be blamed for, or of one. */
#ifdef ODP_HAVE_RKEY_EVENT
#define ODP_RKEY_VIOLATION(pkt) \
	((pkt)->mask & RXE_IMMDT_MASK ? RESPST_ERR_RKEY_VIOLATION : \
					RESPST_ERR_RKEY_VIOLATION_EVENT)
#else
#define ODP_RKEY_VIOLATION(pkt) \
	((void)(pkt), RESPST_ERR_RKEY_VIOLATION)
#endif

/* Capability bits that older kernels have no name for are not advertised. */
#ifdef ODP_HAVE_ODP_CAP_FLUSH
#define ODP_CAP_FLUSH_ATOMIC_WRITE \
	(IB_ODP_SUPPORT_FLUSH | IB_ODP_SUPPORT_ATOMIC_WRITE)
#else
#define ODP_CAP_FLUSH_ATOMIC_WRITE	0
#endif

/*
 * Stock code that takes down a region whose registration failed destroys its
 * page list, where that is an xarray.
 */
static inline void rxe_odp_mr_init_pages(struct rxe_mr *mr)
{
#ifdef ODP_HAVE_MR_PAGE_LIST
	xa_init(&mr->page_list);
#endif
}

#endif /* ODP_COMPAT_H */
