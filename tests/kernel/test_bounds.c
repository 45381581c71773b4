// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A key is good for its memory window or region and for nothing else, on every path by which a
 * packet uses it: first requests, and duplicates, which need not be what the first ones were. The
 * peer is this process, packet by packet (lib/wire.h); each byte of each response is checked.
 */
#include "wire.h"

#define AREA		(32 * RIG_PAGE)
#define REGION_AT	(8 * RIG_PAGE)
#define REGION_SIZE	(16 * RIG_PAGE)
#define WINDOW_AT	(13 * RIG_PAGE - 5000)	/* it ends with its page */
#define WINDOW_SIZE	5000u
#define MTU		1024u
#define SEED		21
#define READ_SIZE	64u
#define REMOTE		(IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |		\
			 IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_FLUSH_GLOBAL)

enum key_kind { REGION, TYPE_1, TYPE_2, ZERO_BASED };
enum memory { PINNED, ON_DEMAND, WHOLE };

static const struct {
	const char *name;
	enum key_kind kind;
	enum memory memory;
} keys[] = {
	{ "an on-demand region", REGION, ON_DEMAND },
	{ "a window of type 1, on demand", TYPE_1, ON_DEMAND },
	{ "a window of type 2, on demand", TYPE_2, ON_DEMAND },
	{ "a zero-based window, on demand", ZERO_BASED, ON_DEMAND },
	{ "a window of type 1 on all memory", TYPE_1, WHOLE },
	{ "a window of type 2 on all memory", TYPE_2, WHOLE },
	{ "a zero-based window on all memory", ZERO_BASED, WHOLE },
	{ "a pinned region", REGION, PINNED },
	/*
	 * Stock rxe holds a request by the key of a window on a pinned region against the region
	 * only (docs/stock-defects.md), which is not ours to mend: against that it must.
	 */
	{ "a window of type 1, pinned", TYPE_1, PINNED },
	{ "a window of type 2, pinned", TYPE_2, PINNED },
	{ "a zero-based window, pinned", ZERO_BASED, PINNED },
};

#define KEYS	((int)(sizeof(keys) / sizeof(keys[0])))

static struct rig *rig;
static struct wire *wire;
static struct rig_pair *pair;
static uint8_t *mem, *pings;
static struct rig_mr *mr, *ping_mr;
static struct ibv_mw *mw;
static int which;		/* of keys[] */
static uint32_t rkey, next_psn;
static uint64_t base;		/* of the first byte that the key is for, as packets have it */
static uint64_t first;		/* where that is in this address space */
static uint64_t low, high;	/* and what may be reached of it */
static char why[200];

static void setup(void)
{
	struct rig_attr attr = rig_attr();

	wire = wire_open(why, sizeof(why));
	if (!wire)
		return;
	attr.device = wire_device(wire);
	/* One resource, which every read and atomic uses anew. */
	attr.max_rd_atomic = 1;
	rig = rig_open(&attr);
	rig_dmesg_mark();
	mem = rig_map(AREA, 0, RIG_ANON);
	rig_fill(mem, AREA, SEED, 0);
	pings = rig_map(RIG_PAGE, 0, RIG_ANON);
	ping_mr = rig_reg(rig, pings, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, false);
}

/* A window of type 2 goes before its queue pair, which it holds. */
static void unmake(void)
{
	if (mw)
		ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
	if (mr)
		rig_dereg(mr);
	if (pair)
		rig_unpair(pair);
	mw = NULL;
	mr = NULL;
	pair = NULL;
}

static void teardown(void)
{
	if (!wire)
		return;
	unmake();
	rig_dereg(ping_mr);
	rig_dmesg_clean();
	rig_close(rig);
	wire_close(wire);
}

static void bind_1(uint64_t len)
{
	struct ibv_mw_bind bind = {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = {
			.mr = mr->mr, .addr = (uintptr_t)mem + WINDOW_AT, .length = len,
			.mw_access_flags = len ? REMOTE : 0,
		},
	};
	struct ibv_wc wc;

	ck_assert_int_eq(ibv_bind_mw(pair->end[RIG_B].qp, mw, &bind), 0);
	rig_reap(rig, pair->end[RIG_B].scq, &wc, 1, "binding");
	ck_assert_int_eq((int)wc.status, IBV_WC_SUCCESS);
}

