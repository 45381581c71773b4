# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a copy in the caller leaves its window busy
# file: populate.c
# caught-by: unit minor
# report: copies_one_after
s/if \(window->calls == calls \+ window->own_calls\) \{/if (window->calls == calls) {/
