// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rows 16, 17 and 27: shared file mappings that are written back, cut short, or on persistent memory. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "scene.h"

/* ------------------------------------------------------------------ row 16: writeback */

static void cause_msync(struct scene *s, size_t at, size_t len)
{
	ck_assert_msg(!msync(s->mem + at, len, MS_SYNC), "msync: %s", strerror(errno));
}

static bool ready_alone(struct scene *s)
{
	munmap(s->peer, s->len);
	s->peer = NULL;
	return true;
}

/* Out of the page tables and of the page cache: what comes back comes from the disk. */
static void cause_msync_drop(struct scene *s, size_t at, size_t len)
{
	cause_msync(s, at, len);
	cause_dontneed(s, at, len);
	ck_assert_int_eq(posix_fadvise(s->fd, (off_t)at, (off_t)len, POSIX_FADV_DONTNEED), 0);
}

/* What RDMA wrote is on the disk, past the page cache. */
static void check_on_disk(struct scene *s)
{
	uint8_t *bytes = rig_map(s->len, 0, RIG_ANON);
	char path[40];
	size_t i;
	int fd;

	cause_msync(s, 0, s->len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "the file, past the page cache: %s", strerror(errno));
	ck_assert_int_eq(pread(fd, bytes, s->len, 0), (ssize_t)s->len);
	close(fd);
	for (i = 0; i < s->len; i += RIG_PAGE)
		ck_assert_msg(!memcmp(bytes + i, s->mem + i, RIG_PAGE),
			      "the page at %#zx did not get to the disk", i);
	rig_unmap(bytes, s->len);
}

/* ------------------------------------------------------------------ row 17: truncation */

#define OTHER	0x07ce5ull

