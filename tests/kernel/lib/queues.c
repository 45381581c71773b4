// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "queues.h"

struct mapped {
	unsigned long start, end;
};

static int find(struct mapped *map, int most)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	ck_assert_ptr_nonnull(f);
	while (n < most && fgets(line, sizeof(line), f))
		if (strstr(line, "/uverbs") &&
		    sscanf(line, "%lx-%lx", &map[n].start, &map[n].end) == 2)
			n++;
	fclose(f);
	return n;
}

int queues_find(struct rxe_queue_buf **queue, int most)
{
	struct mapped map[QUEUES_MOST];
	int i, n = find(map, most < QUEUES_MOST ? most : QUEUES_MOST);

	for (i = 0; i < n; i++)
		queue[i] = (struct rxe_queue_buf *)map[i].start;
	return n;
}

void queues_replace(uint64_t from, uint64_t to)
{
	struct mapped map[QUEUES_MOST];
	int i, n = find(map, QUEUES_MOST), count = 0;
	uint64_t *at;

	for (i = 0; i < n; i++)
		for (at = (uint64_t *)map[i].start; at < (uint64_t *)map[i].end; at++)
			if (__atomic_load_n(at, __ATOMIC_RELAXED) == from) {
				__atomic_store_n(at, to, __ATOMIC_SEQ_CST);
				count++;
			}
	ck_assert_msg(count, "no request names %#jx in any of %d queues", (uintmax_t)from, n);
}
