# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# memory is watched only after it was pinned
# file: cache.c
# caught-by: check
s/\tarmed = !watch_arm\(d->process, r->start, r->end\);\n(\terr = try_register[^;]*;\n)/\1\tarmed = !watch_arm(d->process, r->start, r->end);\n/
