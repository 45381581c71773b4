# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# the sequence does not become odd before an event is read
# file: watch.c
# caught-by: stress
s/(\tatomic_fetch_add\(&p->sequence, 1\);\n)(\tn = read\([^\n]*\n)/\2/
s/\tatomic_fetch_add\(&p->sequence, 1\);\n(\tif \(reap\)\n\t\twatch_reap_soon\(p\);\n\}\n\nstatic void \*watch_thread)/\1/
