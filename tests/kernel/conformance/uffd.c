// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Row 21: memory whose faults a thread of the program serves. The device's faults have to wait for it,
 * as the CPU's do.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "scene.h"

#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	(1 << 16)
#endif

struct uffd {
	int fd;
	struct scene *s;
	bool zeropage;
	bool moves;		/* an answer is a page of spare's */
	atomic_bool slow;	/* the next fault takes a second */
	atomic_bool stop;
	atomic_uint served;
	uint8_t *zeros;
	uint8_t *spare;		/* UFFDIO_MOVE */
	pthread_t thread;
};

static struct uffd u;

/* EAGAIN: the memory map is changing; EEXIST: somebody was faster. */
static void answer(unsigned long request, void *arg, int64_t *done, const char *name)
{
	while (ioctl(u.fd, request, arg)) {
		if (errno == EEXIST || errno == ENOENT)
			return;
		if (errno != EAGAIN)
			ck_abort_msg("%s: %s", name, strerror(errno));
		*done = 0;
	}
}

#ifdef UFFDIO_MOVE
/* A page that is written first, so that there is one to be moved, and nobody else has it. */
static void answer_by_move(uint64_t addr)
{
	size_t at = addr - (uintptr_t)u.s->mem;
	struct uffdio_move move = {
		.dst = addr, .src = (uintptr_t)u.spare + at, .len = u.s->unit,
	};
	double end = rig_now() + 20;

	memset(u.spare + at, 0, u.s->unit);
	while (ioctl(u.fd, UFFDIO_MOVE, &move) && errno != EEXIST) {
		ck_assert_msg((errno == EAGAIN || errno == EBUSY) && rig_now() < end,
			      "UFFDIO_MOVE as an answer: %s", strerror(errno));
		move.move = 0;
	}
}
#else
static void answer_by_move(uint64_t addr)
{
	(void)addr;
}
#endif

static void serve_missing(uint64_t addr)
{
	struct uffdio_copy copy = { .dst = addr, .src = (uintptr_t)u.zeros, .len = u.s->unit };
	struct uffdio_zeropage zero = { .range = { .start = addr, .len = u.s->unit } };

	if (u.moves)
		answer_by_move(addr);
	else if (u.zeropage)
		answer(UFFDIO_ZEROPAGE, &zero, (int64_t *)&zero.zeropage, "UFFDIO_ZEROPAGE");
	else
		answer(UFFDIO_COPY, &copy, (int64_t *)&copy.copy, "UFFDIO_COPY");
}

static void serve(const struct uffd_msg *msg)
{
	uint64_t addr = msg->arg.pagefault.address & ~(uint64_t)(u.s->unit - 1);
	struct uffdio_writeprotect wp = { .range = { .start = addr, .len = u.s->unit } };
	struct uffdio_continue go_on = { .range = { .start = addr, .len = u.s->unit } };
	int64_t none;

	if (msg->event != UFFD_EVENT_PAGEFAULT)
		return;
	if (atomic_exchange(&u.slow, false))
		rig_sleep(1.0);
	atomic_fetch_add(&u.served, 1);
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
		answer(UFFDIO_WRITEPROTECT, &wp, &none, "UFFDIO_WRITEPROTECT");
	else if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR)
		answer(UFFDIO_CONTINUE, &go_on, (int64_t *)&go_on.mapped, "UFFDIO_CONTINUE");
	else
		serve_missing(addr);
}

static void *handler(void *arg)
{
	struct pollfd p = { .fd = u.fd, .events = POLLIN };
	struct uffd_msg msg;

	(void)arg;
	while (!atomic_load(&u.stop)) {
		poll(&p, 1, 20);
		while (read(u.fd, &msg, sizeof(msg)) == sizeof(msg))
			serve(&msg);
	}
	return NULL;
}

static bool open_uffd(struct scene *s, uint64_t features, const char *what)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	memset(&u, 0, sizeof(u));
	u.s = s;
	u.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (u.fd < 0)
		return scene_skip(s, "no userfaultfd for faults of the kernel: %s",
				  strerror(errno));
	if (ioctl(u.fd, UFFDIO_API, &api))
		return scene_skip(s, "userfaultfd without %s: %s", what, strerror(errno));
	u.zeros = rig_map(HUGE, HUGE, RIG_ANON);
	memset(u.zeros, 0, HUGE);
	return true;
}

static bool watch(struct scene *s, uint8_t *mem, size_t len, uint64_t mode, const char *what)
{
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)mem, .len = len }, .mode = mode,
	};

	if (ioctl(u.fd, UFFDIO_REGISTER, &range))
		return scene_skip(s, "userfaultfd does not take %s for this memory: %s", what,
				  strerror(errno));
	return true;
}

static bool start_handler(void)
{
	ck_assert_int_eq(pthread_create(&u.thread, NULL, handler, NULL), 0);
	return true;
}

static bool start(struct scene *s, uint64_t features, uint64_t mode, const char *what)
{
	return open_uffd(s, features, what) && watch(s, s->mem, s->len, mode, what) &&
	       start_handler();
}

static bool ready_missing(struct scene *s)
{
	return start(s, 0, UFFDIO_REGISTER_MODE_MISSING, "missing pages");
}

static bool ready_zeropage(struct scene *s)
{
	if (!ready_missing(s))
		return false;
	u.zeropage = true;
	return true;
}

/* Both mappings of the file show the page cache; only this one asks the handler. */
static bool ready_minor(struct scene *s)
{
	return start(s, s->pages == PAGES_HUGETLB ? UFFD_FEATURE_MINOR_HUGETLBFS :
		     UFFD_FEATURE_MINOR_SHMEM, UFFDIO_REGISTER_MODE_MINOR, "minor faults");
}

