# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a WQE that was executed locally is executed again when those before it are retransmitted
# file: ../rxe/req.c
# kernel: 7.2
# run: test_once
# report: ^fail
s/READ_ONCE\(wqe->state\) == wqe_state_done && left--/false \&\& left--/
