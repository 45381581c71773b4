/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * rig: loopback RDMA for tests, in one process.
 *
 * A rig is one opened device with a protection domain. Pairs of connected queue pairs hang off it;
 * each pair has an A side (the requester of every helper below) and a B side (the responder).
 * Regions are registered on the rig and named in operations by spans: a piece of a region.
 *
 *	struct rig *rig = rig_open(NULL);
 *	struct rig_pair *p = rig_pair(rig, IBV_QPT_RC);
 *	struct rig_mr *src = rig_reg(rig, a, len, RIG_IOVA_SAME, RIG_RW, false);
 *	struct rig_mr *dst = rig_reg(rig, b, len, RIG_IOVA_SAME, RIG_RW, true);
 *
 *	RIG_OK(rig_write(p, rig_at(src, 100, 5000), rig_at(dst, 63, 5000)));
 *	RIG_FAILS(rig_read(p, rig_at(src, 0, 8), rig_raw(0, 8, 0xbad00)), IBV_WC_REM_ACCESS_ERR);
 *	rig_reconnect(p);
 *	rig_close(rig);
 *
 * Three kinds of trouble are kept apart:
 * - what the test is about (a completion status, an errno) is returned;
 * - what must never happen (no device, a queue that cannot be made, a hang) ends the test with a
 *   message that names the operation, through ck_abort_msg();
 * - what this machine or device cannot do is a skip with its reason: RIG_SKIP().
 *
 * Everything works from several threads as long as each pair is used by one thread at a time, and
 * across fork() as long as parent and child use different pairs.
 */
#ifndef RIG_H
#define RIG_H

#include <check.h>
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define RIG_PAGE	4096ul
#define RIG_WINDOW	(64ul << 20)	/* the engine covers regions by windows of this size */
#define RIG_QKEY	0x11111111u
#define RIG_GRH		40u		/* bytes before the data of every UD receive */

/* ------------------------------------------------------------------ devices and queue pairs */

struct rig_attr {
	const char *device;	/* NULL: ODPREG_DEVICE, else rxe0 */
	unsigned int mtu;	/* path MTU of new pairs: 256, 512, 1024, 2048, 4096 */
	uint8_t timeout;	/* ACK timeout, 4.096 us << timeout */
	uint8_t retry_cnt;
	uint8_t rnr_retry;	/* 7: for ever */
	uint8_t min_rnr_timer;
	uint8_t max_rd_atomic;
	uint32_t sq_depth;
	uint32_t rq_depth;
	uint32_t send_sge;
	uint32_t recv_sge;
	uint32_t max_inline;
	uint32_t cq_depth;
	uint32_t srq_depth;	/* 0: no SRQ; else the B sides of RC pairs receive from one */
	bool channel;		/* completion channel on every CQ */
};

/* The defaults: change what the test needs, pass the result to rig_open(). */
struct rig_attr rig_attr(void);

struct rig {
	struct rig_attr attr;
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_srq *srq;
	struct ibv_comp_channel *channel;
	struct ibv_device_attr_ex caps;
	union ibv_gid gid;
	uint8_t port;
	uint8_t gid_index;
	bool by_lid;		/* an InfiniBand port: by its LID, else by the GID */
	uint16_t lid;
	enum ibv_mtu active_mtu;
	unsigned int deadline;	/* seconds until a wait is called a hang; ODPREG_DEADLINE */
};

enum rig_side { RIG_A, RIG_B };

struct rig_end {
	struct ibv_qp *qp;
	struct ibv_qp_ex *qpx;
	struct ibv_cq *scq;
	struct ibv_cq *rcq;
	struct ibv_ah *ah;	/* UD: towards the other side */
	bool on_srq;
};

struct rig_pair {
	struct rig *rig;
	enum ibv_qp_type type;
	unsigned int mtu;
	bool srq;
	struct rig_end end[2];
};

struct rig *rig_open(const struct rig_attr *attr);
void rig_close(struct rig *rig);

/*
 * For programs that judge any device: sets ODPREG_DEVICE, if it is not set, to the first device with
 * on-demand paging. Returns 0, or the code to exit with and why: 77 where there is none such, 2 where
 * the one that is named does not exist.
 */
int rig_pick_device(char *why, size_t size);

/* Everything that this device says about ODP; false on stock 6.12. */
bool rig_has_odp(const struct rig *rig);
/* The same of regions over the whole address space; false on stock. */
bool rig_has_implicit(const struct rig *rig);
/* Whether on-demand memory takes compare and swap, and fetch and add: mlx5 says so only at times. */
bool rig_odp_atomics(const struct rig *rig);
/*
 * A program by the name of test_implicit_* reaches all its on-demand memory by such regions: what
 * rig_reg() returns names the piece that was asked for. Others may choose.
 */
