# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an access may sleep with the leaf locked
# file: access.c
# kernel: debug
# run: test_events
# report: sleeping function called from invalid context|Voluntary context switch within RCU
s/(\tread_lock\(&leaf->lock\);\n)/\1\tmight_sleep();\n/
