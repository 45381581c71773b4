// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The watch: a userfaultfd that no page is ever missing for, read for its events only.
 *
 * Pinned pages stay behind when memory is unmapped, moved or dropped; who finds the region in the
 * cache afterwards would have transfers go to pages that are nobody's. The kernel tells of such
 * changes (UNMAP, REMAP, REMOVE), and the thread that makes one goes on when its event was read.
 * Reading alone is not enough, as the reader has told nobody yet; so the sequence is odd before.
 *
 *	changing thread		watch thread		a thread in odpreg_get()
 *	---------------		------------		------------------------
 *	munmap(): unmapped
 *	queues the event,
 *	waits
 *				poll(): an event
 *				sequence odd
 *				read(): lets it go
 *	returns
 *							sequence is odd: waits
 *				marks regions dead
 *				sequence even
 *							sequence is even: what it finds
 *							and is not dead is good
 *
 * That is one load for all changes whose system call has returned (ODPREG_CHECK_LOAD). It does
 * not see what the kernel has done and not told yet:
 *
 *	changing thread				another thread
 *	---------------				--------------
 *	munmap(): unmapped
 *						mmap(): is given the same addresses
 *						odpreg_get(): sequence even, region alive
 *	queues the event
 *
 * The kernel counts changes that are under way before it makes the first (mmap_changing), and shows
 * by EAGAIN from every ioctl that works on pages that there are any. ODPREG_CHECK_FULL asks by one
 * that would do nothing, before it loads the sequence.
 *
 * MADV_DONTNEED and its like tell first and drop afterwards. A region that is registered in
 * between pins pages that are about to go, and no event follows. So memory that was told of is
 * not cached anew for a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1		/* since 5.11 */
#endif

#define EVENTS		(UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP | \
			 UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_PAGEFAULT_FLAG_WP)
#define BATCH		32
#define NO_DEVICE	-2
#define DROP_NS		1000000000ull
#define SETTLE_TRIES	200		/* of 50 us, more or less */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void pause_a_little(void)
{
	struct timespec ts = { .tv_nsec = 50000 };

	nanosleep(&ts, NULL);
}

/* ------------------------------------------------------------------ telling */

static void note_drop(struct process *p, uint64_t start, uint64_t end)
{
	uint64_t n = atomic_load_explicit(&p->drops, memory_order_relaxed);
	struct drop *d = &p->drop[n % DROPS];

	atomic_store_explicit(&d->start, start, memory_order_relaxed);
	atomic_store_explicit(&d->end, end, memory_order_relaxed);
	atomic_store_explicit(&d->when, now_ns(), memory_order_relaxed);
	atomic_store_explicit(&p->drops, n + 1, memory_order_release);
}

static bool tell(struct process *p, uint64_t start, uint64_t end, bool drop)
{
	struct listener *l;
	bool reap = false;

	if (drop)
		note_drop(p, start, end);
	for (l = atomic_load(&p->listeners); l; l = atomic_load(&l->next))
		reap |= l->changed(l, start, end);
	return reap;
}

