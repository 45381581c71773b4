// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "workers.h"

/* What /proc/@pid/@file says, or "". */
static void read_of(const char *pid, const char *file, char *text, size_t size)
{
	char path[300];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
	f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, size - 1, f);
		fclose(f);
	}
	text[n] = 0;
}

/* Is it a worker that does not run, with @where in its stack? */
static bool is_asleep(const char *pid, const char *where, char *stack, size_t size)
{
	char stat[400];
	const char *state;

	read_of(pid, "stat", stat, sizeof(stat));
	state = strrchr(stat, ')');
	if (!strstr(stat, "(kworker") || !state || strlen(state) < 3 || !strchr("SDI", state[2]))
		return false;
	read_of(pid, "stack", stack, size);
	return strstr(stack, where);
}

bool worker_asleep(const char *where, char *stack, size_t size)
{
	char first[2000];
	struct dirent *entry;
	bool found = false;
	DIR *proc;

	proc = opendir("/proc");
	ck_assert_ptr_nonnull(proc);
	while (!found && (entry = readdir(proc))) {
		if (!strchr("123456789", entry->d_name[0]) ||
		    !is_asleep(entry->d_name, where, first, sizeof(first)))
			continue;
		rig_sleep(0.05);
		found = is_asleep(entry->d_name, where, stack, size) && !strcmp(first, stack);
	}
	closedir(proc);
	return found;
}
