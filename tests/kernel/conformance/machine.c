// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Preparing the machine, and putting it back. What a process of the suite changes is noted in memory
 * that all of them share, so that the parent puts back what a child that was killed has left.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "scene.h"

#define SETTINGS	32
#define DISK_DIR	"/run/odpreg-disk"
#define DAX_DIR		"/run/odpreg-dax"

struct setting {
	char path[120];
	char text[120];
};

struct notes {
	unsigned int count;
	struct setting setting[SETTINGS];
	char zram[16];
	char swap[32];
	char mounted[2][32];
};

static struct notes *notes;
static pid_t owner;

int machine_run(const char *fmt, ...)
{
	char command[400];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	status = system(command);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* "always [madvise] never": the one that is chosen. */
static void chosen(char *text)
{
	char *from = strchr(text, '['), *to = from ? strchr(from, ']') : NULL;

	if (!to)
		return;
	*to = '\0';
	memmove(text, from + 1, strlen(from + 1) + 1);
}

bool machine_set(struct scene *s, const char *path, const char *text)
{
	struct setting *old = &notes->setting[notes->count];
	int err;

	if (!rig_read_file(path, old->text, sizeof(old->text)))
		return scene_skip(s, "the kernel has no %s", path);
	old->text[strcspn(old->text, "\n")] = '\0';
	chosen(old->text);
	err = rig_write_file(path, text);
	if (err)
		return scene_skip(s, "%s does not take '%s': %s", path, text, strerror(err));
	if (notes->count < SETTINGS - 1) {
		snprintf(old->path, sizeof(old->path), "%s", path);
		notes->count++;
	}
	return true;
}

static void unmount(char *dir)
{
	int tries = 30;

	if (!dir[0])
		return;
	while (umount(dir) && errno == EBUSY) {
		/* Then it is for the parent, when this process has gone. */
		if (!--tries)
			return;
		rig_sleep(0.1);
	}
	rmdir(dir);
	dir[0] = '\0';
}

/* zram's newest swap device is the last line. */
static void note_swap(void)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[200];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s", notes->swap) != 1 || strncmp(notes->swap, "/dev/zram", 9))
			notes->swap[0] = '\0';
	if (f)
		fclose(f);
}

/* What rig_swap_off() of a process that was killed would have done. */
static void swap_off(void)
{
	const char *number = notes->swap + strlen("/dev/zram");

	if (!notes->swap[0])
		return;
	if (!machine_run("swapoff %s 2>/dev/null", notes->swap))
		machine_run("echo 1 >/sys/block/zram%s/reset; echo %s >/sys/class/zram-control/hot_remove",
			    number, number);
	notes->swap[0] = '\0';
}

static void put_all_back(void)
{
	swap_off();
	unmount(notes->mounted[0]);
	unmount(notes->mounted[1]);
	if (notes->zram[0]) {
		machine_run("echo 1 >/sys/block/zram%s/reset; echo %s >/sys/class/zram-control/hot_remove",
			    notes->zram, notes->zram);
		notes->zram[0] = '\0';
	}
	while (notes->count) {
		struct setting *old = &notes->setting[--notes->count];

		rig_write_file(old->path, old->text);
	}
}

void machine_put_back(void)
{
	char why[200];

	rig_swap_off();
	if (getpid() == owner)
		notes->swap[0] = '\0';
	rig_memcg(0, why, sizeof(why));
	put_all_back();
}

/* A test that fails exits; what it forks for itself ends by _exit(), or is not this process. */
static void at_exit(void)
{
	if (getpid() == owner)
		machine_put_back();
}

