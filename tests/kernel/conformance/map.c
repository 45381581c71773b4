// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rows 1 to 3, 5 and 6: mappings that go, are replaced, move, or change their rights. */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "scene.h"

#define RW	(PROT_READ | PROT_WRITE)

/* ------------------------------------------------------------------ rows 1 and 2: munmap, mmap */

/*
 * Under load an inaccessible mapping takes the place as soon as the pages are gone; between the two
 * calls nobody may make another: a queue pair's would be put right there, under the region.
 */
void cause_munmap(struct scene *s, size_t at, size_t len)
{
	pthread_mutex_lock(&traffic_maps);
	ck_assert_msg(!munmap(s->mem + at, len), "munmap: %s", strerror(errno));
	if (s->loaded)
		ck_assert_msg(mmap(s->mem + at, len, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
			      s->mem + at, "the hole was taken: %s", strerror(errno));
	pthread_mutex_unlock(&traffic_maps);
}

void restore_map(struct scene *s, size_t at, size_t len)
{
	if (!s->loaded)
		ck_assert_msg(mmap(s->mem + at, len, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
			      s->mem + at, "the hole was taken: %s", strerror(errno));
	scene_map_part(s, at, len, RW);
}

static void cause_replace(struct scene *s, size_t at, size_t len)
{
	scene_map_part(s, at, len, RW);
}

static void cause_unmap_map(struct scene *s, size_t at, size_t len)
{
	cause_munmap(s, at, len);
	restore_map(s, at, len);
}

/* What was shared memory becomes private memory; the file keeps its pages. */
static void cause_replace_by_private(struct scene *s, size_t at, size_t len)
{
	void *p = mmap(s->mem + at, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		       (s->pages == PAGES_HUGETLB ? MAP_HUGETLB : 0), -1, 0);

	ck_assert_msg(p != MAP_FAILED, "mmap: %s", strerror(errno));
	scene_advise(s, at, len);
}

/* ------------------------------------------------------------------ row 3: mremap */

/* Elsewhere, in the same position of a huge page. */
static uint8_t *make_room(size_t len)
{
	uint8_t *room = mmap(NULL, len + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
			     MAP_NORESERVE,
			     -1, 0);
	uint8_t *at = (uint8_t *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));

	ck_assert_msg(room != MAP_FAILED, "mmap: %s", strerror(errno));
	if (at > room)
		munmap(room, (size_t)(at - room));
	munmap(at + len, (size_t)(room + HUGE - at));
	return at;
}

/*
 * The kernel (6.12, 7.3) forgets what is reserved for a whole mapping of huge pages when it moves a part
 * of it: for good, so that there are none left in the end. The part is made a mapping of its own before,
 * by a flag that it does not have in common with what is beside it.
 */
static void set_apart(uint8_t *from, size_t len)
{
	ck_assert_msg(!madvise(from, len, MADV_DODUMP) && !madvise(from, len, MADV_DONTDUMP),
		      "madvise(MADV_DODUMP, MADV_DONTDUMP) of huge pages: %s", strerror(errno));
}

/*
 * What other events have cut into several mappings moves in pieces: EFAULT says so, and by then the
 * place that it was to move to is unmapped. Under load the caller holds traffic_maps: a queue pair's
 * memory that is mapped into that hole would be moved over, and its end would unmap what is there then.
 */
static void move(const struct scene *s, uint8_t *from, uint8_t *to, size_t len, int flags)
{
	size_t half = len / s->unit / 2 * s->unit;
	void *p;

	if (s->pages == PAGES_HUGETLB)
		set_apart(from, len);
	p = mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to);
	if (p == MAP_FAILED && errno == EFAULT && half) {
		move(s, from, to, half, flags);
		move(s, from + half, to + half, len - half, flags);
		return;
	}
	ck_assert_msg(p == to, "mremap of %zu KiB: %s", len / KIB, strerror(errno));
}

void cause_mremap_away(struct scene *s, size_t at, size_t len)
{
	pthread_mutex_lock(&traffic_maps);
	s->own = make_room(len);
	move(s, s->mem + at, s->own, len, 0);
	if (s->loaded)
		ck_assert_ptr_eq(mmap(s->mem + at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
				      MAP_FIXED_NOREPLACE, -1, 0), s->mem + at);
	pthread_mutex_unlock(&traffic_maps);
}

/* What was written there meanwhile would show. */
void restore_mremap_back(struct scene *s, size_t at, size_t len)
{
	pthread_mutex_lock(&traffic_maps);
	move(s, s->own, s->mem + at, len, 0);
	pthread_mutex_unlock(&traffic_maps);
}

/* Under load another mapping has taken the place of the old one in the meantime. */
static void cause_mremap_there_and_back(struct scene *s, size_t at, size_t len)
{
	cause_mremap_away(s, at, len);
	restore_mremap_back(s, at, len);
}

/* The old place stays, and is empty; its pages have another address, where they are looked at. */
static void cause_dontunmap(struct scene *s, size_t at, size_t len)
{
	uint8_t *to;

	pthread_mutex_lock(&traffic_maps);
	to = make_room(len);
	move(s, s->mem + at, to, len, MREMAP_DONTUNMAP);
	pthread_mutex_unlock(&traffic_maps);
	rig_fill(to, len, 0xd0, 0);
	s->own = to;
}

