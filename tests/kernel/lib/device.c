// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Opening the device, making and connecting queue pairs. */
#include "rig.h"

#define DEFAULT_DEADLINE	30

#define OPS_UD	(IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM)
#define OPS_UC	(OPS_UD | IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM)
#define OPS_RC	(OPS_UC | IBV_QP_EX_WITH_RDMA_READ)
#define ATOMICS	(IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP | IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD)

/* Of every device that is judged: what on-demand memory is good for at least. */
#define ODP_LEAST	(IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_WRITE |	\
			 IBV_ODP_SUPPORT_READ)

struct rig_attr rig_attr(void)
{
	return (struct rig_attr){
		.mtu = 1024,
		.timeout = 17,		/* half a second: an emulated machine stalls for that long */
		.retry_cnt = 7,
		.rnr_retry = 7,
		.min_rnr_timer = 1,
		.max_rd_atomic = 16,
		.sq_depth = 128,
		.rq_depth = 128,
		.send_sge = 8,
		.recv_sge = 8,
		.max_inline = 256,
		.cq_depth = 512,
	};
}

static struct ibv_context *open_device(const char *name)
{
	struct ibv_context *ctx = NULL;
	struct ibv_device **list;
	int i, count;

	list = ibv_get_device_list(&count);
	if (!list)
		ck_abort_msg("no list of RDMA devices: %s", strerror(errno));
	for (i = 0; i < count; i++) {
		if (strcmp(ibv_get_device_name(list[i]), name))
			continue;
		ctx = ibv_open_device(list[i]);
		if (!ctx)
			ck_abort_msg("cannot open RDMA device %s: %s", name, strerror(errno));
	}
	ibv_free_device_list(list);
	if (!ctx)
		ck_abort_msg("no RDMA device %s among %d: load rdma_rxe and run "
			     "'rdma link add %s type rxe netdev NETDEV', or set ODPREG_DEVICE",
			     name, count, name);
	return ctx;
}

static bool odp_atomics(const struct ibv_device_attr_ex *caps)
{
	return caps->orig_attr.atomic_cap != IBV_ATOMIC_NONE &&
	       caps->odp_caps.per_transport_caps.rc_odp_caps & IBV_ODP_SUPPORT_ATOMIC;
}

bool rig_odp_atomics(const struct rig *rig)
{
	return odp_atomics(&rig->caps);
}

/* What keeps a device from being judged, or NULL. */
static const char *lacks(struct ibv_device *device)
{
	struct ibv_context *ctx = ibv_open_device(device);
	struct ibv_device_attr_ex caps;
	const char *what = NULL;

	if (!ctx)
		return "cannot be opened";
	if (ibv_query_device_ex(ctx, NULL, &caps))
		what = "cannot be queried";
	else if (!(caps.odp_caps.general_caps & IBV_ODP_SUPPORT))
		what = "has no on-demand paging";
	else if (~caps.odp_caps.per_transport_caps.rc_odp_caps & ODP_LEAST)
		what = "cannot do all of send, receive, write and read (RC) on demand";
	else if (!odp_atomics(&caps))
		printf("%s says that on-demand memory takes no atomics: they are left out\n",
		       ibv_get_device_name(device));
	ibv_close_device(ctx);
	return what;
}

int rig_pick_device(char *why, size_t size)
{
	const char *named = getenv("ODPREG_DEVICE"), *name, *lack = NULL;
	int i, count = 0, code = 77;
	struct ibv_device **list = ibv_get_device_list(&count);
	const char *mark = ":";
	size_t used;

	snprintf(why, size, "there is no RDMA device with on-demand paging");
	for (i = 0; list && i < count && code == 77; i++) {
		name = ibv_get_device_name(list[i]);
		if (named && strcmp(name, named))
			continue;
		lack = lacks(list[i]);
		if (!lack) {
			code = setenv("ODPREG_DEVICE", name, 1);
			break;
		}
		used = strlen(why);
		snprintf(why + used, size - used, "%s %s %s", mark, name, lack);
		mark = ";";
	}
	ibv_free_device_list(list);
	if (named && !lack && code) {
		snprintf(why, size, "there is no RDMA device %s among %d ('rdma link' shows them)",
			 named, count);
		return 2;
	}
	if (!count)
		snprintf(why, size, "there is no RDMA device: load its driver, or rdma_rxe and run "
			 "'rdma link add rxe0 type rxe netdev NETDEV'");
	return code;
}

