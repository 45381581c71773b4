/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The provider for rxe devices of odpreg: rdma-core's own, with these verbs over it.
 *
 *	ops.c		stands between rxe's provider and libibverbs
 *	mr.c		the life of a memory region
 *	prefetch.c	pages ahead of the first access
 *	settings.c	what the environment asks for
 */
#ifndef ODPREG_PROVIDER_H
#define ODPREG_PROVIDER_H

#include <infiniband/driver.h>
#include <stdbool.h>
#include <stdint.h>

enum odpreg_mode {
	ODPREG_NATIVE,	/* as the application asks */
	ODPREG_ALWAYS,	/* on demand, whatever it asks */
	ODPREG_NEVER,	/* as on a device without on-demand paging */
};

enum odpreg_prefetch { ODPREG_PREFETCH_NONE, ODPREG_PREFETCH_ASYNC, ODPREG_PREFETCH_SYNC };

struct odpreg_settings {
	enum odpreg_mode mode;
	enum odpreg_prefetch prefetch;
	bool debug;
};

/* Read at the first call; the same for the life of the process. Never NULL. */
const struct odpreg_settings *odpreg_settings(void);
/* A line on stderr where ODPREG_DEBUG asks for it. Leaves errno alone. */
void odpreg_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct odpreg_mr {
	struct verbs_mr vmr;	/* vmr.access: what the application asked for */
	int access;		/* what the kernel was told */
	uint64_t iova;
};

struct ibv_mr *odpreg_reg_mr(struct ibv_pd *pd, void *addr, size_t length, uint64_t iova,
			     int access);
#ifdef HAVE_REG_MR_EX
struct ibv_mr *odpreg_reg_mr_ex(struct ibv_pd *pd, struct ibv_mr_init_attr *attr);
#endif
int odpreg_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *pd, void *addr, size_t length,
		    int access);
int odpreg_dereg_mr(struct verbs_mr *vmr);

/*
 * Prefetch length bytes from the beginning of a region that is on demand, as the settings say. What
 * became of it, for people.
 */
const char *odpreg_prefetch(struct ibv_pd *pd, const struct odpreg_mr *mr, uint32_t lkey,
			    size_t length);

#endif
