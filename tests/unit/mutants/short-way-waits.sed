# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the short way waits, deaf, for the end of an invalidation
# file: populate.c
# caught-by: explore kill-invalidating
# report: deadlock
s/attempt->calls = smp_load_acquire\(&window->idle\);/odp_attempt_begin(attempt);/
