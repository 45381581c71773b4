# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a request that waits for its turn is forgotten
# file: owner.c
# caught-by: unit share
# report: users_have_their_shares|deadlock|a fault is left
s/(\t\tlist_del\(&job->turn\);\n.*\tif \(job\)\n)\t\tqueue_work\(odp_wq, &job->work\);(.*odp_job_work\(struct)/\1\t\t(void)job;\2/
