# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# MADV_DONTNEED is not told
# file: watch.c
# caught-by: check
s/(case UFFD_EVENT_REMOVE:\n\t\t)return [^\n]*\n/\1break;\n/
