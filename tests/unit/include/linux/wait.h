/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_WAIT_H
#define STUB_LINUX_WAIT_H

#include <linux/kernel.h>

#define init_waitqueue_head(wq)	stub_wait_init(wq)
#define wake_up_all(wq)		stub_wake_up(wq, STUB_HERE("wake_up_all"))

/*
 * The condition is looked at after the number of wake-ups was, as a kernel
 * queues the waiter before it looks: a wake-up between the two is not lost, a
 * wake-up before the condition came true is.
 */
#define wait_event_killable(wq, cond) ({ \
	int wait_ret = 0; \
	unsigned int wait_seen; \
	stub_might_sleep(STUB_HERE("wait_event")); \
	for (;;) { \
		wait_seen = stub_wait_seen(&(wq)); \
		if (cond) \
			break; \
		if (stub_killed()) { \
			wait_ret = -ERESTARTSYS; \
			break; \
		} \
		stub_wait(&(wq), wait_seen, ULONG_MAX, STUB_HERE("wait_event")); \
	} \
	wait_ret; })

#endif /* STUB_LINUX_WAIT_H */
