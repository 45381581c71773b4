// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The schedule explorer
 *
 * Runs a scenario again and again, each time with another interleaving of its
 * tasks, until every interleaving with at most so many preemptions was run: a
 * depth-first search over the choices "who runs next" at every lock, unlock,
 * RCU, reference count, wait and notifier-sequence operation.  A switch away
 * from a task that cannot go on costs nothing, any other is a preemption.
 * Nothing else influences a run, so the list of the choices that were not the
 * default replays it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore.h"
#include "world.h"

#define DEPTH		65536
#define RUN_LIMIT	60000	/* choices in one run: more is a livelock */

struct choice {
	unsigned char n;
	unsigned char at;
};

static struct choice path[DEPTH];
static unsigned int path_len;		/* known choices */
static unsigned int path_pos;		/* choices made in this run */
static unsigned int preemptions;
static unsigned int deepest;
static unsigned int bound;
static unsigned long schedules;
static bool replaying;
static const struct scenario *scenario;

static int choose(int n, bool free)
{
	struct choice *c;

	if (!free && preemptions == bound)
		return 0;
	if (path_pos == RUN_LIMIT)
		stub_bug("livelock", "tasks run in circles");
	c = &path[path_pos];
	if (path_pos++ == path_len) {
		*c = (struct choice){ .n = n };
		path_len++;
	} else if (replaying) {
		c->n = n;
	} else if (c->n != n) {
		stub_bug("explorer", "the same choices led elsewhere");
	}
	if (c->at && !free)
		preemptions++;
	return c->at < n ? c->at : 0;
}

/* Go to the next path.  False: that was the last. */
static bool path_next(void)
{
	if (path_pos > deepest)
		deepest = path_pos;
	path_len = path_pos;
	while (path_len && path[path_len - 1].at + 1 == path[path_len - 1].n)
		path_len--;
	if (!path_len)
		return false;
	path[path_len - 1].at++;
	return true;
}

static void report(void)
{
	const char *comma = "";
	unsigned int i;

	stub_chooser = NULL;
	stub_print_trail();
	fprintf(stderr, "scenario %s, schedule %lu, %u preemptions\n",
		scenario ? scenario->name : "?", schedules, preemptions);
	fprintf(stderr, "replay: explore --bound %u --replay ", bound);
	for (i = 0; i < path_pos; i++) {
		if (!path[i].at)
			continue;
		fprintf(stderr, "%s%u=%u", comma, i, path[i].at);
		comma = ",";
	}
	fprintf(stderr, "%s %s\n", *comma ? "" : "none",
		scenario ? scenario->name : "?");
	fflush(stderr);
}

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

static void run_once(void)
{
	struct task_struct *task[EXPLORE_ACTORS] = { NULL };
	const char *left;
	unsigned int i;

	path_pos = 0;
	preemptions = 0;
	schedules++;
	stub_trail_clear();
	world_up();
	scenario->set_up();
	for (i = 0; i < EXPLORE_ACTORS; i++)
		if (scenario->actor[i].run)
			task[i] = stub_spawn(scenario->actor[i].name, world_mm,
					     scenario->actor[i].run, NULL);
	stub_chooser = choose;
	for (i = 0; i < EXPLORE_ACTORS; i++)
		if (task[i])
			stub_join(task[i]);
	stub_chooser = NULL;
	scenario->finish();
	left = world_down();
	if (left)
		stub_bug("leak", left);
}

static bool explore(unsigned long limit)
{
	clock_t before = clock();
	bool more;

	memset(path, 0, sizeof(path));
	path_len = 0;
	deepest = 0;
	schedules = 0;
	do {
		run_once();
		more = path_next();
	} while (more && schedules < limit);
	printf("%s: %lu schedules, at most %u preemptions, %u choices deep, %.1f s%s\n",
	       scenario->name, schedules, bound, deepest,
	       (double)(clock() - before) / CLOCKS_PER_SEC,
	       more ? ", NOT ALL" : "");
	return !more;
}

static void replay(const char *text)
{
	unsigned int i, at;
	int used;

	memset(path, 0, sizeof(path));
	while (sscanf(text, "%u=%u%n", &i, &at, &used) == 2 && i < DEPTH) {
		path[i].at = at;
		path_len = i + 1;
		text += used + (text[used] == ',');
	}
	replaying = true;
	run_once();
	printf("%s: nothing was found wrong\n", scenario->name);
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [--bound N | --more N] [--limit N] [--replay PATH] SCENARIO...\n"
		"       %s --list\n"
		"--more N: N preemptions more than the scenario's short search has\n",
		name,
		name);
	return 2;
}

static const struct scenario *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < scenarios_n; i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	fprintf(stderr, "no scenario is called %s; see --list\n", name);
	exit(2);
}

static int list(void)
{
	unsigned int i;

	for (i = 0; i < scenarios_n; i++)
		printf("%-20s %u  %s\n", scenarios[i].name, scenarios[i].bound,
		       scenarios[i].about);
	return 0;
}

struct options {
	const char	*path;
	unsigned long	limit;
	int		bound;		/* -1: the scenario's own */
	int		more;
};

/* Return: index of the first scenario's name, or 0 when asked wrongly. */
static int parse(int argc, char **argv, struct options *o)
{
	int i;

	for (i = 1; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		if (!strcmp(argv[i], "--bound"))
			o->bound = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--more"))
			o->more = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--limit"))
			o->limit = strtoul(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--replay"))
			o->path = argv[i + 1];
		else
			return 0;
	}
	return i < argc ? i : 0;
}

int main(int argc, char **argv)
{
	struct options o = { .limit = ~0UL, .bound = -1 };
	bool all = true;
	int i;

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	i = parse(argc, argv, &o);
	if (!i)
		return usage(argv[0]);
	stub_reporter = report;
#if defined(__SANITIZE_ADDRESS__)
	__asan_set_death_callback(report);
#endif
	for (; i < argc; i++) {
		scenario = find(argv[i]);
		bound = (o.bound < 0 ? scenario->bound : o.bound) + o.more;
		if (o.path)
			replay(o.path);
		else
			all &= explore(o.limit);
	}
	return all ? 0 : 1;
}
