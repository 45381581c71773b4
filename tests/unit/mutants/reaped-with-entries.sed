# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the reaper does not look again after it has taken the window
# file: window.c
# caught-by: explore prefetch-reap
# report: leak|entries are counted|stale access|wrong result
s/if \(!odp_table_trim\(window\)\) \{/if (0) {/
