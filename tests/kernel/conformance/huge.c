// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rows 13 and 14: huge pages that are split, joined and moved; huge pages of hugetlb. */
#include "scene.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define THP_DIR	"/sys/kernel/mm/transparent_hugepage/"
#define RW	(PROT_READ | PROT_WRITE)

/* The 2 MiB that a part lies in. */
static size_t huge_of(size_t at)
{
	return at & ~(HUGE - 1);
}

static void split(struct scene *s, size_t at)
{
	uint8_t *page = s->mem + at;

	/*
	 * Other rights of one page for a moment, and more of them, so that nothing is refused: the
	 * mapping is in small pages afterwards.
	 */
	ck_assert_msg(!mprotect(page, RIG_PAGE, RW | PROT_EXEC) && !mprotect(page, RIG_PAGE, RW),
		      "mprotect: %s", strerror(errno));
}

static void cause_split(struct scene *s, size_t at, size_t len)
{
	split(s, at);
	(void)len;
}

static bool ready_collapse(struct scene *s)
{
	split(s, 0);
	if (madvise(s->mem, HUGE, MADV_COLLAPSE))
		return scene_skip(s, "the kernel has no MADV_COLLAPSE: %s", strerror(errno));
	return true;
}

/* The pages of a part of a huge page are swapped out, or dropped; then it is made whole again. */
static void cause_collapse(struct scene *s, size_t at, size_t len)
{
	uint8_t *huge = s->mem + huge_of(at);
	double end = rig_now() + 20;
	int err;

	(void)len;
	split(s, at);
	/* A page that is on its way in or out is busy: then it takes another go. */
	do {
		madvise(huge + 5 * RIG_PAGE, RIG_PAGE, MADV_PAGEOUT);
		err = madvise(huge, HUGE, MADV_COLLAPSE) ? errno : 0;
	} while (err && !s->loaded && rig_now() < end);
	ck_assert_msg(s->loaded || !err, "madvise(MADV_COLLAPSE): %s", strerror(err));
	ck_assert_msg(s->loaded || scene_is_huge(huge), "MADV_COLLAPSE made no huge page");
}

static bool prepare_khugepaged(struct scene *s)
{
	return machine_set(s, THP_DIR "khugepaged/scan_sleep_millisecs", "1") &&
	       machine_set(s, THP_DIR "khugepaged/alloc_sleep_millisecs", "1") &&
	       machine_set(s, THP_DIR "khugepaged/pages_to_scan", "8192");
}

/* Copied to small pages by a move of single pages would split too; a dropped page has to come back. */
static void cause_khugepaged(struct scene *s, size_t at, size_t len)
{
	uint8_t *huge = s->mem + huge_of(at);
	double end = rig_now() + 60;

	(void)len;
	ck_assert_int_eq(madvise(huge, HUGE, MADV_NOHUGEPAGE), 0);
	split(s, at);
	madvise(huge + 5 * RIG_PAGE, RIG_PAGE, MADV_PAGEOUT);
	ck_assert_int_eq(madvise(huge, HUGE, MADV_HUGEPAGE), 0);
	if (s->loaded) {
		rig_sleep(0.05);
		return;
	}
	while (!scene_is_huge(huge) && rig_now() < end)
		rig_sleep(0.02);
	ck_assert_msg(scene_is_huge(huge), "khugepaged makes no huge page");
}

static bool prepare_split_all(struct scene *s)
{
	if (access("/sys/kernel/debug/split_huge_pages", W_OK))
		return scene_skip(s, "no /sys/kernel/debug/split_huge_pages");
	return true;
}

static void cause_split_pages(struct scene *s, size_t at, size_t len)
{
	char text[80];

	snprintf(text, sizeof(text), "%d,%#lx,%#lx", (int)getpid(), (unsigned long)(s->mem + at),
		 (unsigned long)(s->mem + at + len));
	ck_assert_int_eq(rig_write_file("/sys/kernel/debug/split_huge_pages", text), 0);
}

/* For the next round. */
static void restore_huge(struct scene *s, size_t at, size_t len)
{
	madvise(s->mem + huge_of(at), huge_of(at + len - 1) + HUGE - huge_of(at), MADV_COLLAPSE);
}

static bool prepare_huge_and_swap(struct scene *s)
{
	return prepare_swap(s) && prepare_khugepaged(s);
}

const struct row huge_rows[] = {
	{ 13, "thp-split", "the mapping of a huge page is split", "protection_vma|clear", PAGES_THP,
	  ON_ANON, KEPT, 0, .cause = cause_split },
	{ 13, "thp-split-page", "a huge page is split (debugfs)", "clear", PAGES_THP, ON_ANON, KEPT,
	  0, .prepare = prepare_split_all, .cause = cause_split_pages, .restore = restore_huge },
	{ 13, "thp-collapse", "split, one page swapped out, MADV_COLLAPSE", "clear", PAGES_THP,
	  ON_ANON, KEPT, ROW_REUSE, .prepare = prepare_swap, .ready = ready_collapse,
	  .cause = cause_collapse },
	{ 13, "khugepaged", "split, one page swapped out, joined by khugepaged", "clear", PAGES_THP,
	  ON_ANON, KEPT, ROW_SLOW | ROW_REUSE, .prepare = prepare_huge_and_swap, .cause = cause_khugepaged },
	{ 13, "thp-partial-munmap", "munmap of a part of huge pages", "unmap", PAGES_THP, ON_ANON,
	  GONE, ROW_PIN | ROW_ZERO_AFTER, .cause = cause_munmap, .restore = restore_map },
	{ 13, "pmd-move", "mremap of huge pages, and back", "unmap|clear", PAGES_THP, ON_ANON, GONE,
	  ROW_ALL, .cause = cause_mremap_away, .restore = restore_mremap_back },
	{ 14, "hugetlb-munmap", "munmap of huge pages", "unmap", PAGES_HUGETLB, ON_ANON, GONE,
	  ROW_PIN | ROW_ZERO_AFTER, .cause = cause_munmap, .restore = restore_map },
	{ 14, "hugetlb-dontneed", "MADV_DONTNEED of huge pages", "clear", PAGES_HUGETLB, ON_ANON,
	  ZEROS, ROW_PIN, .cause = cause_dontneed },
	{ 14, "hugetlb-dontneed-shared", "MADV_DONTNEED of shared huge pages", "clear",
	  PAGES_HUGETLB, ON_MEMFD, KEPT, 0, .cause = cause_dontneed },
	{ 14, "hugetlb-cow", "fork; the child writes huge pages", "protection_page|clear",
	  PAGES_HUGETLB, ON_ANON, KEPT, 0, .cause = cause_fork_child_writes,
	  .restore = restore_fork },
	{ 0 }
};
