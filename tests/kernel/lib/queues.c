// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stddef.h>

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

/* Calls it for every word of every queue; the sum of what it returns. */
static int each_word(int (*call)(uint64_t *at, uint64_t x, uint64_t y), uint64_t x, uint64_t y)
{
	struct mapped map[QUEUES_MOST];
	int i, n = find(map, QUEUES_MOST), count = 0;
	uint64_t *at;

	for (i = 0; i < n; i++)
		for (at = (uint64_t *)map[i].start; at < (uint64_t *)map[i].end; at++)
			count += call(at, x, y);
	return count;
}

static int replace(uint64_t *at, uint64_t from, uint64_t to)
{
	if (__atomic_load_n(at, __ATOMIC_RELAXED) != from)
		return 0;
	__atomic_store_n(at, to, __ATOMIC_SEQ_CST);
	return 1;
}

void queues_replace(uint64_t from, uint64_t to)
{
	int count = each_word(replace, from, to);

	ck_assert_msg(count, "no request names %#jx in any queue", (uintmax_t)from);
}

/* The list of pieces ends a struct rxe_dma_info. */
static int hide(uint64_t *at, uint64_t first, uint64_t end)
{
	struct rxe_dma_info *dma = (void *)((char *)at - offsetof(struct rxe_dma_info, sge));
	uint64_t addr = __atomic_load_n(at, __ATOMIC_RELAXED);

	/* The first word of a queue has nothing of its mapping in front of it. */
	if (addr < first || addr >= end || !((uintptr_t)at % RIG_PAGE) || dma->num_sge != 1)
		return 0;
	__atomic_store_n(&dma->num_sge, 0, __ATOMIC_SEQ_CST);
	return 1;
}

int queues_hide_pieces(uint64_t first, uint64_t end)
{
	return each_word(hide, first, end);
}
