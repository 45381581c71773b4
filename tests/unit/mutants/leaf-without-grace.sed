# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an emptied leaf is freed without a grace period
# file: table.c
# caught-by: explore fault-reap
# report: use-after-free
s/call_rcu\(&leaf->rcu, odp_leaf_free_rcu\)/odp_leaf_free_rcu(\&leaf->rcu)/
