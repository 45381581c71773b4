# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shared memory is taken for private
# file: process.c
# caught-by: check
s/return start >= end;/return true;/
