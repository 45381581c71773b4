// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Access: rights, dirty marking, words, prefetch. */
#include "check_engine.h"

static struct odp_region *mapped_region(u64 length, unsigned int flags)
{
	stub_mmap(world_mm, ARENA, ARENA + length, flags);
	return world_region(ARENA, length, true);
}

START_TEST(a_region_that_grants_no_writes)
{
	struct odp_region *region;
	u64 orig;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = world_region(ARENA, MIB, false);
	ck_assert_int_eq(peek(region, ARENA), 0);
	cpu_poke(ARENA, 5);
	ck_assert_int_eq(peek(region, ARENA), 5);
	ck_assert_int_eq(poke(region, ARENA, 1), -EACCES);
	ck_assert_int_eq(world_store64(region, ARENA, 1), -EACCES);
	ck_assert_int_eq(world_fetch_add64(region, ARENA, 1, &orig),
			 -EACCES);
	ck_assert_int_eq(world_cmpxchg64(region, ARENA, 5, 1, &orig),
			 -EACCES);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 1,
					     ODP_PREFETCH_WRITE), -EACCES);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 1, 0), 0);
	ck_assert_int_eq(cpu_peek(ARENA), 5);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_mapping_that_grants_less)
{
	struct odp_region *region = mapped_region(MIB, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	stub_mprotect(world_mm, ARENA, ARENA + MIB, STUB_READ);
	ck_assert_int_eq(poke(region, ARENA, 2), -EFAULT);
	ck_assert_int_eq(peek(region, ARENA), 1);
	stub_mprotect(world_mm, ARENA, ARENA + MIB, 0);
	ck_assert_int_eq(peek(region, ARENA), -EFAULT);
	stub_mprotect(world_mm, ARENA, ARENA + MIB, STUB_RW);
	ck_assert_int_eq(poke(region, ARENA, 3), 0);
	ck_assert_int_eq(cpu_peek(ARENA), 3);
	odp_region_destroy(region);
}
END_TEST

START_TEST(pages_that_must_not_be_touched)
{
	struct odp_region *region = world_region(ARENA, GIB, true);

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW | STUB_SECRET);
	stub_mmap(world_mm, ARENA + MIB, ARENA + 2 * MIB, STUB_RW | STUB_POISON);
	ck_assert_int_eq(peek(region, ARENA), -EFAULT);
	ck_assert_int_eq(poke(region, ARENA, 1), -EFAULT);
	ck_assert_int_eq(cpu_peek(ARENA), 0);
	ck_assert_int_eq(peek(region, ARENA), -EFAULT);
	ck_assert_int_eq(peek(region, ARENA + MIB), -EHWPOISON);
	ck_assert_int_eq(peek(region, ARENA + 3 * MIB), -EFAULT);
	ck_assert_int_eq(entries(), 0);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_write_stops_where_the_mapping_does)
{
	struct odp_region *region = world_region(ARENA, MIB, true);
	char buf[256];

	stub_mmap(world_mm, ARENA, ARENA + PAGE_SIZE, STUB_RW);
	memset(buf, 6, sizeof(buf));
	ck_assert_int_eq(world_write(region, ARENA + PAGE_SIZE - 128, buf,
					  256), -EFAULT);
	ck_assert_int_eq(world_read(region, ARENA + PAGE_SIZE - 128, buf,
					 256), -EFAULT);
	odp_region_destroy(region);
}
END_TEST

/* Swapped in by a read the page is writable and clean. */
START_TEST(writes_survive_reclaim)
{
	struct odp_region *region = mapped_region(MIB, STUB_RW);
	int i;

	cpu_poke(ARENA, 1);
	for (i = 2; i < 20; i++) {
		ck_assert(stub_swap_out(world_mm, ARENA));
		ck_assert_int_eq(peek(region, ARENA), i - 1);
		ck_assert_int_eq(poke(region, ARENA, i), 0);
		ck_assert_int_eq(poke(region, ARENA + 1, i), 0);
	}
	ck_assert(stub_swap_out(world_mm, ARENA));
	ck_assert_int_eq(cpu_peek(ARENA), 19);
	ck_assert_int_eq(cpu_peek(ARENA + 1), 19);
	odp_region_destroy(region);
}
END_TEST

