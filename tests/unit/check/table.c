// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The table: install, clear, huge, split, trim. */
#include <linux/slab.h>

#include "check_engine.h"

#define LEAF	(2 * MIB)

static struct odp_region *mapped_region(u64 length, unsigned int flags)
{
	stub_mmap(world_mm, ARENA, ARENA + length, flags);
	return world_region(ARENA, length, true);
}

START_TEST(one_page)
{
	struct odp_region *region = mapped_region(LEAF, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA + 5, 42), 0);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(leaves(), 1);
	ck_assert_int_eq(windows(), 1);
	ck_assert_int_eq(cpu_peek(ARENA + 5), 42);
	ck_assert_int_eq(peek(region, ARENA + 5), 42);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS), 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS_HANDLED), 1);
	ck_assert(stub_migrate(world_mm, ARENA));
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(region_stat(region, ODP_STAT_INVALIDATIONS_HANDLED),
			 1);
	ck_assert_int_eq(peek(region, ARENA + 5), 42);
	odp_region_destroy(region);
}
END_TEST

START_TEST(zero_page_is_replaced_by_a_write)
{
	struct odp_region *region = mapped_region(LEAF, STUB_RW);

	ck_assert_int_eq(peek(region, ARENA), 0);
	ck_assert_int_eq(stub_pages_used(), 0);
	cpu_poke(ARENA, 1);
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(peek(region, ARENA), 1);
	ck_assert_int_eq(peek(region, ARENA + PAGE_SIZE), 0);
	ck_assert_int_eq(poke(region, ARENA + PAGE_SIZE, 2), 0);
	ck_assert_int_eq(cpu_peek(ARENA + PAGE_SIZE), 2);
	ck_assert_int_eq(peek(region, ARENA + 2 * PAGE_SIZE), 0);
	odp_region_destroy(region);
}
END_TEST

START_TEST(whole_leaf_of_small_pages)
{
	struct odp_region *region = mapped_region(2 * LEAF, STUB_RW);
	unsigned long i;

	ck_assert_int_eq(odp_region_prefetch(region, ARENA, 2 * LEAF,
					     ODP_PREFETCH_WRITE), 0);
	ck_assert_int_eq(entries(), 1024);
	ck_assert_int_eq(leaves(), 2);
	for (i = 0; i < 1024; i += 37)
		ck_assert_int_eq(poke(region, ARENA + i * PAGE_SIZE, i), 0);
	/* Across the border of the two leaves. */
	stub_dontneed(world_mm, ARENA + LEAF - 3 * PAGE_SIZE,
		      ARENA + LEAF + 5 * PAGE_SIZE);
	ck_assert_int_eq(entries(), 1024 - 8);
	for (i = 0; i < 509; i += 37)
		ck_assert_int_eq(peek(region, ARENA + i * PAGE_SIZE), i & 255);
	ck_assert_int_eq(peek(region, ARENA + LEAF), 0);
	odp_region_destroy(region);
}
END_TEST

START_TEST(huge_page_is_one_entry)
{
	struct odp_region *region = mapped_region(2 * LEAF, STUB_RW | STUB_THP);

	ck_assert_int_eq(poke(region, ARENA + LEAF - 1, 11), 0);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(poke(region, ARENA + 100 * PAGE_SIZE, 12), 0);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(region_stat(region, ODP_STAT_FAULTS), 1);
	ck_assert_int_eq(cpu_peek(ARENA + LEAF - 1), 11);
	ck_assert_int_eq(cpu_peek(ARENA + 100 * PAGE_SIZE), 12);
	/* No page of small entries was made: region, user, window, leaf, xarray. */
	ck_assert_int_eq(stub_objects_live(), 5);
	odp_region_destroy(region);
}
END_TEST

START_TEST(huge_page_is_split)
{
	struct odp_region *region = mapped_region(LEAF, STUB_RW | STUB_THP);

	ck_assert_int_eq(poke(region, ARENA + 7 * PAGE_SIZE, 7), 0);
	ck_assert(stub_split(world_mm, ARENA));
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(region_stat(region, ODP_STAT_INVALIDATIONS_HANDLED),
			 512);
	ck_assert_int_eq(peek(region, ARENA + 7 * PAGE_SIZE), 7);
	ck_assert_int_eq(entries(), 1);
	ck_assert(stub_migrate(world_mm, ARENA + 7 * PAGE_SIZE));
	ck_assert_int_eq(peek(region, ARENA + 7 * PAGE_SIZE), 7);
	odp_region_destroy(region);
}
END_TEST

