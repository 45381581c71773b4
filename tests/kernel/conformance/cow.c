// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rows 7, 8 (the parent's side), 10, 11 and 12: pages that are shared and copied when written. */
#include <fcntl.h>
#include <sys/wait.h>

#include "scene.h"

/* ------------------------------------------------------------------ row 7: fork */

enum who { WATCHES, WRITES };

/* A child that holds its copy of the part until it is told to look at it and to end. */
struct child {
	pid_t pid;
	int go;
	int ready;
};

/* What it has at its birth, or what it has written itself, is what it must have in the end. */
static void child_main(struct scene *s, size_t at, size_t len, enum who who, int go, int ready)
{
	uint8_t *copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char c = 0;

	if (copy == MAP_FAILED)
		_exit(2);
	memcpy(copy, s->mem + at, len);
	if (who == WRITES) {
		memset(copy, 0xc1, len);
		memset(s->mem + at, 0xc1, len);
	}
	if (write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
		_exit(3);
	_exit(!!memcmp(copy, s->mem + at, len));
}

static void fork_child(struct scene *s, size_t at, size_t len, enum who who)
{
	struct child *child = malloc(sizeof(*child));
	int go[2], ready[2];
	char c;

	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(ready), 0);
	fflush(NULL);
	/* No assertion in the child: Check has a lock, which another thread may hold at this moment. */
	child->pid = fork();
	if (!child->pid)
		child_main(s, at, len, who, go[0], ready[1]);
	ck_assert_msg(child->pid > 0, "fork: %s", strerror(errno));
	close(go[0]);
	close(ready[1]);
	child->go = go[1];
	child->ready = ready[0];
	ck_assert_msg(read(child->ready, &c, 1) == 1, "the child died");
	s->own = child;
}

void cause_fork_child_watches(struct scene *s, size_t at, size_t len)
{
	fork_child(s, at, len, WATCHES);
}

void cause_fork_child_writes(struct scene *s, size_t at, size_t len)
{
	fork_child(s, at, len, WRITES);
}

/* The parent's CPU breaks the sharing first, and changes nothing by it. */
static void cause_fork_parent_writes(struct scene *s, size_t at, size_t len)
{
	size_t i;

	fork_child(s, at, len, WATCHES);
	for (i = 0; i < len; i += RIG_PAGE)
		__atomic_fetch_or(&s->mem[at + i], 0, __ATOMIC_SEQ_CST);
}

void restore_fork(struct scene *s, size_t at, size_t len)
{
	struct child *child = s->own;
	int status;

	ck_assert_int_eq(write(child->go, "x", 1), 1);
	ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
	close(child->go);
	close(child->ready);
	free(child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < 2, "the child ended with %#x",
		      status);
	ck_assert_msg(!status, "the child's %zu KiB at %#zx changed: its memory was written to",
		      len / KIB,
		      at);
}

struct forker {
	struct scene *s;
	size_t at;
	size_t len;
	bool bad;
};

static void *forks(void *arg)
{
	struct forker *f = arg;
	int i, status;
	pid_t pid;

	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid) {
			memset(f->s->mem + f->at, 0xc2, f->len);
			_exit(rig_diff_byte(f->s->mem + f->at, f->len, 0xc2) >= 0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			f->bad = true;
	}
	return NULL;
}

static void cause_fork_by_threads(struct scene *s, size_t at, size_t len)
{
	struct forker f[2] = { { s, at, len, false }, { s, at, len, false } };
	pthread_t thread[2];
	int i;

	fflush(NULL);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, forks, &f[i]), 0);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ck_assert_msg(!f[0].bad && !f[1].bad, "a child did not find what it had written");
}

/* ------------------------------------------------------------------ row 8: vfork, seen by the parent */

static void cause_vfork(struct scene *s, size_t at, size_t len)
{
	int status;
	pid_t pid;

	(void)s;
	(void)at;
	(void)len;
	pid = vfork();
	if (!pid) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	ck_assert_msg(pid > 0 && waitpid(pid, &status, 0) == pid && !status,
		      "vfork and exec of true");
}