START_TEST(writes_after_writeback_are_marked_again)
{
	struct odp_region *region = mapped_region(MIB, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert(stub_clean(world_mm, ARENA));
	ck_assert_int_eq(poke(region, ARENA, 2), 0);
	ck_assert(stub_clean(world_mm, ARENA));
	ck_assert_int_eq(world_store64(region, ARENA, 3), 0);
	ck_assert(stub_swap_out(world_mm, ARENA));
	ck_assert_int_eq(cpu_peek(ARENA), 3);
	odp_region_destroy(region);
}
END_TEST

START_TEST(reads_make_nothing_dirty)
{
	struct odp_region *region = mapped_region(MIB, STUB_RW);
	struct stub_pte *pte;

	cpu_poke(ARENA, 1);
	ck_assert(stub_clean(world_mm, ARENA));
	ck_assert_int_eq(peek(region, ARENA), 1);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, PAGE_SIZE,
					     ODP_PREFETCH_WRITE), 0);
	pte = stub_pte_find(world_mm, ARENA);
	ck_assert(!pte->page->dirty);
	ck_assert_int_eq(poke(region, ARENA, 2), 0);
	ck_assert(pte->page->dirty);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_huge_page_is_marked_as_a_whole)
{
	struct odp_region *region = mapped_region(2 * MIB, STUB_RW | STUB_THP);
	unsigned long va = ARENA + 77 * PAGE_SIZE;
	struct stub_pte *pte;

	ck_assert_int_eq(peek(region, va), 0);
	pte = stub_pte_find(world_mm, va);
	ck_assert(!pte->page->dirty);
	ck_assert_int_eq(poke(region, va, 1), 0);
	ck_assert(pte->page->dirty);
	stub_split(world_mm, ARENA);
	ck_assert(stub_swap_out(world_mm, va));
	ck_assert_int_eq(peek(region, va), 1);
	odp_region_destroy(region);
}
END_TEST

START_TEST(words)
{
	struct odp_region *region = mapped_region(MIB, STUB_RW);
	u64 orig = 99, value;

	ck_assert_int_eq(world_fetch_add64(region, ARENA, 5, &orig), 0);
	ck_assert_uint_eq(orig, 0);
	ck_assert_int_eq(world_cmpxchg64(region, ARENA, 4, 8, &orig), 0);
	ck_assert_uint_eq(orig, 5);
	ck_assert_int_eq(world_cmpxchg64(region, ARENA, 5, 8, &orig), 0);
	ck_assert_uint_eq(orig, 5);
	ck_assert_int_eq(world_fetch_add64(region, ARENA, ~0ULL, &orig),
			 0);
	ck_assert_uint_eq(orig, 8);
	ck_assert_int_eq(world_read(region, ARENA, &value, 8), 0);
	ck_assert_uint_eq(value, 7);
	ck_assert_int_eq(world_store64(region, ARENA + MIB - 8, 1), 0);
	ck_assert_int_eq(world_store64(region, ARENA + 4, 1), -EINVAL);
	ck_assert_int_eq(world_cmpxchg64(region, ARENA + 1, 0, 0, &orig),
			 -EINVAL);
	ck_assert_int_eq(world_fetch_add64(region, ARENA + 7, 0, &orig),
			 -EINVAL);
	ck_assert_int_eq(world_store64(region, ARENA + MIB, 1), -EINVAL);
	odp_region_destroy(region);
}
END_TEST

START_TEST(words_under_the_drivers_lock)
{
	spinlock_t lock;
	struct odp_region_attr attr = {
		.start = ARENA,
		.length = MIB,
		.writable = true,
		.atomic_lock = &lock,
	};
	struct odp_region *region;
	u64 orig;

	spin_lock_init(&lock);
	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW);
	region = odp_region_create(&attr);
	ck_assert_int_eq(world_fetch_add64(region, ARENA, 5, &orig), 0);
	ck_assert_int_eq(world_cmpxchg64(region, ARENA, 5, 6, &orig), 0);
	ck_assert_uint_eq(orig, 5);
	ck_assert(!lockdep_is_held(&lock));
	odp_region_destroy(region);
}
END_TEST

