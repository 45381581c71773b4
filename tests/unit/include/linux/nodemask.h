/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_NODEMASK_H
#define STUB_LINUX_NODEMASK_H

#define num_online_nodes()	1

#endif /* STUB_LINUX_NODEMASK_H */
