# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: who queues a request packet does not hold the QP until its task is scheduled, and has time for it
# file: ../rxe/park.c ../rxe/resp.c
# kernel: 7.2
# run: test_waiting
# report: WARNING: .*rxe_task.c.*rxe_sched_task
s/\trxe_get\(qp\);\n(\trxe_resp_queue_pkt\(qp, skb\);\n)\trxe_put\(qp\);\n/\1/
s/(#include "binding.h"\n#include "rxe_queue.h"\n)(\n#define rxe_flush_pmem_iova)/#include <linux\/delay.h>\n\1#define skb_queue_tail(queue, skb) do { (skb_queue_tail)(queue, skb); mdelay(2); } while (0)\n\2/