START_TEST(flush)
{
	struct odp_region *region = world_region(ARENA, GIB, true);

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW | STUB_PMEM);
	stub_mmap(world_mm, ARENA + MIB, ARENA + 2 * MIB, STUB_RW);
	ck_assert_int_eq(world_flush(region, ARENA + 100, 8000),
			 0);
	ck_assert_int_eq(stub_pmem_flushed(), 8000);
	ck_assert_int_eq(world_flush(region, ARENA + MIB, 1),
			 -EINVAL);
	odp_region_destroy(region);
}
END_TEST

START_TEST(prefetch)
{
	struct odp_region *region = mapped_region(8 * MIB, STUB_RW);

	cpu_poke(ARENA + 3 * PAGE_SIZE, 1);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 8 * MIB,
					     ODP_PREFETCH_NO_FAULT), 0);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(stub_pages_used(), 1);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA + 1, 4 * MIB,
					     ODP_PREFETCH_WRITE), 0);
	ck_assert_int_eq(entries(), 1025);
	ck_assert_int_eq(region_stat(region, ODP_STAT_PREFETCH), 2048 + 1025);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS), 0);
	ck_assert_int_eq(poke(region, ARENA + 4 * MIB - 1, 1), 0);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS), 0);
	odp_region_destroy(region);
}
END_TEST

START_TEST(causes)
{
	struct odp_region *region = mapped_region(8 * MIB, STUB_RW);

	ck_assert_int_eq(peek(region, ARENA), 0);
	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert_int_eq(poke(region, ARENA + MIB, 1), 0);
	ck_assert_int_eq(peek(region, ARENA + MIB), 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS_READ), 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS_UPGRADE), 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS_WRITE), 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS), 3);
	odp_region_destroy(region);
}
END_TEST

START_TEST(prefetch_in_the_background)
{
	struct odp_region *region = mapped_region(4 * MIB, STUB_RW);

	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 4 * MIB,
					     ODP_PREFETCH_ASYNC |
					     ODP_PREFETCH_WRITE), 0);
	ck_assert_int_eq(entries(), 0);
	stub_run_all();
	ck_assert_int_eq(entries(), 1024);
	/* What fails there fails in silence. */
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 4 * MIB,
					     ODP_PREFETCH_ASYNC), 0);
	stub_munmap(world_mm, ARENA, ARENA + 4 * MIB);
	stub_run_all();
	ck_assert_int_eq(entries(), 0);
	odp_region_destroy(region);
}
END_TEST

START_TEST(prefetch_over_a_hole)
{
	struct odp_region *region = mapped_region(4 * MIB, STUB_RW);

	stub_munmap(world_mm, ARENA + 3 * MIB, ARENA + 3 * MIB + PAGE_SIZE);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 4 * MIB, 0),
			 -EFAULT);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 4 * MIB,
					     ODP_PREFETCH_NO_FAULT), 0);
	odp_region_destroy(region);
}
END_TEST

/* A page that the owner has mapped is translated without a worker. */
START_TEST(mapped_pages_take_the_short_way)
{
	struct odp_region *region = mapped_region(4 * MIB, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA + PAGE_SIZE, 1), 0);
	cpu_poke(ARENA, 9);
	stub_fail_nth = 2;	/* the second is the request of the long way */
	ck_assert_int_eq(peek(region, ARENA), 9);
	ck_assert_int_eq(stub_fail_hits, 0);
	stub_fail_nth = 0;
	ck_assert_int_eq(entries(), 2);
	odp_region_destroy(region);
}
END_TEST

/* What the statistics call handled is what was translated. */
START_TEST(handled_pages_are_those_translated)
{
	struct odp_region *region = mapped_region(2 * MIB, STUB_RW);
	struct odp_region_stats stats;
	u64 word;

	cpu_poke(ARENA, 1);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 2 * MIB,
					     ODP_PREFETCH_NO_FAULT), 0);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS_HANDLED), 1);
	ck_assert_int_eq(world_read(region, ARENA + MIB, &word, 8), 0);
	odp_region_get_stats(region, &stats);
	ck_assert_uint_eq(stats.page_faults, 1);
	ck_assert_uint_eq(stats.page_faults_handled, 2);
	ck_assert_uint_eq(stats.page_prefetch, 512);
	ck_assert_uint_eq(stats.page_invalidations, 0);
	ck_assert_uint_eq(stats.page_invalidations_handled, 0);
	odp_region_destroy(region);
}
END_TEST