static void restore_dontunmap(struct scene *s, size_t at, size_t len)
{
	(void)at;
	rig_expect(s->own, len, 0xd0, 0, "the pages at their new address");
	munmap(s->own, len);
}

/* Another mapping comes over the part, with its pages. */
static void cause_mremap_onto(struct scene *s, size_t at, size_t len)
{
	uint8_t *from;

	pthread_mutex_lock(&traffic_maps);
	from = make_room(len);
	ck_assert_msg(mmap(from, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
			   (s->pages == PAGES_HUGETLB ? MAP_HUGETLB : 0), -1, 0) == from,
		      "mmap of %zu KiB: %s (%s)", len / KIB, strerror(errno), rig_huge_text());
	pthread_mutex_unlock(&traffic_maps);
	if (s->pages == PAGES_THP)
		madvise(from, len, MADV_HUGEPAGE);
	memset(from, 0, len);
	pthread_mutex_lock(&traffic_maps);
	move(s, from, s->mem + at, len, 0);
	pthread_mutex_unlock(&traffic_maps);
	scene_advise(s, at, len);
}

static void cause_shrink(struct scene *s, size_t at, size_t len)
{
	size_t keep = at ? s->unit : 0;

	if (!keep) {
		cause_munmap(s, at, len);
		return;
	}
	pthread_mutex_lock(&traffic_maps);
	/* The mapping ends where the region does; other events may have made several of it. */
	if (mremap(s->mem + at - keep, len + keep, keep, 0) == MAP_FAILED)
		ck_assert_msg(s->loaded && errno == EFAULT && !munmap(s->mem + at, len),
			      "mremap to %zu bytes: %s", keep, strerror(errno));
	if (s->loaded)
		ck_assert_ptr_eq(mmap(s->mem + at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
				      MAP_FIXED_NOREPLACE, -1, 0), s->mem + at);
	pthread_mutex_unlock(&traffic_maps);
}

/* ------------------------------------------------------------------ row 5: the heap, SysV memory */

static void cause_brk_down(struct scene *s, size_t at, size_t len)
{
	ck_assert_ptr_eq(sbrk(0), s->mem + s->len);
	ck_assert_int_eq(brk(s->mem + at), 0);
	(void)len;
}

static void restore_brk(struct scene *s, size_t at, size_t len)
{
	ck_assert_int_eq(brk(s->mem + at + len), 0);
	scene_advise(s, at, len);
}

static void cause_shmdt(struct scene *s, size_t at, size_t len)
{
	(void)at;
	pthread_mutex_lock(&traffic_maps);
	ck_assert_msg(!shmdt(s->mem), "shmdt: %s", strerror(errno));
	if (s->loaded)
		ck_assert_ptr_eq(mmap(s->mem, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
				      MAP_FIXED_NOREPLACE, -1, 0), s->mem);
	pthread_mutex_unlock(&traffic_maps);
}

/* An inaccessible mapping in between, so that SHM_REMAP always has something to replace. */
static void restore_shmat(struct scene *s, size_t at, size_t len)
{
	(void)at;
	mmap(s->mem, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ck_assert_msg(shmat(s->shm, s->mem, SHM_REMAP) == s->mem, "shmat: %s", strerror(errno));
}

/* Another segment over it; the first one lives on at scene->peer. */
static void cause_shm_remap(struct scene *s, size_t at, size_t len)
{
	int shm = shmget(IPC_PRIVATE, len, IPC_CREAT | 0600);

	(void)at;
	ck_assert_msg(shm >= 0, "shmget: %s", strerror(errno));
	ck_assert_msg(shmat(shm, s->mem, SHM_REMAP) == s->mem, "shmat: %s", strerror(errno));
	shmctl(shm, IPC_RMID, NULL);
}

/* ------------------------------------------------------------------ row 6: protection */

static void protect(struct scene *s, size_t at, size_t len, int prot)
{
	ck_assert_msg(!mprotect(s->mem + at, len, prot), "mprotect: %s", strerror(errno));
}

static void cause_read_only(struct scene *s, size_t at, size_t len)
{
	protect(s, at, len, PROT_READ);
}

static void cause_no_access(struct scene *s, size_t at, size_t len)
{
	protect(s, at, len, PROT_NONE);
}

static void cause_protect_flicker(struct scene *s, size_t at, size_t len)
{
	protect(s, at, len, PROT_NONE);
	protect(s, at, len, PROT_READ);
	protect(s, at, len, RW);
}

static void restore_rw(struct scene *s, size_t at, size_t len)
{
	protect(s, at, len, RW);
}

static bool prepare_pkey(struct scene *s)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		return scene_skip(s, "no protection keys: %s", strerror(errno));
	s->shm = key;
	return true;
}

/* A key that grants everything: rights are as they were, the page tables are not. */
static void cause_pkey(struct scene *s, size_t at, size_t len)
{
	ck_assert_msg(!pkey_mprotect(s->mem + at, len, RW, s->shm), "pkey_mprotect: %s",
		      strerror(errno));
}