static bool ready_wp(struct scene *s)
{
	return start(s, UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFDIO_REGISTER_MODE_WP,
		     "write protection");
}

static void finish_uffd(struct scene *s)
{
	(void)s;
	if (!u.zeros)
		return;
	atomic_store(&u.stop, true);
	if (u.thread)
		pthread_join(u.thread, NULL);
	close(u.fd);
}

static void cause_slow(struct scene *s, size_t at, size_t len)
{
	cause_dontneed(s, at, len);
	atomic_store(&u.slow, s->rounds < 3);
}

static void check_served(struct scene *s)
{
	(void)s;
	ck_assert_msg(atomic_load(&u.served), "no fault came to the handler");
}

static void cause_protect(struct scene *s, size_t at, size_t len)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)s->mem + at, .len = len },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int64_t none;

	answer(UFFDIO_WRITEPROTECT, &wp, &none, "UFFDIO_WRITEPROTECT");
}

/* ------------------------------------------------------------------ UFFDIO_MOVE */

#ifdef UFFDIO_MOVE
static bool ready_move(struct scene *s)
{
	if (!open_uffd(s, UFFD_FEATURE_MOVE, "UFFDIO_MOVE"))
		return false;
	u.spare = rig_map(s->len, HUGE, RIG_ANON);
	madvise(u.spare, s->len, s->pages == PAGES_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return watch(s, u.spare, s->len, UFFDIO_REGISTER_MODE_MISSING, "missing pages");
}

/* The part's pages get another address. Somebody may hold one for a moment: then it is asked again. */
static void cause_move(struct scene *s, size_t at, size_t len)
{
	struct uffdio_move move;
	double end = rig_now() + 20;
	size_t done = 0;

	madvise(u.spare + at, len, MADV_DONTNEED);
	while (done < len) {
		move = (struct uffdio_move){
			.dst = (uintptr_t)u.spare + at + done,
			.src = (uintptr_t)s->mem + at + done,
			.len = len - done,
			.mode = UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES,
		};
		if (!ioctl(u.fd, UFFDIO_MOVE, &move))
			break;
		ck_assert_msg((errno == EAGAIN || errno == EBUSY) && rig_now() < end,
			      "UFFDIO_MOVE of %zu KiB: %s", (len - done) / KIB, strerror(errno));
		if (move.move > 0)
			done += (size_t)move.move;
	}
	if (!s->loaded)
		rig_fill(u.spare + at, len, 0x30, 0);
}

/* The handler answers with pages that it moves in. */
static bool ready_move_in(struct scene *s)
{
	if (!open_uffd(s, UFFD_FEATURE_MOVE, "UFFDIO_MOVE"))
		return false;
	u.spare = rig_map(s->len, HUGE, RIG_ANON);
	madvise(u.spare, s->len, MADV_NOHUGEPAGE);
	u.moves = true;
	return watch(s, s->mem, s->len, UFFDIO_REGISTER_MODE_MISSING, "missing pages") &&
	       start_handler();
}

static void restore_move(struct scene *s, size_t at, size_t len)
{
	if (!s->loaded)
		rig_expect(u.spare + at, len, 0x30, 0, "the pages at their new address");
}
#else
static bool ready_move(struct scene *s)
{
	return scene_skip(s, "built with headers that have no UFFDIO_MOVE");
}

#define ready_move_in	ready_move
#define cause_move	cause_dontneed
#define restore_move	NULL
#endif

const struct row uffd_rows[] = {
	{ 21, "missing", "dropped; the handler copies a page in", "clear", PAGES_4K | PAGES_HUGETLB,
	  ON_ANON, ZEROS, 0, .ready = ready_missing, .cause = cause_dontneed, .check = check_served,
	  .finish = finish_uffd },
	{ 21, "zeropage", "dropped; the handler gives the zero page", "clear", PAGES_4K, ON_ANON,
	  ZEROS, 0, .ready = ready_zeropage, .cause = cause_dontneed, .check = check_served,
	  .finish = finish_uffd },
	{ 21, "slow", "dropped; the handler takes a second", "clear", PAGES_4K, ON_ANON, ZEROS,
	  ROW_FEW, .ready = ready_missing, .cause = cause_slow, .check = check_served,
	  .finish = finish_uffd },
	{ 21, "minor", "unmapped from a shared mapping; UFFDIO_CONTINUE", "clear",
	  PAGES_4K | PAGES_HUGETLB, ON_MEMFD, KEPT, 0, .ready = ready_minor,
	  .cause = cause_dontneed, .check = check_served, .finish = finish_uffd },
	{ 21, "write-protect", "UFFDIO_WRITEPROTECT; the handler takes it off",
	  "protection_vma|clear", PAGES_ANY, ON_ANON, KEPT, 0, .ready = ready_wp,
	  .cause = cause_protect, .check = check_served, .finish = finish_uffd },
	{ 21, "move-in", "dropped; the handler moves a page in", "clear", PAGES_4K, ON_ANON, ZEROS, 0,
	  .ready = ready_move_in, .cause = cause_dontneed, .check = check_served,
	  .finish = finish_uffd },
	{ 21, "move", "UFFDIO_MOVE to another address", "clear|unmap", PAGES_SMALL, ON_ANON, ZEROS,
	  0, .ready = ready_move, .cause = cause_move, .restore = restore_move,
	  .finish = finish_uffd },
	{ 0 }
};
