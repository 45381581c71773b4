// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rows 22, 23 and 28: another process at the memory, poison, and device memory. */
#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "scene.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

/* ------------------------------------------------------------------ row 22: another process */

enum order { ADVISE_PAGEOUT, ADVISE_COLD, WRITE_ZEROS, POKE_ZEROS, WRITE_MEM };

struct message {
	enum order order;
	uint8_t *addr;
	size_t len;
};

/* Made before the memory is there, so that it shares none of it. */
static struct {
	pid_t pid;
	int to, from;
} neighbour;

static int advise(pid_t pid, uint8_t *addr, size_t len, int advice)
{
	struct iovec part = { addr, len };
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), err = 0;

	if (fd < 0 || syscall(SYS_process_madvise, fd, &part, 1ul, advice, 0ul) < 0)
		err = errno;
	close(fd);
	return err;
}

static int write_zeros(pid_t pid, uint8_t *addr, size_t len)
{
	static uint8_t zeros[RIG_PAGE];
	struct iovec from = { zeros, RIG_PAGE }, to = { addr, RIG_PAGE };
	size_t i;

	for (i = 0; i < len; i += RIG_PAGE) {
		to.iov_base = addr + i;
		if (process_vm_writev(pid, &from, 1, &to, 1, 0) != RIG_PAGE)
			return errno;
	}
	return 0;
}

static int write_mem(pid_t pid, uint8_t *addr, size_t len)
{
	static uint8_t zeros[RIG_PAGE];
	char path[40];
	int fd, err = 0;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (i = 0; i < len && !err; i += RIG_PAGE)
		if (pwrite(fd, zeros, RIG_PAGE, (off_t)(uintptr_t)(addr + i)) != RIG_PAGE)
			err = errno;
	close(fd);
	return err;
}

static int poke(pid_t pid, uint8_t *addr, size_t len)
{
	int status, err = 0;
	size_t i;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid)
		return errno;
	for (i = 0; i < len && !err; i += RIG_PAGE)
		if (ptrace(PTRACE_POKEDATA, pid, addr + i, NULL))
			err = errno;
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return err;
}

static int obey(const struct message *m, pid_t pid)
{
	switch (m->order) {
	case ADVISE_PAGEOUT: return advise(pid, m->addr, m->len, MADV_PAGEOUT);
	case ADVISE_COLD: return advise(pid, m->addr, m->len, MADV_COLD);
	case WRITE_ZEROS: return write_zeros(pid, m->addr, m->len);
	case POKE_ZEROS: return poke(pid, m->addr, m->len);
	default: return write_mem(pid, m->addr, m->len);
	}
}

static bool prepare_neighbour(struct scene *s)
{
	int to[2], from[2], err;
	pid_t parent = getpid();
	struct message m;

	(void)s;
	ck_assert(!pipe(to) && !pipe(from));
	fflush(NULL);
	neighbour.pid = fork();
	if (!neighbour.pid) {
		close(to[1]);
		while (read(to[0], &m, sizeof(m)) == sizeof(m)) {
			err = obey(&m, parent);
			if (write(from[1], &err, sizeof(err)) != sizeof(err))
				break;
		}
		_exit(0);
	}
	ck_assert_int_gt(neighbour.pid, 0);
	close(to[0]);
	close(from[1]);
	neighbour.to = to[1];
	neighbour.from = from[0];
	return true;
}

static bool prepare_neighbour_and_swap(struct scene *s)
{
	return prepare_neighbour(s) && prepare_swap(s);
}

static void finish_neighbour(struct scene *s)
{
	(void)s;
	close(neighbour.to);
	close(neighbour.from);
	waitpid(neighbour.pid, NULL, 0);
}

static void tell(struct scene *s, enum order order, size_t at, size_t len, const char *what)
{
	struct message m = { order, s->mem + at, len };
	int err;

	ck_assert_int_eq(write(neighbour.to, &m, sizeof(m)), sizeof(m));
	ck_assert_int_eq(read(neighbour.from, &err, sizeof(err)), sizeof(err));
	ck_assert_msg(!err, "%s by another process: %s", what, strerror(err));
}

static void cause_their_pageout(struct scene *s, size_t at, size_t len)
{
	double end = rig_now() + 20;

	do {
		tell(s, ADVISE_PAGEOUT, at, len, "process_madvise(MADV_PAGEOUT)");
	} while (!s->loaded && !rig_swapped(s->mem + at, len) && rig_now() < end);
	ck_assert_msg(s->loaded || rig_swapped(s->mem + at, len), "nothing is swapped out");
}

