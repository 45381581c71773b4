// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The translation table of a window
 *
 * A leaf covers 2 MiB: either one huge entry, or small entries in a page of
 * their own that is allocated with the first of them.  So the table never
 * takes more than the owner's own page tables do.  Leaves and entry pages are
 * added under window->lock and given back only by the reaper, also under
 * window->lock, and freed after a grace period: whoever finds a leaf under
 * RCU may use it.
 *
 * Entries change under the leaf's write lock.  An access holds the read lock
 * while it uses the page, so that clearing an entry waits for the copy in
 * flight and for nothing else:
 *
 *	access				invalidation
 *	------				------------
 *	read_lock(leaf)
 *	  entry is present
 *	  copy				write_lock(leaf)  waits for the copy
 *	read_unlock(leaf)
 *					  clear the entry
 *					write_unlock(leaf)
 *	read_lock(leaf)			the callback returns, the kernel frees
 *	  entry is absent: fault	the page
 */
#include <linux/hmm.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "odp.h"

static struct kmem_cache *odp_leaf_cache;

static void odp_leaf_free(struct odp_leaf *leaf)
{
	kfree(leaf->entry);
	kmem_cache_free(odp_leaf_cache, leaf);
	atomic_long_dec(&odp_gauges.leaves);
}

static void odp_leaf_free_rcu(struct rcu_head *rcu)
{
	odp_leaf_free(container_of(rcu, struct odp_leaf, rcu));
}

static struct odp_leaf *odp_leaf_of(struct odp_window *window, unsigned int i)
{
	return rcu_dereference_protected(window->leaf[i],
					 lockdep_is_held(&window->lock));
}

static int odp_leaf_add(struct odp_window *window, unsigned int slot, gfp_t gfp)
{
	struct odp_leaf *leaf;

	leaf = kmem_cache_zalloc(odp_leaf_cache, gfp);
	if (!leaf)
		return -ENOMEM;
	rwlock_init(&leaf->lock);
	atomic_long_inc(&odp_gauges.leaves);

	spin_lock(&window->lock);
	if (!odp_leaf_of(window, slot)) {
		rcu_assign_pointer(window->leaf[slot], leaf);
		leaf = NULL;
	}
	spin_unlock(&window->lock);
	if (leaf)
		odp_leaf_free(leaf);
	return 0;
}

static int odp_leaf_add_entries(struct odp_window *window, unsigned int slot,
				gfp_t gfp)
{
	unsigned long *entry;
	struct odp_leaf *leaf;

	entry = kcalloc(ODP_LEAF_ENTRIES, sizeof(*entry), gfp);
	if (!entry)
		return -ENOMEM;

	spin_lock(&window->lock);
	leaf = odp_leaf_of(window, slot);
	if (leaf) {
		write_lock(&leaf->lock);
		if (!leaf->entry) {
			/* odp_leaf_missing() looks without the lock. */
			smp_store_release(&leaf->entry, entry);
			entry = NULL;
		}
		write_unlock(&leaf->lock);
	}
	spin_unlock(&window->lock);
	kfree(entry);
	return 0;
}

/*
 * Make room for entries of the leaf of @va, with an entry page when @small.
 * The caller is a user of @window (odp_window_get()), which alone does not
 * keep the reaper from an empty leaf: odp_table_install() looks again.  Return: 0 or -ENOMEM.
 */
int odp_table_prepare(struct odp_window *window, unsigned long va, bool small,
		      gfp_t gfp)
{
	unsigned int slot = odp_leaf_slot(va);
	bool have_leaf, have_entries = false;
	struct odp_leaf *leaf;
	int ret;

	spin_lock(&window->lock);
	leaf = odp_leaf_of(window, slot);
	have_leaf = leaf;
	if (leaf)
		have_entries = leaf->entry;
	spin_unlock(&window->lock);

	if (!have_leaf) {
		ret = odp_leaf_add(window, slot, gfp);
		if (ret)
			return ret;
	}
	if (small && !have_entries)
		return odp_leaf_add_entries(window, slot, gfp);
	return 0;
}

