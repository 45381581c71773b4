// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Policies, limits, errors and users, on a device that is not there. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_reg.h"
#include "fake.h"

#define PAGE	4096ul
#define LOCAL	IBV_ACCESS_LOCAL_WRITE
#define ALL	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ)

static struct fake fake;
static struct odpreg_domain *dom;

static void open_domain(bool odp, bool implicit, const struct odpreg_attr *attr)
{
	fake_init(&fake, odp, implicit);
	ck_assert_int_eq(reg_open(&fake.pd, attr, &fake.ops, &dom), 0);
}

static void close_domain(void)
{
	ck_assert_int_eq(odpreg_close(dom), 0);
	ck_assert_int_eq(fake.alive, 0);
	ck_assert_uint_eq(fake.pinned, 0);
}

static struct odpreg_stats stats(void)
{
	struct odpreg_stats s = { .size = sizeof(s) };

	ck_assert_int_eq(odpreg_query_stats(dom, &s), 0);
	return s;
}

static char *pages(size_t n)
{
	char *addr = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(addr, MAP_FAILED);
	memset(addr, 1, n * PAGE);
	return addr;
}

static struct odpreg_mem get(void *addr, size_t len, int access, enum odpreg_policy kind,
			     enum odpreg_why why)
{
	struct odpreg_mem mem = { 0 };
	int err = odpreg_get(dom, addr, len, access, &mem);

	ck_assert_msg(!err, "odpreg_get: %s", strerror(err));
	ck_assert_msg(mem.kind == kind && mem.why == why, "got %s as %s, not %s as %s",
		      odpreg_kind_name(mem.kind), odpreg_why_text(mem.why), odpreg_kind_name(kind),
		      odpreg_why_text(why));
	return mem;
}

static void put(struct odpreg_mem *mem)
{
	ck_assert_int_eq(odpreg_put(dom, mem), 0);
}

static bool watchable(void)
{
	struct process *p = process_get();

	if (p && !watch_start(p))
		return true;
	printf("skipped: no userfaultfd on this machine\n");
	return false;
}

/* ------------------------------------------------------------------ policies */

START_TEST(auto_takes_the_best)
{
	char *a = pages(4);
	struct odpreg_mem m;

	open_domain(true, true, NULL);
	m = get(a, 100, LOCAL, ODPREG_IMPLICIT, ODPREG_WHY_BEST);
	put(&m);
	m = get(a, 100, ALL, ODPREG_EXPLICIT, ODPREG_WHY_REMOTE);
	put(&m);
	close_domain();
	open_domain(true, false, NULL);
	m = get(a, 100, LOCAL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	put(&m);
	close_domain();
	munmap(a, 4 * PAGE);
}
END_TEST

START_TEST(auto_pins_without_odp)
{
	char *a = pages(4);
	struct odpreg_mem m;

	if (!watchable())
		return;
	open_domain(false, false, NULL);
	m = get(a, 100, LOCAL, ODPREG_CACHED, ODPREG_WHY_NO_ODP);
	put(&m);
	ck_assert_int_eq(fake.alive, 1);
	m = get(a + 5, 100, LOCAL, ODPREG_CACHED, ODPREG_WHY_NO_ODP);
	put(&m);
	ck_assert_int_eq(fake.made, 1);
	ck_assert_uint_eq(stats().hits, 1);
	ck_assert_uint_eq(stats().misses, 1);
	ck_assert_uint_eq(stats().bytes, PAGE);
	close_domain();
	munmap(a, 4 * PAGE);
}
END_TEST

START_TEST(refusals_lead_to_the_next_kind)
{
	char *a = pages(4);
	struct odpreg_mem m;

	if (!watchable())
		return;
	open_domain(true, true, NULL);
	fake.refuse_implicit = EINVAL;
	m = get(a, 100, LOCAL, ODPREG_EXPLICIT, ODPREG_WHY_REFUSED);
	put(&m);
	fake.refuse_odp = EOPNOTSUPP;
	m = get(a + 2 * PAGE, 100, LOCAL, ODPREG_CACHED, ODPREG_WHY_REFUSED);
	put(&m);
	/* The device is not asked again for what it has refused. */
	fake.refuse = EIO;
	m = get(a + 2 * PAGE, 100, LOCAL, ODPREG_CACHED, ODPREG_WHY_REFUSED);
	put(&m);
	close_domain();
	munmap(a, 4 * PAGE);
}
END_TEST

START_TEST(needs_decide_whether_there_is_odp)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	char *a = pages(1);
	struct odpreg_mem m;

	attr.rc_odp = IBV_ODP_SUPPORT_ATOMIC;
	attr.policy = ODPREG_EXPLICIT;
	fake_init(&fake, true, false);
	ck_assert_int_eq(reg_open(&fake.pd, &attr, &fake.ops, &dom), EOPNOTSUPP);
	attr.rc_odp = IBV_ODP_SUPPORT_READ;
	open_domain(true, false, &attr);
	m = get(a, 1, ALL, ODPREG_EXPLICIT, ODPREG_WHY_FORCED);
	put(&m);
	close_domain();
	munmap(a, PAGE);
}
END_TEST

