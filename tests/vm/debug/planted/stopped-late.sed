# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: who stops as many of its packets are in flight does not look again, and has time for them to go
# file: ../rxe/req.c
# kernel: 7.2
# run: test_arriving
# report: hang: .* of write .*type 3
s/(return !stopped)( && rxe_odp_stopped_late\(qp\) \? 0 : ret;)/\1 \&\& !qp\2/
s/#include "hooked\/rxe_req.c"/#include <linux\/delay.h>\nstatic int slow_read(const atomic_t *v, struct rxe_qp *qp)\n{\n\tint n = atomic_read(v);\n\n\tif (v == \&qp->skb_out \&\& n > RXE_INFLIGHT_SKBS_PER_QP_HIGH)\n\t\tusleep_range(20000, 30000);\n\treturn n;\n}\n#define atomic_read(v) slow_read(v, qp)\n&/
