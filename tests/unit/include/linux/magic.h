/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_MAGIC_H
#define STUB_LINUX_MAGIC_H

#define SECRETMEM_MAGIC		0x5ec2e7UL

#endif /* STUB_LINUX_MAGIC_H */