/*
 * Some pages are mapped by user space and still not for the kernel to touch:
 * secret memory has left the kernel's own page tables.  hmm_range_fault() lets
 * them through.  The mapping is stable here: it takes an invalidation to
 * change it, and that waits for the lock we hold.
 */
static bool odp_page_forbidden(struct page *page)
{
	struct folio *folio = page_folio(page);
	struct address_space *mapping;

	if (folio_test_anon(folio))
		return false;
	mapping = folio_mapping(folio);
	return mapping && mapping->host &&
	       mapping->host->i_sb->s_magic == SECRETMEM_MAGIC;
}

static unsigned long odp_entry_of(const struct odp_region *region,
				  unsigned long hmm_pfn)
{
	unsigned long pfn = hmm_pfn & ~HMM_PFN_FLAGS;
	unsigned long entry;

	entry = (pfn << ODP_ENTRY_PFN_SHIFT) | ODP_ENTRY_PRESENT;
	if (region->writable && (hmm_pfn & HMM_PFN_WRITE))
		entry |= ODP_ENTRY_WRITE;
	return entry;
}

/* Does @hmm_pfn, found at @va, stand for the whole leaf? */
bool odp_pfn_is_huge(unsigned long va, unsigned long hmm_pfn)
{
	unsigned long pfn = hmm_pfn & ~HMM_PFN_FLAGS;

	return hmm_pfn_to_map_order(hmm_pfn) >= ODP_LEAF_ORDER &&
	       (pfn & (ODP_LEAF_ENTRIES - 1)) == odp_entry_slot(va);
}

static void odp_leaf_set_huge(struct odp_leaf *leaf, unsigned long entry,
			      unsigned int slot)
{
	if (!leaf->huge) {
		leaf->count++;
		atomic_long_inc(&odp_gauges.entries);
	}
	WRITE_ONCE(leaf->huge,
		   entry - ((unsigned long)slot << ODP_ENTRY_PFN_SHIFT));
}

static void odp_leaf_drop_huge(struct odp_leaf *leaf)
{
	if (!leaf->huge)
		return;
	WRITE_ONCE(leaf->huge, 0);
	leaf->count--;
	atomic_long_dec(&odp_gauges.entries);
}

static void odp_leaf_set_small(struct odp_leaf *leaf, unsigned long entry,
			       unsigned int slot)
{
	/* The kernel has split what was huge; the old entry went with that. */
	odp_leaf_drop_huge(leaf);
	if (!__test_and_set_bit(slot, leaf->present)) {
		leaf->count++;
		atomic_long_inc(&odp_gauges.entries);
	}
	WRITE_ONCE(leaf->entry[slot], entry);
}

static int odp_leaf_install(struct odp_region *region, struct odp_leaf *leaf,
			    unsigned long va, const unsigned long *pfns,
			    unsigned int n)
{
	unsigned int i, slot;
	int ret = 0;

	write_lock(&leaf->lock);
	for (i = 0; i < n; i++, va += PAGE_SIZE) {
		if (!(pfns[i] & HMM_PFN_VALID))
			continue;
		if (odp_page_forbidden(hmm_pfn_to_page(pfns[i]))) {
			ret = -EFAULT;
			break;
		}
		slot = odp_entry_slot(va);
		if (odp_pfn_is_huge(va, pfns[i])) {
			/* It stands for the pages after it as well. */
			odp_leaf_set_huge(leaf, odp_entry_of(region, pfns[i]),
					  slot);
			break;
		}
		if (leaf->entry)
			odp_leaf_set_small(leaf, odp_entry_of(region, pfns[i]),
					   slot);
		else
			ret = -EAGAIN;
		if (ret)
			break;
	}
	write_unlock(&leaf->lock);
	return ret;
}

