# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# memory that is being dropped is cached anew at once
# file: watch.c
# caught-by: check
s/if \(drop\)\n\t\tnote_drop/if (0)\n\t\tnote_drop/
