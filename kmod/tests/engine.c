// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The engine's own files, unchanged, as one unit of the test module; what
 * main.c sets up is set up by test_lib.c.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
/* define_trace.h has put it back. */
#undef CREATE_TRACE_POINTS

#include "../odp/region.c"
#include "../odp/owner.c"
#include "../odp/access.c"
#include "../odp/fault.c"
#include "../odp/populate.c"
#include "../odp/minor.c"
#include "../odp/window.c"
#include "../odp/table.c"
#include "../odp/notifier.c"

struct odp_gauges odp_gauges;
struct workqueue_struct *odp_wq;
