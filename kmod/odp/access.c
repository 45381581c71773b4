// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Access: what a driver does to the memory of a region
 *
 * Every access goes page by page: find the entry and use the page under the
 * leaf's read lock, or stop there with -EAGAIN.  It takes RCU and one read lock
 * of the 2 MiB it touches, allocates nothing and sleeps nowhere.
 *
 * Dirty.  A page may be writable and clean in the owner's page tables (swapped
 * in by a read, MADV_FREE), so the folio is marked dirty when it is first
 * written through an entry, and the entry remembers that.  Whatever cleans a
 * folio (writeback, reclaim, MADV_FREE) invalidates its mappings first, which
 * takes the entry and its memory of dirtiness away:
 *
 *	write				cleaning
 *	-----				--------
 *	read_lock(leaf)
 *	  entry not dirty: mark the
 *	  folio dirty, then the entry
 *	  copy				invalidate: waits for the copy,
 *	read_unlock(leaf)		  clears the entry
 *					clear the folio's dirty flag, write out
 *	read_lock(leaf)			  (and what the copy wrote is in there)
 *	  absent: fault, new entry,
 *	  not dirty: mark again
 *
 * folio_mark_dirty() is called with a spinlock held and without the folio
 * lock, as zap does it under the page table lock: the mapping of the folio
 * cannot go away before our entry does.
 */
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/io.h>
#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "odp.h"

enum odp_op_type {
	ODP_OP_READ,
	ODP_OP_WRITE,
	ODP_OP_CMPXCHG,
	ODP_OP_FETCH_ADD,
	ODP_OP_STORE,
	ODP_OP_FLUSH,
};

struct odp_op {
	enum odp_op_type	type;
	void			*buf;		/* READ, WRITE */
	u64			arg;		/* swap, add or value */
	u64			orig;		/* in: compare, out: old value */
	spinlock_t		*lock;
};

static bool odp_page_lies_in(struct page *page, unsigned long desc)
{
	return region_intersects(page_to_phys(page), PAGE_SIZE, IORESOURCE_MEM,
				 desc) == REGION_INTERSECTS;
}

/* Also what firmware without NFIT, or "memmap=", says is persistent. */
static bool odp_page_is_pmem(struct page *page)
{
	return odp_page_lies_in(page, IORES_DESC_PERSISTENT_MEMORY) ||
	       odp_page_lies_in(page, IORES_DESC_PERSISTENT_MEMORY_LEGACY);
}

static void odp_op_atomic(struct odp_op *op, u64 *ptr)
{
	if (op->lock)
		spin_lock_bh(op->lock);
	if (op->type == ODP_OP_CMPXCHG)
		op->orig = cmpxchg(ptr, op->orig, op->arg);
	else
		op->orig = atomic64_fetch_add(op->arg, (atomic64_t *)ptr);
	if (op->lock)
		spin_unlock_bh(op->lock);
}

/* Do @op on @len bytes at @offset of @page, which does not go away meanwhile. */
static int odp_op_page(struct odp_op *op, struct page *page,
		       unsigned int offset, unsigned int len)
{
	void *kaddr = kmap_local_page(page);
	int ret = 0;

	switch (op->type) {
	case ODP_OP_READ:
		memcpy(op->buf, kaddr + offset, len);
		op->buf += len;
		break;
	case ODP_OP_WRITE:
		memcpy(kaddr + offset, op->buf, len);
		op->buf += len;
		break;
	case ODP_OP_CMPXCHG:
	case ODP_OP_FETCH_ADD:
		odp_op_atomic(op, kaddr + offset);
		break;
	case ODP_OP_STORE:
		/* After everything that came before it in the queue pair. */
		smp_store_release((u64 *)(kaddr + offset), op->arg);
		break;
	case ODP_OP_FLUSH:
		if (odp_page_is_pmem(page))
			arch_wb_cache_pmem(kaddr + offset, len);
		else
			ret = -EINVAL;
		break;
	}
	kunmap_local(kaddr);
	return ret;
}

/*
 * The place of the entry that translates @va, or NULL; the page it stands for
 * is @ahead pages behind the entry's own.
 */
static unsigned long *odp_leaf_lookup(struct odp_leaf *leaf, unsigned long va,
				      unsigned int *ahead)
{
	unsigned int slot = odp_entry_slot(va);
	unsigned long *entry;

	/* Only the dirty bit changes under the read lock, see odp_leaf_op(). */
	if (READ_ONCE(leaf->huge)) {
		*ahead = slot;
		return &leaf->huge;
	}
	*ahead = 0;
	entry = READ_ONCE(leaf->entry);
	return entry ? &entry[slot] : NULL;
}

