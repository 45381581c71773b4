// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Stock rxe_req.c, with one mistake less
 *
 * When a request is sent again stock code takes its remote address from the
 * work request anew, but not for the verbs that came last: an atomic write or a
 * flush goes to address 0 the second time.  On demand, sending again is what
 * happens to any request for memory that is not there.
 *
 * The mask is used in that place only.
 */
#include "binding.h"

#define WR_READ_OR_WRITE_MASK (WR_READ_MASK | WR_WRITE_MASK | \
			       WR_ATOMIC_WRITE_MASK | WR_FLUSH_MASK)

#include "stock/rxe_req.c"
