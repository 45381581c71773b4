# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a request that is sent again is not looked at
# file: ../rxe/stock_req.c
# kernel: 7.2
# run: test_waiting
# report: a worker itself waited for memory
s/oqp->went_back = oqp->looks && rxe_odp_goes_back\(qp\);/(void)rxe_odp_goes_back(qp);/
