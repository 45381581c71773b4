// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* All rows: for the suite, and for the soak. */
#include "scene.h"

const struct row *const row_groups[] = {
	map_rows, drop_rows, cow_rows, huge_rows, reclaim_rows, file_rows, uffd_rows, others_rows,
	owner_rows, storm_rows, race_rows, edge_rows, NULL
};