/* Another file gets the blocks that became free, and must keep its bytes. */
static void write_other(struct scene *s, size_t len)
{
	char path[] = "/run/odpreg-disk/other.XXXXXX", dax[] = "/run/odpreg-dax/other.XXXXXX";
	uint8_t *bytes;
	int fd;

	if (s->loaded || (s->row->backing != ON_DISK && s->row->backing != ON_DAX))
		return;
	fd = mkostemp(s->row->backing == ON_DAX ? dax : path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	unlink(s->row->backing == ON_DAX ? dax : path);
	bytes = malloc(len);
	rig_fill(bytes, len, OTHER, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	ck_assert_int_eq(fsync(fd), 0);
	free(bytes);
	s->own = (void *)(intptr_t)fd;
}

static void check_other(struct scene *s, size_t len)
{
	int fd = (int)(intptr_t)s->own;
	uint8_t *bytes;

	if (!s->own)
		return;
	bytes = malloc(len);
	ck_assert_int_eq(pread(fd, bytes, len, 0), (ssize_t)len);
	rig_expect(bytes, len, OTHER, 0, "another file that got the blocks");
	free(bytes);
	close(fd);
	s->own = NULL;
}

static void cause_truncate(struct scene *s, size_t at, size_t len)
{
	ck_assert_msg(!ftruncate(s->fd, (off_t)at), "ftruncate: %s", strerror(errno));
	write_other(s, len);
}

static void restore_length(struct scene *s, size_t at, size_t len)
{
	check_other(s, len);
	ck_assert_msg(!ftruncate(s->fd, (off_t)(at + len)), "ftruncate: %s", strerror(errno));
}

static void fallocate_part(struct scene *s, int mode, size_t at, size_t len)
{
	ck_assert_msg(!fallocate(s->fd, mode, (off_t)at, (off_t)len), "fallocate(%#x): %s",
		      (unsigned int)mode, strerror(errno));
}

static void cause_punch(struct scene *s, size_t at, size_t len)
{
	fallocate_part(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len);
	write_other(s, len);
}

static void restore_punch(struct scene *s, size_t at, size_t len)
{
	(void)at;
	check_other(s, len);
}

static void cause_zero_range(struct scene *s, size_t at, size_t len)
{
	fallocate_part(s, FALLOC_FL_ZERO_RANGE, at, len);
}

/* ------------------------------------------------------------------ row 27: DAX */

static bool prepare_flush(struct scene *s)
{
	return s->rig->caps.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_PERSISTENT ||
	       scene_skip(s, "the device cannot flush to persistence");
}

/* Pages that are mapped and pages that are not, some of them written by way of the region. */
static void check_flush(struct scene *s)
{
	const int access = RIG_RW | IBV_ACCESS_FLUSH_PERSISTENT;
	struct rig_pair *pair = rig_pair(s->rig, IBV_QPT_RC);
	struct rig_mr *mr = s->implicit ?
		rig_reg(s->rig, NULL, SIZE_MAX, RIG_IOVA_SAME, access, true) :
		rig_reg(s->rig, s->mem, s->len, RIG_IOVA_SAME, access, true);
	struct rig_mr *pinned = rig_reg(s->rig, rig_map(RIG_PAGE, 0, RIG_ANON), RIG_PAGE,
					RIG_IOVA_SAME, RIG_RW, false);
	const uint64_t base = s->implicit ? (uintptr_t)s->mem : 0;
	size_t at;

	for (at = 0; at < s->len; at += s->len / 8) {
		RIG_OK(rig_write(pair, rig_at(pinned, 0, 900), rig_at(mr, base + at + 100, 900)));
		RIG_OK(rig_flush(pair, rig_at(mr, base + at + 100, 900), IBV_FLUSH_PERSISTENT,
				 IBV_FLUSH_RANGE));
	}
	scene_madvise(s, s->len / 2, s->len / 2, MADV_DONTNEED, "MADV_DONTNEED");
	RIG_OK(rig_flush(pair, rig_at(mr, base, (uint32_t)s->len), IBV_FLUSH_PERSISTENT,
			 IBV_FLUSH_RANGE));
	if (!s->implicit)
		RIG_OK(rig_flush(pair, rig_at(mr, 0, 0), IBV_FLUSH_PERSISTENT, IBV_FLUSH_MR));
	rig_dereg(mr);
	/* A range whose length is that of the region in 32 bits, behind which there is nothing. */
	mr = rig_reg(s->rig, s->mem, (1ul << 32) + RIG_PAGE, RIG_IOVA_SAME, access, true);
	RIG_OK(rig_flush(pair, rig_at(mr, 0, RIG_PAGE), IBV_FLUSH_PERSISTENT, IBV_FLUSH_RANGE));
	rig_dereg(mr);
	rig_dereg(pinned);
	rig_unpair(pair);
}

/* A file that shares the blocks, and what was in it when it came to do so. */
static struct {
	int fd;
	uint8_t *bytes;
	uint8_t *again;
	uint8_t *kept;
} clone_of;

static bool ready_reflink(struct scene *s)
{
	char path[] = "/run/odpreg-dax/clone.XXXXXX";
	int err;

	clone_of.fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(clone_of.fd, 0);
	unlink(path);
	err = ioctl(clone_of.fd, FICLONE, s->fd) ? errno : 0;
	if (err)
		return scene_skip(s, "the file system on persistent memory has no reflink: %s",
				  strerror(err));
	clone_of.bytes = rig_map(s->len, 0, RIG_ANON);
	clone_of.again = rig_map(s->len, 0, RIG_ANON);
	clone_of.kept = rig_map(s->len, 0, RIG_ANON);
	return true;
}

static void cause_reflink(struct scene *s, size_t at, size_t len)
{
	(void)at;
	(void)len;
	ck_assert_msg(!ioctl(clone_of.fd, FICLONE, s->fd), "FICLONE: %s", strerror(errno));
	ck_assert_int_eq(pread(clone_of.fd, clone_of.bytes, s->len, 0), (ssize_t)s->len);
	ck_assert_msg(s->loaded || !memcmp(clone_of.bytes, s->mem, s->len),
		      "the clone has other bytes than the file");
}

/* What is written to the file afterwards is not to be seen in it. */
static void restore_reflink(struct scene *s, size_t at, size_t len)
{
	size_t i;

	/* Other bytes for a while: the driver looks for the old ones afterwards. */
	if (!s->loaded) {
		memcpy(clone_of.kept, s->mem + at, len);
		stage_writes(&s->stage, at, RIG_PAGE, "to a file that shares its blocks");
		stage_writes(&s->stage, at + len - RIG_PAGE, RIG_PAGE,
			     "to a file that shares its blocks");
	}
	ck_assert_int_eq(pread(clone_of.fd, clone_of.again, s->len, 0), (ssize_t)s->len);
	for (i = 0; i < s->len; i += RIG_PAGE)
		ck_assert_msg(!memcmp(clone_of.bytes + i, clone_of.again + i, RIG_PAGE),
			      "the page at %#zx of the clone was changed by a write to the file", i);
	if (!s->loaded)
		memcpy(s->mem + at, clone_of.kept, len);
}

const struct row file_rows[] = {
	{ 16, "writeback", "msync; written again", "protection_page", PAGES_4K, ON_DISK, KEPT, 0,
	  .cause = cause_msync, .check = check_on_disk },
	{ 16, "writeback-drop", "msync, dropped from the page cache", "protection_page|clear",
	  PAGES_4K, ON_DISK, KEPT, 0, .ready = ready_alone, .cause = cause_msync_drop,
	  .check = check_on_disk },
	{ 17, "truncate-file", "ftruncate, on ext4", "clear|unmap", PAGES_4K, ON_DISK, GONE,
	  ROW_TAIL | ROW_ZERO_AFTER, .cause = cause_truncate, .restore = restore_length },
	{ 17, "truncate-tmpfs", "ftruncate, on tmpfs", "clear|unmap", PAGES_4K, ON_TMPFS, GONE,
	  ROW_TAIL | ROW_ZERO_AFTER | ROW_PIN, .cause = cause_truncate, .restore = restore_length },
	{ 17, "truncate-memfd", "ftruncate of a memfd", "clear|unmap", PAGES_ANY, ON_MEMFD, GONE,
	  ROW_TAIL | ROW_ZERO_AFTER | ROW_PIN | ROW_HUGE_UNIT, .cause = cause_truncate,
	  .restore = restore_length },
	{ 17, "punch-file", "a hole is punched, on ext4", "clear|unmap", PAGES_4K, ON_DISK, ZEROS,
	  0, .cause = cause_punch, .restore = restore_punch },
	{ 17, "punch-tmpfs", "a hole is punched, on tmpfs", "clear|unmap", PAGES_4K, ON_TMPFS,
	  ZEROS, ROW_PIN, .cause = cause_punch },
	{ 17, "punch-memfd", "a hole is punched into a memfd", "clear|unmap", PAGES_ANY, ON_MEMFD,
	  ZEROS, ROW_PIN | ROW_HUGE_UNIT, .cause = cause_punch },
	{ 17, "zero-range", "FALLOC_FL_ZERO_RANGE, on ext4", "clear|unmap", PAGES_4K, ON_DISK,
	  ZEROS, 0, .cause = cause_zero_range },
	{ 27, "dax-access", "pages of a DAX file dropped from the page tables", "clear", PAGES_SMALL,
	  ON_DAX, KEPT, 0, .cause = cause_dontneed },
	{ 27, "dax-writeback", "msync of a DAX file", "protection_page", PAGES_SMALL, ON_DAX, KEPT,
	  0, .cause = cause_msync },
	{ 27, "dax-truncate", "ftruncate of a DAX file; another gets the blocks", "clear|unmap",
	  PAGES_SMALL, ON_DAX, GONE, ROW_TAIL | ROW_ZERO_AFTER, .cause = cause_truncate,
	  .restore = restore_length },
	{ 27, "dax-punch", "a hole is punched into a DAX file; another gets the blocks",
	  "clear|unmap", PAGES_SMALL, ON_DAX, ZEROS, 0, .cause = cause_punch,
	  .restore = restore_punch },
	{ 27, "dax-flush", "the same; then all is flushed to persistence", "clear", PAGES_4K,
	  ON_DAX, KEPT, 0, .prepare = prepare_flush, .cause = cause_dontneed, .check = check_flush },
	{ 27, "dax-reflink", "a DAX file is cloned", "clear|protection_page", PAGES_SMALL,
	  ON_DAX_REFLINK, KEPT, 0, .ready = ready_reflink, .cause = cause_reflink,
	  .restore = restore_reflink },
	{ 0 }
};
