# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a packet that was backed out of keeps its region
# file: ../rxe/resp.c
# kernel: 7.2
# run: test_waiting
# report: WARNING: .*rxe_resp.c.*check_rkey|WARNING: .*check_rkey
s/(\t\tqp->resp.wqe = NULL;\n\t\}\n\tif \(qp->resp.mr\) \{\n)\t\trxe_put\(qp->resp.mr\);\n\t\tqp->resp.mr = NULL;\n/\1/