static void bind_2(void)
{
	unsigned int zero = keys[which].kind == ZERO_BASED ? IBV_ACCESS_ZERO_BASED : 0;
	struct ibv_wc wc;

	mw->rkey = rig_post_bind(pair, RIG_B, mw, mr, mem + WINDOW_AT, WINDOW_SIZE, REMOTE | zero);
	rig_reap(rig, pair->end[RIG_B].scq, &wc, 1, "binding");
	ck_assert_int_eq((int)wc.status, IBV_WC_SUCCESS);
}

static void make_window(void)
{
	bool type_1 = keys[which].kind == TYPE_1;

	mw = ibv_alloc_mw(rig->pd, type_1 ? IBV_MW_TYPE_1 : IBV_MW_TYPE_2);
	ck_assert_msg(mw, "no memory window: %s", strerror(errno));
	if (type_1)
		bind_1(WINDOW_SIZE);
	else
		bind_2();
	rkey = mw->rkey;
	first = (uintptr_t)mem + WINDOW_AT;
	base = keys[which].kind == ZERO_BASED ? 0 : first;
	if (keys[which].memory == PINNED)
		return;
	low = first;
	high = low + WINDOW_SIZE;
}

/* A queue pair, a region and its window, all fresh. */
static void make(void)
{
	const int access = REMOTE | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND;

	unmake();
	pair = wire_connect(rig, IBV_QPT_RC, MTU);
	next_psn = WIRE_PSN;
	mr = keys[which].memory == WHOLE ? rig_reg(rig, NULL, SIZE_MAX, 0, access, true) :
	     rig_reg(rig, mem + REGION_AT, REGION_SIZE, RIG_IOVA_SAME, access,
		     keys[which].memory == ON_DEMAND);
	rkey = mr->mr->rkey;
	first = (uintptr_t)mem + REGION_AT;
	base = first;
	low = first;
	high = low + REGION_SIZE;
	if (keys[which].kind != REGION)
		make_window();
}

#define NEEDS_KEY(i) do {									\
	if (!wire)										\
		RIG_SKIP(why);									\
	which = (i);										\
	if (keys[which].memory != PINNED && !rig_has_odp(rig))					\
		RIG_SKIP("the device has no on-demand paging");					\
	if (keys[which].memory == WHOLE && !rig_has_implicit(rig))				\
		RIG_SKIP("the device has no regions over the whole address space");		\
	make();											\
} while (0)

/* ------------------------------------------------------------------ question and response */

struct answer {
	bool dead;		/* the queue pair has been lost by it */
	bool late;		/* RNR NAK: once more */
	int acks;		/* without data */
	int atomics;
	uint64_t original;	/* of the last of those */
	uint32_t first_psn;	/* of the data */
	int packets;
	size_t bytes;
	uint8_t data[8 * MTU];
};

static struct wire_packet packet(uint8_t opcode, uint32_t psn)
{
	return (struct wire_packet){
		.opcode = opcode, .psn = psn, .qpn = pair->end[RIG_B].qp->qp_num,
	};
}

/* A write that has always its ACK: what was before it has been dealt with by then. */
static void ping(uint32_t psn)
{
	struct wire_packet p = packet(WIRE_WRITE, psn);

	wire_reth(&p, (uintptr_t)pings, ping_mr->mr->rkey, 4);
	wire_put(&p, &psn, 4);
	wire_send(wire, &p);
}

static bool is_in_error(void)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	ck_assert_int_eq(ibv_query_qp(pair->end[RIG_B].qp, &attr, IBV_QP_STATE, &init), 0);
	return attr.qp_state == IBV_QPS_ERR;
}

static void take_data(struct answer *a, const struct wire_packet *p)
{
	if (!a->packets++)
		a->first_psn = p->psn;
	ck_assert_uint_le(a->bytes + p->len, sizeof(a->data));
	memcpy(a->data + a->bytes, p->body, p->len);
	a->bytes += p->len;
}

/* False: the queue pair says no more. */
static bool take(struct answer *a, const struct wire_packet *p, bool is_new)
{
	bool aeth = p->opcode != WIRE_READ_MIDDLE;
	int kind = WIRE_SYNDROME(p->syndrome);

	ck_assert_uint_eq(p->qpn, WIRE_QPN);
	if (aeth && kind == WIRE_IS_RNR) {
		a->late = true;
		/* The ping behind a new request is out of sequence then, and has no ACK. */
		return !is_new;
	}
	if (aeth && kind == WIRE_IS_NAK) {
		/*
		 * That of a wrong PSN, of the ping behind what is to be sent again, means nothing.
		 */
		a->dead = p->syndrome & 0x1f;
		return !a->dead;
	} else if (p->opcode == WIRE_ATOMIC_ACK) {
		ck_assert_uint_eq(p->len, 8);
		memcpy(&a->original, p->body, 8);
		a->original = be64toh(a->original);
		a->atomics++;
	} else if (p->opcode == WIRE_ACK) {
		a->acks++;
	} else {
		take_data(a, p);
	}
	return true;
}

