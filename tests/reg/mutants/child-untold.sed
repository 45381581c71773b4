# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# the child of a fork is not told
# file: process.c
# caught-by: check
s/MADV_WIPEONFORK/MADV_NORMAL/
