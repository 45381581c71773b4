/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_CRED_H
#define STUB_LINUX_CRED_H

#include <linux/types.h>

typedef struct {
	unsigned int val;
} kuid_t;

/* Who calls, for all tasks alike. */
extern kuid_t stub_uid;

#define current_uid()	(stub_uid)

static inline bool uid_eq(kuid_t a, kuid_t b)
{
	return a.val == b.val;
}

#endif /* STUB_LINUX_CRED_H */
