# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a reaped window is still found among the near ones
# file: window.c
# caught-by: explore fault-reap
# caught-by: unit window
# report: use-after-free|windows
s/\todp_window_clear_near\(window\);\n//