bool rig_by_implicit(void);
void rig_set_implicit(bool implicit);

struct rig_pair *rig_pair(struct rig *rig, enum ibv_qp_type type);
struct rig_pair *rig_pair_mtu(struct rig *rig, enum ibv_qp_type type, unsigned int mtu);
/* The one that says whether its B side receives from the SRQ. */
struct rig_pair *rig_pair_srq(struct rig *rig, enum ibv_qp_type type, unsigned int mtu, bool srq);
/* Unconnected ends, for connections to another process: rig_join() one to a queue pair's number. */
struct rig_pair *rig_pair_loose(struct rig *rig, enum ibv_qp_type type);
void rig_join(struct rig_pair *pair, enum rig_side side, uint32_t dest);
void rig_unpair(struct rig_pair *pair);
/* New queue pairs in place of these, whatever state they are in. Nothing is in flight afterwards. */
void rig_reconnect(struct rig_pair *pair);
void rig_set_state(struct rig_pair *pair, enum rig_side side, enum ibv_qp_state state);
/* After a completion with an error: rxe writes it first, then goes to ERR, also from a RESET between. */
void rig_wait_state(struct rig_pair *pair, enum rig_side side, enum ibv_qp_state state);

/* ------------------------------------------------------------------ regions */

#define RIG_IOVA_SAME	UINT64_MAX
#define RIG_READ_ONLY	IBV_ACCESS_REMOTE_READ
#define RIG_RW		(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
			 IBV_ACCESS_REMOTE_ATOMIC)
#define RIG_RW_FLUSH	(RIG_RW | IBV_ACCESS_FLUSH_GLOBAL)

struct rig_mr {
	struct rig *rig;
	void *addr;
	size_t len;
	uint64_t iova;
	int access;
	bool odp;
	struct ibv_mr *mr;
};

/* A piece of a region as work requests name it. len is that of an SGE, hence 32 bits. */
struct rig_span {
	uint64_t addr;
	uint32_t len;
	uint32_t lkey;
	uint32_t rkey;
};

/*
 * addr NULL with len SIZE_MAX is the whole address space (on demand only), whose iova is the address.
 * rig_reg() ends the test when it fails; rig_try_reg() returns the errno and NULL in *out. */
struct rig_mr *rig_reg(struct rig *rig, void *addr, size_t len, uint64_t iova, int access, bool odp);
int rig_try_reg(struct rig *rig, void *addr, size_t len, uint64_t iova, int access, bool odp,
		struct rig_mr **out);
void rig_dereg(struct rig_mr *mr);
/* By the handle of the kernel (mr->mr->handle): for regions that another process registered through
 * the same file descriptor. 0 or an errno. */
int rig_dereg_handle(struct rig *rig, uint32_t handle);

/*
 * rereg_mr by the kernel's own command, as rdma-core's rxe provider has none. flags are
 * IBV_REREG_MR_*; what they do not name stays. The keys of *mr change. 0 or an errno.
 */
int rig_rereg(struct rig_mr *mr, int flags, struct ibv_pd *pd, void *addr, size_t len, uint64_t iova,
	      int access);

/*
 * Registration by the newest of the kernel's commands, which libibverbs 56 does not know. fd is
 * that of a dma-buf, or -1; EPROTONOSUPPORT where the kernel has no such command. *mr is for
 * rig_at() and rig_dereg_handle(mr->mr->handle), and to be freed.
 */
int rig_reg_ex(struct rig *rig, void *addr, size_t len, uint64_t iova, int access, int fd,
	       struct rig_mr **mr);

struct rig_span rig_at(const struct rig_mr *mr, uint64_t offset, uint32_t len);
struct rig_span rig_raw(uint64_t addr, uint32_t len, uint32_t key);

/*
 * advise_mr. Where the provider has no ibv_advise_mr (rdma-core 56 on rxe) the uverbs method is
 * called directly. Returns 0 or an errno.
 */
int rig_advise(struct rig *rig, enum ib_uverbs_advise_mr_advice advice, uint32_t flags,
	       const struct rig_span *list, unsigned int count);

/* ------------------------------------------------------------------ operations */

enum rig_verb {
	RIG_WRITE, RIG_WRITE_IMM, RIG_READ, RIG_SEND, RIG_SEND_IMM,
	RIG_CAS, RIG_FADD, RIG_ATOMIC_WRITE, RIG_FLUSH,
};

const char *rig_verb_name(enum rig_verb verb);

#define RIG_INLINE	0x1u	/* data copied when posted */
#define RIG_FENCE	0x2u
#define RIG_SILENT	0x4u	/* unsignalled: no completion unless it fails */
#define RIG_UNCHECKED	0x8u	/* atomics past the provider's own check of their alignment */

