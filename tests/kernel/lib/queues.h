/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* queues: what rxe shares with this process, which can write to it as it likes. */
#ifndef QUEUES_H
#define QUEUES_H

#include <rdma/rdma_user_rxe.h>

#include "rig.h"

#define QUEUES_MOST	2048

/* The queues of this process, by what is mapped from the device; how many there are. */
int queues_find(struct rxe_queue_buf **queue, int most);
/*
 * Requests whose first piece begins in [first, end), and no other is in, say that they have none
 * from now on; how many those were.
 */
int queues_hide_pieces(uint64_t first, uint64_t end);
/* Requests that name this address, of their own side or of the other, name another from now on. */
void queues_replace(uint64_t from, uint64_t to);

#endif
