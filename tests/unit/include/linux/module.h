/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A module's two entry points under names that a test can call. */
#ifndef STUB_LINUX_MODULE_H
#define STUB_LINUX_MODULE_H

#include <linux/kernel.h>
#include <linux/mm.h>

#define module_init(fn)		int stub_module_init(void) { return fn(); }
#define module_exit(fn)		void stub_module_exit(void) { fn(); }
#define MODULE_DESCRIPTION(s)	_Static_assert(sizeof(s) > 1, "empty")
#define MODULE_AUTHOR(s)	_Static_assert(sizeof(s) > 1, "empty")
#define MODULE_LICENSE(s)	_Static_assert(sizeof(s) > 1, "empty")

int stub_module_init(void);
void stub_module_exit(void);

#endif /* STUB_LINUX_MODULE_H */
