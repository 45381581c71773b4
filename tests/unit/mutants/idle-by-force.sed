# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a window that faulted in the caller is idle, whoever invalidates
# file: populate.c
# caught-by: explore copy-in-caller
# report: stale access|a read saw
s/if \(window->calls == calls \+ window->own_calls\) \{/if (1) {/