/*
 * Install what hmm_range_fault() found for @n pages from @start, all in one
 * leaf.  Pages it did not find stay absent.
 *
 * The caller holds window->lock and has just seen under it that window->calls
 * has not moved.  The notifier counts its call under the same lock, so a page on
 * its way out is either seen by that check or cleared after us.
 *
 * Return: 0, -EAGAIN when the room made by odp_table_prepare() has gone again,
 * -EFAULT at a page that must not be touched.
 */
int odp_table_install(struct odp_window *window, unsigned long start,
		      const unsigned long *pfns, unsigned int n)
{
	struct odp_leaf *leaf;

	lockdep_assert_held(&window->lock);
	leaf = odp_leaf_of(window, odp_leaf_slot(start));
	if (!leaf)
		return -EAGAIN;
	return odp_leaf_install(window->region, leaf, start, pfns, n);
}

static unsigned int odp_leaf_clear(struct odp_leaf *leaf, unsigned int first,
				   unsigned int last)
{
	unsigned int slot, small = 0, pages = 0;

	write_lock(&leaf->lock);
	if (leaf->huge) {
		odp_leaf_drop_huge(leaf);
		pages += ODP_LEAF_ENTRIES;
	}
	slot = first;
	for_each_set_bit_from(slot, leaf->present, last + 1) {
		__clear_bit(slot, leaf->present);
		WRITE_ONCE(leaf->entry[slot], 0);
		small++;
	}
	leaf->count -= small;
	pages += small;
	write_unlock(&leaf->lock);

	if (small)
		atomic_long_sub(small, &odp_gauges.entries);
	return pages;
}

/*
 * Forget [@start, @end) of @window, waiting for copies in flight.  Called by
 * the notifier: must not sleep, allocate or wait for anything else.
 *
 * Return: pages forgotten.
 */
unsigned int odp_table_clear(struct odp_window *window, unsigned long start,
			     unsigned long end)
{
	unsigned long va, next;
	unsigned int pages = 0;
	struct odp_leaf *leaf;

	/* RCU keeps the leaves: the reaper may be trimming beside us. */
	rcu_read_lock();
	for (va = start; va < end; va = next) {
		next = min((va | (ODP_LEAF_SIZE - 1)) + 1, end);
		leaf = rcu_dereference(window->leaf[odp_leaf_slot(va)]);
		if (leaf)
			pages += odp_leaf_clear(leaf, odp_entry_slot(va),
						odp_entry_slot(next - 1));
	}
	rcu_read_unlock();
	return pages;
}

/* Unlink the empty leaves of @window.  Return: true when none is left. */
bool odp_table_trim(struct odp_window *window)
{
	struct odp_leaf *leaf;
	bool empty = true;
	unsigned int i;

	spin_lock(&window->lock);
	for (i = 0; i < ODP_WINDOW_LEAVES; i++) {
		leaf = odp_leaf_of(window, i);
		if (!leaf)
			continue;
		/* Entries are only added under window->lock. */
		read_lock(&leaf->lock);
		if (leaf->count) {
			empty = false;
			read_unlock(&leaf->lock);
			continue;
		}
		read_unlock(&leaf->lock);
		RCU_INIT_POINTER(window->leaf[i], NULL);
		call_rcu(&leaf->rcu, odp_leaf_free_rcu);
	}
	spin_unlock(&window->lock);
	return empty;
}

/* Free the table of a window that nobody can find and nobody calls. */
void odp_table_free(struct odp_window *window)
{
	struct odp_leaf *leaf;
	unsigned int i;

	for (i = 0; i < ODP_WINDOW_LEAVES; i++) {
		leaf = rcu_dereference_protected(window->leaf[i], true);
		if (!leaf)
			continue;
		atomic_long_sub(leaf->count, &odp_gauges.entries);
		odp_leaf_free(leaf);
	}
}

int odp_table_init(void)
{
	odp_leaf_cache = KMEM_CACHE(odp_leaf, 0);
	return odp_leaf_cache ? 0 : -ENOMEM;
}

void odp_table_exit(void)
{
	/* The callbacks of odp_table_trim() are code of this module. */
	rcu_barrier();
	kmem_cache_destroy(odp_leaf_cache);
}
