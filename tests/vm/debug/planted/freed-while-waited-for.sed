# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: who waits for a fault has let go of the request before
# file: fault.c
# kernel: debug
# run: test_events
# report: KASAN: slab-use-after-free
s/(\tret = odp_fault_wait\(fault\);\n)(\todp_fault_put\(fault\);\n)(\treturn ret;)/\2\1\3/