/* The entry for RoCE v2 over IPv4: an address mapped as ::ffff:a.b.c.d. */
static void choose_gid(struct rig *rig)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry entry[64];
	ssize_t i, count;

	count = ibv_query_gid_table(rig->ctx, entry, 64, 0);
	for (i = 0; i < count; i++) {
		if (entry[i].gid_type != IBV_GID_TYPE_ROCE_V2 || entry[i].port_num != rig->port)
			continue;
		if (memcmp(entry[i].gid.raw, mapped, sizeof(mapped)))
			continue;
		rig->gid = entry[i].gid;
		rig->gid_index = entry[i].gid_index;
		return;
	}
	ck_abort_msg("%s has no RoCE v2 GID of an IPv4 address (%zd GIDs): give its network device one",
		     ibv_get_device_name(rig->ctx->device), count);
}

static void make_srq(struct rig *rig)
{
	struct ibv_srq_init_attr init = {
		.attr = { .max_wr = rig->attr.srq_depth, .max_sge = rig->attr.recv_sge },
	};

	rig->srq = ibv_create_srq(rig->pd, &init);
	if (!rig->srq)
		ck_abort_msg("cannot create an SRQ of %u: %s", init.attr.max_wr, strerror(errno));
}

struct rig *rig_open(const struct rig_attr *attr)
{
	const char *deadline = getenv("ODPREG_DEADLINE");
	struct ibv_port_attr port;
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		ck_abort_msg("out of memory");
	rig->attr = attr ? *attr : rig_attr();
	if (!rig->attr.device)
		rig->attr.device = getenv("ODPREG_DEVICE");
	if (!rig->attr.device)
		rig->attr.device = "rxe0";
	rig->deadline = deadline ? (unsigned int)atoi(deadline) : DEFAULT_DEADLINE;
	rig->port = 1;
	rig->ctx = open_device(rig->attr.device);
	if (ibv_query_device_ex(rig->ctx, NULL, &rig->caps))
		ck_abort_msg("cannot query %s", rig->attr.device);
	if (ibv_query_port(rig->ctx, rig->port, &port))
		ck_abort_msg("cannot query port %u of %s", rig->port, rig->attr.device);
	rig->active_mtu = port.active_mtu;
	rig->lid = port.lid;
	rig->by_lid = port.link_layer == IBV_LINK_LAYER_INFINIBAND;
	if (!rig->by_lid)
		choose_gid(rig);
	rig->pd = ibv_alloc_pd(rig->ctx);
	if (!rig->pd)
		ck_abort_msg("cannot allocate a PD: %s", strerror(errno));
	if (rig->attr.channel) {
		rig->channel = ibv_create_comp_channel(rig->ctx);
		if (!rig->channel)
			ck_abort_msg("cannot create a completion channel: %s", strerror(errno));
	}
	if (rig->attr.srq_depth)
		make_srq(rig);
	return rig;
}

void rig_close(struct rig *rig)
{
	int err = 0;

	if (rig->srq)
		err = ibv_destroy_srq(rig->srq);
	ck_assert_msg(!err, "cannot destroy the SRQ: %s", strerror(err));
	if (rig->channel)
		err = ibv_destroy_comp_channel(rig->channel);
	ck_assert_msg(!err, "cannot destroy the completion channel: %s", strerror(err));
	err = ibv_dealloc_pd(rig->pd);
	ck_assert_msg(!err, "cannot deallocate the PD: %s (is something still registered?)",
		      strerror(err));
	ibv_close_device(rig->ctx);
	free(rig);
}

