# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the end of a region does not tell who waits for a request
# file: region.c
# caught-by: explore request-destroy
# caught-by: unit life
# report: told|the_end_tells|nobody was told
s/\t\todp_fault_tell\(fault, -ESHUTDOWN\);\n//
