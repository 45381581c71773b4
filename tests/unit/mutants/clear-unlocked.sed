# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: clearing does not wait for the copy in flight (no leaf lock)
# file: table.c
# caught-by: explore copy-migrate
# caught-by: stress
# report: stale access|wrong result|data race
s/(static unsigned int odp_leaf_clear\([^{]*\{[^}]*)\twrite_lock\(&leaf->lock\);\n/\1/
s/(\tleaf->count -= small;\n\tpages \+= small;\n)\twrite_unlock\(&leaf->lock\);\n/\1/
