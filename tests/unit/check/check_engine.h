/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef CHECK_ENGINE_H
#define CHECK_ENGINE_H

#include <check.h>
#include <stdio.h>

#include "world.h"

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define TIB		(1024 * GIB)

/* Where tests have their memory: a 64 MiB boundary. */
#define ARENA		(1UL << 40)

TCase *case_new(const char *name);

/* What the region holds and what the owner sees, as one byte each. */
int peek(struct odp_region *region, unsigned long va);
int poke(struct odp_region *region, unsigned long va, unsigned char value);
int cpu_peek(unsigned long va);
void cpu_poke(unsigned long va, unsigned char value);

/* A task that reads, or writes, one byte. */
#define NOT_YET		12345

struct reader {
	struct odp_region *region;
	unsigned long va;
	bool write;
	int ret;		/* NOT_YET until it is over */
};

struct task_struct *reader_start(struct reader *r);

/* A region over memory that a userfaultfd handler must bring. */
struct odp_region *slow_region(void);
extern const char page_of_seven[4096];

long windows(void);
long leaves(void);
long entries(void);
long region_stat(const struct odp_region *region, enum odp_region_stat stat);

Suite *suite_ranges(void);
Suite *suite_table(void);
Suite *suite_window(void);
Suite *suite_access(void);
Suite *suite_life(void);
Suite *suite_share(void);
Suite *suite_minor(void);
Suite *suite_failure(void);

#endif /* CHECK_ENGINE_H */
