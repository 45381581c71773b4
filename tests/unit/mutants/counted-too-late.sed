# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: calls are counted after the wait for their end
# file: populate.c
# caught-by: explore fault-migrate
# caught-by: explore short-migrate
# report: stale access|a read saw
s/(\tattempt->calls = smp_load_acquire\(&window->calls\);\n)(\tseq = mmu_interval_read_begin\(&window->notifier\);\n)/\2\1/