START_TEST(forced_is_forced)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	char *a = pages(4);
	struct odpreg_mem m;

	attr.policy = ODPREG_IMPLICIT;
	fake_init(&fake, true, false);
	ck_assert_int_eq(reg_open(&fake.pd, &attr, &fake.ops, &dom), EOPNOTSUPP);
	open_domain(true, true, &attr);
	m = get(a, 1, ALL, ODPREG_IMPLICIT, ODPREG_WHY_FORCED);
	put(&m);
	fake.refuse_implicit = EPERM;
	ck_assert_int_eq(odpreg_get(dom, a, 1, LOCAL, &m), EPERM);
	close_domain();

	attr.policy = ODPREG_UNCACHED;
	open_domain(true, true, &attr);
	m = get(a + 1, 1, ALL, ODPREG_UNCACHED, ODPREG_WHY_FORCED);
	ck_assert_uint_eq(fake.pinned, 1);
	put(&m);
	ck_assert_int_eq(fake.alive, 0);
	close_domain();
	munmap(a, 4 * PAGE);
}
END_TEST

START_TEST(environment_is_stronger)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	char *a = pages(1);
	struct odpreg_mem m;

	attr.policy = ODPREG_IMPLICIT;
	setenv("ODPREG_POLICY", "uncached", 1);
	open_domain(true, true, &attr);
	m = get(a, 1, ALL, ODPREG_UNCACHED, ODPREG_WHY_FORCED);
	put(&m);
	close_domain();
	setenv("ODPREG_POLICY", "chached", 1);
	ck_assert_int_eq(reg_open(&fake.pd, NULL, &fake.ops, &dom), EINVAL);
	unsetenv("ODPREG_POLICY");
	setenv("ODPREG_CHECK", "load", 1);
	open_domain(true, true, NULL);
	ck_assert_int_eq(dom->check, ODPREG_CHECK_LOAD);
	close_domain();
	unsetenv("ODPREG_CHECK");
	munmap(a, PAGE);
}
END_TEST

START_TEST(bad_input_changes_nothing)
{
	struct { struct odpreg_attr attr; char more[8]; } newer = {
		.attr = { .size = sizeof(newer) },
	};
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	struct odpreg_stats s = { .size = 1 };
	struct odpreg_mem m = { 0 };

	fake_init(&fake, true, true);
	attr.policy = (enum odpreg_policy)17;
	ck_assert_int_eq(reg_open(&fake.pd, &attr, &fake.ops, &dom), EINVAL);
	attr.policy = ODPREG_AUTO;
	attr.size = 2;
	ck_assert_int_eq(reg_open(&fake.pd, &attr, &fake.ops, &dom), EINVAL);
	newer.more[3] = 1;
	ck_assert_int_eq(reg_open(&fake.pd, &newer.attr, &fake.ops, &dom), EINVAL);
	newer.more[3] = 0;
	ck_assert_int_eq(reg_open(&fake.pd, &newer.attr, &fake.ops, &dom), 0);
	ck_assert_int_eq(odpreg_get(dom, &m, 0, LOCAL, &m), EINVAL);
	ck_assert_int_eq(odpreg_get(dom, &m, SIZE_MAX, LOCAL, &m), EINVAL);
	ck_assert_int_eq(odpreg_get(dom, &m, 8, IBV_ACCESS_ON_DEMAND, &m), EINVAL);
	ck_assert_int_eq(odpreg_invalidate(dom, &m, SIZE_MAX), EINVAL);
	ck_assert_int_eq(odpreg_query_stats(dom, &s), EINVAL);
	ck_assert_int_eq(odpreg_prefetch(dom, &m, &m, 8, 0), EINVAL);
	put(&m);
	ck_assert_int_eq(fake.made, 0);
	close_domain();
}
END_TEST

/* ------------------------------------------------------------------ the cache */