/* A hint too many is forgotten, and once they are through there is room. */
START_TEST(a_flood_of_background_prefetches)
{
	struct odp_region *region = mapped_region(4 * MIB, STUB_RW);
	long most;
	int i;

	for (i = 0; i < 300; i++)
		ck_assert_int_eq(odp_region_prefetch(region, ARENA, 1,
						     ODP_PREFETCH_ASYNC), 0);
	most = atomic_long_read(&odp_gauges.faults);
	ck_assert_int_ge(most, 1);
	ck_assert_int_lt(most, 300);
	stub_run_all();
	ck_assert_int_eq(atomic_long_read(&odp_gauges.faults), 0);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA + MIB, 1,
					     ODP_PREFETCH_ASYNC), 0);
	stub_run_all();
	ck_assert_int_eq(entries(), 2);
	odp_region_destroy(region);
}
END_TEST

START_TEST(mappings_that_are_special)
{
	static const unsigned int flags[] = {
		VM_SHADOW_STACK, VM_IO, VM_PFNMAP, STUB_SPECIAL,
	};
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + MIB, STUB_RW | flags[_i]);
	stub_mmap(world_mm, ARENA + MIB, ARENA + 2 * MIB, STUB_RW);
	region = world_region(ARENA, 2 * MIB, true);
	ck_assert_int_eq(poke(region, ARENA, 1), -EFAULT);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 2 * MIB, 0),
			 -EFAULT);
	ck_assert_int_eq(poke(region, ARENA + MIB, 1), 0);
	ck_assert_int_eq(entries(), 1);
	odp_region_destroy(region);
}
END_TEST

/* Mapped or not, huge pages of that kind take the long way. */
START_TEST(hugetlb)
{
	struct odp_region *region = mapped_region(4 * MIB, STUB_RW | VM_HUGETLB);

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	cpu_poke(ARENA + 2 * MIB + PAGE_SIZE, 2);
	ck_assert_int_eq(peek(region, ARENA + 2 * MIB + PAGE_SIZE), 2);
	ck_assert_int_eq(entries(), 2);
	odp_region_destroy(region);
}
END_TEST

START_TEST(some_pages_are_there_and_some_are_not)
{
	struct odp_region *region = mapped_region(4 * MIB, STUB_RW);
	unsigned long i;

	for (i = 0; i < 512; i += 3)
		cpu_poke(ARENA + i * PAGE_SIZE, i);
	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 2 * MIB,
					     ODP_PREFETCH_WRITE), 0);
	ck_assert_int_eq(entries(), 512);
	for (i = 0; i < 512; i++)
		ck_assert_int_eq(peek(region, ARENA + i * PAGE_SIZE),
				 i % 3 ? 0 : i & 255);
	odp_region_destroy(region);
}
END_TEST

Suite *suite_access(void)
{
	Suite *suite = suite_create("access");
	TCase *tc = case_new("access");

	tcase_add_test(tc, a_region_that_grants_no_writes);
	tcase_add_test(tc, a_mapping_that_grants_less);
	tcase_add_test(tc, pages_that_must_not_be_touched);
	tcase_add_test(tc, a_write_stops_where_the_mapping_does);
	tcase_add_test(tc, writes_survive_reclaim);
	tcase_add_test(tc, writes_after_writeback_are_marked_again);
	tcase_add_test(tc, reads_make_nothing_dirty);
	tcase_add_test(tc, a_huge_page_is_marked_as_a_whole);
	tcase_add_test(tc, words);
	tcase_add_test(tc, words_under_the_drivers_lock);
	tcase_add_test(tc, flush);
	tcase_add_test(tc, prefetch);
	tcase_add_test(tc, causes);
	tcase_add_test(tc, prefetch_in_the_background);
	tcase_add_test(tc, prefetch_over_a_hole);
	tcase_add_test(tc, mapped_pages_take_the_short_way);
	tcase_add_test(tc, handled_pages_are_those_translated);
	tcase_add_test(tc, a_flood_of_background_prefetches);
	tcase_add_loop_test(tc, mappings_that_are_special, 0, 4);
	tcase_add_test(tc, hugetlb);
	tcase_add_test(tc, some_pages_are_there_and_some_are_not);
	suite_add_tcase(suite, tc);
	return suite;
}
