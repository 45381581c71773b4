/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_UACCESS_H
#define STUB_LINUX_UACCESS_H

#include <linux/sched.h>

#endif /* STUB_LINUX_UACCESS_H */
