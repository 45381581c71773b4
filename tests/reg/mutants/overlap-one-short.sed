# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# a change does not reach the last region that it overlaps
# file: interval.c
# caught-by: fuzz
s/(i < count && start_of\(&array->entry\[i\]\) < end); i\+\+, seen/\1 - 1; i++, seen/
