/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_KTHREAD_H
#define STUB_KTHREAD_H

#define kthread_use_mm(mm)	((void)(mm))
#define kthread_unuse_mm(mm)	((void)(mm))

#endif
