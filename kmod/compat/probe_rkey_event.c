// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "rxe.h"
#include "rxe_loc.h"

int probe(void);

/* The responder has a state for a key violation that raises an event. */
int probe(void)
{
	return RESPST_ERR_RKEY_VIOLATION_EVENT;
}