START_TEST(part_of_a_huge_page_is_unmapped)
{
	struct odp_region *region = mapped_region(LEAF, STUB_RW | STUB_THP);
	unsigned long hole = ARENA + 256 * PAGE_SIZE;

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	ck_assert_int_eq(poke(region, ARENA + LEAF - 1, 2), 0);
	stub_munmap(world_mm, hole, hole + PAGE_SIZE);
	ck_assert_int_eq(peek(region, hole), -EFAULT);
	ck_assert_int_eq(peek(region, ARENA), 1);
	ck_assert_int_eq(peek(region, ARENA + LEAF - 1), 2);
	odp_region_destroy(region);
}
END_TEST

START_TEST(region_inside_a_huge_page)
{
	struct odp_region *region;

	stub_mmap(world_mm, ARENA, ARENA + LEAF, STUB_RW | STUB_THP);
	region = world_region(ARENA + 3 * PAGE_SIZE, 2 * PAGE_SIZE, true);
	ck_assert_int_eq(poke(region, ARENA + 4 * PAGE_SIZE, 4), 0);
	ck_assert_int_eq(cpu_peek(ARENA + 4 * PAGE_SIZE), 4);
	ck_assert_int_eq(peek(region, ARENA + 5 * PAGE_SIZE), -EINVAL);
	stub_munmap(world_mm, ARENA, ARENA + 3 * PAGE_SIZE);
	ck_assert_int_eq(peek(region, ARENA + 4 * PAGE_SIZE), 4);
	stub_munmap(world_mm, ARENA, ARENA + LEAF);
	ck_assert_int_eq(peek(region, ARENA + 4 * PAGE_SIZE), -EFAULT);
	odp_region_destroy(region);
}
END_TEST

/* Small entries first, then a huge mapping in the same leaf. */
START_TEST(small_entries_give_way_to_a_huge_one)
{
	struct odp_region *region = mapped_region(LEAF, STUB_RW);

	ck_assert_int_eq(poke(region, ARENA + PAGE_SIZE, 1), 0);
	stub_mmap(world_mm, ARENA, ARENA + LEAF, STUB_RW | STUB_THP);
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(peek(region, ARENA + PAGE_SIZE), 0);
	ck_assert_int_eq(entries(), 1);
	stub_split(world_mm, ARENA);
	ck_assert_int_eq(poke(region, ARENA, 3), 0);
	ck_assert_int_eq(cpu_peek(ARENA), 3);
	odp_region_destroy(region);
}
END_TEST

/* The table's own calls: a huge entry replaced by a small one and back. */
START_TEST(entries_replace_each_other)
{
	struct odp_region *region = mapped_region(LEAF, STUB_RW);
	struct odp_window *window;
	unsigned long pfn, head;

	ck_assert_int_eq(poke(region, ARENA, 1), 0);
	window = odp_window_get(region, ARENA, false);
	ck_assert_ptr_nonnull(window);
	head = page_to_pfn(stub_page_alloc(9));

	spin_lock(&window->lock);
	pfn = head | HMM_PFN_VALID | HMM_PFN_WRITE |
	      9UL << HMM_PFN_ORDER_SHIFT;
	ck_assert_int_eq(odp_table_install(window, ARENA, &pfn, 1), 0);
	ck_assert_int_eq(entries(), 2);
	ck_assert_int_eq(odp_table_install(window, ARENA, &pfn, 1), 0);
	ck_assert_int_eq(entries(), 2);
	pfn = head | HMM_PFN_VALID;
	ck_assert_int_eq(odp_table_install(window, ARENA, &pfn, 1), 0);
	ck_assert_int_eq(entries(), 1);
	pfn = 0;
	ck_assert_int_eq(odp_table_install(window, ARENA, &pfn, 1), 0);
	ck_assert_int_eq(entries(), 1);
	spin_unlock(&window->lock);
	ck_assert_int_eq(odp_table_clear(window, ARENA, ARENA + LEAF), 1);
	ck_assert_int_eq(odp_table_clear(window, ARENA, ARENA + LEAF), 0);
	odp_window_put(window);
	stub_page_free(pfn_to_page(head));
	odp_region_destroy(region);
}
END_TEST

