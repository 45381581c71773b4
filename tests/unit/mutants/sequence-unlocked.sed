# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the callback is counted without the lock that installs hold
# file: notifier.c
# caught-by: explore fault-migrate
# report: stale access|a read saw
s/\tspin_lock\(&window->lock\);\n(\tmmu_interval_set_seq\(notifier, cur_seq\);\n)/\1/
s/(\t\twindow->own_calls\+\+;\n)\tspin_unlock\(&window->lock\);\n/\1/
