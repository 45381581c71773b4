// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Work requests and their completions. */
#include <sched.h>

#include "rig.h"

#define MAX_SGE	32

const char *rig_verb_name(enum rig_verb verb)
{
	static const char *const name[] = {
		[RIG_WRITE] = "write", [RIG_WRITE_IMM] = "write with immediate",
		[RIG_READ] = "read", [RIG_SEND] = "send", [RIG_SEND_IMM] = "send with immediate",
		[RIG_CAS] = "compare and swap", [RIG_FADD] = "fetch and add",
		[RIG_ATOMIC_WRITE] = "atomic write", [RIG_FLUSH] = "flush",
	};

	return name[verb];
}

const char *rig_status_name(int status)
{
	return status == RIG_NO_PEER ? "none" : ibv_wc_status_str((enum ibv_wc_status)status);
}

bool rig_res_ok(struct rig_res res)
{
	return res.status == IBV_WC_SUCCESS &&
	       (res.peer == IBV_WC_SUCCESS || res.peer == RIG_NO_PEER);
}

static int copy_sg(struct ibv_sge *out, const struct rig_span *sg, int nsg)
{
	int i;

	if (nsg > MAX_SGE)
		ck_abort_msg("%d SGEs in one work request, %d at most", nsg, MAX_SGE);
	for (i = 0; i < nsg; i++)
		out[i] = (struct ibv_sge){ sg[i].addr, sg[i].len, sg[i].lkey };
	return nsg;
}

static unsigned int send_flags(const struct rig_op *op)
{
	return (op->flags & RIG_SILENT ? 0 : IBV_SEND_SIGNALED) |
	       (op->flags & RIG_INLINE ? IBV_SEND_INLINE : 0) |
	       (op->flags & RIG_FENCE ? IBV_SEND_FENCE : 0);
}

/* The two verbs that only the newer interface has, and the two that it does not look into. */
static int post_extended(struct rig_end *end, const struct rig_op *op)
{
	struct ibv_qp_ex *q = end->qpx;

	if (!q)
		return EOPNOTSUPP;
	ibv_wr_start(q);
	q->wr_id = op->wr_id;
	q->wr_flags = send_flags(op);
	switch (op->verb) {
	case RIG_ATOMIC_WRITE:
		ibv_wr_atomic_write(q, op->remote.rkey, op->remote.addr, &op->value);
		break;
	case RIG_CAS:
		ibv_wr_atomic_cmp_swp(q, op->remote.rkey, op->remote.addr, op->compare, op->value);
		ibv_wr_set_sge(q, op->sg[0].lkey, op->sg[0].addr, op->sg[0].len);
		break;
	case RIG_FADD:
		ibv_wr_atomic_fetch_add(q, op->remote.rkey, op->remote.addr, op->value);
		ibv_wr_set_sge(q, op->sg[0].lkey, op->sg[0].addr, op->sg[0].len);
		break;
	default:
		ibv_wr_flush(q, op->remote.rkey, op->remote.addr, op->remote.len, op->flush_type,
			     op->flush_level);
	}
	return ibv_wr_complete(q);
}

static enum ibv_wr_opcode opcode_of(enum rig_verb verb)
{
	switch (verb) {
	case RIG_WRITE: return IBV_WR_RDMA_WRITE;
	case RIG_WRITE_IMM: return IBV_WR_RDMA_WRITE_WITH_IMM;
	case RIG_READ: return IBV_WR_RDMA_READ;
	case RIG_SEND: return IBV_WR_SEND;
	case RIG_SEND_IMM: return IBV_WR_SEND_WITH_IMM;
	case RIG_CAS: return IBV_WR_ATOMIC_CMP_AND_SWP;
	case RIG_FADD: return IBV_WR_ATOMIC_FETCH_AND_ADD;
	default: ck_abort_msg("verb %d has no classic opcode", verb);
	}
}

static void set_target(struct ibv_send_wr *wr, struct rig_pair *pair, const struct rig_op *op)
{
	if (op->verb == RIG_CAS || op->verb == RIG_FADD) {
		wr->wr.atomic.remote_addr = op->remote.addr;
		wr->wr.atomic.rkey = op->remote.rkey;
		wr->wr.atomic.compare_add = op->verb == RIG_CAS ? op->compare : op->value;
		wr->wr.atomic.swap = op->value;
	} else if (pair->type == IBV_QPT_UD) {
		wr->wr.ud.ah = pair->end[op->from].ah;
		wr->wr.ud.remote_qpn = pair->end[!op->from].qp->qp_num;
		wr->wr.ud.remote_qkey = RIG_QKEY;
	} else {
		wr->wr.rdma.remote_addr = op->remote.addr;
		wr->wr.rdma.rkey = op->remote.rkey;
	}
}

