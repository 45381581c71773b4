# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: what a flush to persistence reads is not looked at
# file: ../rxe/respond.c
# kernel: 7.2
# run: test_waiting
# report: a worker itself waited for memory
s/(!qp->resp.res && \(pkt->mask & )RXE_FLUSH_MASK(\)\)\n\t\treturn rxe_odp_flush_waits)/\1RXE_FLUSH_MASK \& 0\2/