static void cause_their_cold(struct scene *s, size_t at, size_t len)
{
	tell(s, ADVISE_COLD, at, len, "process_madvise(MADV_COLD)");
}

/*
 * The pages are shared with a child first: the write has to copy them. The device has them as they are
 * shared, as nobody tells it of what it does not have.
 */
static void share(struct scene *s, size_t at, size_t len)
{
	cause_fork_child_watches(s, at, len);
	if (!s->loaded)
		stage_reads(&s->stage, at, (uint32_t)(len < STAGE_WAY ? len : STAGE_WAY),
			    "while the pages are shared");
}

static void cause_their_write(struct scene *s, size_t at, size_t len)
{
	share(s, at, len);
	tell(s, WRITE_ZEROS, at, len, "process_vm_writev");
}

static void cause_their_mem_write(struct scene *s, size_t at, size_t len)
{
	share(s, at, len);
	tell(s, WRITE_MEM, at, len, "a write to /proc/PID/mem");
}

static void cause_poke(struct scene *s, size_t at, size_t len)
{
	share(s, at, len);
	tell(s, POKE_ZEROS, at, len, "PTRACE_POKEDATA");
}

/* ------------------------------------------------------------------ row 23: poison */

#define MOST_POISONED	24
#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"

static uint64_t poisoned[MOST_POISONED];
static unsigned int poisonings;

static atomic_bool poisoning;

/* While a page is poisoned its owner may be told so; a touch of a poisoned page is another matter. */
static void on_bus_error(int sig)
{
	if (!atomic_load(&poisoning))
		signal(sig, SIG_DFL);
}

static bool prepare_poison(struct scene *s)
{
	signal(SIGBUS, on_bus_error);
	/* To put the pages back. */
	machine_run("modprobe hwpoison-inject 2>/dev/null");
	if (access("/proc/sys/vm/memory_failure_recovery", F_OK))
		return scene_skip(s, "the kernel has no handling of poisoned memory");
	return true;
}

/*
 * Not the zero page: the kernel would refuse, but call it poisoned from then on, for everybody. Nothing
 * is lost by an addition that is atomic.
 */
static void own_page(uint8_t *at)
{
	__atomic_fetch_add(at, 0, __ATOMIC_SEQ_CST);
}

static void poison(struct scene *s, size_t at, int advice, const char *name)
{
	int err;

	own_page(s->mem + at);
	poisoned[poisonings] = rig_pfn(s->mem + at);
	atomic_store(&poisoning, true);
	err = madvise(s->mem + at, RIG_PAGE, advice) ? errno : 0;
	atomic_store(&poisoning, false);
	/* Under load a page can be on its way somewhere, and poisoned before or after, or not at all. */
	if (s->loaded && (err == EBUSY || err == EAGAIN || err == EIO || err == EHWPOISON)) {
		s->spared = rig_pfn(s->mem + at);
		return;
	}
	ck_assert_msg(!err, "madvise(%s): %s", name, strerror(err));
	poisonings++;
}

/* Each takes a huge page from the pool for good. */
static unsigned int most_poisoned(const struct scene *s)
{
	return s->pages == PAGES_HUGETLB ? 3 : MOST_POISONED;
}

static void cause_soft_offline(struct scene *s, size_t at, size_t len)
{
	(void)len;
	if (poisonings < most_poisoned(s))
		poison(s, at, MADV_SOFT_OFFLINE, "MADV_SOFT_OFFLINE");
	else
		rig_sleep(0.05);
}

static void cause_hwpoison(struct scene *s, size_t at, size_t len)
{
	(void)len;
	if (poisonings < MOST_POISONED) {
		poison(s, at, MADV_HWPOISON, "MADV_HWPOISON");
	} else {
		s->spared = true;
		rig_sleep(0.05);
	}
}

static void restore_poisoned(struct scene *s, size_t at, size_t len)
{
	scene_map_part(s, at, len, PROT_READ | PROT_WRITE);
}

static void finish_poison(struct scene *s)
{
	char text[32];

	(void)s;
	while (poisonings) {
		snprintf(text, sizeof(text), "%#jx", (uintmax_t)poisoned[--poisonings]);
		rig_write_file(UNPOISON, text);
	}
}

/* ------------------------------------------------------------------ row 28: device memory */

/* The interface of the kernel's own test driver, test_hmm. */
struct hmm_command {
	__u64 addr;
	__u64 ptr;
	__u64 npages;
	__u64 cpages;
	__u64 faults;
};