static bool chosen_implicit;

void rig_set_implicit(bool implicit)
{
	chosen_implicit = implicit;
}

bool rig_by_implicit(void)
{
	static const char prefix[] = "test_implicit_";

	return chosen_implicit ||
	       !strncmp(program_invocation_short_name, prefix, sizeof(prefix) - 1);
}

bool rig_has_odp(const struct rig *rig)
{
	if (rig_by_implicit())
		return rig_has_implicit(rig);
	return rig->caps.odp_caps.general_caps & IBV_ODP_SUPPORT;
}

bool rig_has_implicit(const struct rig *rig)
{
	return rig->caps.odp_caps.general_caps & IBV_ODP_SUPPORT_IMPLICIT;
}

static enum ibv_mtu mtu_code(unsigned int bytes)
{
	switch (bytes) {
	case 256: return IBV_MTU_256;
	case 512: return IBV_MTU_512;
	case 1024: return IBV_MTU_1024;
	case 2048: return IBV_MTU_2048;
	case 4096: return IBV_MTU_4096;
	}
	ck_abort_msg("%u is no path MTU: 256, 512, 1024, 2048 or 4096", bytes);
}

static struct ibv_cq *make_cq(struct rig *rig)
{
	struct ibv_cq *cq = ibv_create_cq(rig->ctx, (int)rig->attr.cq_depth, rig, rig->channel, 0);

	if (!cq)
		ck_abort_msg("cannot create a CQ of %u: %s", rig->attr.cq_depth, strerror(errno));
	return cq;
}

/* What a device does not have it must not be asked for: it makes no queue pair then. */
static uint64_t rc_ops(const struct rig *rig)
{
	const uint64_t flags = rig->caps.device_cap_flags_ex;
	uint64_t ops = OPS_RC;

	if (rig->caps.orig_attr.atomic_cap != IBV_ATOMIC_NONE)
		ops |= ATOMICS;
	if (flags & (IB_UVERBS_DEVICE_FLUSH_GLOBAL | IB_UVERBS_DEVICE_FLUSH_PERSISTENT))
		ops |= IBV_QP_EX_WITH_FLUSH;
	if (flags & IB_UVERBS_DEVICE_ATOMIC_WRITE)
		ops |= IBV_QP_EX_WITH_ATOMIC_WRITE;
	return ops;
}

static unsigned int rc_access(const struct rig *rig)
{
	const uint64_t flags = rig->caps.device_cap_flags_ex;
	unsigned int access = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

	if (rig->caps.orig_attr.atomic_cap != IBV_ATOMIC_NONE)
		access |= IBV_ACCESS_REMOTE_ATOMIC;
	if (flags & IB_UVERBS_DEVICE_FLUSH_GLOBAL)
		access |= IBV_ACCESS_FLUSH_GLOBAL;
	if (flags & IB_UVERBS_DEVICE_FLUSH_PERSISTENT)
		access |= IBV_ACCESS_FLUSH_PERSISTENT;
	return access;
}

/* Reads and atomics under way at once, of which a device may do fewer than is asked for. */
static uint8_t read_depth(const struct rig *rig)
{
	int most = rig->caps.orig_attr.max_qp_rd_atom;

	return most < rig->attr.max_rd_atomic ? (uint8_t)most : rig->attr.max_rd_atomic;
}

