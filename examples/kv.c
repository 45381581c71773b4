// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Connection and transfers of the key-value example. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kv.h"

#define DEPTH	16

void kv_fail(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	exit(EXIT_FAILURE);
}

static struct ibv_context *open_device(const char *name)
{
	struct ibv_device **list;
	struct ibv_context *context = NULL;
	int i, count;

	list = ibv_get_device_list(&count);
	for (i = 0; list && i < count && !context; i++)
		if (!name || !strcmp(name, ibv_get_device_name(list[i])))
			context = ibv_open_device(list[i]);
	if (!context)
		kv_fail(name ? name : "no RDMA device that opens (load rdma_rxe, 'rdma link add')",
			ENODEV);
	ibv_free_device_list(list);
	return context;
}

/* RoCE version 2 over IPv4. */
static void choose_gid(struct kv *kv)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry entry[32];
	ssize_t i, count = ibv_query_gid_table(kv->context, entry, 32, 0);

	for (i = 0; i < count; i++) {
		if (entry[i].gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    memcmp(entry[i].gid.raw, mapped, sizeof(mapped)))
			continue;
		kv->mine.gid = entry[i].gid;
		kv->gid_index = (uint8_t)entry[i].gid_index;
		return;
	}
	kv_fail("no RoCE v2 address: give the device's network interface an IPv4 address", EADDRNOTAVAIL);
}

void kv_open(struct kv *kv, const char *device)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
		.cap = { .max_send_wr = DEPTH, .max_recv_wr = DEPTH, .max_send_sge = 1, .max_recv_sge = 1 },
	};
	int err;

	memset(kv, 0, sizeof(*kv));
	kv->context = open_device(device);
	choose_gid(kv);
	kv->pd = ibv_alloc_pd(kv->context);
	kv->cq = kv->pd ? ibv_create_cq(kv->context, 2 * DEPTH, NULL, NULL, 0) : NULL;
	init.send_cq = kv->cq;
	init.recv_cq = kv->cq;
	kv->qp = kv->cq ? ibv_create_qp(kv->pd, &init) : NULL;
	if (!kv->qp)
		kv_fail("queue pair", errno);
	kv->mine.qpn = kv->qp->qp_num;
	err = odpreg_open(kv->pd, NULL, &kv->domain);
	if (err)
		kv_fail("odpreg_open", err);
}

void kv_close(struct kv *kv)
{
	int err;

	ibv_destroy_qp(kv->qp);
	err = odpreg_close(kv->domain);
	if (err)
		kv_fail("odpreg_close", err);
	ibv_destroy_cq(kv->cq);
	ibv_dealloc_pd(kv->pd);
	ibv_close_device(kv->context);
}

static void whole(ssize_t n, size_t wanted, const char *what)
{
	if (n != (ssize_t)wanted)
		kv_fail(what, n < 0 ? errno : ECONNRESET);
}

void kv_connect(struct kv *kv, int socket)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ,
	};
	int err;

	whole(write(socket, &kv->mine, sizeof(kv->mine)), sizeof(kv->mine), "hello to the peer");
	whole(read(socket, &kv->peer, sizeof(kv->peer)), sizeof(kv->peer), "hello of the peer");
	err = ibv_modify_qp(kv->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			    IBV_QP_ACCESS_FLAGS);
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = kv->peer.qpn,
		.max_dest_rd_atomic = 1, .min_rnr_timer = 12,
		.ah_attr = { .is_global = 1, .port_num = 1,
			     .grh = { .dgid = kv->peer.gid, .sgid_index = kv->gid_index, .hop_limit = 64 } },
	};
	if (!err)
		err = ibv_modify_qp(kv->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				    IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				    IBV_QP_MIN_RNR_TIMER);
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS, .timeout = 17, .retry_cnt = 7, .rnr_retry = 7, .max_rd_atomic = 1,
	};
	if (!err)
		err = ibv_modify_qp(kv->qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				    IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
	if (err)
		kv_fail("connecting the queue pair", err);
}

/* ------------------------------------------------------------------ transfers */

static void post(struct kv *kv, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;
	int err = ibv_post_send(kv->qp, wr, &bad);

	if (err)
		kv_fail("ibv_post_send", err);
}

void kv_send(struct kv *kv, void *from, uint32_t len, const struct odpreg_mem *mem)
{
	struct ibv_sge sge = { .addr = (uintptr_t)from, .length = len, .lkey = mem->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND };

	post(kv, &wr);
}

void kv_read(struct kv *kv, void *to, const struct odpreg_mem *mem, uint64_t slot)
{
	struct ibv_sge sge = { .addr = (uintptr_t)to, .length = KV_SLOT, .lkey = mem->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_READ,
		.wr.rdma = { .remote_addr = kv->peer.table + slot * KV_SLOT, .rkey = kv->peer.rkey },
	};

	post(kv, &wr);
}

void kv_receive(struct kv *kv, void *to, uint32_t len, const struct odpreg_mem *mem)
{
	struct ibv_sge sge = { .addr = (uintptr_t)to, .length = len, .lkey = mem->lkey };
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;
	int err = ibv_post_recv(kv->qp, &wr, &bad);

	if (err)
		kv_fail("ibv_post_recv", err);
}

void kv_wait(struct kv *kv, int count)
{
	struct ibv_wc wc;
	int n;

	while (count) {
		n = ibv_poll_cq(kv->cq, 1, &wc);
		if (n < 0)
			kv_fail("ibv_poll_cq", -n);
		if (!n)
			continue;
		if (wc.status != IBV_WC_SUCCESS) {
			fprintf(stderr, "a transfer failed: %s\n", ibv_wc_status_str(wc.status));
			exit(EXIT_FAILURE);
		}
		count--;
	}
}

/* ------------------------------------------------------------------ slots */

uint64_t kv_sum(const struct kv_slot *slot)
{
	uint64_t sum = 14695981039346656037ull ^ slot->key ^ slot->len;
	uint32_t i;

	for (i = 0; i < slot->len && i < KV_VALUE; i++)
		sum = (sum ^ (unsigned char)slot->value[i]) * 1099511628211ull;
	return sum;
}

uint64_t kv_home(uint64_t key, uint64_t slots)
{
	return (key * 11400714819323198485ull >> 17) % slots;
}

const char *kv_text(const struct odpreg_mem *mem)
{
	static char text[160];

	snprintf(text, sizeof(text), "%s (%s)", odpreg_kind_name(mem->kind), odpreg_why_text(mem->why));
	return text;
}