/* The bits that an entry must have. */
static unsigned long odp_need(bool write)
{
	return ODP_ENTRY_PRESENT | (write ? ODP_ENTRY_WRITE : 0);
}

static int odp_leaf_op(struct odp_leaf *leaf, struct odp_op *op,
		       unsigned long va, unsigned int len, bool write)
{
	unsigned long *place, need = odp_need(write), entry = 0;
	int ret = -EAGAIN;
	unsigned int ahead;
	struct page *page;

	read_lock(&leaf->lock);
	place = odp_leaf_lookup(leaf, va, &ahead);
	if (place)
		entry = READ_ONCE(*place);
	if ((entry & need) != need)
		goto out;

	page = pfn_to_page((entry >> ODP_ENTRY_PFN_SHIFT) + ahead);
	/* Other readers may mark it at the same time: atomic, idempotent. */
	if (write && !(entry & ODP_ENTRY_DIRTY)) {
		folio_mark_dirty(page_folio(page));
		set_bit(ODP_ENTRY_DIRTY_BIT, place);
	}
	ret = odp_op_page(op, page, offset_in_page(va), len);
out:
	read_unlock(&leaf->lock);
	return ret;
}

/* The leaf of @va, or NULL.  It stays for as long as the caller's RCU section. */
static struct odp_leaf *odp_leaf_find(struct odp_region *region,
				      unsigned long va)
{
	struct odp_window *window = odp_window_find(region, va);

	return window ? rcu_dereference(window->leaf[odp_leaf_slot(va)]) : NULL;
}

/* Do @op on a piece of one page.  Return: -EAGAIN when it must be faulted. */
static int odp_try_op(struct odp_region *region, struct odp_op *op,
		      unsigned long va, unsigned int len, bool write)
{
	struct odp_leaf *leaf;
	int ret = -EAGAIN;

	rcu_read_lock();
	leaf = odp_leaf_find(region, va);
	if (leaf)
		ret = odp_leaf_op(leaf, op, va, len, write);
	rcu_read_unlock();
	return ret;
}

static int odp_check(const struct odp_region *region, u64 va, u64 len,
		     bool write)
{
	if (va < region->start || len > region->length ||
	    va - region->start > region->length - len)
		return -EINVAL;
	if (write && !region->writable)
		return -EACCES;
	return 0;
}

/* Do @op on what is there of [@va, @va + @len); *@done bytes were. */
static int odp_access(struct odp_region *region, struct odp_op *op, u64 va,
		      u64 len, bool write, u64 *done)
{
	unsigned int bytes;
	int ret;

	*done = 0;
	ret = odp_check(region, va, len, write);
	while (!ret && *done < len) {
		if (unlikely(odp_region_dead(region)))
			return -ESHUTDOWN;
		bytes = min_t(u64, len - *done, PAGE_SIZE - offset_in_page(va));
		ret = odp_try_op(region, op, va, bytes, write);
		if (ret)
			break;
		va += bytes;
		*done += bytes;
		/* A flush may be as long as the region. */
		if (!(va & (ODP_LEAF_SIZE - 1)))
			cond_resched();
	}
	return ret;
}

/* One aligned word is in one page: all of it, or nothing. */
static int odp_access_word(struct odp_region *region, struct odp_op *op, u64 va)
{
	u64 done;

	if (!IS_ALIGNED(va, sizeof(u64)))
		return -EINVAL;
	return odp_access(region, op, va, sizeof(u64), true, &done);
}

/**
 * odp_region_try_copy - copy from or to the region's memory what is there
 * @region: the region
 * @va: user virtual address
 * @buf: kernel buffer of @len bytes
 * @len: bytes to copy; 0 only checks that nothing is out of range
 * @write: from @buf to the region, else from the region to @buf
 * @done: where the number of bytes copied goes, whatever is returned
 *
 * Pages that are written are marked dirty.  After -EAGAIN the copy goes on at
 * @va + *@done, with @buf + *@done: nothing is copied twice.
 *
 * Context: process context, no spinlock held.  Waits for nothing; may be
 * preempted between pages.
 * Return: 0, -EAGAIN when the page at @va + *@done is not there, or an error
 * listed in rdma_odp.h.
 */
int odp_region_try_copy(struct odp_region *region, u64 va, void *buf,
			size_t len, bool write, u64 *done)
{
	struct odp_op op = {
		.type = write ? ODP_OP_WRITE : ODP_OP_READ,
		.buf = buf,
	};

	return odp_access(region, &op, va, len, write, done);
}
EXPORT_SYMBOL_GPL(odp_region_try_copy);