struct rig_op {
	enum rig_verb verb;
	enum rig_side from;		/* requester; RIG_A unless told */
	const struct rig_span *sg;	/* local side; none for atomic write and flush */
	int nsg;
	struct rig_span remote;		/* none for sends */
	uint64_t value;			/* swap of CAS, addend of FADD, the 8 bytes of ATOMIC_WRITE */
	uint64_t compare;
	uint32_t imm;
	uint8_t flush_type;		/* IBV_FLUSH_GLOBAL, IBV_FLUSH_PERSISTENT */
	uint8_t flush_level;		/* IBV_FLUSH_RANGE, IBV_FLUSH_MR */
	uint64_t wr_id;
	unsigned int flags;
};

#define RIG_NO_PEER	(-1)

struct rig_res {
	int status;	/* enum ibv_wc_status of the requester */
	int peer;	/* that of the receive; RIG_NO_PEER for verbs without, and when it got none */
	uint32_t byte_len;	/* of the receive */
	uint32_t imm;
	unsigned int wc_flags;	/* of the receive */
};

/*
 * Synchronous: post, wait for the requester's completion and, where the verb consumes a receive,
 * for the receive. When the requester fails, the responder is flushed so that the receive always
 * ends. UC and UD receives that the requester's success does not promise are waited for too: in
 * loopback nothing may be lost.
 */
struct rig_res rig_do(struct rig_pair *pair, const struct rig_op *op, const struct rig_span *recv,
		      int nrecv);

struct rig_res rig_write(struct rig_pair *pair, struct rig_span local, struct rig_span remote);
struct rig_res rig_read(struct rig_pair *pair, struct rig_span local, struct rig_span remote);
struct rig_res rig_send(struct rig_pair *pair, struct rig_span local, struct rig_span recv);
struct rig_res rig_write_imm(struct rig_pair *pair, struct rig_span local, struct rig_span remote,
			     uint32_t imm);
struct rig_res rig_cas(struct rig_pair *pair, struct rig_span local, struct rig_span remote,
		       uint64_t compare, uint64_t swap);
struct rig_res rig_fadd(struct rig_pair *pair, struct rig_span local, struct rig_span remote,
			uint64_t add);
struct rig_res rig_atomic_write(struct rig_pair *pair, struct rig_span remote, uint64_t value);
struct rig_res rig_flush(struct rig_pair *pair, struct rig_span remote, uint8_t type, uint8_t level);

/* Asynchronous: post many, reap later. The posts return 0 or an errno. */
int rig_post(struct rig_pair *pair, const struct rig_op *op);
int rig_post_recv(struct rig_pair *pair, enum rig_side side, const struct rig_span *sg, int nsg,
		  uint64_t wr_id);
/* Bind a type 2 window to a part of a region; returns the key that it has when that completes. */
uint32_t rig_post_bind(struct rig_pair *pair, enum rig_side side, struct ibv_mw *mw,
		       const struct rig_mr *mr, const uint8_t *addr, uint64_t len,
		       unsigned int access);
/* Up to max completions that are there now. */
int rig_poll(struct ibv_cq *cq, struct ibv_wc *wc, int max);
/* Exactly count completions, else the test ends with "what" in the message. */
void rig_reap(struct rig *rig, struct ibv_cq *cq, struct ibv_wc *wc, int count, const char *what);
/* As rig_reap(), but false instead of the end of the test when seconds have passed. */
bool rig_try_reap(struct ibv_cq *cq, struct ibv_wc *wc, int count, double seconds);

const char *rig_status_name(int status);
bool rig_res_ok(struct rig_res res);

#define RIG_OK(call) do {									\
	struct rig_res rig_r_ = (call);								\
	ck_assert_msg(rig_res_ok(rig_r_), "%s: %s, receive: %s", #call,				\
		      rig_status_name(rig_r_.status), rig_status_name(rig_r_.peer));		\
} while (0)

#define RIG_FAILS(call, want) do {								\
	struct rig_res rig_r_ = (call);								\
	ck_assert_msg(rig_r_.status == (int)(want), "%s: %s instead of %s", #call,		\
		      rig_status_name(rig_r_.status), rig_status_name(want));			\
} while (0)

/* ------------------------------------------------------------------ memory */

enum rig_backing { RIG_ANON, RIG_SHARED, RIG_FILE, RIG_FILE_PRIVATE, RIG_BACKINGS };

const char *rig_backing_name(enum rig_backing backing);

/* size bytes between two pages that nobody may touch; aligned to align (a power of two, 0: page). */
void *rig_map(size_t size, size_t align, enum rig_backing backing);
/* As rig_map(), of pages never touched and never to be reserved, without access rights if !rw. */
void *rig_map_bare(size_t size, size_t align, bool rw);
/* size bytes whose middle is an address divisible by align: for crossings of a window. */
void *rig_map_across(size_t size, size_t align);
void rig_unmap(void *addr, size_t size);

