// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Which process this is, who listens in it, and what kind of memory it has. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process.h"

static _Atomic(struct process *) current;

static _Atomic uint32_t *sign_of_life(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	_Atomic uint32_t *alive = mmap(NULL, page, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (alive == MAP_FAILED)
		return NULL;
	if (madvise((void *)alive, page, MADV_WIPEONFORK)) {
		munmap((void *)alive, page);
		return NULL;
	}
	atomic_store(alive, 1);
	return alive;
}

static void discard(struct process *p)
{
	if (p->alive)
		munmap((void *)p->alive, (size_t)sysconf(_SC_PAGESIZE));
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->arming);
	free(p);
}

/*
 * In the child of a fork the parent's is left alone: a thread that did not come along may have held
 * its lock.
 */
struct process *process_get(void)
{
	struct process *now = atomic_load(&current), *p;

	if (now && process_alive(now))
		return now;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->arming, NULL);
	atomic_init(&p->fd, -1);
	p->alive = sign_of_life();
	if (!p->alive) {
		discard(p);
		return NULL;
	}
	if (atomic_compare_exchange_strong(&current, &now, p))
		return p;
	discard(p);
	return now;
}

/* ------------------------------------------------------------------ listeners */

void watch_listen(struct process *p, struct listener *l)
{
	pthread_mutex_lock(&p->lock);
	atomic_store(&l->next, atomic_load(&p->listeners));
	atomic_store(&p->listeners, l);
	pthread_mutex_unlock(&p->lock);
}

void watch_unlisten(struct process *p, struct listener *l)
{
	_Atomic(struct listener *) *link = &p->listeners;
	uint64_t sequence;

	/* Reaping holds this lock: it is not under way when we have it, and finds nothing later. */
	pthread_mutex_lock(&p->lock);
	pthread_mutex_lock(&p->arming);
	while (atomic_load(link) && atomic_load(link) != l)
		link = &atomic_load(link)->next;
	if (atomic_load(link) == l)
		atomic_store(link, atomic_load(&l->next));
	pthread_mutex_unlock(&p->arming);
	pthread_mutex_unlock(&p->lock);
	/* Telling holds nothing: one that is under way may have come as far as l. */
	sequence = atomic_load(&p->sequence);
	if (sequence & 1)
		while (atomic_load(&p->sequence) == sequence)
			usleep(50);
}

/* ------------------------------------------------------------------ memory */

/* One line: "start-end perms offset device inode [path]". False when it is not private anonymous. */
static bool private_line(const char *line, uint64_t *start, uint64_t *end)
{
	char *rest;

	*start = strtoull(line, &rest, 16);
	if (*rest != '-')
		return false;
	*end = strtoull(rest + 1, &rest, 16);
	/* " rw-p 00000000 00:00 0": shared is 's', and a file has a device and an inode. */
	if (strlen(rest) < 6 || rest[4] != 'p')
		return false;
	rest = strchr(rest + 6, ' ');
	if (!rest || strncmp(rest, " 00:00 0", 8))
		return false;
	rest += 8;
	while (*rest == ' ')
		rest++;
	return !*rest || !strcmp(rest, "[heap]") || !strncmp(rest, "[stack", 6) ||
	       !strncmp(rest, "[anon:", 6);
}

/* Takes the next line out of fd; the buffer keeps what was read beyond it. NULL at the end. */
struct lines {
	int fd;
	size_t from;
	size_t to;
	char buffer[8192];
};

static char *next_line(struct lines *in)
{
	char *line, *end;
	ssize_t n;

	for (;;) {
		line = in->buffer + in->from;
		end = memchr(line, '\n', in->to - in->from);
		if (end) {
			*end = '\0';
			in->from = (size_t)(end + 1 - in->buffer);
			return line;
		}
		memmove(in->buffer, line, in->to - in->from);
		in->to -= in->from;
		in->from = 0;
		if (in->to == sizeof(in->buffer))
			return NULL;	/* no path is that long */
		do {
			n = read(in->fd, in->buffer + in->to, sizeof(in->buffer) - in->to);
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			return NULL;
		in->to += (size_t)n;
	}
}

bool memory_is_private(uint64_t start, uint64_t end)
{
	struct lines in = { .fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC) };
	uint64_t from = 0, to = 0;
	char *line;
	bool good;

	if (in.fd < 0)
		return false;
	while (start < end) {
		line = next_line(&in);
		if (!line)
			break;
		good = private_line(line, &from, &to);
		if (to <= start)
			continue;
		if (!good || from > start)
			break;
		start = to;
	}
	close(in.fd);
	return start >= end;
}