START_TEST(close_waits_for_puts)
{
	char *a = pages(1);
	struct odpreg_mem m;

	open_domain(true, false, NULL);
	m = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_int_eq(odpreg_close(dom), EBUSY);
	put(&m);
	put(&m);
	close_domain();
	munmap(a, PAGE);
}
END_TEST

START_TEST(rights_are_never_widened)
{
	char *a = pages(1);
	struct odpreg_mem wide, narrow;

	open_domain(true, false, NULL);
	wide = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	narrow = get(a, 8, IBV_ACCESS_REMOTE_READ, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_uint_ne(wide.rkey, narrow.rkey);
	put(&wide);
	put(&narrow);
	close_domain();
	munmap(a, PAGE);
}
END_TEST

START_TEST(larger_takes_the_place_of_smaller)
{
	char *a = pages(8);
	struct odpreg_mem small, large;

	open_domain(true, false, NULL);
	small = get(a + PAGE, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	large = get(a, 8 * PAGE, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_int_eq(fake.alive, 2);
	put(&small);
	ck_assert_int_eq(fake.alive, 1);
	small = get(a + PAGE, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_uint_eq(small.lkey, large.lkey);
	put(&small);
	put(&large);
	close_domain();
	/* One that nobody uses goes at once. */
	open_domain(true, false, NULL);
	small = get(a + PAGE, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	put(&small);
	large = get(a, 8 * PAGE, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_int_eq(fake.alive, 1);
	ck_assert_uint_eq(stats().regions, 1);
	put(&large);
	close_domain();
	munmap(a, 8 * PAGE);
}
END_TEST

START_TEST(regions_are_limited)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	char *a = pages(16);
	struct odpreg_mem m[4], one;
	int i;

	attr.max_regions = 3;
	open_domain(true, false, &attr);
	for (i = 0; i < 8; i++) {
		one = get(a + 2 * i * PAGE, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
		put(&one);
		ck_assert_int_le(fake.alive, 3);
	}
	ck_assert_uint_eq(stats().evicted, 5);
	for (i = 0; i < 3; i++)
		m[i] = get(a + 2 * i * PAGE, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	/* All in use: one for this time only. */
	m[3] = get(a + 9 * PAGE, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_LIMIT);
	ck_assert_uint_eq(stats().regions, 3);
	put(&m[3]);
	ck_assert_int_eq(fake.alive, 3);
	for (i = 0; i < 3; i++)
		put(&m[i]);
	close_domain();
	munmap(a, 16 * PAGE);
}
END_TEST

START_TEST(bytes_are_limited)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	char *a = pages(16);
	struct odpreg_mem m;
	int i;

	if (!watchable())
		return;
	attr.max_bytes = 4 * PAGE;
	open_domain(false, false, &attr);
	for (i = 0; i < 16; i += 2) {
		m = get(a + i * PAGE, 2 * PAGE, LOCAL, ODPREG_CACHED, ODPREG_WHY_NO_ODP);
		put(&m);
		ck_assert_uint_le(fake.pinned, 4 * PAGE);
	}
	m = get(a, 5 * PAGE, LOCAL, ODPREG_UNCACHED, ODPREG_WHY_LIMIT);
	put(&m);
	close_domain();
	munmap(a, 16 * PAGE);
}
END_TEST

START_TEST(memlock_makes_idle_ones_go)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	char *a = pages(16);
	struct odpreg_mem m, held;
	int i;

	if (!watchable())
		return;
	open_domain(false, false, &attr);
	fake.limit = 4 * PAGE;
	held = get(a, PAGE, LOCAL, ODPREG_CACHED, ODPREG_WHY_NO_ODP);
	for (i = 1; i < 16; i++) {
		m = get(a + i * PAGE, PAGE, LOCAL, ODPREG_CACHED, ODPREG_WHY_NO_ODP);
		put(&m);
	}
	ck_assert_uint_gt(stats().retried, 0);
	ck_assert_int_eq(odpreg_get(dom, a + PAGE, 4 * PAGE, LOCAL, &m), ENOMEM);
	m = get(a + PAGE, 3 * PAGE, LOCAL, ODPREG_CACHED, ODPREG_WHY_NO_ODP);
	put(&m);
	put(&held);
	close_domain();
	munmap(a, 16 * PAGE);
}
END_TEST

START_TEST(again_is_never_told)
{
	char *a = pages(1);
	struct odpreg_mem m;

	open_domain(true, false, NULL);
	fake.again = 5;
	m = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	put(&m);
	close_domain();
	setenv("ODPREG_POLICY", "uncached", 1);
	open_domain(true, false, NULL);
	fake.again = 1000000;
	ck_assert_int_eq(odpreg_get(dom, a, 8, ALL, &m), EBUSY);
	close_domain();
	unsetenv("ODPREG_POLICY");
	munmap(a, PAGE);
}
END_TEST

START_TEST(errors_leave_nothing)
{
	char *a = pages(2);
	struct odpreg_mem m;

	if (!watchable())
		return;
	open_domain(false, false, NULL);
	fake.refuse = EFAULT;
	ck_assert_int_eq(odpreg_get(dom, a, 8, ALL, &m), EFAULT);
	ck_assert_uint_eq(stats().regions, 0);
	ck_assert_uint_eq(stats().bytes, 0);
	fake.refuse = 0;
	m = get(a, 8, ALL, ODPREG_CACHED, ODPREG_WHY_NO_ODP);
	put(&m);
	close_domain();
	munmap(a, 2 * PAGE);
}
END_TEST

START_TEST(invalidate_drops)
{
	char *a = pages(8);
	struct odpreg_mem idle, used;

	open_domain(true, false, NULL);
	idle = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	put(&idle);
	used = get(a + 4 * PAGE, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_int_eq(odpreg_invalidate(dom, a + 7 * PAGE, 8), 0);
	ck_assert_int_eq(fake.alive, 2);
	ck_assert_int_eq(odpreg_invalidate(dom, NULL, SIZE_MAX), 0);
	ck_assert_int_eq(fake.alive, 1);
	ck_assert_uint_eq(stats().regions, 1);
	put(&used);
	ck_assert_int_eq(fake.alive, 0);
	close_domain();
	munmap(a, 8 * PAGE);
}
END_TEST

START_TEST(more_accesses_than_classes)
{
	char *a = pages(1);
	struct odpreg_mem m[REG_CLASSES + 3];
	int i;

	open_domain(true, false, NULL);
	for (i = 0; i < REG_CLASSES + 3; i++) {
		/* Bits that only the device gives a meaning to. */
		ck_assert_int_eq(odpreg_get(dom, a, 8, (i & 0xf) | (i & 0x30) << 20, &m[i]), 0);
		ck_assert_int_eq(m[i].why == ODPREG_WHY_LIMIT, i >= REG_CLASSES);
	}
	for (i = 0; i < REG_CLASSES + 3; i++)
		put(&m[i]);
	ck_assert_int_eq(fake.alive, REG_CLASSES);
	close_domain();
	munmap(a, PAGE);
}
END_TEST

START_TEST(prefetch_has_a_way_without_advise)
{
	char *a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char there[16];
	struct odpreg_mem m;
	int i;

	open_domain(true, false, NULL);
	m = get(a, 16 * PAGE, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_int_eq(odpreg_prefetch(dom, &m, a, 16 * PAGE, ODPREG_PREFETCH_WRITE), 0);
	ck_assert_int_eq(fake.advised, 1);
	fake.advise_error = EOPNOTSUPP;
	ck_assert_int_eq(odpreg_prefetch(dom, &m, a + 5, 16 * PAGE - 5, ODPREG_PREFETCH_WRITE), 0);
	ck_assert_int_eq(mincore(a, 16 * PAGE, there), 0);
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(there[i] & 1, 1);
	ck_assert_int_eq(odpreg_prefetch(dom, &m, NULL, PAGE, 0), ENOMEM);
	ck_assert_int_eq(odpreg_prefetch(dom, &m, a, PAGE, 64), EINVAL);
	put(&m);
	close_domain();
	munmap(a, 16 * PAGE);
}
END_TEST

/* ------------------------------------------------------------------ threads and processes */

static void *get_one(void *arg)
{
	struct odpreg_mem *m = arg;

	if (odpreg_get(dom, m->region, 8, ALL, m))
		abort();
	return NULL;
}

static pthread_t late_thread;
static struct odpreg_mem late_mem;

/* While a region is being registered another thread wants it, too. */
static void another_comes(void *arg)
{
	late_mem.region = arg;
	fake.meanwhile = NULL;
	pthread_create(&late_thread, NULL, get_one, &late_mem);
	usleep(50000);
}

START_TEST(two_threads_register_once)
{
	char *a = pages(1);
	struct odpreg_mem m;

	open_domain(true, false, NULL);
	fake.meanwhile = another_comes;
	fake.arg = a;
	m = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	pthread_join(late_thread, NULL);
	ck_assert_int_eq(fake.made, 1);
	ck_assert_uint_eq(m.lkey, late_mem.lkey);
	put(&m);
	put(&late_mem);
	close_domain();
	munmap(a, PAGE);
}
END_TEST

/*
 * Structures of regions are used again: between finding one and becoming its user it may have become
 * that of other memory, ready as before. Linked with --wrap=region_ref, so that it can be done there.
 */
uint64_t __real_region_ref(struct region *r);
uint64_t __wrap_region_ref(struct region *r);
static struct region *becomes_another;
static char *other_memory;

uint64_t __wrap_region_ref(struct region *r)
{
	struct odpreg_mem m;

	if (r == becomes_another) {
		becomes_another = NULL;
		ck_assert_int_eq(odpreg_invalidate(dom, NULL, SIZE_MAX), 0);
		m = get(other_memory, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
		ck_assert_ptr_eq(m.region, r);
		put(&m);
	}
	return __real_region_ref(r);
}

START_TEST(a_region_is_the_one_looked_for)
{
	char *a = pages(2);
	struct odpreg_mem m;

	other_memory = pages(2);
	open_domain(true, false, NULL);
	m = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	becomes_another = m.region;
	put(&m);
	m = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	ck_assert_ptr_null(becomes_another);
	ck_assert_uint_eq(((struct region *)m.region)->start, (uintptr_t)a);
	put(&m);
	close_domain();
	munmap(a, 2 * PAGE);
	munmap(other_memory, 2 * PAGE);
}
END_TEST

static int child(char *a)
{
	struct odpreg_mem m = { .region = a };
	struct odpreg_stats s = { .size = sizeof(s) };
	struct odpreg_domain *own;

	if (odpreg_get(dom, a, 8, ALL, &m) != ECHILD || odpreg_put(dom, &m) != ECHILD ||
	    odpreg_prefetch(dom, &m, a, 8, 0) != ECHILD || odpreg_invalidate(dom, a, 8) != ECHILD ||
	    odpreg_query_stats(dom, &s) != ECHILD || odpreg_close(dom) != ECHILD)
		return 1;
	if (reg_open(&fake.pd, NULL, &fake.ops, &own) || odpreg_get(own, a, 8, ALL, &m) ||
	    odpreg_put(own, &m) || odpreg_close(own))
		return 2;
	return 0;
}

START_TEST(child_of_a_fork_is_told)
{
	char *a = pages(1);
	struct odpreg_mem m;
	int status;
	pid_t pid;

	open_domain(true, false, NULL);
	m = get(a, 8, ALL, ODPREG_EXPLICIT, ODPREG_WHY_NO_IMPLICIT);
	pid = fork();
	if (!pid)
		_exit(child(a));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "child ended with %#x", status);
	put(&m);
	close_domain();
	munmap(a, PAGE);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(odpreg_kind_name(ODPREG_CACHED), "cached");
	ck_assert_str_eq(odpreg_kind_name((enum odpreg_policy)99), "unknown");
	ck_assert_ptr_nonnull(odpreg_why_text(ODPREG_WHY_LIMIT));
	ck_assert_str_eq(odpreg_why_text((enum odpreg_why)99), "unknown");
}
END_TEST

Suite *cache_suite(void)
{
	Suite *suite = suite_create("cache");
	TCase *tc = tcase_create("cache");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, auto_takes_the_best);
	tcase_add_test(tc, auto_pins_without_odp);
	tcase_add_test(tc, refusals_lead_to_the_next_kind);
	tcase_add_test(tc, needs_decide_whether_there_is_odp);
	tcase_add_test(tc, forced_is_forced);
	tcase_add_test(tc, environment_is_stronger);
	tcase_add_test(tc, bad_input_changes_nothing);
	tcase_add_test(tc, close_waits_for_puts);
	tcase_add_test(tc, rights_are_never_widened);
	tcase_add_test(tc, larger_takes_the_place_of_smaller);
	tcase_add_test(tc, regions_are_limited);
	tcase_add_test(tc, bytes_are_limited);
	tcase_add_test(tc, memlock_makes_idle_ones_go);
	tcase_add_test(tc, again_is_never_told);
	tcase_add_test(tc, errors_leave_nothing);
	tcase_add_test(tc, invalidate_drops);
	tcase_add_test(tc, more_accesses_than_classes);
	tcase_add_test(tc, prefetch_has_a_way_without_advise);
	tcase_add_test(tc, two_threads_register_once);
	tcase_add_test(tc, a_region_is_the_one_looked_for);
	tcase_add_test(tc, child_of_a_fork_is_told);
	tcase_add_test(tc, names);
	suite_add_tcase(suite, tc);
	return suite;
}
