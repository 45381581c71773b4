// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Minor faults: which ones can be served without waiting?
 *
 * handle_mm_fault() with FAULT_FLAG_RETRY_NOWAIT waits for no page lock and no
 * userfaultfd, but that is all: it reads a page that is not in the page cache,
 * starts reading what is swapped out, waits for pages under migration, and
 * throttles who dirties a file.  So this looks first, and says yes to
 *
 *	anonymous memory that is not there: zero page, new page, huge page
 *	a page to be copied, or made writable, where that tells no file system
 *	shared memory (tmpfs, memfd, shmem) that is not there or in its cache
 *	a page of a file that is in the page cache and up to date
 *
 * and no to everything else.  What is seen may be over the moment after; then
 * the fault waits a little where it should not have, for a disk at the worst,
 * and does nothing wrong.
 *
 * Swapped out: whether a page is still in the swap cache is nothing that a
 * module can look up, so it is left to a job, as one that must be read is.
 */
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page_counter.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/shmem_fs.h>
#include <linux/userfaultfd_k.h>

#include "odp.h"

/*
 * What a fault may allocate without anybody noticing: a huge page, its page
 * tables, and what the memory controller charges in advance.
 */
#define ODP_FAULT_ROOM	(ODP_LEAF_ENTRIES + 128)

#ifdef CONFIG_MEMCG
/* Is there so much room in @memcg and above it that nobody has to reclaim? */
static bool odp_memcg_has_room(const struct mem_cgroup *memcg)
{
	const struct page_counter *c;
	unsigned long limit, used;

	if (!memcg)
		return true;
	for (c = &memcg->memory; c; c = c->parent) {
		limit = min(READ_ONCE(c->max), READ_ONCE(c->high));
		used = atomic_long_read(&c->usage);
		if (used > limit || limit - used < ODP_FAULT_ROOM)
			return false;
	}
	return true;
}
#else
static bool odp_memcg_has_room(const struct mem_cgroup *memcg)
{
	return true;
}
#endif

/* A zone of this node that satisfies an allocation of user memory at once? */
static bool odp_node_has_room(void)
{
	pg_data_t *node = NODE_DATA(numa_mem_id());
	struct zone *zone;
	int i;

	for (i = 0; i <= ZONE_NORMAL; i++) {
		zone = &node->node_zones[i];
		if (managed_zone(zone) &&
		    zone_page_state(zone, NR_FREE_PAGES) >
		    low_wmark_pages(zone) + zone->lowmem_reserve[ZONE_NORMAL] +
		    ODP_FAULT_ROOM)
			return true;
	}
	return false;
}

/* Can a few pages be allocated for @memcg without reclaim? */
bool odp_memory_at_hand(struct mem_cgroup *memcg)
{
	return odp_memcg_has_room(memcg) && odp_node_has_room();
}

enum odp_pte_kind {
	ODP_PTE_NO_TABLE,	/* a huge page may come there */
	ODP_PTE_NONE,
	ODP_PTE_PRESENT,
	ODP_PTE_OTHER,		/* swapped out, migrating, poisoned, a marker */
};

/*
 * What is in the owner's page table at @va?  The caller holds mmap_lock, so that
 * no table above the last level goes, and RCU keeps the last level, as
 * pte_offset_map() would have it.
 */
static enum odp_pte_kind odp_pte_kind(struct mm_struct *mm, unsigned long va)
{
	pgd_t *pgd = pgd_offset(mm, va);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t pmd;
	pte_t pte;

	if (pgd_none(*pgd))
		return ODP_PTE_NO_TABLE;
	p4d = p4d_offset(pgd, va);
	if (p4d_none(*p4d))
		return ODP_PTE_NO_TABLE;
	pud = pud_offset(p4d, va);
	if (pud_none(*pud))
		return ODP_PTE_NO_TABLE;
	if (!pud_present(*pud) || pud_leaf(*pud))
		return ODP_PTE_OTHER;
	pmd = pmdp_get_lockless(pmd_offset(pud, va));
	if (pmd_none(pmd))
		return ODP_PTE_NO_TABLE;
	/* Of a huge page, a write may wait for its lock. */
	if (!pmd_present(pmd) || pmd_leaf(pmd))
		return ODP_PTE_OTHER;
	pte = ptep_get_lockless(pte_offset_kernel(&pmd, va));
	if (pte_none(pte))
		return ODP_PTE_NONE;
	/* A hint for NUMA balancing migrates. */
	return pte_present(pte) && !pte_protnone(pte) ? ODP_PTE_PRESENT :
							ODP_PTE_OTHER;
}

