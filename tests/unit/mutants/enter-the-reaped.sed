# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a fault enters a window that the reaper has taken
# file: window.c
# caught-by: explore fault-reap
# report: use-after-free|leak|stale access|livelock|wrong result
s/!atomic_inc_unless_negative\(&window->users\)/(atomic_inc(\&window->users), 0)/
