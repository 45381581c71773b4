// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* All rows, and what their outcomes mean for the traffic: for the suite, and for the soak. */
#include "scene.h"

const struct row *const row_groups[] = {
	map_rows, drop_rows, cow_rows, huge_rows, reclaim_rows, file_rows, uffd_rows, others_rows,
	owner_rows, storm_rows, race_rows, edge_rows, NULL
};

bool row_shuts(const struct row *row)
{
	return row->outcome == GONE || row->outcome == READ_ONLY;
}

bool row_forbids(const struct row *row)
{
	return row_shuts(row) || row->flags & ROW_HOLE;
}

bool row_tells(const struct row *row)
{
	return row->outcome != KEPT || row_forbids(row);
}

void row_hole(const struct row *row, struct traffic *t, size_t at, size_t len, bool wait)
{
	uint64_t knocks = atomic_load(&t->knocks);

	traffic_shut(t, at / RIG_PAGE, len / RIG_PAGE,
		     row->outcome == GONE ? TRAFFIC_SHUT : TRAFFIC_SHUT_WRITES);
	if (wait)
		traffic_wait_knock(t, knocks, 0.1);
	traffic_shut(t, at / RIG_PAGE, len / RIG_PAGE, TRAFFIC_OPEN);
}