static void make_end(struct rig_pair *pair, enum rig_side side)
{
	const struct rig_attr *a = &pair->rig->attr;
	struct rig_end *end = &pair->end[side];
	struct ibv_qp_init_attr_ex init = {
		.cap = {
			.max_send_wr = a->sq_depth, .max_recv_wr = a->rq_depth,
			.max_send_sge = a->send_sge, .max_recv_sge = a->recv_sge,
			.max_inline_data = a->max_inline,
		},
		.qp_type = pair->type,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = pair->rig->pd,
		.send_ops_flags = pair->type == IBV_QPT_RC ? rc_ops(pair->rig) :
				  pair->type == IBV_QPT_UC ? OPS_UC : OPS_UD,
	};

	end->scq = make_cq(pair->rig);
	end->rcq = make_cq(pair->rig);
	init.send_cq = end->scq;
	init.recv_cq = end->rcq;
	end->on_srq = side == RIG_B && pair->srq;
	if (end->on_srq) {
		init.srq = pair->rig->srq;
		init.cap.max_recv_wr = 0;
		init.cap.max_recv_sge = 0;
	}
	end->qp = ibv_create_qp_ex(pair->rig->ctx, &init);
	if (!end->qp)
		ck_abort_msg("cannot create a queue pair of type %d: %s", pair->type,
			     strerror(errno));
	end->qpx = ibv_qp_to_qp_ex(end->qp);
}

static struct ibv_ah_attr path(const struct rig *rig)
{
	/* An InfiniBand port reaches itself by its LID; RoCE has none. */
	if (rig->by_lid)
		return (struct ibv_ah_attr){ .dlid = rig->lid, .port_num = rig->port };
	return (struct ibv_ah_attr){
		.is_global = 1,
		.grh = { .dgid = rig->gid, .sgid_index = rig->gid_index, .hop_limit = 64 },
		.port_num = rig->port,
	};
}

static uint32_t first_psn(enum rig_side side)
{
	/* Near the wrap of the 24 bits, so that every longer test crosses it. */
	return side == RIG_A ? 0xfffff0 : 0x123456;
}

static int to_init(struct rig_pair *pair, enum rig_side side)
{
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = pair->rig->port,
		.qkey = RIG_QKEY,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
	};

	if (pair->type == IBV_QPT_RC)
		attr.qp_access_flags = rc_access(pair->rig);
	mask |= pair->type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS;
	return ibv_modify_qp(pair->end[side].qp, &attr, mask);
}

static int to_rtr(struct rig_pair *pair, enum rig_side side, uint32_t dest)
{
	const struct rig_attr *a = &pair->rig->attr;
	int mask = IBV_QP_STATE;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = mtu_code(pair->mtu),
		.dest_qp_num = dest,
		.rq_psn = first_psn(!side),
		.max_dest_rd_atomic = read_depth(pair->rig),
		.min_rnr_timer = a->min_rnr_timer,
		.ah_attr = path(pair->rig),
	};

	if (pair->type != IBV_QPT_UD)
		mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
	if (pair->type == IBV_QPT_RC)
		mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	return ibv_modify_qp(pair->end[side].qp, &attr, mask);
}

static int to_rts(struct rig_pair *pair, enum rig_side side)
{
	const struct rig_attr *a = &pair->rig->attr;
	int mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.sq_psn = first_psn(side),
		.timeout = a->timeout,
		.retry_cnt = a->retry_cnt,
		.rnr_retry = a->rnr_retry,
		.max_rd_atomic = read_depth(pair->rig),
	};

	if (pair->type == IBV_QPT_RC)
		mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_MAX_QP_RD_ATOMIC;
	return ibv_modify_qp(pair->end[side].qp, &attr, mask);
}

static void check_step(const struct rig_pair *pair, const char *state, int err)
{
	if (err)
		ck_abort_msg("queue pair of type %d, MTU %u: no way to %s: %s", pair->type,
			     pair->mtu, state, strerror(err));
}

void rig_join(struct rig_pair *pair, enum rig_side side, uint32_t dest)
{
	struct ibv_ah_attr attr = path(pair->rig);
	struct rig_end *end = &pair->end[side];

	check_step(pair, "INIT", to_init(pair, side));
	check_step(pair, "RTR", to_rtr(pair, side, dest));
	check_step(pair, "RTS", to_rts(pair, side));
	if (pair->type != IBV_QPT_UD)
		return;
	end->ah = ibv_create_ah(pair->rig->pd, &attr);
	if (!end->ah)
		ck_abort_msg("cannot create an address handle: %s", strerror(errno));
}

