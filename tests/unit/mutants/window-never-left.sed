# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a fault does not let go of its window
# file: populate.c
# caught-by: explore fault-migrate
# caught-by: unit window
# report: not reaped|window
s/(\t\todp_window_emptied\(attempt->window\);\n)\todp_window_put\(attempt->window\);\n/\1/
