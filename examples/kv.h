/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A key-value store over RDMA, to show libodpreg at work: what server and client share.
 *
 * The server keeps a table of slots in ordinary memory and gets keys for all of it. A client reads
 * slots by RDMA, without the server's CPU; to store it sends the slot, which the server puts in
 * place. With on-demand paging the table may be larger than memory: what a read needs is swapped
 * in.
 */
#ifndef KV_H
#define KV_H

#include <infiniband/verbs.h>
#include <odpreg.h>
#include <stdbool.h>
#include <stdint.h>

#define KV_SLOT		4096u
#define KV_VALUE	(KV_SLOT - 24u)

/* A slot is empty while its length is 0. The sum tells a reader of a slot that is being written. */
struct kv_slot {
	uint64_t key;
	uint64_t sum;
	uint32_t len;
	uint32_t unused;
	char value[KV_VALUE];
};

/* What the two tell each other by TCP before there is a connection by RDMA. */
struct kv_hello {
	uint32_t qpn;
	uint32_t rkey;
	uint64_t table;
	uint64_t slots;
	union ibv_gid gid;
};

struct kv {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct odpreg_domain *domain;
	struct kv_hello mine;
	struct kv_hello peer;
	uint8_t gid_index;
};

void kv_fail(const char *what, int err) __attribute__((noreturn));
/* A device (NULL: the first), a domain, a queue pair. */
void kv_open(struct kv *kv, const char *device);
void kv_close(struct kv *kv);
/* Hellos are exchanged over socket, and the queue pair is connected. */
void kv_connect(struct kv *kv, int socket);
/* One work request; kv_wait() for its end. A receive that comes to its end says 0 when the peer went. */
void kv_send(struct kv *kv, void *from, uint32_t len, const struct odpreg_mem *mem);
void kv_receive(struct kv *kv, void *to, uint32_t len, const struct odpreg_mem *mem);
void kv_read(struct kv *kv, void *to, const struct odpreg_mem *mem, uint64_t slot);
void kv_wait(struct kv *kv, int count);

uint64_t kv_sum(const struct kv_slot *slot);
uint64_t kv_home(uint64_t key, uint64_t slots);
const char *kv_text(const struct odpreg_mem *mem);

#endif