/* All that comes up to the ACK of the ping; whether that came. */
static bool gather(struct answer *a, const struct wire_packet *to, uint32_t ping_psn)
{
	const double end = rig_now() + rig->deadline;
	struct wire_packet p;

	do {
		if (!wire_receive(wire, &p, 0.2)) {
			a->dead = is_in_error();
			if (a->dead || a->late)
				return false;
			continue;
		}
		if (p.opcode == WIRE_ACK && p.psn == ping_psn &&
		    WIRE_SYNDROME(p.syndrome) == WIRE_IS_ACK)
			return true;
		if (!take(a, &p, to->psn == next_psn))
			return false;
	} while (rig_now() < end);
	ck_abort_msg("%s: no response to a ping (%u) behind %#x (%u)", keys[which].name, ping_psn,
		     to->opcode, to->psn);
}

/*
 * Sends it, with a ping behind, as often as the peer is to come back with it, and collects what it
 * gets. count: of its PSNs, when they are new.
 */
static struct answer *ask(const struct wire_packet *p, uint32_t count)
{
	const double end = rig_now() + rig->deadline;
	static struct answer a;
	bool is_new = p->psn == next_psn;
	uint32_t ping_psn;
	bool done;

	do {
		memset(&a, 0, sizeof(a));
		ping_psn = is_new ? (next_psn + count) & 0xffffff : next_psn;
		wire_send(wire, p);
		ping(ping_psn);
		done = gather(&a, p, ping_psn);
		if (done)
			next_psn = WIRE_NEXT(ping_psn);
		if (!a.late || (is_new && done))
			return &a;
		rig_sleep(0.01);
	} while (rig_now() < end);
	ck_abort_msg("%s: told to come back with it for ever", keys[which].name);
}

static struct answer *ask_read(uint32_t psn, uint64_t addr, uint32_t key, uint32_t len)
{
	struct wire_packet p = packet(WIRE_READ, psn);

	wire_reth(&p, addr, key, len);
	return ask(&p, len > MTU ? (len + MTU - 1) / MTU : 1);
}

enum walk { UP, DOWN, BY_NOTHING, FROM_ABSOLUTE, WALKS };

/* The address behind the last byte, as packets have it; of a zero-based window, or as it is. */
static uint64_t edge_of(enum walk walk)
{
	return walk == FROM_ABSOLUTE ? high : base + (high - first);
}

/* ------------------------------------------------------------------ what may be seen */

static bool is_reachable(uint64_t from, size_t len, const uint8_t *bytes)
{
	return from >= low && from <= high && len <= high - from &&
	       !memcmp(bytes, (uint8_t *)(uintptr_t)from, len);
}

/* Data, if there is any, is what lies at that address, inside of the bounds. */
static void stays_inside(const struct answer *a, uint64_t addr, const char *what)
{
	uint64_t offset = first + addr;

	if (!a->bytes || is_reachable(addr, a->bytes, a->data) ||
	    (keys[which].kind == ZERO_BASED && is_reachable(offset, a->bytes, a->data)))
		return;
	ck_abort_msg("%s: %s: %zu bytes came for address %#jx: bounds %#jx to %#jx",
		     keys[which].name, what, a->bytes, (uintmax_t)addr, (uintmax_t)low,
		     (uintmax_t)high);
}

static void is_answered(const struct answer *a, uint64_t addr, uint32_t len, const char *what)
{
	ck_assert_msg(!a->dead && a->bytes == len, "%s: %s: %zu bytes of %u came%s",
		      keys[which].name, what, a->bytes, len, a->dead ? ", and a NAK" : "");
	stays_inside(a, addr, what);
}

static void memory_is_as_it_was(void)
{
	rig_expect(mem, AREA, SEED, 0, "%s", keys[which].name);
}

/* ------------------------------------------------------------------ duplicates of reads */

#define WALK	80	/* of 63 bytes: a page and more, which is where it would show */

