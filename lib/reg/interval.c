// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The sorted array behind interval.h, and its sequence lock. */
#include <errno.h>
#include <stdlib.h>

#include "interval.h"

#define FIRST_CAPACITY	16
#define MAX_CAPACITY	((size_t)1 << 30)

struct interval {
	_Atomic uint64_t start;
	_Atomic uint64_t end;
	_Atomic(void *) value;
};

struct interval_array {
	struct interval_array *older;	/* outgrown, perhaps still being read */
	size_t capacity;
	struct interval entry[];
};

void interval_init(struct interval_set *set)
{
	atomic_init(&set->sequence, 0);
	atomic_init(&set->array, NULL);
	atomic_init(&set->count, 0);
}

void interval_free(struct interval_set *set)
{
	struct interval_array *array = atomic_load(&set->array), *older;

	for (; array; array = older) {
		older = array->older;
		free(array);
	}
	interval_init(set);
}

/* ------------------------------------------------------------------ entries */

static uint64_t start_of(const struct interval *e)
{
	return atomic_load_explicit(&e->start, memory_order_acquire);
}

static uint64_t end_of(const struct interval *e)
{
	return atomic_load_explicit(&e->end, memory_order_acquire);
}

static void *value_of(const struct interval *e)
{
	return atomic_load_explicit(&e->value, memory_order_acquire);
}

static void set_entry(struct interval *e, uint64_t start, uint64_t end, void *value)
{
	atomic_store_explicit(&e->start, start, memory_order_release);
	atomic_store_explicit(&e->end, end, memory_order_release);
	atomic_store_explicit(&e->value, value, memory_order_release);
}

static void copy_entry(struct interval *to, const struct interval *from)
{
	set_entry(to, start_of(from), end_of(from), value_of(from));
}

/*
 * A reader may load the count of one state and the array of another: it never goes past what the
 * array that it has can hold.
 */
static struct interval_array *look(struct interval_set *set, size_t *count)
{
	struct interval_array *array = atomic_load_explicit(&set->array, memory_order_acquire);

	*count = atomic_load_explicit(&set->count, memory_order_acquire);
	if (!array)
		*count = 0;
	else if (*count > array->capacity)
		*count = array->capacity;
	return array;
}

