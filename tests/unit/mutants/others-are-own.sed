# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: every invalidation is taken for the faulting task's own
# file: notifier.c
# caught-by: explore copy-in-caller
# report: stale access|a read saw
s/window->faulter == current/window->faulter/
