# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: who has been told of a request is not forgotten
# file: fault.c
# caught-by: explore request-kill
# caught-by: unit life
# report: told twice|the_end_tells
s/\tfault->notify\.fn = NULL;\n//
