/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_SCHED_MM_H
#define STUB_LINUX_SCHED_MM_H

#include <linux/mm.h>
#include <linux/sched.h>

void mmgrab(struct mm_struct *mm);
void mmdrop(struct mm_struct *mm);
bool mmget_not_zero(struct mm_struct *mm);
void mmput(struct mm_struct *mm);
void mmput_async(struct mm_struct *mm);

unsigned int memalloc_noio_save(void);
void memalloc_noio_restore(unsigned int flags);

#endif /* STUB_LINUX_SCHED_MM_H */
