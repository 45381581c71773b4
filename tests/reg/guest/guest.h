/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the tests of libodpreg on a device share: a rig with a domain, and transfers by its keys. */
#ifndef GUEST_H
#define GUEST_H

#include "odpreg.h"
#include "rig.h"

#ifdef __SANITIZE_THREAD__
/* Every test is a process; by default each would wait a second at its end. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "atexit_sleep_ms=0";
}
#endif

#define REG_SIZE	(8 * RIG_PAGE)
#define REG_ALL		(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ)

struct reg {
	struct rig *rig;
	struct rig_pair *pair;
	struct odpreg_domain *domain;
	char *source;			/* REG_SIZE bytes, registered without the library */
	struct rig_mr *source_mr;
};

static inline struct reg reg_begin(enum odpreg_policy policy)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	struct reg reg;
	int err;

	attr.policy = policy;
	reg.rig = rig_open(NULL);
	reg.pair = rig_pair(reg.rig, IBV_QPT_RC);
	reg.source = rig_map(REG_SIZE, 0, RIG_ANON);
	reg.source_mr = rig_reg(reg.rig, reg.source, REG_SIZE, RIG_IOVA_SAME, RIG_RW, false);
	err = odpreg_open(reg.rig->pd, &attr, &reg.domain);
	ck_assert_msg(!err, "odpreg_open: %s", strerror(err));
	return reg;
}

static inline void reg_end(struct reg *reg)
{
	int err = odpreg_close(reg->domain);

	ck_assert_msg(!err, "odpreg_close: %s", strerror(err));
	rig_dereg(reg->source_mr);
	rig_unmap(reg->source, REG_SIZE);
	rig_unpair(reg->pair);
	rig_close(reg->rig);
}

static inline struct odpreg_mem reg_get(struct reg *reg, void *addr, size_t len, int access)
{
	struct odpreg_mem mem = { 0 };
	int err = odpreg_get(reg->domain, addr, len, access, &mem);

	ck_assert_msg(!err, "odpreg_get: %s", strerror(err));
	return mem;
}

static inline void reg_put(struct reg *reg, struct odpreg_mem *mem)
{
	int err = odpreg_put(reg->domain, mem);

	ck_assert_msg(!err, "odpreg_put: %s", strerror(err));
}

/* The peer writes a pattern by seed to addr by the key. */
static inline void reg_write(struct reg *reg, void *addr, size_t len, uint32_t rkey, uint64_t seed)
{
	rig_fill(reg->source, len, seed, 0);
	RIG_OK(rig_write(reg->pair, rig_at(reg->source_mr, 0, (uint32_t)len),
			 rig_raw((uintptr_t)addr, (uint32_t)len, rkey)));
}

/* The peer reads what is at addr by the key, and has the pattern. */
static inline void reg_read(struct reg *reg, void *addr, size_t len, uint32_t rkey, uint64_t seed,
			    const char *what)
{
	memset(reg->source, 0x5a, len);
	RIG_OK(rig_read(reg->pair, rig_at(reg->source_mr, 0, (uint32_t)len),
			rig_raw((uintptr_t)addr, (uint32_t)len, rkey)));
	rig_expect(reg->source, len, seed, 0, "read by the peer: %s", what);
}

static inline struct odpreg_stats reg_stats(struct reg *reg)
{
	struct odpreg_stats s = { .size = sizeof(s) };

	ck_assert_int_eq(odpreg_query_stats(reg->domain, &s), 0);
	return s;
}

#endif
