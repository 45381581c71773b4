// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The machine under the test: swap on zram, memory cgroup, counters, kernel log. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>

#include "rig.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"

double rig_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* guest-tests says to Check what it has measured (tests/pace). */
double rig_pace(void)
{
	const char *text = getenv("CK_TIMEOUT_MULTIPLIER");
	double pace = text ? atof(text) : 1;

	return pace > 1 ? pace : 1;
}

void rig_sleep(double seconds)
{
	struct timespec ts = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

int rig_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

bool rig_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

static bool run(const char *command)
{
	int status = system(command);

	return status != -1 && WIFEXITED(status) && !WEXITSTATUS(status);
}

void rig_print_counters(const struct rig *rig)
{
	char command[400];

	fflush(NULL);
	snprintf(command, sizeof(command),
		 "for i in 1 2; do "
		 "{ grep -s . /sys/class/infiniband/%s/ports/%u/hw_counters/* | sed 's,.*/,,; s,:, ,'; "
		 "cat /sys/kernel/debug/rdma_odp/stats 2>/dev/null; } | "
		 "grep -v ' 0$' | paste -sd ,; sleep 1; done", rig->attr.device, rig->port);
	run(command);
}

/* ------------------------------------------------------------------ swap */

static char swap_device[32];
static int swap_number = -1;

/* A fresh device of the running zram module: its own number, whatever others use. */
static int hot_add_zram(void)
{
	char text[16];

	if (access("/sys/class/zram-control", F_OK))
		run("modprobe zram num_devices=0 >/dev/null 2>&1");
	if (!rig_read_file("/sys/class/zram-control/hot_add", text, sizeof(text)))
		return -1;
	return atoi(text);
}

bool rig_swap_on(size_t bytes, char *why, size_t why_len)
{
	char path[64], text[80];

	swap_number = hot_add_zram();
	if (swap_number < 0) {
		snprintf(why, why_len, "no zram device can be added (module zram)");
		return false;
	}
	snprintf(swap_device, sizeof(swap_device), "/dev/zram%d", swap_number);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", swap_number);
	snprintf(text, sizeof(text), "%zu", bytes);
	if (rig_write_file(path, text)) {
		snprintf(why, why_len, "%s does not take %s bytes", path, text);
		goto fail;
	}
	snprintf(text, sizeof(text), "mkswap %s >/dev/null", swap_device);
	if (!run(text)) {
		snprintf(why, why_len, "mkswap %s failed (package util-linux)", swap_device);
		goto fail;
	}
	if (!swapon(swap_device, 0))
		return true;
	snprintf(why, why_len, "swapon %s: %s", swap_device, strerror(errno));
fail:
	rig_swap_off();
	return false;
}

void rig_swap_off(void)
{
	char path[64], text[16];

	if (swap_number < 0)
		return;
	swapoff(swap_device);
	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", swap_number);
	rig_write_file(path, "1");
	snprintf(text, sizeof(text), "%d", swap_number);
	rig_write_file("/sys/class/zram-control/hot_remove", text);
	swap_number = -1;
}

/* ------------------------------------------------------------------ memory cgroup */

static char cgroup[64];

static void leave_cgroup(void)
{
	if (!cgroup[0])
		return;
	rig_write_file(CGROUP_ROOT "/cgroup.procs", "0");
	rmdir(cgroup);
	cgroup[0] = '\0';
}

bool rig_memcg(size_t limit, char *why, size_t why_len)
{
	char path[128], text[32];
	int err;

	leave_cgroup();
	if (!limit)
		return true;
	if (access(CGROUP_ROOT "/cgroup.controllers", F_OK))
		run("mount -t cgroup2 none " CGROUP_ROOT " 2>/dev/null");
	rig_write_file(CGROUP_ROOT "/cgroup.subtree_control", "+memory");
	snprintf(cgroup, sizeof(cgroup), CGROUP_ROOT "/odpreg-%d", (int)getpid());
	if (mkdir(cgroup, 0755)) {
		snprintf(why, why_len, "cannot create %s: %s", cgroup, strerror(errno));
		cgroup[0] = '\0';
		return false;
	}
	snprintf(path, sizeof(path), "%s/memory.max", cgroup);
	snprintf(text, sizeof(text), "%zu", limit);
	err = rig_write_file(path, text);
	if (!err) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
		err = rig_write_file(path, "0");
	}
	if (!err)
		return true;
	snprintf(why, why_len, "%s: %s", path, strerror(err));
	leave_cgroup();
	return false;
}

/* ------------------------------------------------------------------ counters */

