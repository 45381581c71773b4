// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The memory of a row, of every backing and kind of pages; and that nobody holds on to its pages. */
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "scene.h"

#define THP_DIR		"/sys/kernel/mm/transparent_hugepage/"
#define RW		(PROT_READ | PROT_WRITE)

bool scene_skip(struct scene *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	return false;
}

void scene_advise(struct scene *s, size_t at, size_t len)
{
	if (s->pages != PAGES_HUGETLB)
		madvise(s->mem + at, len, s->pages == PAGES_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

int scene_madvise(struct scene *s, size_t at, size_t len, int advice, const char *name)
{
	int err = madvise(s->mem + at, len, advice) ? errno : 0;

	ck_assert_msg(!err || err == EINVAL || err == EAGAIN || err == EBUSY,
		      "madvise(%s) of %zu KiB at %#zx: %s", name, len / KIB, at, strerror(err));
	return err;
}

bool scene_is_huge(const uint8_t *at)
{
	uint64_t first = rig_pfn(at);

	return first && first % 512 == 0 && rig_pfn(at + HUGE - RIG_PAGE) == first + 511;
}

/* ------------------------------------------------------------------ backings */

static bool open_file(struct scene *s)
{
	bool reflink = s->row->backing == ON_DAX_REFLINK, dax = reflink || s->row->backing == ON_DAX;
	char dir[40] = "/tmp", path[80];

	if (s->row->backing == ON_MEMFD) {
		s->fd = memfd_create("odpreg", MFD_CLOEXEC | MFD_ALLOW_SEALING |
				     (s->pages == PAGES_HUGETLB ? MFD_HUGETLB : 0));
		if (s->fd < 0)
			return scene_skip(s, "memfd_create: %s", strerror(errno));
	} else {
		if ((s->row->backing == ON_DISK || s->row->backing == ON_PRIVATE) &&
		    !machine_disk(s, dir, sizeof(dir)))
			return false;
		if (dax && !machine_dax(s, dir, sizeof(dir), reflink))
			return false;
		snprintf(path, sizeof(path), "%s/odpreg.XXXXXX", dir);
		s->fd = mkostemp(path, O_CLOEXEC);
		ck_assert_msg(s->fd >= 0, "%s: %s", path, strerror(errno));
		unlink(path);
	}
	ck_assert_msg(!ftruncate(s->fd, (off_t)s->len), "ftruncate: %s", strerror(errno));
	/* In one piece, so that huge pages can be mapped. */
	if (dax)
		fallocate(s->fd, 0, 0, (off_t)s->len);
	return true;
}

static int map_flags(const struct scene *s)
{
	if (s->fd >= 0)
		return s->row->backing == ON_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
	return MAP_PRIVATE | MAP_ANONYMOUS | (s->pages == PAGES_HUGETLB ? MAP_HUGETLB : 0);
}

void scene_map_part(struct scene *s, size_t at, size_t len, int prot)
{
	void *p = mmap(s->mem + at, len, prot, map_flags(s) | MAP_FIXED, s->fd,
		       s->fd >= 0 ? (off_t)at : 0);

	ck_assert_msg(p != MAP_FAILED, "mmap of %zu KiB at %#zx: %s (%s)", len / KIB, at,
		      strerror(errno), rig_huge_text());
	scene_advise(s, at, len);
}

/* The heap of malloc() gets enough for all that comes; what follows is ours. */
static void map_heap(struct scene *s)
{
	volatile uint8_t *plenty;
	uint8_t *old;

	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	plenty = malloc(16 * MIB);
	plenty[0] = 1;
	free((void *)plenty);
	old = sbrk(0);
	s->mem = (uint8_t *)(((uintptr_t)old + HUGE) & ~(HUGE - 1));
	ck_assert_msg(sbrk((intptr_t)(s->mem + s->len - old)) == old, "sbrk: %s", strerror(errno));
}

static bool map_sysv(struct scene *s)
{
	s->mem = rig_map_bare(s->len, HUGE, false);
	s->shm = shmget(IPC_PRIVATE, s->len, IPC_CREAT | 0600 |
			(s->pages == PAGES_HUGETLB ? SHM_HUGETLB : 0));
	if (s->shm < 0)
		return scene_skip(s, "shmget: %s", strerror(errno));
	ck_assert_msg(shmat(s->shm, s->mem, SHM_REMAP) == s->mem, "shmat: %s", strerror(errno));
	s->peer = shmat(s->shm, NULL, 0);
	ck_assert_msg(s->peer != (void *)-1, "shmat: %s", strerror(errno));
	shmctl(s->shm, IPC_RMID, NULL);
	return true;
}

static bool has_thp(struct scene *s)
{
	size_t at;

	for (at = 0; at < s->len; at += HUGE)
		if (!scene_is_huge(s->mem + at))
			return scene_skip(s, "the kernel gives no transparent huge pages for this memory");
	return true;
}

static bool map_mem(struct scene *s)
{
	switch (s->row->backing) {
	case ON_HEAP:
		map_heap(s);
		return true;
	case ON_SYSV:
		return map_sysv(s);
	case ON_ANON:
		break;
	default:
		if (!open_file(s))
			return false;
	}
	s->mem = rig_map_bare(s->len, HUGE, false);
	scene_map_part(s, 0, s->len, RW);
	if (s->fd >= 0 && s->row->backing != ON_PRIVATE) {
		s->peer = mmap(NULL, s->len, RW, MAP_SHARED, s->fd, 0);
		ck_assert_msg(s->peer != MAP_FAILED, "mmap: %s", strerror(errno));
	}
	return true;
}

/*
 * As much again for copies: forks, moves, replacements. Under load so much that each node keeps free
 * ones: a page that migrates to a node without takes one from elsewhere along, for good, and then there
 * is none for a fault while the mapping is bound to the node that it came from.
 */
static unsigned int pool_for(const struct scene *s)
{
	return (unsigned int)((s->loaded ? 12 : 3) * s->len / HUGE);
}

bool scene_map(struct scene *s)
{
	if (s->pages == PAGES_HUGETLB && !machine_hugetlb(s, pool_for(s)))
		return false;
	if (s->pages == PAGES_THP && s->row->backing == ON_MEMFD &&
	    !machine_set(s, THP_DIR "shmem_enabled", "advise"))
		return false;
	s->fd = -1;
	if (!map_mem(s))
		return false;
	scene_advise(s, 0, s->len);
	if (!(s->row->flags & ROW_READS))
		rig_fill(s->mem, s->len, 1, 0);
	return s->pages != PAGES_THP || s->row->flags & ROW_READS || has_thp(s);
}

/* ------------------------------------------------------------------ who holds a page */

/* A file in memory can be sealed against writing if nobody has a page of it but the page cache. */
static void expect_sealable(struct scene *s)
{
	double end = rig_now() + 20;
	int err;

	do {
		err = fcntl(s->fd, F_ADD_SEALS, F_SEAL_WRITE) ? errno : 0;
		if (err != EBUSY)
			break;
		rig_write_file("/proc/sys/vm/drop_caches", "1");
		rig_sleep(0.1);
	} while (rig_now() < end);
	ck_assert_msg(!err, "the file is unmapped, and somebody holds pages of it: %s",
		      strerror(err));
}

static void expect_released(struct scene *s)
{
	struct capture c;

	capture_note(&c, s->mem, s->len);
	munmap(s->mem, s->len);
	capture_end(&c, "the memory is unmapped");
}

static void unmap_peer(struct scene *s)
{
	if (s->peer && s->row->backing == ON_SYSV)
		shmdt(s->peer);
	else if (s->peer)
		munmap(s->peer, s->len);
}

void scene_drop(struct scene *s)
{
	unmap_peer(s);
	munmap(s->mem, s->len);
	if (s->fd >= 0)
		close(s->fd);
}

void scene_unmap(struct scene *s)
{
	if (s->row->backing == ON_HEAP) {
		sbrk(-(intptr_t)s->len);
		return;
	}
	unmap_peer(s);
	if (s->row->flags & ROW_OWNS_MEM)
		munmap(s->mem, s->len);
	else
		expect_released(s);
	if (s->row->backing == ON_MEMFD && !(s->row->flags & ROW_OWNS_MEM))
		expect_sealable(s);
	if (s->fd >= 0)
		close(s->fd);
	rig_unmap(s->mem, s->len);
}
