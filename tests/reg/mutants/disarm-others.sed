# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# the end of one domain ends the watch of another
# file: watch.c
# caught-by: check
s/next = wanted\(p, start, end, &after\);/next = end;/