void watch_reap_soon(struct process *p)
{
	atomic_store(&p->work, 1);
	syscall(SYS_futex, &p->work, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

void watch_tell(struct process *p, uint64_t start, uint64_t end, bool drop)
{
	bool reap;

	atomic_fetch_add(&p->sequence, 1);
	reap = tell(p, start, end, drop);
	atomic_fetch_add(&p->sequence, 1);
	if (reap)
		watch_reap_soon(p);
}

static bool tell_message(struct process *p, const struct uffd_msg *m)
{
	switch (m->event) {
	case UFFD_EVENT_UNMAP:
		return tell(p, m->arg.remove.start, m->arg.remove.end, false);
	case UFFD_EVENT_REMOVE:
		return tell(p, m->arg.remove.start, m->arg.remove.end, true);
	case UFFD_EVENT_REMAP:
		return tell(p, m->arg.remap.from, m->arg.remap.from + m->arg.remap.len, false);
	}
	return false;
}

static void read_and_tell(struct process *p, int fd)
{
	struct uffd_msg message[BATCH];
	bool reap = false;
	ssize_t i, n;

	atomic_fetch_add(&p->sequence, 1);
	n = read(fd, message, sizeof(message));
	for (i = 0; i < n / (ssize_t)sizeof(message[0]); i++)
		reap |= tell_message(p, &message[i]);
	atomic_fetch_add(&p->sequence, 1);
	if (reap)
		watch_reap_soon(p);
}

static void *watch_thread(void *arg)
{
	struct process *p = arg;
	struct pollfd wait = { .fd = atomic_load(&p->fd), .events = POLLIN };

	for (;;) {
		if (poll(&wait, 1, -1) > 0)
			read_and_tell(p, wait.fd);
	}
	return NULL;
}

static void *reap_thread(void *arg)
{
	struct process *p = arg;
	struct listener *l;

	for (;;) {
		if (!atomic_exchange(&p->work, 0)) {
			syscall(SYS_futex, &p->work, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
			continue;
		}
		pthread_mutex_lock(&p->lock);
		for (l = atomic_load(&p->listeners); l; l = atomic_load(&l->next))
			l->reap(l);
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

/* ------------------------------------------------------------------ start */

/* The system call is refused in some containers that have the device. */
static int open_userfaultfd(void)
{
	int flags = O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY;
	int fd = (int)syscall(SYS_userfaultfd, flags), device;

	if (fd >= 0 || (errno != EPERM && errno != ENOSYS))
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -1;
#ifdef USERFAULTFD_IOC_NEW
	fd = ioctl(device, USERFAULTFD_IOC_NEW, flags);
#endif
	close(device);
	return fd;
}

static int start_thread(void *(*run)(void *), struct process *p, const char *name)
{
	sigset_t all, before;
	pthread_t thread;
	int err;

	/* The application's signals are not for our threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return err;
	pthread_setname_np(thread, name);
	pthread_detach(thread);
	return 0;
}

static int start(struct process *p)
{
	struct uffdio_api api = { .api = UFFD_API, .features = EVENTS };
	int fd = open_userfaultfd();

	if (fd < 0)
		return errno;
	if (ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return EOPNOTSUPP;
	}
	atomic_store(&p->fd, fd);
	if (!start_thread(reap_thread, p, "odpreg-reap") &&
	    !start_thread(watch_thread, p, "odpreg-watch"))
		return 0;
	close(fd);
	return EAGAIN;
}

int watch_start(struct process *p)
{
	int err = 0;

	if (atomic_load(&p->fd) == -1) {
		pthread_mutex_lock(&p->lock);
		if (atomic_load(&p->fd) == -1) {
			err = start(p);
			if (err)
				atomic_store(&p->fd, NO_DEVICE);
		}
		pthread_mutex_unlock(&p->lock);
	}
	return atomic_load(&p->fd) < 0 ? (err ? err : EOPNOTSUPP) : 0;
}

/* ------------------------------------------------------------------ use */

/*
 * For write-protection, which nothing is ever under: so no fault comes from it. Who wants a range
 * has it in its set before it arms it; under the same lock disarm() looks into all sets.
 */
int watch_arm(struct process *p, uint64_t start, uint64_t end)
{
	struct uffdio_register what = {
		.range = { .start = start, .len = end - start },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int err;

	pthread_mutex_lock(&p->arming);
	err = ioctl(atomic_load(&p->fd), UFFDIO_REGISTER, &what) ? errno : 0;
	pthread_mutex_unlock(&p->arming);
	return err;
}

/* Where what anybody wants begins, from address on, and where the first such range ends. */
static uint64_t wanted(struct process *p, uint64_t address, uint64_t limit, uint64_t *end)
{
	uint64_t first = limit, from, to;
	struct listener *l;

	for (l = atomic_load(&p->listeners); l; l = atomic_load(&l->next)) {
		if (!l->wants(l, address, &from, &to) || from >= first)
			continue;
		first = from;
		*end = to;
	}
	return first;
}

/* It fails when other memory is there by now; what stays armed costs an event when it goes. */
void watch_disarm(struct process *p, uint64_t start, uint64_t end)
{
	struct uffdio_range what;
	uint64_t next, after;

	pthread_mutex_lock(&p->arming);
	for (; start < end; start = after) {
		after = end;
		next = wanted(p, start, end, &after);
		if (next <= start)
			continue;
		what = (struct uffdio_range){ .start = start, .len = next - start };
		ioctl(atomic_load(&p->fd), UFFDIO_UNREGISTER, &what);
	}
	pthread_mutex_unlock(&p->arming);
}

bool watch_dropping(struct process *p, uint64_t start, uint64_t end)
{
	uint64_t n = atomic_load_explicit(&p->drops, memory_order_acquire), i, when, now = now_ns();
	struct drop *d;

	for (i = 0; i < DROPS && i < n; i++) {
		d = &p->drop[(n - 1 - i) % DROPS];
		when = atomic_load_explicit(&d->when, memory_order_relaxed);
		if (now - when > DROP_NS && when < now)
			return false;
		if (atomic_load_explicit(&d->start, memory_order_relaxed) < end &&
		    atomic_load_explicit(&d->end, memory_order_relaxed) > start)
			return true;
	}
	/* All that is remembered is young, and something was forgotten. */
	return i == DROPS && n > DROPS;
}

/* Whether a change is under way that the kernel may not have told yet: see above. */
static bool changing(struct process *p)
{
	struct uffdio_writeprotect nothing = { .range = { 0, 0 } };

	return ioctl(atomic_load_explicit(&p->fd, memory_order_relaxed), UFFDIO_WRITEPROTECT,
		     &nothing) && errno == EAGAIN;
}

bool watch_settle(struct process *p, enum odpreg_check check)
{
	int tries = 0, saved = errno;

	if (check == ODPREG_CHECK_FULL) {
		while (changing(p)) {
			if (++tries > SETTLE_TRIES) {
				errno = saved;
				return false;
			}
			pause_a_little();
		}
		errno = saved;
	}
	while (atomic_load_explicit(&p->sequence, memory_order_acquire) & 1)
		pause_a_little();
	return true;
}