static void restore_pkey(struct scene *s, size_t at, size_t len)
{
	ck_assert_msg(!pkey_mprotect(s->mem + at, len, RW, 0), "pkey_mprotect: %s",
		      strerror(errno));
}

const struct row map_rows[] = {
	{ 1, "munmap", "munmap of a part", "unmap", PAGES_ANY, ON_ANON, GONE,
	  ROW_PIN | ROW_ZERO_AFTER, .cause = cause_munmap, .restore = restore_map },
	{ 1, "munmap-shared", "munmap of a part of a shared mapping, mapped again", "unmap",
	  PAGES_ANY, ON_MEMFD, GONE, 0, .cause = cause_munmap, .restore = restore_map },
	{ 1, "munmap-whole", "munmap of everything", "unmap", PAGES_ANY, ON_ANON, GONE,
	  ROW_ALL | ROW_PIN | ROW_ZERO_AFTER, .cause = cause_munmap, .restore = restore_map },
	{ 1, "munmap-tail", "munmap to the end of the region", "unmap", PAGES_ANY, ON_ANON, GONE,
	  ROW_TAIL | ROW_PIN | ROW_ZERO_AFTER, .cause = cause_munmap, .restore = restore_map },
	{ 2, "mmap-over", "mmap(MAP_FIXED) over it", "unmap|clear", PAGES_ANY, ON_ANON, ZEROS,
	  ROW_PIN, .cause = cause_replace },
	{ 2, "munmap-mmap", "munmap, then mmap at the same address", "unmap", PAGES_ANY, ON_ANON,
	  ZEROS, ROW_PIN | ROW_HOLE, .cause = cause_unmap_map },
	{ 2, "private-over-shared", "anonymous memory over a shared mapping", "unmap|clear",
	  PAGES_ANY, ON_MEMFD, ZEROS, ROW_PEER | ROW_ALL | ROW_NO_LOAD | ROW_OWNS_MEM,
	  .cause = cause_replace_by_private },
	{ 3, "mremap-away", "mremap to another place, and back", "unmap|clear", PAGES_ANY, ON_ANON,
	  GONE, 0, .cause = cause_mremap_away, .restore = restore_mremap_back },
	{ 3, "mremap-away-back", "the same with no access between", "unmap|clear", PAGES_ANY,
	  ON_ANON, KEPT, ROW_HOLE, .cause = cause_mremap_there_and_back },
	{ 3, "mremap-dontunmap", "mremap(MREMAP_DONTUNMAP)", "unmap|clear", PAGES_SMALL, ON_ANON,
	  ZEROS, 0, .cause = cause_dontunmap, .restore = restore_dontunmap },
	{ 3, "mremap-onto", "mremap of another mapping onto it", "unmap|clear", PAGES_ANY, ON_ANON,
	  ZEROS, ROW_PIN | ROW_HOLE, .cause = cause_mremap_onto },
	{ 3, "mremap-shrink", "mremap to a smaller size", "unmap", PAGES_SMALL, ON_ANON, GONE,
	  ROW_TAIL | ROW_PIN | ROW_ZERO_AFTER, .cause = cause_shrink, .restore = restore_map },
	{ 5, "brk", "brk down and up", "unmap", PAGES_4K, ON_HEAP, GONE,
	  ROW_TAIL | ROW_ZERO_AFTER | ROW_PIN, .cause = cause_brk_down, .restore = restore_brk },
	{ 5, "shmdt", "shmdt, shmat(SHM_REMAP)", "unmap", PAGES_4K | PAGES_HUGETLB, ON_SYSV, GONE,
	  ROW_ALL, .cause = cause_shmdt, .restore = restore_shmat },
	{ 5, "shm-remap", "shmat(SHM_REMAP) of another segment over it", "unmap|clear", PAGES_4K,
	  ON_SYSV, ZEROS, ROW_ALL | ROW_PEER, .cause = cause_shm_remap },
	{ 6, "read-only", "mprotect(PROT_READ), and back", "protection_vma", PAGES_ANY, ON_ANON,
	  READ_ONLY, 0, .cause = cause_read_only, .restore = restore_rw },
	{ 6, "no-access", "mprotect(PROT_NONE), and back", "protection_vma", PAGES_ANY, ON_ANON,
	  GONE, 0, .cause = cause_no_access, .restore = restore_rw },
	{ 6, "no-access-shared", "the same of a shared mapping", "protection_vma", PAGES_ANY,
	  ON_MEMFD, GONE, 0, .cause = cause_no_access, .restore = restore_rw },
	{ 6, "flicker", "mprotect to none, read-only and back at once", "protection_vma", PAGES_ANY,
	  ON_ANON, KEPT, ROW_HOLE, .cause = cause_protect_flicker },
	{ 6, "pkey", "pkey_mprotect with a key that grants all", "protection_vma",
	  PAGES_4K | PAGES_THP, ON_ANON, KEPT, 0, .prepare = prepare_pkey, .cause = cause_pkey,
	  .restore = restore_pkey },
	{ 0 }
};
