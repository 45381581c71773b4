/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef EXPLORE_H
#define EXPLORE_H

#define EXPLORE_ACTORS	3

/* A few tasks let loose on a region, and what must be true of any schedule. */
struct scenario {
	const char *name;
	unsigned int bound;	/* preemptions of the short search */
	const char *about;
	void (*set_up)(void);
	struct {
		const char *name;
		void (*run)(void *unused);
	} actor[EXPLORE_ACTORS];
	/* After the last of them; what is left is looked for by world_down(). */
	void (*finish)(void);
};

extern const struct scenario scenarios[];
extern const unsigned int scenarios_n;

#endif /* EXPLORE_H */
