# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an install does not look whether the pages were invalidated meanwhile
# file: populate.c
# caught-by: explore fault-migrate
# caught-by: explore window-born
# report: stale access|a read saw
s/if \(window->calls != attempt->calls\)\n\t\tret = -EAGAIN;/if (0)\n\t\tret = -EAGAIN;/
