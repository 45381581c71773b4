/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the KUnit suites share.  A test runs in a kernel thread with a user
 * address space of its own (kunit_attach_mm), which is the owner of its regions.
 */
#ifndef ODP_TEST_H
#define ODP_TEST_H

#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "odp.h"

#define ODP_TEST_RW	(PROT_READ | PROT_WRITE)

/* Suites' init and exit: a clean engine before, and after, every test. */
int odp_test_init(struct kunit *test);
void odp_test_exit(struct kunit *test);

/* Private anonymous memory; lives until it is unmapped or the test ends. */
unsigned long odp_test_map(struct kunit *test, unsigned long len,
			   unsigned long prot);
void odp_test_unmap(struct kunit *test, unsigned long addr, unsigned long len);

/* A region over memory of the test's own. */
struct odp_region *odp_test_region(struct kunit *test, unsigned long start,
				   u64 length, bool writable);

/*
 * What a driver makes of the engine's interface: try, request what is absent,
 * sleep until notified, try again.
 */
int odp_test_read(struct odp_region *region, u64 va, void *buf, size_t len);
int odp_test_write(struct odp_region *region, u64 va, void *buf, size_t len);
int odp_test_cmpxchg64(struct odp_region *region, u64 va, u64 compare, u64 swap,
		       u64 *orig);
int odp_test_fetch_add64(struct odp_region *region, u64 va, u64 add, u64 *orig);
int odp_test_store64(struct odp_region *region, u64 va, u64 value);

/* Let the reaper run until it has nothing to do. */
void odp_test_reap(struct odp_region *region);

static inline long odp_test_windows(void)
{
	return atomic_long_read(&odp_gauges.windows);
}

static inline long odp_test_entries(void)
{
	return atomic_long_read(&odp_gauges.entries);
}

static inline u64 odp_test_stat(struct odp_region *region,
				enum odp_region_stat stat)
{
	return atomic64_read(&region->stat[stat]);
}

#endif /* ODP_TEST_H */