/* Room that has gone again between prepare and install. */
START_TEST(install_without_room)
{
	struct odp_region *region = mapped_region(LEAF, STUB_RW);
	struct odp_window *window = odp_window_get(region, ARENA, true);
	struct page *page = stub_page_alloc(0);
	unsigned long pfn = page_to_pfn(page) | HMM_PFN_VALID;

	spin_lock(&window->lock);
	ck_assert_int_eq(odp_table_install(window, ARENA, &pfn, 1), -EAGAIN);
	spin_unlock(&window->lock);
	ck_assert_int_eq(odp_table_prepare(window, ARENA, false, GFP_KERNEL),
			 0);
	spin_lock(&window->lock);
	ck_assert_int_eq(odp_table_install(window, ARENA, &pfn, 1), -EAGAIN);
	spin_unlock(&window->lock);
	ck_assert_int_eq(odp_table_prepare(window, ARENA, true, GFP_KERNEL), 0);
	ck_assert_int_eq(odp_table_prepare(window, ARENA, true, GFP_KERNEL), 0);
	spin_lock(&window->lock);
	ck_assert_int_eq(odp_table_install(window, ARENA, &pfn, 1), 0);
	spin_unlock(&window->lock);
	ck_assert_int_eq(entries(), 1);
	ck_assert(!odp_table_trim(window));
	ck_assert_int_eq(odp_table_clear(window, ARENA, ARENA + PAGE_SIZE), 1);
	ck_assert(odp_table_trim(window));
	ck_assert_int_eq(leaves(), 0);
	odp_window_put(window);
	stub_page_free(page);
	odp_region_destroy(region);
}
END_TEST

START_TEST(a_misaligned_huge_page_is_not_huge_here)
{
	ck_assert(odp_pfn_is_huge(ARENA, 1024 | 9UL << HMM_PFN_ORDER_SHIFT));
	ck_assert(!odp_pfn_is_huge(ARENA, 1025 | 9UL << HMM_PFN_ORDER_SHIFT));
	ck_assert(!odp_pfn_is_huge(ARENA, 1024 | 8UL << HMM_PFN_ORDER_SHIFT));
	ck_assert(odp_pfn_is_huge(ARENA + 3 * PAGE_SIZE,
				  1027 | 18UL << HMM_PFN_ORDER_SHIFT));
}
END_TEST

START_TEST(memory_of_a_page_or_less_per_entry)
{
	struct odp_region *region = mapped_region(TIB, STUB_RW);
	unsigned long i;

	/* One page in each of 100 windows: no cost for what is between. */
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(poke(region, ARENA + i * GIB, i), 0);
	ck_assert_int_eq(windows(), 100);
	ck_assert_int_eq(leaves(), 100);
	/* The region, its user, and window, xarray node, leaf, entries of each. */
	ck_assert_int_eq(stub_objects_live(), 2 + 4 * 100);
	/* All but the region itself is charged to the owner, it too. */
	ck_assert_int_eq(world_mm->memcg.charged, 2 + 4 * 100);
	odp_region_destroy(region);
}
END_TEST

Suite *suite_table(void)
{
	Suite *suite = suite_create("table");
	TCase *tc = case_new("table");

	tcase_add_test(tc, one_page);
	tcase_add_test(tc, zero_page_is_replaced_by_a_write);
	tcase_add_test(tc, whole_leaf_of_small_pages);
	tcase_add_test(tc, huge_page_is_one_entry);
	tcase_add_test(tc, huge_page_is_split);
	tcase_add_test(tc, part_of_a_huge_page_is_unmapped);
	tcase_add_test(tc, region_inside_a_huge_page);
	tcase_add_test(tc, small_entries_give_way_to_a_huge_one);
	tcase_add_test(tc, entries_replace_each_other);
	tcase_add_test(tc, install_without_room);
	tcase_add_test(tc, a_misaligned_huge_page_is_not_huge_here);
	tcase_add_test(tc, memory_of_a_page_or_less_per_entry);
	suite_add_tcase(suite, tc);
	return suite;
}