/* Each duplicate is a part of what the one before was, if that counted, and one byte more. */
static void walk_outside(enum walk walk, uint32_t psn)
{
	uint64_t addr = walk == DOWN ? base : edge_of(walk) - READ_SIZE;
	uint32_t len = walk == BY_NOTHING ? 0 : 1;
	const struct answer *a;
	int i;

	for (i = 0; i < WALK; i++) {
		addr += walk == DOWN ? -63ull : walk == BY_NOTHING ? 64 : 63;
		a = ask_read(psn, addr, rkey, len);
		stays_inside(a, addr, "a duplicate");
		if (a->dead)
			return;
		if (i % 16)
			continue;
		a = ask_read(psn, addr, rkey, READ_SIZE);
		stays_inside(a, addr, "a long duplicate");
		if (a->dead)
			return;
	}
}

START_TEST(test_duplicate_reads_stay_inside)
{
	const struct answer *a;
	enum walk walk;
	uint64_t addr;
	uint32_t psn;

	for (walk = UP; walk < WALKS; walk++) {
		NEEDS_KEY(_i);
		psn = next_psn;
		addr = walk == DOWN ? base : edge_of(UP) - READ_SIZE;
		a = ask_read(psn, addr, rkey, READ_SIZE);
		/* Of a window on a pinned region this may be outside. */
		if (keys[which].memory == PINNED && keys[which].kind != REGION && a->dead)
			continue;
		is_answered(a, addr, READ_SIZE, "a read");
		walk_outside(walk, psn);
		memory_is_as_it_was();
	}
}
END_TEST

/* One that is what the first was, or the rest of it, has the same data. */
START_TEST(test_duplicate_reads_are_answered)
{
	const uint32_t len = WINDOW_SIZE;
	uint32_t psn, i;

	NEEDS_KEY(_i);
	psn = next_psn;
	is_answered(ask_read(psn, base, rkey, len), base, len, "a read");
	for (i = 0; i < 3; i++)
		is_answered(ask_read(psn, base, rkey, len), base, len, "the same once more");
	for (i = 0; i < len / MTU; i++)
		is_answered(ask_read((psn + i) & 0xffffff, base + i * MTU, rkey, len - i * MTU),
			    base + i * MTU, len - i * MTU, "the rest of it");
}
END_TEST

static uint64_t some_address(struct rig_rand *rnd)
{
	const uint64_t from[] = { base, edge_of(UP), low, high, (uintptr_t)mem,
				  (uintptr_t)mem + AREA, 0, UINT64_MAX };

	return from[rig_below(rnd, 8)] + rig_below(rnd, 2 * RIG_PAGE) - RIG_PAGE;
}

static uint32_t some_length(struct rig_rand *rnd)
{
	const uint32_t len[] = { 0, 1, 8, READ_SIZE, MTU, MTU + 1, WINDOW_SIZE, 1u << 31,
				 UINT32_MAX };
	uint64_t i = rig_below(rnd, 12);

	return i < 9 ? len[i] : (uint32_t)rig_below(rnd, WINDOW_SIZE);
}

static uint32_t some_key(struct rig_rand *rnd)
{
	const uint32_t key[] = { rkey ^ 1, rkey + 0x100, mr->mr->rkey, 0 };
	uint64_t i = rig_below(rnd, 16);

	return i < 4 ? key[i] : rkey;
}

START_TEST(test_duplicates_that_differ)
{
	struct rig_rand rnd = rig_rand(rig_seed() + (uint64_t)_i);
	const struct answer *a;
	uint32_t psn = 0, key;
	bool fresh = true;
	int i, made = 0;
	uint64_t addr;

	NEEDS_KEY(_i);
	for (i = 0; i < 200 && made < 20; i++) {
		if (fresh) {
			make();
			made++;
			psn = next_psn;
			a = ask_read(psn, base, rkey, WINDOW_SIZE);
			is_answered(a, base, WINDOW_SIZE, "a read");
		}
		addr = some_address(&rnd);
		key = some_key(&rnd);
		a = ask_read((psn + (uint32_t)rig_below(&rnd, 5)) & 0xffffff, addr, key,
			     some_length(&rnd));
		stays_inside(a, addr, "a duplicate that differs");
		ck_assert_msg(!a->bytes || key == rkey, "%s: data for another key",
			      keys[which].name);
		fresh = a->dead;
	}
	memory_is_as_it_was();
}
END_TEST

/* ------------------------------------------------------------------ of other kinds */

static const uint8_t other_kind[] = {
	WIRE_READ, WIRE_FADD, WIRE_CAS, WIRE_ATOMIC_WRITE, WIRE_FLUSH, WIRE_WRITE,
};

#define OTHERS	((int)(sizeof(other_kind) / sizeof(other_kind[0])))

