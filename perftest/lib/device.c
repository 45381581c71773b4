// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The device, queue pairs connected by loopback, and processes that have their own. */
#include <sys/wait.h>

#include "bench.h"

#define CQ_DEPTH	16384
#define PSN		0x1234

_Thread_local struct bench_queues bench_queues;

static void open_device(void)
{
	struct ibv_device **list;
	int i, count = 0;

	list = ibv_get_device_list(&count);
	if (!list || !count)
		bench_die("this machine has no RDMA device: 'rdma link add rxe0 type rxe netdev "
			  "NETDEV' makes one");
	for (i = 0; i < count && !bench.ctx; i++) {
		const char *name = ibv_get_device_name(list[i]);

		if (bench.device && strcmp(bench.device, name))
			continue;
		bench.ctx = ibv_open_device(list[i]);
		if (!bench.ctx)
			bench_die("cannot open RDMA device %s: %s", name, strerror(errno));
	}
	ibv_free_device_list(list);
	if (!bench.ctx)
		bench_die("there is no RDMA device %s among %d (ibv_devices lists them)",
			  bench.device, count);
	if (!bench.device)
		bench.device = strdup(ibv_get_device_name(bench.ctx->device));
}

/* Addresses of InfiniBand itself need none; RoCE wants the entry of an IPv4 address, or some. */
static void choose_gid(void)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry entry[128];
	ssize_t i, count, best = -1;

	count = ibv_query_gid_table(bench.ctx, entry, ARRAY_SIZE(entry), 0);
	for (i = 0; i < count; i++) {
		if (entry[i].port_num != bench.port)
			continue;
		if (bench.gid_index != UINT64_MAX) {
			if (entry[i].gid_index == bench.gid_index)
				best = i;
			continue;
		}
		if (best < 0 || (entry[i].gid_type == IBV_GID_TYPE_ROCE_V2 &&
				 !memcmp(entry[i].gid.raw, mapped, sizeof(mapped)) &&
				 memcmp(entry[best].gid.raw, mapped, sizeof(mapped))))
			best = i;
	}
	if (best < 0)
		bench_die("port %llu of %s has no %sGID: does its network device have an address?",
			  (unsigned long long)bench.port, bench.device,
			  bench.gid_index == UINT64_MAX ? "" : "such ");
	bench.gid = entry[best].gid;
	bench.gid_index = entry[best].gid_index;
}

void bench_queues_make(void)
{
	int depth = CQ_DEPTH;

	if (depth > bench.caps.orig_attr.max_cqe)
		depth = bench.caps.orig_attr.max_cqe;
	bench_queues.channel = ibv_create_comp_channel(bench.ctx);
	if (!bench_queues.channel)
		bench_die("cannot create a completion channel: %s", strerror(errno));
	bench_queues.scq = ibv_create_cq(bench.ctx, depth, NULL, bench_queues.channel, 0);
	bench_queues.rcq = ibv_create_cq(bench.ctx, depth, NULL, NULL, 0);
	if (!bench_queues.scq || !bench_queues.rcq)
		bench_die("cannot create a completion queue of %d: %s", depth, strerror(errno));
}

void bench_open(void)
{
	open_device();
	if (ibv_query_device_ex(bench.ctx, NULL, &bench.caps))
		bench_die("cannot query %s: %s", bench.device, strerror(errno));
	if (ibv_query_port(bench.ctx, (uint8_t)bench.port, &bench.port_attr))
		bench_die("cannot query port %llu of %s", (unsigned long long)bench.port,
			  bench.device);
	if (bench.port_attr.state != IBV_PORT_ACTIVE)
		bench_die("port %llu of %s is not active: is its network device up?",
			  (unsigned long long)bench.port, bench.device);
	while (bench.mtu > 128ull << bench.port_attr.active_mtu)
		bench.mtu /= 2;
	bench.max_message = bench.port_attr.max_msg_sz;
	choose_gid();
	bench.pd = ibv_alloc_pd(bench.ctx);
	if (!bench.pd)
		bench_die("cannot allocate a protection domain: %s", strerror(errno));
	bench_queues_make();
}

void bench_queues_destroy(void)
{
	if (ibv_destroy_cq(bench_queues.scq) || ibv_destroy_cq(bench_queues.rcq) ||
	    ibv_destroy_comp_channel(bench_queues.channel))
		bench_die("cannot destroy a completion queue: %s", strerror(errno));
}

void bench_close(void)
{
	bench_queues_destroy();
	if (ibv_dealloc_pd(bench.pd))
		bench_die("cannot destroy what was made on %s: %s", bench.device, strerror(errno));
	ibv_close_device(bench.ctx);
	bench.ctx = NULL;
}

