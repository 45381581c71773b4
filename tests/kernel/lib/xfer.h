/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * One transfer of bytes, made and checked: source and destination lie anywhere in areas that are
 * registered in every way (pinned and on demand, iova equal to the address, low, high); after the
 * transfer the destination holds the source's bytes, and nothing around either has changed.
 */
#ifndef XFER_H
#define XFER_H

#include "rig.h"

enum xfer_kind {
	XFER_RC_WRITE, XFER_RC_WRITE_IMM, XFER_RC_READ, XFER_RC_SEND, XFER_RC_SRQ_SEND,
	XFER_UC_WRITE, XFER_UC_WRITE_IMM, XFER_UC_SEND, XFER_UD_SEND,
	XFER_KINDS
};

/* How the memory is registered, and what happened to it before the transfer. */
enum xfer_mem {
	XFER_PINNED,
	XFER_WARM,	/* on demand, accessed through this region just before */
	XFER_REFILLED,	/* on demand, dropped and written anew by the CPU */
	XFER_UNTOUCHED,	/* on demand, dropped: reads as zeros */
	XFER_MEMS
};

enum xfer_iova { XFER_IOVA_SAME, XFER_IOVA_LOW, XFER_IOVA_HIGH, XFER_IOVAS };

#define XFER_AREA	(4ul << 20)
#define XFER_MIDDLE	(XFER_AREA / 2)		/* where the area crosses a window's border */
#define XFER_GUARD	(2 * RIG_PAGE)		/* checked on either side of a transfer */
#define XFER_MAX	(1ul << 20)

struct xfer_side {
	enum xfer_mem mem;
	enum xfer_iova iova;
	size_t at;	/* offset in the area, at least XFER_GUARD from its ends */
	int sges;	/* for the local side of a request, and for receives */
};

struct xfer {
	enum xfer_kind kind;
	unsigned int mtu;
	uint32_t len;
	struct xfer_side src;
	struct xfer_side dst;
};

struct xfer_area {
	uint8_t *base;
	struct rig_mr *mr[XFER_IOVAS];
};

struct xfer_env {
	struct rig *rig;
	struct xfer_area area[2][2];	/* [source, destination][pinned, on demand] */
	struct rig_pair *pair[XFER_KINDS][5];
	uint8_t *grh;			/* where UD receives put their header */
	struct rig_mr *grh_mr;
	uint64_t count;			/* transfers so far: each has its own pattern */
};

const char *xfer_kind_name(enum xfer_kind kind);
struct xfer_env *xfer_open(bool odp);
void xfer_close(struct xfer_env *env);
struct rig_pair *xfer_pair(struct xfer_env *env, enum xfer_kind kind, unsigned int mtu);
/* Makes the transfer and checks it; ends the test with a description of it when it is wrong. */
void xfer_run(struct xfer_env *env, const struct xfer *x);

#endif
