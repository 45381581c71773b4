// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The kernel's scsi_debug driver as a swap device. */
#include <glob.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>

#include "disk.h"
#include "rig.h"

#define DRIVER	"/sys/bus/pseudo/drivers/scsi_debug"

static char device[32];

static bool run(const char *command)
{
	int status = system(command);

	return status != -1 && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* The name of the one disk that the driver has made: sda, say. */
static bool find_disk(char *name, size_t size)
{
	static const char pattern[] =
		"/sys/bus/pseudo/devices/adapter*/host*/target*/*:*/block/*";
	double end = rig_now() + 20 * rig_pace();
	glob_t found;

	for (;;) {
		if (!glob(pattern, 0, NULL, &found)) {
			snprintf(name, size, "%s", strrchr(found.gl_pathv[0], '/') + 1);
			globfree(&found);
			return true;
		}
		if (rig_now() > end)
			return false;
		rig_sleep(0.1);
	}
}

static bool wait_for_node(const char *path)
{
	double end = rig_now() + 20 * rig_pace();

	while (access(path, F_OK)) {
		if (rig_now() > end)
			return false;
		rig_sleep(0.1);
	}
	return true;
}

/* Right after it was unloaded the module may still be on its way out. */
static bool load(size_t megabytes)
{
	double end = rig_now() + 10 * rig_pace();
	char text[128];

	snprintf(text, sizeof(text), "modprobe sd_mod && modprobe scsi_debug delay=0 dev_size_mb=%zu",
		 megabytes);
	while (!run(text)) {
		if (rig_now() > end)
			return false;
		rig_sleep(0.2);
	}
	return true;
}

/* Pages would go there first: what was on before has the higher priority. */
static bool other_swap(char *line, size_t len)
{
	FILE *f = fopen("/proc/swaps", "re");
	bool found;

	if (!f)
		return false;
	/* The first line is the heading. */
	found = fgets(line, (int)len, f) && fgets(line, (int)len, f);
	fclose(f);
	line[strcspn(line, " \t\n")] = '\0';
	return found;
}

bool disk_swap_on(size_t bytes, char *why, size_t why_len)
{
	char text[128], name[16];

	/* A test that failed leaves its disk behind. */
	if (!access(DRIVER, F_OK)) {
		disk_delay(0);
		if (find_disk(name, sizeof(name)))
			snprintf(device, sizeof(device), "/dev/%s", name);
		disk_swap_off();
	}
	if (other_swap(text, sizeof(text)))
		ck_abort_msg("swap is on already (%s): swapoff it, or no page goes to the slow disk",
			     text);
	if (!load(bytes >> 20)) {
		snprintf(why, why_len, "the kernel has no scsi_debug module");
		return false;
	}
	if (!find_disk(name, sizeof(name))) {
		snprintf(why, why_len, "scsi_debug has made no disk");
		goto fail;
	}
	snprintf(device, sizeof(device), "/dev/%s", name);
	/* The upper layer is to wait, not to abort and ask again. */
	snprintf(text, sizeof(text), "/sys/block/%s/device/timeout", name);
	rig_write_file(text, "1000");
	snprintf(text, sizeof(text), "mkswap %s >/dev/null", device);
	if (!wait_for_node(device) || !run(text) || swapon(device, 0)) {
		snprintf(why, why_len, "cannot swap to %s: %s", device, strerror(errno));
		goto fail;
	}
	return true;
fail:
	disk_swap_off();
	return false;
}

void disk_swap_off(void)
{
	double end = rig_now() + 10 * rig_pace();

	if (device[0])
		swapoff(device);
	device[0] = '\0';
	while (!access(DRIVER, F_OK) && !run("modprobe -r scsi_debug >/dev/null 2>&1") &&
	       rig_now() < end)
		rig_sleep(0.2);
}

void disk_delay(double seconds)
{
	struct timespec tick;
	double end = rig_now() + 300 * rig_pace();
	char text[32];
	int err;

	/* The driver counts in jiffies; the coarse clock moves by one. */
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	snprintf(text, sizeof(text), "%.0f",
		 seconds / ((double)tick.tv_sec + (double)tick.tv_nsec * 1e-9));
	while ((err = rig_write_file(DRIVER "/delay", text)) == EBUSY && rig_now() < end)
		rig_sleep(0.05);
	if (err)
		ck_abort_msg("%s/delay does not take %s: %s", DRIVER, text, strerror(err));
}
