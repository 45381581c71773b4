# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a WQE that could not be sent is stepped over all the same
# file: ../rxe/req.c
# kernel: 7.2
# run: test_waiting
# report: ^fail|hang:
s/(\tWRITE_ONCE\(unsent->wqe->status, unsent->status\);\n)\toqp->qp.req.wqe_index = unsent->index;\n/\1/
