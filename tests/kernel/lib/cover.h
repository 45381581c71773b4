/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Covering arrays: a short list of cases in which every value of every parameter meets every value
 * of every other parameter at least once. The list depends on the levels only, so case 17 of today
 * is case 17 of tomorrow.
 */
#ifndef COVER_H
#define COVER_H

#include <stdint.h>

#define COVER_MAX_PARAMS	16
#define COVER_MAX_LEVELS	16

struct cover {
	int params;
	int levels[COVER_MAX_PARAMS];
	int rows;
	int (*row)[COVER_MAX_PARAMS];
	int uncovered;
	uint8_t seen[COVER_MAX_PARAMS][COVER_MAX_PARAMS][COVER_MAX_LEVELS][COVER_MAX_LEVELS];
};

struct cover *cover_make(const int *levels, int params);
void cover_free(struct cover *c);

#endif
