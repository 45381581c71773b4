// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rows 15, 18, 19 and 20: swap, migration, soft dirty, page age. */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "disk.h"
#include "scene.h"

#define CLEAR_REFS	"/proc/self/clear_refs"

/* ------------------------------------------------------------------ row 15: swap */

static bool prepare_disk_swap(struct scene *s)
{
	return disk_swap_on(16 * MIB, s->why, sizeof(s->why));
}

static void finish_disk_swap(struct scene *s)
{
	(void)s;
	disk_swap_off();
}

/* The memory is charged to a cgroup of its own, which is asked to give something back. */
static bool prepare_cgroup(struct scene *s)
{
	char path[80];

	if (!prepare_swap(s) || !machine_cgroup(s, 256 * MIB))
		return false;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d/memory.reclaim", (int)getpid());
	if (access(path, W_OK))
		return scene_skip(s, "the kernel has no %s", path);
	return true;
}

static void cause_cgroup_reclaim(struct scene *s, size_t at, size_t len)
{
	double end = rig_now() + 20;
	char path[80];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/odpreg-%d/memory.reclaim", (int)getpid());
	do {
		rig_write_file(path, s->loaded ? "256K" : "8M");
	} while (!s->loaded && !rig_swapped(s->mem + at, len) && rig_now() < end);
	ck_assert_msg(s->loaded || rig_swapped(s->mem + at, len),
		      "memory.reclaim swaps nothing out");
}

/* A page that is mapped twice is not swapped out for one. */
static bool ready_alone(struct scene *s)
{
	munmap(s->peer, s->len);
	s->peer = NULL;
	return true;
}

static void cause_pageout_shared(struct scene *s, size_t at, size_t len)
{
	double end = rig_now() + 20;
	int err;

	do {
		err = scene_madvise(s, at, len, MADV_PAGEOUT, "MADV_PAGEOUT");
	} while (!err && !s->loaded && rig_in_core(s->mem + at, len) == len / RIG_PAGE &&
		 rig_now() < end);
	ck_assert_msg(s->loaded || rig_in_core(s->mem + at, len) < len / RIG_PAGE,
		      "MADV_PAGEOUT swaps nothing out");
}

/* ------------------------------------------------------------------ row 18: migration */

static int node_of(const uint8_t *page)
{
	void *pages[1] = { (void *)(uintptr_t)page };
	int status[1] = { -1 };

	syscall(SYS_move_pages, 0, 1ul, pages, NULL, status, 0);
	return status[0];
}

static void expect_on_node(struct scene *s, size_t at, size_t len, int node)
{
	size_t i, there = 0;

	for (i = 0; i < len; i += s->unit)
		there += node_of(s->mem + at + i) == node;
	ck_assert_msg(s->loaded || there, "no page has moved to node %d", node);
}

/* A page that is being accessed may be busy: that is for the next round. */
static void cause_move_pages(struct scene *s, size_t at, size_t len)
{
	size_t count = len / s->unit, i;
	void **pages = calloc(count, sizeof(*pages));
	int *nodes = calloc(count, sizeof(*nodes)), *status = calloc(count, sizeof(*status));
	int node = node_of(s->mem + at) == 1 ? 0 : 1;

	for (i = 0; i < count; i++) {
		pages[i] = s->mem + at + i * s->unit;
		nodes[i] = node;
	}
	ck_assert_msg(syscall(SYS_move_pages, 0, count, pages, nodes, status,
			      MPOL_MF_MOVE_ALL) >= 0,
		      "move_pages: %s", strerror(errno));
	expect_on_node(s, at, len, node);
	free(pages);
	free(nodes);
	free(status);
}

static void cause_mbind(struct scene *s, size_t at, size_t len)
{
	int node = node_of(s->mem + at) == 1 ? 0 : 1;
	unsigned long mask = 1ul << node;

	ck_assert_msg(!syscall(SYS_mbind, s->mem + at, len, MPOL_BIND, &mask, 8ul, MPOL_MF_MOVE) ||
		      errno == EIO, "mbind: %s", strerror(errno));
	expect_on_node(s, at, len, node);
}

static void restore_policy(struct scene *s, size_t at, size_t len)
{
	ck_assert_msg(!syscall(SYS_mbind, s->mem + at, len, MPOL_DEFAULT, NULL, 0ul, 0),
		      "mbind: %s",
		      strerror(errno));
}

/* Nothing says that a given page moves: the row is one for whatever compaction does. */
static void cause_compact(struct scene *s, size_t at, size_t len)
{
	(void)s;
	(void)at;
	(void)len;
	ck_assert_int_eq(rig_write_file("/proc/sys/vm/compact_memory", "1"), 0);
}

/* ------------------------------------------------------------------ rows 19 and 20 */

static void clear_refs(const char *what)
{
	int err = rig_write_file(CLEAR_REFS, what);

	ck_assert_msg(!err, CLEAR_REFS ": %s", strerror(err));
}

#define SOFT_DIRTY	(1ull << 55)

static bool soft_dirty(const uint8_t *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	ck_assert_int_eq(pread(fd, &entry, 8, (off_t)((uintptr_t)page / RIG_PAGE * 8)), 8);
	close(fd);
	return entry & SOFT_DIRTY;
}