int rig_post(struct rig_pair *pair, const struct rig_op *op)
{
	struct ibv_sge sge[MAX_SGE];
	struct ibv_send_wr *bad, wr = {
		.wr_id = op->wr_id,
		.sg_list = sge,
		.num_sge = copy_sg(sge, op->sg, op->nsg),
		.send_flags = send_flags(op),
		.imm_data = htobe32(op->imm),
	};

	if (op->verb == RIG_ATOMIC_WRITE || op->verb == RIG_FLUSH || op->flags & RIG_UNCHECKED)
		return post_extended(&pair->end[op->from], op);
	wr.opcode = opcode_of(op->verb);
	set_target(&wr, pair, op);
	return ibv_post_send(pair->end[op->from].qp, &wr, &bad);
}

int rig_post_recv(struct rig_pair *pair, enum rig_side side, const struct rig_span *sg, int nsg,
		  uint64_t wr_id)
{
	struct rig_end *end = &pair->end[side];
	struct ibv_sge sge[MAX_SGE];
	struct ibv_recv_wr *bad, wr = {
		.wr_id = wr_id,
		.sg_list = sge,
		.num_sge = copy_sg(sge, sg, nsg),
	};

	if (end->on_srq)
		return ibv_post_srq_recv(pair->rig->srq, &wr, &bad);
	return ibv_post_recv(end->qp, &wr, &bad);
}

uint32_t rig_post_bind(struct rig_pair *pair, enum rig_side side, struct ibv_mw *mw,
		       const struct rig_mr *mr, const uint8_t *addr, uint64_t len,
		       unsigned int access)
{
	struct ibv_send_wr *bad, wr = {
		.opcode = IBV_WR_BIND_MW,
		.send_flags = IBV_SEND_SIGNALED,
		.bind_mw = {
			.mw = mw,
			.rkey = ibv_inc_rkey(mw->rkey),
			.bind_info = {
				.mr = mr->mr,
				.addr = (uintptr_t)addr,
				.length = len,
				.mw_access_flags = access,
			},
		},
	};

	ck_assert_int_eq(ibv_post_send(pair->end[side].qp, &wr, &bad), 0);
	return wr.bind_mw.rkey;
}

int rig_poll(struct ibv_cq *cq, struct ibv_wc *wc, int max)
{
	int n = ibv_poll_cq(cq, max, wc);

	if (n < 0)
		ck_abort_msg("ibv_poll_cq: %d", n);
	return n;
}

bool rig_try_reap(struct ibv_cq *cq, struct ibv_wc *wc, int count, double seconds)
{
	double end = rig_now() + seconds;
	unsigned int idle = 0;
	int n, got = 0;

	for (;;) {
		n = rig_poll(cq, wc + got, count - got);
		got += n;
		if (got == count)
			return true;
		if (n)
			continue;
		/* Leave the processors to the driver's work queue: first politely, then for long. */
		if (++idle < 200)
			sched_yield();
		else
			rig_sleep(50e-6);
		if (idle % 64 == 0 && rig_now() > end)
			return false;
	}
}

void rig_reap(struct rig *rig, struct ibv_cq *cq, struct ibv_wc *wc, int count, const char *what)
{
	if (rig_try_reap(cq, wc, count, rig->deadline))
		return;
	rig_print_counters(rig);
	ck_abort_msg("hang: %s: not all of %d completions in %u s", what, count, rig->deadline);
}

static void describe(char *text, size_t size, const struct rig_pair *pair, const struct rig_op *op,
		     const char *whose)
{
	uint64_t len = 0;
	int i;

	for (i = 0; i < op->nsg; i++)
		len += op->sg[i].len;
	snprintf(text, size, "%s of %s of %ju bytes, local %#jx, remote %#jx, type %d, MTU %u", whose,
		 rig_verb_name(op->verb), (uintmax_t)len,
		 (uintmax_t)(op->nsg ? op->sg[0].addr : 0), (uintmax_t)op->remote.addr, pair->type,
		 pair->mtu);
}

