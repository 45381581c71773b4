// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Greedy: each row starts from a pair not seen yet and takes, parameter by parameter, the value
 * that adds most new pairs to those already chosen. */
#include "cover.h"
#include "rig.h"

#define UNSET	(-1)

static void count_pairs(struct cover *c)
{
	int p, q;

	for (p = 0; p < c->params; p++)
		for (q = p + 1; q < c->params; q++)
			c->uncovered += c->levels[p] * c->levels[q];
}

/* How many unseen pairs value v of parameter p makes with what the row has. */
static int gain(const struct cover *c, const int *row, int p, int v)
{
	int q, n = 0;

	for (q = 0; q < c->params; q++) {
		if (q == p || row[q] == UNSET)
			continue;
		n += q < p ? !c->seen[q][p][row[q]][v] : !c->seen[p][q][v][row[q]];
	}
	return n;
}

/* How many unseen pairs value v of parameter p is in at all: breaks ties. */
static int need(const struct cover *c, int p, int v)
{
	int q, w, n = 0;

	for (q = 0; q < c->params; q++)
		for (w = 0; q != p && w < c->levels[q]; w++)
			n += q < p ? !c->seen[q][p][w][v] : !c->seen[p][q][v][w];
	return n;
}

static int best_value(const struct cover *c, const int *row, int p, struct rig_rand *r)
{
	int best = 0, best_score = -1, first = (int)rig_below(r, (uint64_t)c->levels[p]), i;

	for (i = 0; i < c->levels[p]; i++) {
		int v = (first + i) % c->levels[p];
		int score = gain(c, row, p, v) * 1000 + need(c, p, v);

		if (score > best_score) {
			best = v;
			best_score = score;
		}
	}
	return best;
}

static void start_row(const struct cover *c, int *row)
{
	int p, q, v, w;

	for (p = 0; p < c->params; p++)
		row[p] = UNSET;
	for (p = 0; p < c->params; p++)
		for (q = p + 1; q < c->params; q++)
			for (v = 0; v < c->levels[p]; v++)
				for (w = 0; w < c->levels[q]; w++)
					if (!c->seen[p][q][v][w]) {
						row[p] = v;
						row[q] = w;
						return;
					}
}

static void note_row(struct cover *c, const int *row)
{
	int p, q;

	for (p = 0; p < c->params; p++) {
		for (q = p + 1; q < c->params; q++) {
			c->uncovered -= !c->seen[p][q][row[p]][row[q]];
			c->seen[p][q][row[p]][row[q]] = 1;
		}
	}
}

struct cover *cover_make(const int *levels, int params)
{
	struct cover *c = calloc(1, sizeof(*c));
	struct rig_rand r = rig_rand(1);
	int i, p, first;

	ck_assert_ptr_nonnull(c);
	ck_assert_int_le(params, COVER_MAX_PARAMS);
	c->params = params;
	for (i = 0; i < params; i++) {
		ck_assert_int_le(levels[i], COVER_MAX_LEVELS);
		c->levels[i] = levels[i];
	}
	count_pairs(c);
	while (c->uncovered) {
		int *row;

		c->row = realloc(c->row, (size_t)(c->rows + 1) * sizeof(*c->row));
		ck_assert_ptr_nonnull(c->row);
		row = c->row[c->rows++];
		start_row(c, row);
		first = (int)rig_below(&r, (uint64_t)params);
		for (i = 0; i < params; i++) {
			p = (first + i) % params;
			if (row[p] == UNSET)
				row[p] = best_value(c, row, p, &r);
		}
		note_row(c, row);
	}
	return c;
}

void cover_free(struct cover *c)
{
	free(c->row);
	free(c);
}
