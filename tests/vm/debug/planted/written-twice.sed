# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a packet of which a part was copied is copied from its beginning
# file: ../rxe/resp.c
# kernel: 7.2
# run: test_once
# report: ^fail
s/(\t\.valid = )true(,\n\t\t\t\.psn = pkt->psn,\n\t\t\t\.key = qp->resp.rkey)/\1false\2/