/* ------------------------------------------------------------------ row 10: private file, zero page */

/* The pages of the file itself are in the page tables, and in the device's. */
static void cause_share_with_file(struct scene *s, size_t at, size_t len)
{
	volatile uint8_t sum = 0;
	size_t i;

	cause_dontneed(s, at, len);
	for (i = 0; i < len; i += RIG_PAGE)
		sum |= s->mem[at + i];
	ck_assert_msg(s->loaded || !sum, "the file is not empty");
	if (!s->loaded)
		stage_reads(&s->stage, at, (uint32_t)(len < STAGE_WAY ? len : STAGE_WAY),
			    "of the file");
}

static void check_file_untouched(struct scene *s)
{
	uint8_t *file = malloc(s->len);

	ck_assert_int_eq(pread(s->fd, file, s->len, 0), (ssize_t)s->len);
	ck_assert_msg(rig_diff_byte(file, s->len, 0) < 0,
		      "the file behind a private mapping was written to, at %#zx",
		      (size_t)rig_diff_byte(file, s->len, 0));
	free(file);
}

/* Zero pages in the page tables and in the device's; the CPU writes first. */
static void cause_zero_page_written(struct scene *s, size_t at, size_t len)
{
	cause_share_with_file(s, at, len);
	rig_fill(s->mem + at, len, 0x2e50 + s->rounds, 0);
}