void machine_init(void)
{
	notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (notes == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
}

static void mine(void)
{
	if (owner == getpid())
		return;
	owner = getpid();
	atexit(at_exit);
}

bool machine_swap(struct scene *s, size_t bytes)
{
	mine();
	if (!rig_swap_on(bytes, s->why, sizeof(s->why)))
		return false;
	note_swap();
	return true;
}

bool machine_cgroup(struct scene *s, size_t limit)
{
	mine();
	return rig_memcg(limit, s->why, sizeof(s->why));
}

bool machine_hugetlb(struct scene *s, unsigned int pages)
{
	static const char path[] = "/proc/sys/vm/nr_hugepages";
	char text[32];

	mine();
	snprintf(text, sizeof(text), "%u", pages);
	if (!machine_set(s, path, text))
		return false;
	if (rig_huge_pool(pages) < pages)
		return scene_skip(s, "no %u free huge pages can be had (%jd)", pages,
				  (intmax_t)rig_meminfo("HugePages_Free"));
	return true;
}

static bool mount_new(struct scene *s, const char *device, const char *dir, const char *type,
		      const char *mkfs, const char *options, int slot)
{
	mkdir(dir, 0755);
	machine_run("modprobe %s 2>/dev/null", type);
	if (machine_run("%s %s >/dev/null 2>&1", mkfs, device))
		return scene_skip(s, "%s %s failed (packages e2fsprogs, xfsprogs)", mkfs, device);
	if (mount(device, dir, type, 0, options))
		return scene_skip(s, "cannot mount %s as %s, options '%s': %s", device, type,
				  options, strerror(errno));
	snprintf(notes->mounted[slot], sizeof(notes->mounted[slot]), "%s", dir);
	return true;
}

bool machine_disk(struct scene *s, char *dir, size_t size)
{
	char number[16], path[64], bytes[32];

	mine();
	snprintf(dir, size, DISK_DIR);
	if (notes->mounted[0][0])
		return true;
	if (access("/sys/class/zram-control", F_OK))
		machine_run("modprobe zram num_devices=0 >/dev/null 2>&1");
	if (!rig_read_file("/sys/class/zram-control/hot_add", number, sizeof(number)))
		return scene_skip(s, "no zram device can be added, to hold a file system");
	snprintf(notes->zram, sizeof(notes->zram), "%d", atoi(number));
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", atoi(number));
	snprintf(bytes, sizeof(bytes), "%lu", 64 * MIB);
	if (rig_write_file(path, bytes))
		return scene_skip(s, "%s does not take %s bytes", path, bytes);
	snprintf(path, sizeof(path), "/dev/zram%d", atoi(number));
	return mount_new(s, path, DISK_DIR, "ext4", "mkfs.ext4 -q -F -b 4096 -O ^has_journal",
			 "", 0);
}

/* Extents begin and end at huge pages where that can be asked for. */
bool machine_dax(struct scene *s, char *dir, size_t size, bool reflink)
{
	int tries = 20;

	mine();
	snprintf(dir, size, DAX_DIR);
	if (notes->mounted[1][0])
		return true;
	machine_run("modprobe nd_e820 2>/dev/null; modprobe nd_pmem 2>/dev/null");
	while (access("/dev/pmem0", F_OK) && --tries)
		rig_sleep(0.1);
	if (access("/dev/pmem0", F_OK))
		return scene_skip(s, "no persistent memory: boot with memmap=384M!5G, say");
	if (reflink)
		return mount_new(s, "/dev/pmem0", DAX_DIR, "xfs",
				 "mkfs.xfs -q -f -m reflink=1 -d agcount=2,extszinherit=512", "dax=always", 1);
	return mount_new(s, "/dev/pmem0", DAX_DIR, "ext4", "mkfs.ext4 -q -F -b 4096 -O ^has_journal "
			 "-E stride=512,stripe_width=512", "dax=always", 1);
}

bool machine_ksm(struct scene *s)
{
	mine();
	return machine_set(s, "/sys/kernel/mm/ksm/pages_to_scan", "2000") &&
	       machine_set(s, "/sys/kernel/mm/ksm/sleep_millisecs", "5") &&
	       machine_set(s, "/sys/kernel/mm/ksm/run", "1");
}

bool machine_two_nodes(struct scene *s)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		return scene_skip(s, "the machine has one NUMA node");
	return true;
}

/*
 * Balancing takes all translations back now and then, to see who uses the pages. A region that is left
 * with none may have given up what it hears with by the time of the event. Off for all rows, and on
 * again after them: the switch patches the scheduler's code, which is not for every row.
 */
void machine_balancing(bool on)
{
	static const char path[] = "/proc/sys/kernel/numa_balancing";
	static char before[8];

	if (on && before[0] && before[0] != '0')
		rig_write_file(path, before);
	else if (!on && rig_read_file(path, before, sizeof(before)) && before[0] != '0')
		rig_write_file(path, "0");
}
