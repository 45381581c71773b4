# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the callback looks leaves up outside of a read section
# file: table.c
# caught-by: explore fault-reap
# caught-by: unit table
# report: rcu
s/\trcu_read_lock\(\);\n(\tfor \(va = start; va < end; va = next\) \{)/\1/
s/(\t\}\n)\trcu_read_unlock\(\);\n(\treturn pages;)/\1\2/
