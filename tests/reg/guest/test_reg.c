// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Every kind of registration that libodpreg makes, by transfers, on whatever device there is. */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest.h"

#define LOCAL	IBV_ACCESS_LOCAL_WRITE

static char *pages(size_t n)
{
	return rig_map(n * RIG_PAGE, 0, RIG_ANON);
}

static enum odpreg_policy best(const struct rig *rig, int access)
{
	if (!rig_has_odp(rig))
		return ODPREG_CACHED;
	if (rig_has_implicit(rig) && access == LOCAL)
		return ODPREG_IMPLICIT;
	return ODPREG_EXPLICIT;
}

/* The keys serve both sides: received into, sent from, read and written by the peer. */
static void exchange(struct reg *reg, enum odpreg_policy kind, const char *what)
{
	struct odpreg_mem m, l;
	char *a = pages(8);

	m = reg_get(reg, a + 100, REG_SIZE - 200, REG_ALL);
	ck_assert_msg(m.kind == kind, "%s: %s, as %s", what, odpreg_kind_name(m.kind),
		      odpreg_why_text(m.why));
	reg_write(reg, a + 100, REG_SIZE - 200, m.rkey, 11);
	rig_expect(a + 100, REG_SIZE - 200, 11, 0, "%s: written by the peer", what);
	reg_read(reg, a + 100, REG_SIZE - 200, m.rkey, 11, what);
	l = reg_get(reg, a, REG_SIZE, LOCAL);
	rig_fill(a, REG_SIZE, 12, 0);
	RIG_OK(rig_write(reg->pair, rig_raw((uintptr_t)a, REG_SIZE, l.lkey),
			 rig_at(reg->source_mr, 0, REG_SIZE)));
	rig_expect(reg->source, REG_SIZE, 12, 0, "%s: sent from it", what);
	reg_put(reg, &l);
	reg_put(reg, &m);
	rig_unmap(a, REG_SIZE);
}

START_TEST(auto_takes_what_the_device_has)
{
	struct reg reg = reg_begin(ODPREG_AUTO);
	struct odpreg_mem m;
	char *a = pages(1);

	exchange(&reg, best(reg.rig, REG_ALL), "auto");
	m = reg_get(&reg, a, 8, LOCAL);
	ck_assert_str_eq(odpreg_kind_name(m.kind), odpreg_kind_name(best(reg.rig, LOCAL)));
	ck_assert_int_eq(m.why, rig_has_odp(reg.rig) ? ODPREG_WHY_BEST : ODPREG_WHY_NO_ODP);
	reg_put(&reg, &m);
	rig_unmap(a, RIG_PAGE);
	reg_end(&reg);
}
END_TEST

START_TEST(each_kind_carries_data)
{
	enum odpreg_policy kind = (enum odpreg_policy)_i;
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	struct odpreg_domain *domain;
	struct rig *rig = rig_open(NULL);
	bool possible = (kind != ODPREG_IMPLICIT || rig_has_implicit(rig)) &&
			(kind != ODPREG_EXPLICIT || rig_has_odp(rig));
	struct reg reg;

	if (!possible) {
		attr.policy = kind;
		ck_assert_int_eq(odpreg_open(rig->pd, &attr, &domain), EOPNOTSUPP);
	}
	rig_close(rig);
	if (!possible)
		return;
	reg = reg_begin(kind);
	exchange(&reg, kind, odpreg_kind_name(kind));
	reg_end(&reg);
}
END_TEST

START_TEST(keys_end_with_invalidation)
{
	struct reg reg = reg_begin(ODPREG_AUTO);
	struct odpreg_mem m;
	char *a = pages(8);
	uint32_t rkey;

	m = reg_get(&reg, a, REG_SIZE, REG_ALL);
	rkey = m.rkey;
	reg_put(&reg, &m);
	reg_write(&reg, a, REG_SIZE, rkey, 1);
	ck_assert_int_eq(odpreg_invalidate(reg.domain, a + RIG_PAGE, 1), 0);
	RIG_FAILS(rig_write(reg.pair, rig_at(reg.source_mr, 0, 8), rig_raw((uintptr_t)a, 8, rkey)),
		  IBV_WC_REM_ACCESS_ERR);
	rig_unmap(a, REG_SIZE);
	reg_end(&reg);
}
END_TEST

