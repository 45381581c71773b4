# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a window that could not be entered leaves its notifier behind
# file: window.c
# caught-by: unit failure
# report: failure
s/err_remove:\n\tmmu_interval_notifier_remove\(&window->notifier\);\n/err_remove:\n/