/* Whoever else has the zero page, small or huge, still sees zeros. */
static void check_zero_page(struct scene *s)
{
	uint8_t *untouched = rig_map(s->len, HUGE, RIG_ANON);

	madvise(untouched, s->len, s->pages == PAGES_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	ck_assert_msg(rig_diff_byte(untouched, s->len, 0) < 0,
		      "the zero page has been written to: fresh memory is not zero at %zd",
		      rig_diff_byte(untouched, s->len, 0));
	rig_unmap(untouched, s->len);
}

/* ------------------------------------------------------------------ row 11: KSM */

/* Pages with the same bytes; ksmd makes one of them all. Under load some may be, and most will not. */
static void cause_merge(struct scene *s, size_t at, size_t len)
{
	double end = rig_now() + 60 * rig_pace();

	memset(s->mem + at, 0, len);
	ck_assert_msg(!madvise(s->mem + at, len, MADV_MERGEABLE), "madvise(MADV_MERGEABLE): %s",
		      strerror(errno));
	if (s->loaded || len == RIG_PAGE) {
		rig_sleep(0.05);
		return;
	}
	while (rig_pfn(s->mem + at) != rig_pfn(s->mem + at + RIG_PAGE) && rig_now() < end)
		rig_sleep(0.02);
	ck_assert_msg(rig_pfn(s->mem + at) == rig_pfn(s->mem + at + RIG_PAGE),
		      "ksmd merges nothing");
}

static void restore_unmerge(struct scene *s, size_t at, size_t len)
{
	ck_assert_msg(!madvise(s->mem + at, len, MADV_UNMERGEABLE), "madvise(MADV_UNMERGEABLE): %s",
		      strerror(errno));
}

/* ------------------------------------------------------------------ row 12: uprobes */

#define UPROBES	"/sys/kernel/tracing/uprobe_events"
#define EVENTS	"/sys/kernel/tracing/events/odpreg/enable"
#define RECORD_NAMES	"/sys/kernel/tracing/options/record-cmd"
#define TEXT	"/tmp/odpreg-text"
#define NOP	0x90

static bool ready_text(struct scene *s)
{
	uint8_t *bytes = malloc(s->len);
	void *p;
	int fd;

	if (access(UPROBES, F_OK))
		machine_run("mount -t tracefs none /sys/kernel/tracing 2>/dev/null");
	if (access(UPROBES, F_OK))
		return scene_skip(s, "the kernel has no uprobe events (%s)", UPROBES);
	/*
	 * With a trace event goes a probe in the scheduler that notes names: setting it changes the
	 * kernel's own code, which emulated processors may go on executing as it was.
	 */
	if (!machine_set(s, RECORD_NAMES, "0"))
		return false;
	fd = open(TEXT, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	rig_fill(bytes, s->len, 1, 0);
	ck_assert_msg(fd >= 0 && write(fd, bytes, s->len) == (ssize_t)s->len, TEXT ": %s",
		      strerror(errno));
	free(bytes);
	p = mmap(s->mem, s->len, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);
	ck_assert_msg(p == s->mem, "mmap of " TEXT ": %s", strerror(errno));
	close(fd);
	return true;
}

/* A probe on each no-operation in the part, up to eight: random bytes have some. */
static void cause_uprobe(struct scene *s, size_t at, size_t len)
{
	unsigned int count = 0;
	char text[120];
	size_t i;
	int fd, err;

	fd = open(UPROBES, O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	for (i = at; i < at + len && count < 8; i++) {
		if (s->mem[i] != NOP)
			continue;
		snprintf(text, sizeof(text), "p:odpreg/p%u " TEXT ":%#zx\n", count++, i);
		ck_assert_msg(write(fd, text, strlen(text)) > 0, UPROBES ": %s", strerror(errno));
	}
	close(fd);
	ck_assert_msg(count, "no place for a probe at %#zx", at);
	err = rig_write_file(EVENTS, "1");
	ck_assert_msg(!err, EVENTS ": %s", strerror(err));
}

static void restore_uprobe(struct scene *s, size_t at, size_t len)
{
	int fd;

	(void)s;
	(void)at;
	(void)len;
	rig_write_file(EVENTS, "0");
	fd = open(UPROBES, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_msg(fd >= 0, UPROBES ": %s", strerror(errno));
	close(fd);
}

static void finish_uprobe(struct scene *s)
{
	(void)s;
	unlink(TEXT);
}

const struct row cow_rows[] = {
	{ 7, "fork", "fork; remote writes go to the parent only", "protection_page|clear",
	  PAGES_ANY, ON_ANON, KEPT, 0, .cause = cause_fork_child_watches, .restore = restore_fork },
	{ 7, "fork-child-writes", "fork; the child writes", "protection_page|clear", PAGES_ANY,
	  ON_ANON, KEPT, 0, .cause = cause_fork_child_writes, .restore = restore_fork },
	{ 7, "fork-parent-writes", "fork; the parent writes", "protection_page|clear", PAGES_ANY,
	  ON_ANON, KEPT, 0, .cause = cause_fork_parent_writes, .restore = restore_fork },
	{ 7, "fork-by-threads", "forks by two threads, children write and exit",
	  "protection_page|clear", PAGES_SMALL, ON_ANON, KEPT, 0, .cause = cause_fork_by_threads },
	{ 8, "vfork-exec", "vfork and exec; the parent goes on", "", PAGES_4K, ON_ANON, KEPT,
	  ROW_FEW, .cause = cause_vfork },
	{ 10, "private-file", "pages of the file in a private mapping are written", "clear",
	  PAGES_4K, ON_PRIVATE, ZEROS, 0, .cause = cause_share_with_file,
	  .check = check_file_untouched },
	{ 10, "zero-page", "zero pages are written", "clear", PAGES_SMALL, ON_ANON, ZEROS, 0,
	  .cause = cause_share_with_file, .check = check_zero_page },
	{ 10, "zero-page-cpu", "zero pages are written by the CPU", "clear", PAGES_SMALL, ON_ANON,
	  CHANGED, ROW_NO_LOAD, .cause = cause_zero_page_written, .check = check_zero_page },
	{ 11, "ksm", "MADV_MERGEABLE, merged by ksmd, MADV_UNMERGEABLE", "clear", PAGES_SMALL,
	  ON_ANON, ZEROS, ROW_REUSE | ROW_SLOW, .prepare = machine_ksm, .cause = cause_merge,
	  .restore = restore_unmerge },
	{ 12, "uprobe", "uprobes set and removed", "clear", PAGES_4K, ON_ANON, OVERLAID,
	  ROW_READS | ROW_OWNS_MEM, .ready = ready_text, .cause = cause_uprobe,
	  .restore = restore_uprobe, .finish = finish_uprobe },
	{ 0 }
};
