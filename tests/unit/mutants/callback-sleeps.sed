# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the notifier callback may sleep
# file: notifier.c
# caught-by: unit create
# caught-by: explore oom
# report: callback sleeps
s/(\tpages = odp_table_clear\(window, start, end\);\n)/\1\tcond_resched();\n/
