# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a fault wakes its waiter before it says that it is done
# file: fault.c
# caught-by: explore slow-prefetch
# report: a wake-up is lost|deadlock
s/\tsmp_store_release\(&fault->done, true\);\n(\twake_up_all\(&fault->wait\);\n)/\1\tsmp_store_release(\&fault->done, true);\n/