/**
 * odp_region_try_atomic64 - 64-bit compare and swap, or fetch and add
 * @region: the region
 * @va: user virtual address, a multiple of 8
 * @cmp: compare and swap, else fetch and add
 * @compare: value to compare with, when @cmp
 * @arg: value to swap in, or to add (wraps)
 * @orig: where the old value goes; untouched unless 0 is returned
 *
 * Atomic against the CPUs and, through attr.atomic_lock, against the driver's
 * own atomics.  Done exactly once when 0 is returned, else not at all.
 *
 * Context: as odp_region_try_copy().
 * Return: 0, -EAGAIN when the page is not there, or an error listed in
 * rdma_odp.h; -EINVAL also for a misaligned @va.
 */
int odp_region_try_atomic64(struct odp_region *region, u64 va, bool cmp,
			    u64 compare, u64 arg, u64 *orig)
{
	struct odp_op op = {
		.type = cmp ? ODP_OP_CMPXCHG : ODP_OP_FETCH_ADD,
		.arg = arg,
		.orig = compare,
		.lock = region->atomic_lock,
	};
	int ret = odp_access_word(region, &op, va);

	if (!ret)
		*orig = op.orig;
	return ret;
}
EXPORT_SYMBOL_GPL(odp_region_try_atomic64);

/**
 * odp_region_try_store64 - 8-byte atomic write
 * @region: the region
 * @va: user virtual address, a multiple of 8
 * @value: what to store
 *
 * No reader sees a part of @value, nor @value before what was written earlier.
 *
 * Context: as odp_region_try_copy().
 * Return: 0, -EAGAIN when the page is not there, or an error listed in
 * rdma_odp.h; -EINVAL also for a misaligned @va.
 */
int odp_region_try_store64(struct odp_region *region, u64 va, u64 value)
{
	struct odp_op op = { .type = ODP_OP_STORE, .arg = value };

	return odp_access_word(region, &op, va);
}
EXPORT_SYMBOL_GPL(odp_region_try_store64);

/**
 * odp_region_try_flush - write back CPU caches to persistent memory
 * @region: the region
 * @va: first user virtual address
 * @len: bytes
 * @done: where the number of bytes written back goes, whatever is returned
 *
 * What is not mapped at the moment must be requested, for reading, and flushed
 * after that: data written through an earlier mapping may still be in the caches.
 *
 * Context: as odp_region_try_copy().
 * Return: 0, -EAGAIN when the page at @va + *@done is not there, or an error
 * listed in rdma_odp.h; -EINVAL also when a page is not persistent memory, as
 * nothing can be promised for it.
 */
int odp_region_try_flush(struct odp_region *region, u64 va, u64 len, u64 *done)
{
	struct odp_op op = { .type = ODP_OP_FLUSH };

	return odp_access(region, &op, va, len, false, done);
}
EXPORT_SYMBOL_GPL(odp_region_try_flush);

/**
 * odp_region_prefetch - translate pages before they are needed
 * @region: the region
 * @va: first user virtual address
 * @len: bytes, not 0
 * @flags: ODP_PREFETCH_*
 *
 * Context: process context; sleeps until the pages are there unless
 * ODP_PREFETCH_ASYNC is given.  A signal that kills the caller ends the wait.
 * Return: 0 or an error listed in rdma_odp.h; -EINTR when killed.  With
 * ODP_PREFETCH_ASYNC only argument errors and -ENOMEM.
 */
int odp_region_prefetch(struct odp_region *region, u64 va, u64 len,
			unsigned int flags)
{
	unsigned int fault = ODP_FAULT_PREFETCH;
	int ret;

	if (!len)
		return -EINVAL;
	ret = odp_check(region, va, len, flags & ODP_PREFETCH_WRITE);
	if (ret)
		return ret;
	if (flags & ODP_PREFETCH_WRITE)
		fault |= ODP_FAULT_WRITE;
	if (flags & ODP_PREFETCH_NO_FAULT)
		fault |= ODP_FAULT_SNAPSHOT;
	if (flags & ODP_PREFETCH_ASYNC)
		return odp_fault_async(region, va, len, fault);
	return odp_fault(region, va, len, fault);
}
EXPORT_SYMBOL_GPL(odp_region_prefetch);

/*
 * The first page of [@va, @end), which lies in one leaf, that @need bits are
 * missing of, or @end.  Without the leaf's lock: what is seen may be over
 * already.
 */
static u64 odp_leaf_missing(struct odp_leaf *leaf, u64 va, u64 end,
			    unsigned long need)
{
	unsigned long *entry;

	if ((READ_ONCE(leaf->huge) & need) == need)
		return end;
	/* Pairs with the release in odp_leaf_add_entries(): it is cleared. */
	entry = smp_load_acquire(&leaf->entry);
	for (; entry && va < end; va += PAGE_SIZE)
		if ((READ_ONCE(entry[odp_entry_slot(va)]) & need) != need)
			break;
	return va;
}

