# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a job gives its place in the share back before it has put its region
# file: owner.c
# caught-by: unit share
# report: last_puts_take_only
s/(\tbool background = job->background;\n\n)\tjob->fn\(job\);\n(.*)(\todp_owner_next\(owner, background\);\n)/\1\3\tjob->fn(job);\n/
