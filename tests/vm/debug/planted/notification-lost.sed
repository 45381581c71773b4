# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a task is not scheduled when its page is there
# file: ../rxe/notify.c
# kernel: 7.2
# run: test_waiting
# report: ^fail|hang:
s/(\tatomic64_cmpxchg_release\(&miss->word, old, new\);\n)\trxe_sched_task\([^;]*;\n/\1/