/* The same for any range of @region. */
static u64 odp_first_missing(struct odp_region *region, u64 va, u64 len,
			     unsigned long need)
{
	u64 at = va & PAGE_MASK, end = va + len, next;
	struct odp_leaf *leaf;

	for (; at < end; at = next) {
		next = min((at | (ODP_LEAF_SIZE - 1)) + 1, end);
		rcu_read_lock();
		leaf = odp_leaf_find(region, at);
		if (leaf)
			at = odp_leaf_missing(leaf, at, next, need);
		rcu_read_unlock();
		if (at < next)
			return at;
	}
	return end;
}

/* Why an access to a range faults, as far as can be seen now: for statistics. */
enum odp_region_stat odp_access_cause(struct odp_region *region,
				      unsigned long va, u64 len,
				      unsigned int flags)
{
	u64 at;

	if (!(flags & ODP_FAULT_WRITE))
		return ODP_STAT_FAULTS_READ;
	at = odp_first_missing(region, va, len, odp_need(true));
	if (at < va + len &&
	    odp_first_missing(region, at, 1, odp_need(false)) > at)
		return ODP_STAT_FAULTS_UPGRADE;
	return ODP_STAT_FAULTS_WRITE;
}

/**
 * odp_region_ready_bytes - how far could an access go without waiting?
 * @region: the region
 * @va: first user virtual address
 * @len: bytes to look at; what is outside of the region is left out
 * @write: for writing
 *
 * A hint, as odp_region_ready() is one.
 *
 * Context: any.
 * Return: how many bytes from @va on are translated with the rights asked for;
 * at most @len.
 */
u64 odp_region_ready_bytes(struct odp_region *region, u64 va, u64 len,
			   bool write)
{
	u64 end = region->start + region->length, at;

	if (va < region->start || va >= end || (write && !region->writable))
		return 0;
	at = odp_first_missing(region, va, min(len, end - va), odp_need(write));
	return at > va ? at - va : 0;
}
EXPORT_SYMBOL_GPL(odp_region_ready_bytes);

/**
 * odp_region_ready - would an access have to wait?
 * @region: the region
 * @va: first user virtual address
 * @len: bytes; the cost is in proportion to the pages
 * @write: for writing
 *
 * A hint for drivers that would rather do something else than wait: the pages
 * may go the moment after.
 *
 * Context: any.
 * Return: true when all of the range is translated with the rights asked for.
 */
bool odp_region_ready(struct odp_region *region, u64 va, u64 len, bool write)
{
	return !odp_check(region, va, len, write) &&
	       odp_region_ready_bytes(region, va, len, write) == len;
}
EXPORT_SYMBOL_GPL(odp_region_ready);

/**
 * odp_region_request - fault pages in and be notified when they are there
 * @region: the region
 * @va: first user virtual address
 * @len: bytes, not 0
 * @write: for writing
 * @notify: who is notified; copied
 *
 * A few pages that can be had without waiting are faulted in here; anything
 * else by a worker of the owner's user.  @notify is called once, perhaps before
 * this returns: by the fault, or by odp_region_kill(), and by nobody any more
 * after odp_region_destroy().  Its result 0 means what 0 means here: try again,
 * and the page may be gone once more.
 *
 * Context: process context, no lock held; may sleep for memory of the request,
 * not for the pages.
 * Return: 0 when the pages are there, -EINPROGRESS when @notify is or has been
 * called, else an error listed in rdma_odp.h; only with -EINPROGRESS is it called.
 */
int odp_region_request(struct odp_region *region, u64 va, u64 len, bool write,
		       const struct odp_notify *notify)
{
	int ret;

	if (!len)
		return -EINVAL;
	ret = odp_check(region, va, len, write);
	if (ret)
		return ret;
	if (odp_region_dead(region))
		return -ESHUTDOWN;
	return odp_fault_notify(region, va, len, write ? ODP_FAULT_WRITE : 0,
				notify);
}
EXPORT_SYMBOL_GPL(odp_region_request);

/**
 * odp_region_ahead - fault pages in that will be accessed soon
 * @region: the region
 * @va: first user virtual address
 * @len: bytes; what is outside of the region is left out
 * @write: for writing
 *
 * A hint: nothing is reported, and it is forgotten when many are under way.
 *
 * Context: process context, may sleep for memory, not for the pages.
 */
void odp_region_ahead(struct odp_region *region, u64 va, u64 len, bool write)
{
	u64 end = region->start + region->length;

	if (va < region->start || va >= end || !len ||
	    (write && !region->writable) || odp_region_dead(region))
		return;
	odp_fault_async(region, va, min(len, end - va), ODP_FAULT_AHEAD |
			(write ? ODP_FAULT_WRITE : 0));
}
EXPORT_SYMBOL_GPL(odp_region_ahead);