/* Index of the first entry that starts after address. */
static size_t starts_after(const struct interval_array *array, size_t count, uint64_t address)
{
	size_t low = 0, middle;

	while (low < count) {
		middle = low + (count - low) / 2;
		if (start_of(&array->entry[middle]) <= address)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

/* Index of the first entry that ends after address. */
static size_t ends_after(const struct interval_array *array, size_t count, uint64_t address)
{
	size_t low = 0, middle;

	while (low < count) {
		middle = low + (count - low) / 2;
		if (end_of(&array->entry[middle]) <= address)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

/* ------------------------------------------------------------------ writer */

static void write_begin(struct interval_set *set)
{
	atomic_fetch_add_explicit(&set->sequence, 1, memory_order_acq_rel);
}

static void write_end(struct interval_set *set)
{
	atomic_fetch_add_explicit(&set->sequence, 1, memory_order_release);
}

int interval_reserve(struct interval_set *set, size_t count)
{
	struct interval_array *array = atomic_load(&set->array), *bigger;
	size_t i, capacity = array ? array->capacity : FIRST_CAPACITY / 2;

	if (array && count <= capacity)
		return 0;
	if (count > MAX_CAPACITY)
		return ENOMEM;
	do {
		capacity *= 2;
	} while (capacity < count);
	bigger = calloc(1, sizeof(*bigger) + capacity * sizeof(bigger->entry[0]));
	if (!bigger)
		return ENOMEM;
	bigger->capacity = capacity;
	bigger->older = array;
	for (i = 0; i < atomic_load(&set->count); i++)
		copy_entry(&bigger->entry[i], &array->entry[i]);
	write_begin(set);
	atomic_store_explicit(&set->array, bigger, memory_order_release);
	write_end(set);
	return 0;
}

bool interval_insert(struct interval_set *set, uint64_t start, uint64_t end, void *value,
		     void (*gone)(void *value, void *arg), void *arg)
{
	size_t i, at, last, count;
	struct interval_array *array = look(set, &count);

	at = starts_after(array, count, start);
	if (at && end_of(&array->entry[at - 1]) >= end)
		return false;
	/* Entries from here on that end by our end are inside of us. */
	if (at && start_of(&array->entry[at - 1]) == start)
		at--;
	for (last = at; last < count && end_of(&array->entry[last]) <= end; last++)
		gone(value_of(&array->entry[last]), arg);
	write_begin(set);
	if (last == at) {
		for (i = count; i > at; i--)
			copy_entry(&array->entry[i], &array->entry[i - 1]);
	} else {
		for (i = last; i < count; i++)
			copy_entry(&array->entry[at + 1 + i - last], &array->entry[i]);
	}
	set_entry(&array->entry[at], start, end, value);
	atomic_store_explicit(&set->count, count + 1 - (last - at), memory_order_release);
	write_end(set);
	return true;
}

bool interval_remove(struct interval_set *set, uint64_t start, uint64_t end, void *value)
{
	size_t i, count;
	struct interval_array *array = look(set, &count);

	i = starts_after(array, count, start);
	if (!i)
		return false;
	i--;
	if (start_of(&array->entry[i]) != start || end_of(&array->entry[i]) != end ||
	    value_of(&array->entry[i]) != value)
		return false;
	write_begin(set);
	for (; i + 1 < count; i++)
		copy_entry(&array->entry[i], &array->entry[i + 1]);
	atomic_store_explicit(&set->count, count - 1, memory_order_release);
	write_end(set);
	return true;
}

/* ------------------------------------------------------------------ readers */

/* A writer is done after a few hundred stores, unless it was put aside in the middle of them. */
static uint64_t read_begin(struct interval_set *set)
{
	uint64_t ticket;

	for (;;) {
		ticket = atomic_load_explicit(&set->sequence, memory_order_acquire);
		if (!(ticket & 1))
			return ticket;
	}
}

bool interval_same(struct interval_set *set, uint64_t ticket)
{
	return atomic_load_explicit(&set->sequence, memory_order_acquire) == ticket;
}

void *interval_find(struct interval_set *set, uint64_t start, uint64_t end, uint64_t *ticket)
{
	struct interval_array *array;
	size_t i, count;
	void *value;

	do {
		value = NULL;
		*ticket = read_begin(set);
		array = look(set, &count);
		i = starts_after(array, count, start);
		if (i && end_of(&array->entry[i - 1]) >= end)
			value = value_of(&array->entry[i - 1]);
	} while (!interval_same(set, *ticket));
	return value;
}

bool interval_first(struct interval_set *set, uint64_t address, uint64_t *start, uint64_t *end)
{
	struct interval_array *array;
	size_t i, count;
	uint64_t ticket;

	do {
		ticket = read_begin(set);
		array = look(set, &count);
		i = ends_after(array, count, address);
		if (i < count) {
			*start = start_of(&array->entry[i]);
			*end = end_of(&array->entry[i]);
		}
	} while (!interval_same(set, ticket));
	return i < count;
}

size_t interval_overlaps(struct interval_set *set, uint64_t start, uint64_t end,
			 void (*fn)(void *value, void *arg), void *arg)
{
	struct interval_array *array;
	size_t i, count, seen;
	uint64_t ticket;
	void *value;

	do {
		seen = 0;
		ticket = read_begin(set);
		array = look(set, &count);
		for (i = ends_after(array, count, start);
		     i < count && start_of(&array->entry[i]) < end; i++, seen++) {
			value = value_of(&array->entry[i]);
			if (value)
				fn(value, arg);
		}
	} while (!interval_same(set, ticket));
	return seen;
}
