// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "rxe.h"

void probe(struct rxe_mr *mr);

void probe(struct rxe_mr *mr)
{
	xa_init(&mr->page_list);
}