static void connect_pair(struct rig_pair *pair)
{
	rig_join(pair, RIG_A, pair->end[RIG_B].qp->qp_num);
	rig_join(pair, RIG_B, pair->end[RIG_A].qp->qp_num);
}

static void make_ends(struct rig_pair *pair)
{
	make_end(pair, RIG_A);
	make_end(pair, RIG_B);
}

static void disconnect_pair(struct rig_pair *pair)
{
	int side, err;

	for (side = RIG_A; side <= RIG_B; side++) {
		struct rig_end *end = &pair->end[side];

		err = ibv_destroy_qp(end->qp);
		ck_assert_msg(!err, "cannot destroy a queue pair: %s", strerror(err));
		err = ibv_destroy_cq(end->scq);
		ck_assert_msg(!err, "cannot destroy a send CQ: %s", strerror(err));
		err = ibv_destroy_cq(end->rcq);
		ck_assert_msg(!err, "cannot destroy a receive CQ: %s", strerror(err));
		if (end->ah)
			ibv_destroy_ah(end->ah);
		memset(end, 0, sizeof(*end));
	}
}

static struct rig_pair *new_pair(struct rig *rig, enum ibv_qp_type type, unsigned int mtu, bool srq)
{
	struct rig_pair *pair = calloc(1, sizeof(*pair));

	if (!pair)
		ck_abort_msg("out of memory");
	pair->rig = rig;
	pair->type = type;
	pair->mtu = mtu;
	pair->srq = srq;
	if (srq && !rig->srq)
		ck_abort_msg("a pair on an SRQ needs a rig opened with srq_depth");
	if (mtu_code(mtu) > rig->active_mtu)
		ck_abort_msg("path MTU %u does not fit the port: give its network device MTU 9000",
			     mtu);
	make_ends(pair);
	return pair;
}

struct rig_pair *rig_pair_srq(struct rig *rig, enum ibv_qp_type type, unsigned int mtu, bool srq)
{
	struct rig_pair *pair = new_pair(rig, type, mtu, srq);

	connect_pair(pair);
	return pair;
}

struct rig_pair *rig_pair_loose(struct rig *rig, enum ibv_qp_type type)
{
	return new_pair(rig, type, rig->attr.mtu, false);
}

struct rig_pair *rig_pair_mtu(struct rig *rig, enum ibv_qp_type type, unsigned int mtu)
{
	return rig_pair_srq(rig, type, mtu, rig->srq && type == IBV_QPT_RC);
}

struct rig_pair *rig_pair(struct rig *rig, enum ibv_qp_type type)
{
	return rig_pair_mtu(rig, type, rig->attr.mtu);
}

void rig_unpair(struct rig_pair *pair)
{
	disconnect_pair(pair);
	free(pair);
}

void rig_reconnect(struct rig_pair *pair)
{
	disconnect_pair(pair);
	make_ends(pair);
	connect_pair(pair);
}

void rig_set_state(struct rig_pair *pair, enum rig_side side, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };
	int err = ibv_modify_qp(pair->end[side].qp, &attr, IBV_QP_STATE);

	ck_assert_msg(!err, "cannot move the queue pair to state %d: %s", state, strerror(err));
}

void rig_wait_state(struct rig_pair *pair, enum rig_side side, enum ibv_qp_state state)
{
	const double end = rig_now() + pair->rig->deadline;
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	int err;

	do {
		err = ibv_query_qp(pair->end[side].qp, &attr, IBV_QP_STATE, &init);
		ck_assert_msg(!err, "cannot query the queue pair: %s", strerror(err));
		if (attr.qp_state == state)
			return;
		rig_sleep(0.001);
	} while (rig_now() < end);
	ck_abort_msg("the queue pair is in state %d and does not get to %d", attr.qp_state, state);
}
