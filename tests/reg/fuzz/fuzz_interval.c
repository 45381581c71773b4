// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The set of ranges against a list that is searched from end to end. Input: instructions of four
 * bytes: what to do, start, length, and which value. Everything is looked at after every one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "interval.h"

#define MODEL	256
#define SPACE	300		/* addresses: small, so that ranges meet */

struct entry {
	uint64_t start;
	uint64_t end;
	void *value;
	bool in;
	int told;
};

static struct entry model[MODEL];
static int entries;

#define INSIST(what) do {									\
	if (!(what)) {										\
		fprintf(stderr, "fuzz_interval: line %d: not so: %s\n", __LINE__, #what);	\
		abort();									\
	}											\
} while (0)

static void told(void *value, void *arg)
{
	struct entry *e = value;

	(void)arg;
	INSIST(e->in);
	e->told++;
}

static void model_gone(void *value, void *arg)
{
	told(value, arg);
	((struct entry *)value)->in = false;
}

/* The only one that may be found: of those that contain it, any would do, but there is a rule. */
static struct entry *covering(uint64_t start, uint64_t end)
{
	struct entry *best = NULL;
	int i;

	for (i = 0; i < entries; i++)
		if (model[i].in && model[i].start <= start && model[i].end >= end &&
		    (!best || model[i].start > best->start))
			best = &model[i];
	return best;
}

static void check_overlaps(struct interval_set *set, uint64_t start, uint64_t end)
{
	size_t n = 0;
	int i;

	for (i = 0; i < entries; i++)
		model[i].told = 0;
	INSIST(interval_overlaps(set, start, end, told, NULL) <= (size_t)entries);
	for (i = 0; i < entries; i++) {
		bool meets = model[i].in && model[i].start < end && model[i].end > start;

		INSIST(model[i].told == meets);
		n += meets;
	}
	INSIST(interval_overlaps(set, start, end, told, NULL) == n);
}

static void check_first(struct interval_set *set, uint64_t address)
{
	const struct entry *first = NULL;
	uint64_t start = 0, end = 0;
	int i;

	for (i = 0; i < entries; i++)
		if (model[i].in && model[i].end > address && (!first || model[i].end < first->end))
			first = &model[i];
	INSIST(interval_first(set, address, &start, &end) == !!first);
	INSIST(!first || (start == first->start && end == first->end));
}

static void insert(struct interval_set *set, uint64_t start, uint64_t end)
{
	struct entry *e;
	bool there = covering(start, end);

	if (entries == MODEL)
		return;
	e = &model[entries++];
	*e = (struct entry){ .start = start, .end = end, .value = e };
	INSIST(!interval_reserve(set, atomic_load(&set->count) + 1));
	INSIST(interval_insert(set, start, end, e, model_gone, NULL) == !there);
	e->in = !there;
}

static void remove_one(struct interval_set *set, uint64_t start, uint64_t end, uint8_t which)
{
	struct entry *e;

	if (!entries)
		return;
	e = &model[which % entries];
	/* Mostly one that is there; sometimes under a wrong range. */
	if (which & 0x80) {
		start = e->start;
		end = e->end;
	}
	INSIST(interval_remove(set, start, end, e) ==
	       (e->in && e->start == start && e->end == end));
	if (e->start == start && e->end == end)
		e->in = false;
}

static void check_all(struct interval_set *set, uint64_t start, uint64_t end)
{
	uint64_t ticket;
	size_t n = 0;
	int i, j;

	INSIST(interval_find(set, start, end, &ticket) == covering(start, end));
	INSIST(interval_same(set, ticket));
	check_overlaps(set, start, end);
	check_first(set, start);
	for (i = 0; i < entries; i++) {
		n += model[i].in;
		for (j = 0; model[i].in && j < entries; j++)
			INSIST(j == i || !model[j].in || model[j].start > model[i].start ||
			       model[j].end < model[i].end);
	}
	INSIST(atomic_load(&set->count) == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct interval_set set;
	uint64_t start, end;
	size_t i;

	interval_init(&set);
	entries = 0;
	for (i = 0; i + 4 <= size; i += 4) {
		start = data[i + 1];
		end = start + 1 + data[i + 2] % (SPACE - start);
		if (data[i] % 4 == 0)
			remove_one(&set, start, end, data[i + 3]);
		else if (data[i] % 4 < 3)
			insert(&set, start, end);
		check_all(&set, start, end);
	}
	interval_free(&set);
	return 0;
}
