// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A victim of the OOM killer, held until the reaper has come. */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "reaper.h"
#include "rig.h"

#define AT_EXIT	(SIGTRAP | (PTRACE_EVENT_EXIT << 8))

void reaper_hold(pid_t pid, volatile int *go)
{
	int status;

	ck_assert_msg(!ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXIT), "ptrace: %s",
		      strerror(errno));
	*go = 1;
	do {
		ck_assert_int_eq(waitpid(pid, &status, __WALL), pid);
		ck_assert_msg(WIFSTOPPED(status), "the victim ended with %#x", (unsigned int)status);
		if (status >> 8 != AT_EXIT)
			ptrace(PTRACE_CONT, pid, NULL, (void *)(uintptr_t)WSTOPSIG(status));
	} while (status >> 8 != AT_EXIT);
}

const char *reaper_says(void)
{
	double end = rig_now() + 30 * rig_pace();
	const char *line;

	while (rig_now() < end) {
		while ((line = rig_dmesg_new())) {
			ck_assert_msg(!rig_is_defect(line), "kernel log: %s", line);
			if (strstr(line, "oom_reaper:"))
				return line;
		}
		rig_sleep(0.1);
	}
	return NULL;
}

void reaper_release(pid_t pid)
{
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
}
