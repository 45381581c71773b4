// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "late.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "rig.h"

struct late {
	int fd;
	int wake;
	uint8_t *addr;
	size_t pages;
	double seconds;		/* under lock, as all below */
	uint64_t seed;
	double *due;		/* 0: nobody has asked; -1: has arrived */
	unsigned int waiting;
	unsigned int asked;
	bool stop;
	pthread_mutex_t lock;
	pthread_t thread;
};

static void deliver(struct late *late, size_t page)
{
	static __thread uint8_t bytes[4096] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)late->addr + page * RIG_PAGE,
		.src = (uintptr_t)bytes,
		.len = RIG_PAGE,
	};

	rig_fill(bytes, RIG_PAGE, late->seed, page * RIG_PAGE);
	while (ioctl(late->fd, UFFDIO_COPY, &copy) && errno == EAGAIN)
		copy.copy = 0;
	late->due[page] = -1;
	late->waiting--;
}

/* Deliver what is due. Milliseconds until the next one is, or -1. */
static int deliver_due(struct late *late)
{
	double now = rig_now(), next = LATE_NEVER;
	size_t i;

	for (i = 0; i < late->pages; i++) {
		if (late->due[i] <= 0)
			continue;
		if (late->due[i] <= now || late->seconds <= 0)
			deliver(late, i);
		else if (late->due[i] < next)
			next = late->due[i];
	}
	return next - now > 1e6 ? -1 : (int)((next - now) * 1e3) + 1;
}

static void note(struct late *late, const struct uffd_msg *msg)
{
	size_t page;

	if (msg->event != UFFD_EVENT_PAGEFAULT)
		return;
	page = (msg->arg.pagefault.address - (uintptr_t)late->addr) / RIG_PAGE;
	if (late->due[page])
		return;
	late->due[page] = rig_now() + late->seconds;
	late->waiting++;
	late->asked++;
}

static void *handler(void *arg)
{
	struct late *late = arg;
	struct pollfd fds[2] = {
		{ .fd = late->fd, .events = POLLIN },
		{ .fd = late->wake, .events = POLLIN },
	};
	struct uffd_msg msg;
	int timeout = -1;
	uint64_t count;
	bool stop;

	do {
		poll(fds, 2, timeout);
		pthread_mutex_lock(&late->lock);
		while (read(late->fd, &msg, sizeof(msg)) == sizeof(msg))
			note(late, &msg);
		if (read(late->wake, &count, sizeof(count)) < 0)
			count = 0;
		timeout = deliver_due(late);
		stop = late->stop;
		pthread_mutex_unlock(&late->lock);
	} while (!stop);
	return NULL;
}

struct late *late_pages(void *addr, size_t size, double seconds, uint64_t seed, char *why,
			size_t why_len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)addr, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct late *late = calloc(1, sizeof(*late));

	late->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (late->fd < 0 || ioctl(late->fd, UFFDIO_API, &api)) {
		snprintf(why, why_len, "no userfaultfd for faults of the kernel: %s", strerror(errno));
		free(late);
		return NULL;
	}
	madvise(addr, size, MADV_NOHUGEPAGE);
	ck_assert_msg(!ioctl(late->fd, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER: %s",
		      strerror(errno));
	late->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	late->addr = addr;
	late->pages = size / RIG_PAGE;
	late->seconds = seconds;
	late->seed = seed;
	late->due = calloc(late->pages, sizeof(*late->due));
	pthread_mutex_init(&late->lock, NULL);
	ck_assert_int_eq(pthread_create(&late->thread, NULL, handler, late), 0);
	return late;
}

static void poke(struct late *late)
{
	uint64_t one = 1;

	if (write(late->wake, &one, sizeof(one)) != sizeof(one))
		ck_abort_msg("eventfd: %s", strerror(errno));
}

void late_release(struct late *late)
{
	pthread_mutex_lock(&late->lock);
	late->seconds = 0;
	pthread_mutex_unlock(&late->lock);
	poke(late);
}

unsigned int late_waiting(struct late *late)
{
	unsigned int n;

	pthread_mutex_lock(&late->lock);
	n = late->waiting;
	pthread_mutex_unlock(&late->lock);
	return n;
}

unsigned int late_asked(struct late *late)
{
	unsigned int n;

	pthread_mutex_lock(&late->lock);
	n = late->asked;
	pthread_mutex_unlock(&late->lock);
	return n;
}

void late_end(struct late *late)
{
	late_release(late);
	pthread_mutex_lock(&late->lock);
	late->stop = true;
	pthread_mutex_unlock(&late->lock);
	poke(late);
	pthread_join(late->thread, NULL);
	/* Closing it lets everybody go who still waits. */
	close(late->fd);
	close(late->wake);
	free(late->due);
	free(late);
}
