# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the callback sets the sequence after it has cleared the table
# file: notifier.c
# caught-by: explore fault-migrate
# report: stale access|a read saw
s/\tmmu_interval_set_seq\(notifier, cur_seq\);\n//
s/(\tpages = odp_table_clear\(window, start, end\);\n)/\1\tspin_lock(\&window->lock);\n\tmmu_interval_set_seq(notifier, cur_seq);\n\tspin_unlock(\&window->lock);\n/