/* In bytes, where the file says kB. */
static int64_t lookup(const char *file, const char *name, char separator)
{
	FILE *f = fopen(file, "re");
	size_t len = strlen(name);
	int64_t value = -1;
	char line[128], *end;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, len) || line[len] != separator)
			continue;
		value = strtoll(line + len + 1, &end, 10);
		if (!strncmp(end, " kB", 3))
			value *= 1024;
		break;
	}
	fclose(f);
	return value;
}

int64_t rig_vmstat(const char *name)
{
	return lookup("/proc/vmstat", name, ' ');
}

int64_t rig_meminfo(const char *name)
{
	return lookup("/proc/meminfo", name, ':');
}

int64_t rig_huge_pool(unsigned int pages)
{
	static const char path[] = "/proc/sys/vm/nr_hugepages";
	char text[32];

	snprintf(text, sizeof(text), "%u", pages);
	rig_write_file(path, text);
	/* What the free memory was too scattered for before, it may be good for now. */
	if (rig_meminfo("HugePages_Free") < pages) {
		rig_write_file("/proc/sys/vm/compact_memory", "1");
		rig_write_file(path, text);
	}
	return rig_meminfo("HugePages_Free");
}

const char *rig_huge_text(void)
{
	static __thread char text[120];

	snprintf(text, sizeof(text), "huge pages: %jd, %jd free, %jd reserved, %jd surplus",
		 (intmax_t)rig_meminfo("HugePages_Total"),
		 (intmax_t)rig_meminfo("HugePages_Free"),
		 (intmax_t)rig_meminfo("HugePages_Rsvd"),
		 (intmax_t)rig_meminfo("HugePages_Surp"));
	return text;
}

int64_t rig_odp_counter(const char *name)
{
	if (access("/sys/kernel/debug/rdma_odp", F_OK))
		run("mount -t debugfs none /sys/kernel/debug 2>/dev/null");
	return lookup("/sys/kernel/debug/rdma_odp/stats", name, ' ');
}

void rig_odp_settles(const char *name, int64_t most)
{
	double end = rig_now() + 10 * rig_pace();

	while (rig_odp_counter(name) > most && rig_now() < end)
		rig_sleep(0.02);
	ck_assert_msg(rig_odp_counter(name) <= most, "the engine still has %jd %s, not %jd",
		      (intmax_t)rig_odp_counter(name), name, (intmax_t)most);
}

bool rig_keeps_freed(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

/* ------------------------------------------------------------------ kernel log */

static int kmsg = -1;

void rig_dmesg_mark(void)
{
	if (kmsg < 0)
		kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		ck_abort_msg("cannot read /dev/kmsg: %s", strerror(errno));
	lseek(kmsg, 0, SEEK_END);
}

static bool contains_any(const char *line, const char *const *list)
{
	for (; *list; list++)
		if (strstr(line, *list))
			return true;
	return false;
}

bool rig_is_defect(const char *line)
{
	static const char *const defect[] = {
		"BUG", "WARNING", "Oops", "KASAN", "KCSAN", "UBSAN", "general protection",
		"refcount_t", "blocked for more than", "rxe_pool", "Object corrupt", "rdma_odp",
		NULL
	};

	return contains_any(line, defect);
}

static bool is_interesting(const char *line)
{
	static const char *const harmless[] = {
		"rxe", "speed is unknown", "callbacks suppressed", "hogged CPU", "hrtimer:",
		"clocksource", "TSC found unstable", "random:", "perf: interrupt",
		"sched_clock", "printk:", "drop_caches", NULL
	};

	return rig_is_defect(line) || strstr(line, "Call Trace") || !contains_any(line, harmless);
}

/*
 * Reports of data races stand between two such lines. Which of them count is known to whoever runs
 * the tests on a kernel that has them (tests/vm/guest-tests).
 */
static bool race_report(const char *text)
{
	static bool inside;

	if (access("/sys/kernel/debug/kcsan", F_OK))
		return false;
	if (strncmp(text, "==========", 10))
		return inside;
	inside = !inside;
	return true;
}

const char *rig_dmesg_new(void)
{
	static char record[2048];
	char *text, *end;
	ssize_t n;

	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (n < 0)
			continue;	/* overwritten before it was read: go on with what is left */
		record[n] = '\0';
		text = strchr(record, ';');
		end = strchr(record, '\n');
		if (end)
			*end = '\0';
		if (text && !race_report(text + 1) && is_interesting(text + 1))
			return text + 1;
	}
	return NULL;
}

void rig_dmesg_clean(void)
{
	const char *line = rig_dmesg_new();

	ck_assert_msg(!line, "kernel log: %s", line);
}