static struct wire_packet request(uint8_t opcode, uint32_t psn, uint64_t addr, uint64_t value)
{
	struct wire_packet p = packet(opcode, psn);

	switch (opcode) {
	case WIRE_FADD:
	case WIRE_CAS:
		wire_atomic_eth(&p, addr, rkey, value, value);
		break;
	case WIRE_FLUSH:
		wire_feth(&p, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE);
		/* fall through */
	case WIRE_READ:
		wire_reth(&p, addr, rkey, 8);
		break;
	default:
		wire_reth(&p, addr, rkey, 8);
		wire_put(&p, &value, 8);
	}
	return p;
}

/* What a duplicate of another kind may say: nothing that the first one has not said. */
static void says_nothing_new(const struct answer *a, uint8_t kind, uint64_t addr, uint64_t word)
{
	bool atomic = kind == WIRE_FADD || kind == WIRE_CAS;

	stays_inside(a, addr, "a duplicate of another kind");
	ck_assert_msg(!a->bytes || kind == WIRE_READ, "%s: data of what was no read (%#x)",
		      keys[which].name, kind);
	ck_assert_msg(!a->atomics || (atomic && a->original == word),
		      "%s: %#jx came for an atomic, when it was %#x", keys[which].name,
		      (uintmax_t)a->original, kind);
}

/*
 * A resource is used for one kind of request after the other: what an atomic has left in it, which
 * the peer chooses, is no address of a read.
 */
static void ask_as_another(uint8_t first_kind, uint8_t second, uint64_t secret)
{
	bool dead;
	uint8_t *at = mem + WINDOW_AT + WINDOW_SIZE - 8;
	uint64_t word, there = base + ((uintptr_t)at - first), where = there;
	struct wire_packet p;
	const struct answer *a;
	uint32_t psn;

	if (second == WIRE_READ && first_kind != WIRE_READ)
		where = secret;
	memcpy(at, &secret, 8);
	is_answered(ask_read(next_psn, there, rkey, 8), there, 8, "a read");
	psn = next_psn;
	p = request(first_kind, psn, there, 0);
	a = ask(&p, 1);
	ck_assert_msg(!a->dead, "%s: a request of kind %#x is refused", keys[which].name,
		      first_kind);
	memcpy(&word, at, 8);
	p = request(second, psn, where, 1);
	a = ask(&p, 1);
	dead = a->dead;
	says_nothing_new(a, first_kind, where, secret);
	ck_assert_msg(!memcmp(&word, at, 8), "%s: a duplicate has changed memory",
		      keys[which].name);
	rig_fill(at, 8, SEED, (uint64_t)(at - mem));
	if (dead)
		make();
}

START_TEST(test_duplicates_of_another_kind)
{
	int i, k;

	NEEDS_KEY(_i);
	/* All that a read could be a duplicate of first, as that would have the most to say. */
	for (k = 0; k < OTHERS; k++)
		for (i = 0; i < OTHERS; i++)
			ask_as_another(other_kind[i], other_kind[k], high + 8);
	memory_is_as_it_was();
}
END_TEST

/* ------------------------------------------------------------------ of no length */

enum nothing {
	FIRST_OF_NOTHING, WRITE_OF_NOTHING, IMM_OF_NOTHING, READ_OF_NOTHING, NOTHING_BETWEEN,
	NOTHINGS,
};

/* By no key, and with a payload: refused. */
static void payload_of_nothing(uint8_t opcode)
{
	struct wire_packet p = packet(opcode, next_psn);
	static const uint8_t payload[MTU];
	const struct answer *a;

	wire_reth(&p, base, 0, 0);
	if (opcode == WIRE_WRITE_IMM) {
		ck_assert_int_eq(rig_post_recv(pair, RIG_B, NULL, 0, 0), 0);
		wire_put_be(&p, 1, 4);
	}
	wire_put(&p, payload, opcode == WIRE_WRITE_FIRST ? MTU : 8);
	a = ask(&p, 1);
	ck_assert_msg(a->dead, "a payload for a length of 0 is taken (%#x)", opcode);
}

