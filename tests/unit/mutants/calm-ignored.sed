# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the short way does not look whether an invalidation is under way
# file: populate.c
# caught-by: explore short-migrate
# report: stale access|a read saw
s/attempt->calls = smp_load_acquire\(&window->idle\);/attempt->calls = smp_load_acquire(\&window->calls);/