static bool prepare_soft_dirty(struct scene *s)
{
	int err = rig_write_file(CLEAR_REFS, "4");
	uint8_t *page = rig_map(RIG_PAGE, 0, RIG_ANON);

	if (err)
		return scene_skip(s, "no soft dirty bits: " CLEAR_REFS ": %s", strerror(err));
	page[0] = 1;
	clear_refs("4");
	if (soft_dirty(page))
		return scene_skip(s, "no soft dirty bits in the page tables of this machine");
	rig_unmap(page, RIG_PAGE);
	return true;
}

/* Idle, what is written by RDMA afterwards is soft dirty again: who saves the process asks for that. */
static void cause_soft_dirty(struct scene *s, size_t at, size_t len)
{
	clear_refs("4");
	(void)len;
	if (s->loaded)
		return;
	ck_assert_msg(!soft_dirty(s->mem + at), "clear_refs did not clear");
}

static void restore_soft_dirty(struct scene *s, size_t at, size_t len)
{
	(void)len;
	if (s->loaded)
		return;
	clear_refs("4");
	/* The bytes that are there: the driver looks at them afterwards. */
	memcpy(s->stage.buf, s->mem + at, RIG_PAGE);
	RIG_OK(rig_write(s->stage.pair, rig_at(s->stage.pinned, 0, RIG_PAGE),
			 rig_at(s->stage.odp, at, RIG_PAGE)));
	ck_assert_msg(soft_dirty(s->mem + at), "written by RDMA, and not soft dirty");
}

static void cause_age(struct scene *s, size_t at, size_t len)
{
	(void)s;
	(void)at;
	(void)len;
	clear_refs("1");
}

#define IDLE_BITMAP	"/sys/kernel/mm/page_idle/bitmap"

static bool prepare_page_idle(struct scene *s)
{
	if (access(IDLE_BITMAP, W_OK))
		return scene_skip(s, "the kernel has no idle page tracking (" IDLE_BITMAP ")");
	return true;
}

static void cause_page_idle(struct scene *s, size_t at, size_t len)
{
	uint64_t pfn = rig_pfn(s->mem + at), word = ~0ull;
	int fd = open(IDLE_BITMAP, O_RDWR | O_CLOEXEC);

	(void)len;
	ck_assert_int_eq(pwrite(fd, &word, 8, (off_t)(pfn / 64 * 8)), 8);
	ck_assert_int_eq(pread(fd, &word, 8, (off_t)(pfn / 64 * 8)), 8);
	close(fd);
}

const struct row reclaim_rows[] = {
	{ 15, "swap-zram", "swapped out to zram by MADV_PAGEOUT", "clear", PAGES_SMALL, ON_ANON,
	  KEPT, ROW_REUSE, .prepare = prepare_swap, .cause = cause_pageout },
	{ 15, "swap-disk", "swapped out to a disk", "clear", PAGES_SMALL, ON_ANON, KEPT,
	  ROW_REUSE | ROW_SLOW, .prepare = prepare_disk_swap, .cause = cause_pageout,
	  .finish = finish_disk_swap },
	{ 15, "swap-cgroup", "swapped out by the memory cgroup", "clear", PAGES_SMALL, ON_ANON,
	  KEPT, ROW_ALL | ROW_REUSE, .prepare = prepare_cgroup, .cause = cause_cgroup_reclaim },
	{ 15, "swap-shared", "a shared mapping swapped out", "clear", PAGES_SMALL, ON_MEMFD, KEPT,
	  ROW_HUGE_UNIT | ROW_REUSE, .prepare = prepare_swap, .ready = ready_alone,
	  .cause = cause_pageout_shared },
	{ 18, "move-pages", "move_pages to the other node", "clear", PAGES_ANY, ON_ANON, KEPT,
	  ROW_REUSE, .prepare = machine_two_nodes, .cause = cause_move_pages },
	{ 18, "mbind", "mbind(MPOL_MF_MOVE) to the other node", "clear", PAGES_ANY, ON_ANON, KEPT,
	  ROW_REUSE, .prepare = machine_two_nodes, .cause = cause_mbind,
	  .restore = restore_policy },
	{ 18, "move-pages-shared", "move_pages of a shared mapping", "clear", PAGES_SMALL, ON_MEMFD,
	  KEPT, 0, .prepare = machine_two_nodes, .cause = cause_move_pages },
	{ 18, "compaction", "compact_memory", NULL, PAGES_ANY, ON_ANON, KEPT, ROW_REUSE | ROW_SLOW,
	  .cause = cause_compact },
	{ 19, "soft-dirty", "4 to clear_refs", "soft_dirty", PAGES_SMALL, ON_ANON, KEPT, 0,
	  .prepare = prepare_soft_dirty, .cause = cause_soft_dirty, .restore = restore_soft_dirty },
	{ 20, "age", "1 to clear_refs", "", PAGES_ANY, ON_ANON, KEPT, 0, .cause = cause_age },
	{ 20, "page-idle", "page_idle", "", PAGES_SMALL, ON_ANON, KEPT, 0,
	  .prepare = prepare_page_idle, .cause = cause_page_idle },
	{ 0 }
};
