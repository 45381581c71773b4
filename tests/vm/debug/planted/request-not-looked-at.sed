# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: stock code takes requests that came after ours has looked, and has time for it
# file: ../rxe/send.c
# kernel: 7.2
# run: test_waiting
# report: a worker itself waited for memory
s/#include "binding.h"/#include <linux\/delay.h>\n&/
s/\t\toqp->no_request = true;\n//
s/\tret = rxe_requester\(qp\);\n/\tusleep_range(1000, 2000);\n&/