bool bench_has(enum bench_memory memory)
{
	uint64_t caps = bench.caps.odp_caps.general_caps;

	if (!(bench.memory & MEM_BIT(memory)))
		return false;
	if (memory == MEM_EXPLICIT)
		return caps & IBV_ODP_SUPPORT;
	if (memory == MEM_IMPLICIT)
		return caps & IBV_ODP_SUPPORT_IMPLICIT;
	return true;
}

static struct ibv_qp *make_qp(unsigned int depth)
{
	struct ibv_qp_init_attr init = {
		.send_cq = bench_queues.scq, .recv_cq = bench_queues.rcq, .qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = depth, .max_recv_wr = depth,
			.max_send_sge = 1, .max_recv_sge = 1,
		},
	};
	struct ibv_qp *qp = ibv_create_qp(bench.pd, &init);

	if (!qp)
		bench_die("cannot create a queue pair of depth %u: %s", depth, strerror(errno));
	return qp;
}

static enum ibv_mtu mtu_code(uint64_t bytes)
{
	int code = IBV_MTU_256;

	while (bytes > 256) {
		bytes /= 2;
		code++;
	}
	return (enum ibv_mtu)code;
}

static unsigned int reads_at_once(void)
{
	int n = bench.caps.orig_attr.max_qp_rd_atom;

	return n > 16 ? 16 : (unsigned int)n;
}

static int to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = (uint8_t)bench.port,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
				   IBV_ACCESS_REMOTE_ATOMIC,
	};

	return ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			     IBV_QP_ACCESS_FLAGS);
}

static int to_rtr(struct ibv_qp *qp, uint32_t peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR, .path_mtu = mtu_code(bench.mtu), .dest_qp_num = peer,
		.rq_psn = PSN, .max_dest_rd_atomic = (uint8_t)reads_at_once(), .min_rnr_timer = 1,
		.ah_attr = {
			.port_num = (uint8_t)bench.port, .dlid = bench.port_attr.lid,
			.is_global = 1,
			.grh = {
				.dgid = bench.gid, .sgid_index = (uint8_t)bench.gid_index,
				.hop_limit = 64,
			},
		},
	};

	return ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
			     IBV_QP_MIN_RNR_TIMER);
}

static int to_rts(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS, .sq_psn = PSN, .timeout = 17, .retry_cnt = 7,
		.rnr_retry = 7, .max_rd_atomic = (uint8_t)reads_at_once(),
	};

	return ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
			     IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC);
}

void bench_connect(struct bench_pair *pair, unsigned int depth)
{
	pair->a = make_qp(depth);
	pair->b = make_qp(depth);
	if (to_init(pair->a) || to_init(pair->b) ||
	    to_rtr(pair->a, pair->b->qp_num) || to_rtr(pair->b, pair->a->qp_num) ||
	    to_rts(pair->a) || to_rts(pair->b))
		bench_die("cannot connect two queue pairs of %s (GID %llu): %s", bench.device,
			  (unsigned long long)bench.gid_index, strerror(errno));
}

void bench_disconnect(struct bench_pair *pair)
{
	struct ibv_wc wc[16];

	if (ibv_destroy_qp(pair->a) || ibv_destroy_qp(pair->b))
		bench_die("cannot destroy a queue pair: %s", strerror(errno));
	while (ibv_poll_cq(bench_queues.rcq, ARRAY_SIZE(wc), wc) > 0)
		;
}

static void __attribute__((noreturn))
child(void (*fn)(void *arg, double *out), void *arg, double *out, size_t n, bool with, int fd)
{
	bench_is_child();
	if (with)
		bench_open();
	fn(arg, out);
	if (write(fd, out, n * sizeof(*out)) != (ssize_t)(n * sizeof(*out)))
		bench_die("cannot hand on the results: %s", strerror(errno));
	_exit(EXIT_SUCCESS);
}

void bench_fork(void (*fn)(void *arg, double *out), void *arg, double *out, size_t n, bool with)
{
	size_t have = 0;
	int fd[2], status;
	ssize_t got;
	pid_t pid;

	fflush(stdout);
	if (bench.ctx)
		bench_die("the device is open across a fork");
	if (pipe(fd))
		bench_die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (!pid) {
		close(fd[0]);
		child(fn, arg, out, n, with, fd[1]);
	}
	close(fd[1]);
	while (have < n * sizeof(*out)) {
		got = read(fd[0], (char *)out + have, n * sizeof(*out) - have);
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid || status || have != n * sizeof(*out))
		bench_die("a measurement failed (see above; status %#x)", (unsigned int)status);
}