static bool takes_receive(enum rig_verb verb)
{
	return verb == RIG_SEND || verb == RIG_SEND_IMM || verb == RIG_WRITE_IMM;
}

/*
 * After a failed request the receive may never be consumed, so it is flushed out. An SRQ cannot be
 * flushed: its receive is consumed by the next send, and this operation reports none.
 */
static bool receive_ends(struct rig_pair *pair, const struct rig_op *op, int status)
{
	if (status == IBV_WC_SUCCESS)
		return true;
	if (pair->end[!op->from].on_srq)
		return false;
	rig_set_state(pair, !op->from, IBV_QPS_ERR);
	return true;
}

struct rig_res rig_do(struct rig_pair *pair, const struct rig_op *op, const struct rig_span *recv,
		      int nrecv)
{
	struct rig_res res = { .status = -1, .peer = RIG_NO_PEER };
	struct ibv_wc wc = { 0 };
	char what[200];
	int err;

	if (takes_receive(op->verb)) {
		err = rig_post_recv(pair, !op->from, recv, nrecv, op->wr_id);
		if (err)
			ck_abort_msg("cannot post a receive: %s", strerror(err));
	}
	err = rig_post(pair, op);
	describe(what, sizeof(what), pair, op, "requester");
	if (err)
		ck_abort_msg("%s: post: %s", what, strerror(err));
	rig_reap(pair->rig, pair->end[op->from].scq, &wc, 1, what);
	res.status = wc.status;
	if (!takes_receive(op->verb) || !receive_ends(pair, op, res.status))
		return res;
	describe(what, sizeof(what), pair, op, "receive");
	rig_reap(pair->rig, pair->end[!op->from].rcq, &wc, 1, what);
	res.peer = wc.status;
	res.byte_len = wc.byte_len;
	res.imm = be32toh(wc.imm_data);
	res.wc_flags = wc.wc_flags;
	return res;
}

static struct rig_res simple(struct rig_pair *pair, enum rig_verb verb, const struct rig_span *local,
			     struct rig_span remote)
{
	struct rig_op op = { .verb = verb, .sg = local, .nsg = 1, .remote = remote };

	return rig_do(pair, &op, NULL, 0);
}

struct rig_res rig_write(struct rig_pair *pair, struct rig_span local, struct rig_span remote)
{
	return simple(pair, RIG_WRITE, &local, remote);
}

struct rig_res rig_read(struct rig_pair *pair, struct rig_span local, struct rig_span remote)
{
	return simple(pair, RIG_READ, &local, remote);
}

struct rig_res rig_send(struct rig_pair *pair, struct rig_span local, struct rig_span recv)
{
	struct rig_op op = { .verb = RIG_SEND, .sg = &local, .nsg = 1 };

	return rig_do(pair, &op, &recv, 1);
}

struct rig_res rig_write_imm(struct rig_pair *pair, struct rig_span local, struct rig_span remote,
			     uint32_t imm)
{
	struct rig_op op = {
		.verb = RIG_WRITE_IMM, .sg = &local, .nsg = 1, .remote = remote, .imm = imm,
	};

	return rig_do(pair, &op, NULL, 0);
}

struct rig_res rig_cas(struct rig_pair *pair, struct rig_span local, struct rig_span remote,
		       uint64_t compare, uint64_t swap)
{
	struct rig_op op = {
		.verb = RIG_CAS, .sg = &local, .nsg = 1, .remote = remote,
		.compare = compare, .value = swap,
	};

	return rig_do(pair, &op, NULL, 0);
}

struct rig_res rig_fadd(struct rig_pair *pair, struct rig_span local, struct rig_span remote,
			uint64_t add)
{
	struct rig_op op = {
		.verb = RIG_FADD, .sg = &local, .nsg = 1, .remote = remote, .value = add,
	};

	return rig_do(pair, &op, NULL, 0);
}

struct rig_res rig_atomic_write(struct rig_pair *pair, struct rig_span remote, uint64_t value)
{
	struct rig_op op = { .verb = RIG_ATOMIC_WRITE, .remote = remote, .value = value };

	return rig_do(pair, &op, NULL, 0);
}

struct rig_res rig_flush(struct rig_pair *pair, struct rig_span remote, uint8_t type, uint8_t level)
{
	struct rig_op op = {
		.verb = RIG_FLUSH, .remote = remote, .flush_type = type, .flush_level = level,
	};

	return rig_do(pair, &op, NULL, 0);
}