/* Byte i of a pattern is a function of seed and i only, so that any piece can be checked alone. */
void rig_fill(void *addr, size_t len, uint64_t seed, uint64_t pos);
/* Offset of the first byte that differs, or -1. */
ssize_t rig_diff(const void *addr, size_t len, uint64_t seed, uint64_t pos);
#define rig_expect(addr, len, seed, pos, ...)							\
	rig_expect_at(__FILE__, __LINE__, (addr), (len), (seed), (pos), __VA_ARGS__)
void rig_expect_at(const char *file, int line, const void *addr, size_t len, uint64_t seed,
		   uint64_t pos, const char *fmt, ...) __attribute__((format(printf, 7, 8)));
/* Offset of the first byte that is not value, or -1. */
ssize_t rig_diff_byte(const void *addr, size_t len, uint8_t value);

/* Pseudo-random numbers: xorshift64*, one state a stream. */
struct rig_rand {
	uint64_t state;
};

struct rig_rand rig_rand(uint64_t seed);
uint64_t rig_next(struct rig_rand *r);
uint64_t rig_below(struct rig_rand *r, uint64_t bound);
/* ODPREG_SEED, else from the clock; printed once, so that a failure replays. */
uint64_t rig_seed(void);

/* What the CPU's page table holds. */
size_t rig_resident(const void *addr, size_t len);	/* pages mapped, by pagemap */
size_t rig_swapped(const void *addr, size_t len);	/* pages in swap, by pagemap */
size_t rig_in_core(const void *addr, size_t len);	/* pages in memory, by mincore */
/* Page frame number, 0 when none is mapped. */
uint64_t rig_pfn(const void *addr);

/* ------------------------------------------------------------------ the machine */

double rig_now(void);		/* monotonic, seconds */
void rig_sleep(double seconds);
double rig_pace(void);		/* how much slower this machine is than limits are made for, 1 or more */

/* A swap device on zram; false (with the reason in why) where the machine has none. */
bool rig_swap_on(size_t bytes, char *why, size_t why_len);
void rig_swap_off(void);

/* Move this process into a memory cgroup of its own with memory.max = limit (0: back to the root). */
bool rig_memcg(size_t limit, char *why, size_t why_len);

/* Counters: of /proc/vmstat, of /proc/meminfo (bytes, or pages), of the engine. -1 when there is none. */
int64_t rig_vmstat(const char *name);
int64_t rig_meminfo(const char *name);
/* Makes the pool of huge pages that large, if it can; 0: empties it. Returns how many are free. */
int64_t rig_huge_pool(unsigned int pages);
/* What there is in it, in words; of the calling thread until it asks again. */
const char *rig_huge_text(void);
int64_t rig_odp_counter(const char *name);
/*
 * A counter comes down to most in good time: not at once, as work of the engine's that is over for who has
 * waited for it may hold the last reference.
 */
void rig_odp_settles(const char *name, int64_t most);
/* Whether what is freed counts as used for long: a kernel that looks for late users. */
bool rig_keeps_freed(void);

/*
 * Kernel log. rig_dmesg_mark() notes the end of the log; rig_dmesg_new() gives the first line since
 * that is neither the driver's own message nor the emulated machine's noise, or NULL. A line that
 * reports a defect (BUG, WARNING, KASAN ...) counts whoever wrote it.
 */
void rig_dmesg_mark(void);
const char *rig_dmesg_new(void);
/* Whether a line reports one. The trace of a call alone does not: the OOM killer shows one, too. */
bool rig_is_defect(const char *line);
/* The test ends if there is such a line. */
void rig_dmesg_clean(void);

int rig_write_file(const char *path, const char *text);	/* 0 or errno */
/* Of the port and of the engine, where they have any: now, and a second later. */
void rig_print_counters(const struct rig *rig);
bool rig_read_file(const char *path, char *text, size_t size);

/* ------------------------------------------------------------------ running */

/* Note a skip: one line in the log that ODPREG_SKIP_LOG names, and on standard output. */
void rig_skip(const char *test, const char *reason);
#define RIG_SKIP(reason) do {									\
	rig_skip(__func__, (reason));								\
	return;											\
} while (0)
#define RIG_NEEDS_ODP(rig) do {									\
	if (!rig_has_odp(rig))									\
		RIG_SKIP("the device has no on-demand paging");					\
} while (0)

/*
 * Run the suites, one forked process a test unless CK_FORK=no. Returns the exit code of the program:
 * 0 passed, 77 every test was skipped, 1 failed.
 */
int rig_main(Suite *const *suites, int count);
/* A test case with a timeout that suits emulated machines; seconds 0: the usual one. */
TCase *rig_tcase(Suite *suite, const char *name, double seconds);

#endif
