/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_SCHED_H
#define STUB_LINUX_SCHED_H

#include <linux/kernel.h>

#define current			stub_current()
#define schedule_timeout_idle(n) \
	stub_sleep(n, STUB_HERE("schedule_timeout_idle"))

#endif /* STUB_LINUX_SCHED_H */
