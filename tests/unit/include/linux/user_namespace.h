/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_USER_NAMESPACE_H
#define STUB_LINUX_USER_NAMESPACE_H

#include <linux/cred.h>

struct user_namespace {
	struct user_namespace	*parent;
	kuid_t			owner;
};

extern struct user_namespace *stub_user_ns;

#define current_user_ns()	(stub_user_ns)

#endif /* STUB_LINUX_USER_NAMESPACE_H */