/* A read, a write of no length behind it, and the read once more. */
static void nothing_between(void)
{
	struct wire_packet p;
	uint32_t psn = next_psn;
	const struct answer *a;

	is_answered(ask_read(psn, base, rkey, READ_SIZE), base, READ_SIZE, "a read");
	p = packet(WIRE_WRITE, next_psn);
	wire_reth(&p, 0, 0, 0);
	a = ask(&p, 1);
	ck_assert_msg(!a->dead, "a write of no length is refused");
	/* The ping has a length: it comes behind this. */
	p = packet(WIRE_WRITE, next_psn);
	wire_reth(&p, 0, 0, 0);
	wire_send(wire, &p);
	next_psn = WIRE_NEXT(next_psn);
	a = ask_read(psn, base, rkey, READ_SIZE);
	is_answered(a, base, READ_SIZE, "a read, and a write of no length");
}

static void read_of_nothing(void)
{
	uint32_t psn = next_psn, i;
	const struct answer *a;

	for (i = 0; i < 2; i++) {
		a = ask_read(psn, base, 0, 0);
		ck_assert_msg(!a->dead && a->packets == 1 && !a->bytes, "a read of no length");
	}
	a = ask_read(psn, base, rkey, 8);
	ck_assert_msg(!a->bytes, "data came for a duplicate of a read of no length");
}

START_TEST(test_no_length)
{
	NEEDS_KEY(_i / NOTHINGS);
	switch (_i % NOTHINGS) {
	case FIRST_OF_NOTHING:
		payload_of_nothing(WIRE_WRITE_FIRST);
		break;
	case WRITE_OF_NOTHING:
		payload_of_nothing(WIRE_WRITE);
		break;
	case IMM_OF_NOTHING:
		payload_of_nothing(WIRE_WRITE_IMM);
		break;
	case READ_OF_NOTHING:
		read_of_nothing();
		break;
	default:
		nothing_between();
	}
	memory_is_as_it_was();
	rig_dmesg_clean();
}
END_TEST

/* ---------------------------------------------------------------- first requests, and late ones */

static void is_refused(uint8_t opcode, uint64_t addr)
{
	struct wire_packet p = request(opcode, next_psn, addr, 0x5ec2e75ec2e7);
	const struct answer *a = ask(&p, 1);

	ck_assert_msg(a->dead && !a->bytes && !a->atomics, "%s: %#x at %#jx is not refused",
		      keys[which].name, opcode, (uintmax_t)addr);
	memory_is_as_it_was();
	make();
}

/* Its later packets would leave the bounds: none of them writes anything. */
static void long_write_is_refused(void)
{
	struct wire_packet p = packet(WIRE_WRITE_FIRST, next_psn);
	uint8_t payload[MTU] = {};

	wire_reth(&p, edge_of(UP) - 2 * MTU, rkey, 3 * MTU);
	wire_put(&p, payload, MTU);
	ck_assert(ask(&p, 1)->dead);
	memory_is_as_it_was();
	make();
}

START_TEST(test_first_requests_stay_inside)
{
	int i;

	NEEDS_KEY(_i);
	for (i = 0; i < OTHERS; i++) {
		is_refused(other_kind[i], base - (first - low) - 8);
		is_refused(other_kind[i], edge_of(UP));
		is_refused(other_kind[i], edge_of(UP) - 4);
	}
	long_write_is_refused();
}
END_TEST

/* The key ends: a duplicate of what it was good for gets nothing. */
START_TEST(test_duplicates_after_the_key)
{
	uint32_t psn;
	const struct answer *a;

	NEEDS_KEY(_i);
	psn = next_psn;
	is_answered(ask_read(psn, base, rkey, READ_SIZE), base, READ_SIZE, "a read");
	if (keys[which].kind == REGION) {
		rig_dereg(mr);
		mr = NULL;
	} else if (keys[which].kind == TYPE_1) {
		bind_1(0);
	} else {
		ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
		mw = NULL;
	}
	a = ask_read(psn, base, rkey, READ_SIZE);
	ck_assert_msg(!a->bytes, "%s: data came when the key had ended", keys[which].name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bounds");
	TCase *tc = rig_tcase(s, "first", 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_first_requests_stay_inside, 0, KEYS);
	tc = rig_tcase(s, "duplicates", 0);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_duplicate_reads_are_answered, 0, KEYS);
	tcase_add_loop_test(tc, test_duplicates_after_the_key, 0, KEYS);
	tcase_add_loop_test(tc, test_duplicate_reads_stay_inside, 0, KEYS);
	tcase_add_loop_test(tc, test_duplicates_that_differ, 0, KEYS);
	tcase_add_loop_test(tc, test_duplicates_of_another_kind, 0, KEYS);
	tc = rig_tcase(s, "nothing", 0);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_no_length, 0, 2 * NOTHINGS);
	return rig_main(&s, 1);
}
