/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The few calls of libibverbs that the library makes, without a device. A registration notes the 8
 * bytes at the start of its memory: that is what a device would find at the page that it has
 * pinned, whatever is mapped there later.
 */
#ifndef FAKE_H
#define FAKE_H

#include "reg.h"

struct fake {
	struct ibv_pd pd;		/* first: the library hands it back */
	struct reg_ops ops;
	struct ibv_odp_caps caps;
	_Atomic int alive;		/* registrations */
	_Atomic int made;
	_Atomic uint64_t pinned;	/* bytes that are pinned now */
	uint64_t limit;			/* of these; 0: none */
	_Atomic int again;		/* so many registrations fail with EAGAIN first */
	int refuse_odp;			/* errno of on-demand registrations, 0: none */
	int refuse_implicit;
	int refuse;			/* errno of all */
	int advise_error;
	_Atomic int advised;
	void (*meanwhile)(void *arg);	/* called in a registration, after the memory was looked at */
	void *arg;
};

void fake_init(struct fake *f, bool odp, bool implicit);
/* What the device has at start of the registration that keys belong to. */
uint64_t fake_holds(const struct odpreg_mem *mem, uint64_t addr);

#endif
