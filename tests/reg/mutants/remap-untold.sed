# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# mremap is not told
# file: watch.c
# caught-by: check
s/(case UFFD_EVENT_REMAP:\n\t\t)return [^;]*;/\1break;/
