# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a reaped window is freed without a grace period
# file: window.c
# caught-by: explore fault-reap
# report: use-after-free
s/kfree_rcu\(window, rcu\)/kfree(window)/
