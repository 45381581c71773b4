# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# EAGAIN goes to the caller
# file: cache.c
# caught-by: check
s/errno == EAGAIN \|\| errno == EINTR/errno == EINTR/
