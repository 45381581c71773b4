/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* queues: what rxe shares with this process, which can write to it as it likes. */
#ifndef QUEUES_H
#define QUEUES_H

#include <rdma/rdma_user_rxe.h>

#include "rig.h"

#define QUEUES_MOST	16

/* The queues of this process, by what is mapped from the device; how many there are. */
int queues_find(struct rxe_queue_buf **queue, int most);
/* Where a posted request, of sends or of receives, names this piece of memory first. */
struct rxe_sge *queues_sge(struct rig_span span);

#endif
