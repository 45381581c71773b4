# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the callback is counted after it has cleared the table
# file: notifier.c
# caught-by: explore fault-migrate
# report: stale access|a read saw
s/\tsmp_store_release\(&window->calls, window->calls \+ 1\);\n//
s/(\tpages = odp_table_clear\(window, start, end\);\n)/\1\tspin_lock(\&window->lock);\n\twindow->calls++;\n\tspin_unlock(\&window->lock);\n/
