# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# changes under way are not asked for
# file: watch.c
# caught-by: stress
s/while \(changing\(p\)\)/while (0)/
