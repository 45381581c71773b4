// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The set of ranges, alone. */
#include <pthread.h>
#include <stdlib.h>

#include "check_reg.h"
#include "interval.h"

static int gone_count;

static void gone(void *value, void *arg)
{
	(void)value;
	(void)arg;
	gone_count++;
}

static bool insert(struct interval_set *set, uint64_t start, uint64_t end, void *value)
{
	ck_assert_int_eq(interval_reserve(set, set->count + 1), 0);
	return interval_insert(set, start, end, value, gone, NULL);
}

static void *find(struct interval_set *set, uint64_t start, uint64_t end)
{
	uint64_t ticket;

	return interval_find(set, start, end, &ticket);
}

START_TEST(find_needs_all_of_the_range)
{
	struct interval_set set;
	int a, b;

	interval_init(&set);
	ck_assert_ptr_null(find(&set, 0, 1));
	ck_assert(insert(&set, 100, 200, &a));
	ck_assert(insert(&set, 150, 250, &b));
	ck_assert_ptr_eq(find(&set, 100, 200), &a);
	ck_assert_ptr_eq(find(&set, 199, 200), &b);
	ck_assert_ptr_eq(find(&set, 149, 200), &a);
	ck_assert_ptr_null(find(&set, 149, 201));
	ck_assert_ptr_null(find(&set, 99, 101));
	ck_assert_ptr_null(find(&set, 249, 251));
	ck_assert_ptr_null(find(&set, 250, 251));
	interval_free(&set);
}
END_TEST

START_TEST(nothing_is_inside_of_another)
{
	struct interval_set set;
	int a, b, c, d;

	interval_init(&set);
	ck_assert(insert(&set, 100, 200, &a));
	ck_assert(!insert(&set, 100, 200, &b));
	ck_assert(!insert(&set, 120, 180, &b));
	ck_assert(insert(&set, 300, 400, &b));
	ck_assert(insert(&set, 350, 500, &c));
	gone_count = 0;
	ck_assert(insert(&set, 100, 450, &d));
	ck_assert_int_eq(gone_count, 2);
	ck_assert_uint_eq(set.count, 2);
	ck_assert_ptr_eq(find(&set, 100, 200), &d);
	ck_assert_ptr_eq(find(&set, 440, 500), &c);
	interval_free(&set);
}
END_TEST

START_TEST(remove_wants_the_very_one)
{
	struct interval_set set;
	int a, b;

	interval_init(&set);
	ck_assert(!interval_remove(&set, 1, 2, &a));
	ck_assert(insert(&set, 100, 200, &a));
	ck_assert(!interval_remove(&set, 100, 201, &a));
	ck_assert(!interval_remove(&set, 100, 200, &b));
	ck_assert(!interval_remove(&set, 99, 200, &a));
	ck_assert(interval_remove(&set, 100, 200, &a));
	ck_assert_uint_eq(set.count, 0);
	ck_assert_ptr_null(find(&set, 100, 101));
	interval_free(&set);
}
END_TEST

static void mark(void *value, void *arg)
{
	(void)arg;
	++*(int *)value;
}

START_TEST(overlaps_are_all_told)
{
	struct interval_set set;
	int n[20] = { 0 }, i;
	uint64_t start, end;

	interval_init(&set);
	for (i = 0; i < 20; i++)
		ck_assert(insert(&set, 100 * i, 100 * i + 150, &n[i]));
	/* [500, 700) meets those that begin at 400 (to 550), 500 and 600. */
	ck_assert_uint_eq(interval_overlaps(&set, 500, 700, mark, NULL), 3);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(n[i], i >= 4 && i <= 6);
	ck_assert_uint_eq(interval_overlaps(&set, 2050, 3000, mark, NULL), 0);
	ck_assert_uint_eq(interval_overlaps(&set, 2049, 3000, mark, NULL), 1);
	ck_assert(interval_first(&set, 449, &start, &end));
	ck_assert_uint_eq(start, 300);
	ck_assert(interval_first(&set, 450, &start, &end));
	ck_assert_uint_eq(start, 400);
	ck_assert(!interval_first(&set, 2050, &start, &end));
	interval_free(&set);
}
END_TEST

START_TEST(ticket_is_good_until_something_moves)
{
	struct interval_set set;
	uint64_t ticket;
	int a, b;

	interval_init(&set);
	ck_assert(insert(&set, 100, 200, &a));
	ck_assert_ptr_eq(interval_find(&set, 110, 120, &ticket), &a);
	ck_assert(interval_same(&set, ticket));
	ck_assert(insert(&set, 900, 901, &b));
	ck_assert(!interval_same(&set, ticket));
	interval_free(&set);
}
END_TEST

START_TEST(too_many_is_an_error)
{
	struct interval_set set;

	interval_init(&set);
	ck_assert_int_ne(interval_reserve(&set, SIZE_MAX / 2), 0);
	ck_assert_int_ne(interval_reserve(&set, SIZE_MAX / 100), 0);
	interval_free(&set);
}
END_TEST

/* ------------------------------------------------------------------ threads */

#define SLOTS	64
#define STEP	0x1000ull

struct race {
	struct interval_set set;
	_Atomic bool over;
	_Atomic uint64_t found;
	uint64_t cells[SLOTS];
};

/* What is found covers what was asked for: its value says which slot it is. */
static void *reader(void *arg)
{
	struct race *race = arg;
	uint64_t n = 0, start, ticket, *cell;

	while (!atomic_load(&race->over)) {
		start = (n++ % SLOTS) * STEP;
		cell = interval_find(&race->set, start + 8, start + 16, &ticket);
		if (!cell)
			continue;
		if (*cell != start)
			abort();
		atomic_fetch_add(&race->found, 1);
	}
	return NULL;
}

START_TEST(readers_see_whole_states)
{
	static struct race race;
	pthread_t thread[2];
	unsigned int i, slot, state = 1;
	bool in[SLOTS] = { false };

	interval_init(&race.set);
	atomic_store(&race.over, false);
	for (i = 0; i < SLOTS; i++)
		race.cells[i] = i * STEP;
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, reader, &race), 0);
	for (i = 0; i < 40000 || !atomic_load(&race.found); i++) {
		state = state * 1103515245 + 12345;
		slot = (state >> 16) % SLOTS;
		if (in[slot])
			ck_assert(interval_remove(&race.set, slot * STEP, slot * STEP + STEP,
						  &race.cells[slot]));
		else
			ck_assert(insert(&race.set, slot * STEP, slot * STEP + STEP,
					 &race.cells[slot]));
		in[slot] = !in[slot];
	}
	atomic_store(&race.over, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	interval_free(&race.set);
}
END_TEST

Suite *interval_suite(void)
{
	Suite *suite = suite_create("interval");
	TCase *tc = tcase_create("interval");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, find_needs_all_of_the_range);
	tcase_add_test(tc, nothing_is_inside_of_another);
	tcase_add_test(tc, remove_wants_the_very_one);
	tcase_add_test(tc, overlaps_are_all_told);
	tcase_add_test(tc, ticket_is_good_until_something_moves);
	tcase_add_test(tc, too_many_is_an_error);
	tcase_add_test(tc, readers_see_whole_states);
	suite_add_tcase(suite, tc);
	return suite;
}