START_TEST(prefetch_brings_pages)
{
	struct reg reg = reg_begin(ODPREG_AUTO);
	char *a = pages(64);
	struct odpreg_mem m;
	double end;

	m = reg_get(&reg, a, 64 * RIG_PAGE, REG_ALL);
	ck_assert_int_eq(odpreg_prefetch(reg.domain, &m, a, 64 * RIG_PAGE,
					 ODPREG_PREFETCH_WRITE | ODPREG_PREFETCH_WAIT), 0);
	for (end = rig_now() + 60 * rig_pace(); rig_resident(a, 64 * RIG_PAGE) < 64 && rig_now() < end; )
		rig_sleep(0.05);
	ck_assert_uint_eq(rig_resident(a, 64 * RIG_PAGE), 64);
	reg_put(&reg, &m);
	rig_unmap(a, 64 * RIG_PAGE);
	reg_end(&reg);
}
END_TEST

START_TEST(not_mapped_is_an_error)
{
	struct reg reg = reg_begin(ODPREG_UNCACHED);
	struct odpreg_mem m;
	char *a = pages(8);

	munmap(a, REG_SIZE);
	ck_assert_int_eq(odpreg_get(reg.domain, a, REG_SIZE, REG_ALL, &m), EFAULT);
	reg_end(&reg);
	reg = reg_begin(ODPREG_CACHED);
	ck_assert_int_eq(odpreg_get(reg.domain, a, REG_SIZE, REG_ALL, &m), EFAULT);
	ck_assert_uint_eq(reg_stats(&reg).regions, 0);
	reg_end(&reg);
}
END_TEST

/*
 * Like anybody: no capabilities, and so the limit counts. Before the device is opened, for the
 * kernel takes no commands by a descriptor that was opened with more.
 */
static void become_nobody(size_t memlock)
{
	struct rlimit limit = { memlock, memlock };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
	ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

START_TEST(memlock_is_lived_with)
{
	struct odpreg_mem m[2];
	char *a = pages(64);
	struct reg reg;
	int i;

	/* 8 pages are the source's, some the queues'. */
	become_nobody(24 * RIG_PAGE);
	reg = reg_begin(ODPREG_CACHED);
	memset(a, 0, 64 * RIG_PAGE);
	m[0] = reg_get(&reg, a, 4 * RIG_PAGE, REG_ALL);
	for (i = 4; i < 64; i += 4) {
		m[1] = reg_get(&reg, a + i * RIG_PAGE, 4 * RIG_PAGE, REG_ALL);
		ck_assert_str_eq(odpreg_kind_name(m[1].kind), "cached");
		reg_write(&reg, a + i * RIG_PAGE, 4 * RIG_PAGE, m[1].rkey, (uint64_t)i);
		rig_expect(a + i * RIG_PAGE, 4 * RIG_PAGE, (uint64_t)i, 0, "page %d", i);
		reg_put(&reg, &m[1]);
	}
	ck_assert_uint_gt(reg_stats(&reg).evicted, 0);
	ck_assert_uint_le(reg_stats(&reg).bytes, 16 * RIG_PAGE);
	ck_assert_int_eq(odpreg_get(reg.domain, a + 4 * RIG_PAGE, 20 * RIG_PAGE, REG_ALL, &m[1]),
			 ENOMEM);
	reg_put(&reg, &m[0]);
	reg_end(&reg);
}
END_TEST

/* On demand there is no limit to live with. */
START_TEST(memlock_is_no_matter_on_demand)
{
	struct odpreg_mem m;
	struct rig *rig = rig_open(NULL);
	bool odp = rig_has_odp(rig);
	char *a = pages(64);
	struct reg reg;

	/* Before: nobody may not note a skip. */
	rig_close(rig);
	if (!odp)
		RIG_SKIP("the device has no on-demand paging");
	become_nobody(8 * RIG_PAGE);
	reg = reg_begin(ODPREG_AUTO);
	m = reg_get(&reg, a, 64 * RIG_PAGE, REG_ALL);
	reg_write(&reg, a + 40 * RIG_PAGE, 4 * RIG_PAGE, m.rkey, 9);
	rig_expect(a + 40 * RIG_PAGE, 4 * RIG_PAGE, 9, 0, "beyond what may be pinned");
	reg_put(&reg, &m);
	reg_end(&reg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reg");
	TCase *tc = rig_tcase(suite, "reg", 0);

	tcase_add_test(tc, auto_takes_what_the_device_has);
	tcase_add_loop_test(tc, each_kind_carries_data, ODPREG_IMPLICIT, ODPREG_UNCACHED + 1);
	tcase_add_test(tc, keys_end_with_invalidation);
	tcase_add_test(tc, prefetch_brings_pages);
	tcase_add_test(tc, not_mapped_is_an_error);
	tcase_add_test(tc, memlock_is_lived_with);
	tcase_add_test(tc, memlock_is_no_matter_on_demand);
	return rig_main(&suite, 1);
}
