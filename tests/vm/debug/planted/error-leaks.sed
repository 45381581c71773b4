# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a registration that fails does not free what it had allocated before
# file: ../rxe/mr.c
# kernel: debug
# run: test_failnth
# report: unreferenced object
s/(\tif \(IS_ERR\(region\)\) \{\n)\t\tkfree\(odp\);\n/\1/