/*
 * Is there a huge page to be had?  Without one the allocation would reclaim for
 * it, as noio does not let it compact.
 */
static bool odp_huge_at_hand(void)
{
	struct zone *zone = &NODE_DATA(numa_mem_id())->node_zones[ZONE_NORMAL];
	unsigned int order;

	for (order = ODP_LEAF_ORDER; order < NR_PAGE_ORDERS; order++)
		if (READ_ONCE(zone->free_area[order].nr_free))
			return true;
	return false;
}

/* A folio that nobody reads, writes or waits for, nor reads ahead from. */
static bool odp_folio_at_hand(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);
	bool at_hand;

	if (IS_ERR_OR_NULL(folio))
		return false;
	at_hand = folio_test_uptodate(folio) && !folio_test_locked(folio) &&
		  !folio_test_readahead(folio);
	folio_put(folio);
	return at_hand;
}

/* Nothing there, not even swapped out. */
static bool odp_shmem_is_hole(struct address_space *mapping, pgoff_t index)
{
	return !xa_load(&mapping->i_pages, index);
}

/* A fault waits, asleep, while a hole is punched anywhere near. */
static bool odp_shmem_is_punched(struct address_space *mapping)
{
	return shmem_mapping(mapping) && READ_ONCE(mapping->host->i_private);
}

static bool odp_file_is_minor(struct vm_area_struct *vma, unsigned long va,
			      bool write)
{
	const struct vm_operations_struct *ops = vma->vm_ops;
	bool shared = vma->vm_flags & VM_SHARED;
	struct address_space *mapping;
	pgoff_t index;

	/* Not what we do not know: drivers, file systems with locks of theirs. */
	if (!vma->vm_file || ops->map_pages != filemap_map_pages)
		return false;
	mapping = vma->vm_file->f_mapping;
	if ((ops->fault != filemap_fault && !shmem_mapping(mapping)) ||
	    odp_shmem_is_punched(mapping))
		return false;
	/* A file system that is told of writes may do anything about them. */
	if (write && shared && (ops->page_mkwrite || ops->pfn_mkwrite))
		return false;
	index = linear_page_index(vma, va);
	return odp_folio_at_hand(mapping, index) ||
	       (shmem_mapping(mapping) && odp_shmem_is_hole(mapping, index));
}

/*
 * A private page without a struct page of its own is copied on a write by its
 * user address, in the address space of whoever faults: that has to be the
 * owner's.
 */
bool odp_vma_copies_by_address(const struct vm_area_struct *vma)
{
	return !(vma->vm_flags & VM_SHARED) &&
	       ((vma->vm_flags & VM_MIXEDMAP) || vma_is_dax(vma));
}

/*
 * Could a fault at @va be served at once, as far as can be seen?  The caller
 * holds mmap_lock, and has seen that @vma permits it.
 */
bool odp_fault_is_minor(struct mm_struct *mm, struct vm_area_struct *vma,
			unsigned long va, bool write)
{
	enum odp_pte_kind kind;

	if (is_vm_hugetlb_page(vma) || userfaultfd_armed(vma) ||
	    odp_vma_copies_by_address(vma))
		return false;
	rcu_read_lock();
	kind = odp_pte_kind(mm, va);
	rcu_read_unlock();
	if (kind == ODP_PTE_OTHER)
		return false;
	if (vma_is_anonymous(vma))
		return kind != ODP_PTE_NO_TABLE || odp_huge_at_hand();
	/* Copying a private page of a file's needs the file no more. */
	if (kind == ODP_PTE_PRESENT && !(vma->vm_flags & VM_SHARED))
		return vma->vm_ops->map_pages == filemap_map_pages;
	return odp_file_is_minor(vma, va, write);
}
