# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: stock code takes answers that came after ours has looked, and has time for it
# file: ../rxe/send.c
# kernel: 7.2
# run: test_waiting
# report: a worker itself waited for memory
s/#include "binding.h"/#include <linux\/delay.h>\n&/
s/\toqp->no_answer = !skb;\n//
s/(\tif \(!waits \|\| rxe_odp_head_is_done\(qp\)\)\n)/\tif (!waits)\n\t\tusleep_range(1000, 2000);\n\1/