#define HMM_TO_DEVICE	_IOWR('H', 0x02, struct hmm_command)
#define HMM_EXCLUSIVE	_IOWR('H', 0x05, struct hmm_command)

static int hmm = -1;

static bool prepare_hmm(struct scene *s)
{
	/* The script that comes with it makes the nodes; the major number is in /proc/devices. */
	machine_run("modprobe test_hmm 2>/dev/null; "
		    "major=$(awk '$2 == \"HMM_DMIRROR\" { print $1 }' /proc/devices); "
		    "[ -z \"$major\" ] || [ -e /dev/hmm_dmirror0 ] || mknod /dev/hmm_dmirror0 c $major 0");
	hmm = open("/dev/hmm_dmirror0", O_RDWR | O_CLOEXEC);
	if (hmm < 0)
		return scene_skip(s, "the kernel has no test_hmm module");
	return true;
}

static void ask_hmm(struct scene *s, unsigned long request, size_t at, size_t len, const char *what)
{
	struct hmm_command command = { .addr = (uintptr_t)s->mem + at, .npages = len / RIG_PAGE };
	void *copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double end = rig_now() + 20;
	int err;

	command.ptr = (uintptr_t)copy;
	do {
		err = ioctl(hmm, request, &command) ? errno : 0;
	} while (err && err != ENODEV && !s->loaded && rig_now() < end);
	munmap(copy, len);
	ck_assert_msg(s->loaded || !err, "%s of %zu pages: %s", what, len / RIG_PAGE,
		      strerror(err));
}

static void cause_to_device(struct scene *s, size_t at, size_t len)
{
	ask_hmm(s, HMM_TO_DEVICE, at, len, "migration to device memory");
}

static void cause_exclusive(struct scene *s, size_t at, size_t len)
{
	ask_hmm(s, HMM_EXCLUSIVE, at, len, "exclusive access of a device");
}

static void finish_hmm(struct scene *s)
{
	(void)s;
	if (hmm >= 0)
		close(hmm);
}

const struct row others_rows[] = {
	{ 22, "their-pageout", "process_madvise(MADV_PAGEOUT)", "clear", PAGES_SMALL, ON_ANON, KEPT,
	  ROW_REUSE, .prepare = prepare_neighbour_and_swap, .cause = cause_their_pageout,
	  .finish = finish_neighbour },
	{ 22, "their-cold", "process_madvise(MADV_COLD)", NULL, PAGES_SMALL, ON_ANON, KEPT, 0,
	  .prepare = prepare_neighbour, .cause = cause_their_cold, .finish = finish_neighbour },
	{ 22, "their-write", "process_vm_writev to pages shared by a fork", "clear", PAGES_ANY,
	  ON_ANON, ZEROS, 0, .prepare = prepare_neighbour, .cause = cause_their_write,
	  .restore = restore_fork, .finish = finish_neighbour },
	{ 22, "their-mem", "a write to /proc/PID/mem", "clear", PAGES_SMALL, ON_ANON, ZEROS, 0,
	  .prepare = prepare_neighbour, .cause = cause_their_mem_write, .restore = restore_fork,
	  .finish = finish_neighbour },
	{ 22, "poke", "PTRACE_POKEDATA to pages shared by a fork", "clear", PAGES_SMALL, ON_ANON,
	  CHANGED, 0, .prepare = prepare_neighbour, .cause = cause_poke, .restore = restore_fork,
	  .finish = finish_neighbour },
	{ 23, "soft-offline", "MADV_SOFT_OFFLINE", "clear", PAGES_ANY, ON_ANON, KEPT, ROW_FEW,
	  .prepare = prepare_poison, .cause = cause_soft_offline, .finish = finish_poison,
	  .log = "*" },
	{ 23, "hwpoison", "MADV_HWPOISON", "clear", PAGES_SMALL, ON_ANON, GONE,
	  ROW_FEW | ROW_ZERO_AFTER, .prepare = prepare_poison, .cause = cause_hwpoison,
	  .restore = restore_poisoned, .finish = finish_poison, .log = "*" },
	{ 28, "to-device", "migrated to device-private memory", "migrate|clear", PAGES_4K, ON_ANON,
	  KEPT, 0, .prepare = prepare_hmm, .cause = cause_to_device, .finish = finish_hmm },
	{ 28, "exclusive", "a device has exclusive access", "exclusive|clear", PAGES_4K, ON_ANON,
	  KEPT, 0, .prepare = prepare_hmm, .cause = cause_exclusive, .finish = finish_hmm },
	{ 0 }
};
