# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a region is used without a look whether there was memory for it
# file: region.c
# kernel: debug
# run: test_failnth
# report: KASAN: null-ptr-deref|NULL pointer dereference|general protection
s/(\tregion = kzalloc\(sizeof\(\*region\), GFP_KERNEL_ACCOUNT\);\n)\tif \(!region\)\n\t\treturn ERR_PTR\(-ENOMEM\);\n/\1/
