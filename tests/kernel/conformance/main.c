// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The program: which rows, of which pages, how; and what became of them. Each is a test of Check in
 * a process of its own, by a name like row_17_punch_hole_memfd_4k_load.
 */
#include <getopt.h>
#include <malloc.h>

#include "scene.h"

#define PLANNED		1200
#define NAME_LEN	80

/* What a test tells the parent: in memory that they share. */
struct planned {
	const struct row *row;
	unsigned int pages;
	bool loaded;
	bool implicit;
	TTest test;
	char name[NAME_LEN];
	char why[240];		/* skipped */
	unsigned int rounds;
	double seconds;
	const char *result;	/* the parent's */
	char message[400];
};

static struct options {
	int row;
	const char *name;
	unsigned int pages;
	bool idle, load, explicit, implicit, whole, list, tap, brief;
	double seconds;
	const char *report, *json, *label;
} opt = { .pages = PAGES_ANY, .seconds = 1.5 };

static struct planned *plan;
static int planned;

static const char *pages_name(unsigned int pages)
{
	return pages == PAGES_4K ? "4k" : pages == PAGES_THP ? "thp" : "hugetlb";
}

START_TEST(run_row)
{
	struct planned *p = &plan[_i];
	struct scene s = {
		.row = p->row, .pages = p->pages, .loaded = p->loaded, .implicit = p->implicit,
		.whole = opt.whole, .brief = opt.brief, .seconds = opt.seconds, .seed = rig_seed() + (uint64_t)_i,
	};
	double start = rig_now();

	printf("%s\n", p->name);
	if (!scene_run(&s)) {
		snprintf(p->why, sizeof(p->why), "%s", s.why);
		rig_skip(p->name, s.why);
	}
	p->rounds = s.rounds;
	p->seconds = rig_now() - start;
}
END_TEST

/* ------------------------------------------------------------------ the plan */

/* A short run does each row idle in every way, and under load by its first kind of pages. */
static bool wanted(const struct row *row, unsigned int pages, bool loaded, bool implicit)
{
	if (!(row->pages & pages & opt.pages))
		return false;
	if (opt.row && row->number != opt.row)
		return false;
	if (opt.name && strcmp(row->name, opt.name))
		return false;
	if (loaded && row->flags & ROW_NO_LOAD)
		return false;
	if (!opt.brief)
		return true;
	if (row->flags & ROW_SLOW && (loaded || implicit))
		return false;
	return (!loaded && !implicit) || (pages == (row->pages & -row->pages) && !(loaded &&
										   implicit));
}

static void add(const struct row *row, unsigned int pages, bool loaded, bool implicit)
{
	struct planned *p = &plan[planned];
	char *c;

	if (!wanted(row, pages, loaded, implicit) || planned == PLANNED)
		return;
	p->row = row;
	p->pages = pages;
	p->loaded = loaded;
	p->implicit = implicit;
	snprintf(p->name, sizeof(p->name), "row_%d_%s_%s%s%s", row->number, row->name,
		 row->run ? "all" : pages_name(pages), loaded ? "_load" : "", implicit ? "_implicit" : "");
	for (c = p->name; *c; c++)
		if (*c == '-' || *c == ' ')
			*c = '_';
	p->test = *run_row;
	p->test.name = p->name;
	planned++;
}

static void make_plan(void)
{
	const struct row *const *group, *row;
	unsigned int pages;
	int number, way;

	plan = mmap(NULL, PLANNED * sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED |
		    MAP_ANONYMOUS,
		    -1, 0);
	if (plan == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	for (number = 1; number <= 30; number++)
		for (group = row_groups; *group; group++)
			for (row = *group; row->number; row++)
				for (pages = PAGES_4K; pages <= PAGES_HUGETLB; pages <<= 1)
					for (way = 0; row->number == number && way < 4; way++)
						if ((way & 1 ? opt.load : opt.idle) &&
						    (way & 2 ? opt.implicit : opt.explicit))
							add(row, pages, way & 1, way & 2);
}

static void list_rows(void)
{
	const struct row *const *group, *row;
	int number;

	printf("row  name                       pages           heard                 event\n");
	for (number = 1; number <= 30; number++)
		for (group = row_groups; *group; group++)
			for (row = *group; row->number; row++)
				if (row->number == number)
					printf("%3d  %-26s %-3s%-4s%-8s %-21s %s\n", number,
					       row->name,
					       row->pages & PAGES_4K ? "4k" : "",
					       row->pages & PAGES_THP ? "thp" : "",
					       row->pages & PAGES_HUGETLB ? "hugetlb" : "",
					       !row->notifier ? "-" : *row->notifier ? row->notifier :
					       "nothing", row->event);
}

/* ------------------------------------------------------------------ the report */

static void collect(SRunner *runner)
{
	TestResult **results = srunner_results(runner);
	int i, count = srunner_ntests_run(runner);
	const char *text;
	char *c;

	for (i = 0; i < count && i < planned; i++) {
		struct planned *p = &plan[i];

		p->result = tr_rtype(results[i]) != CK_PASS ? "fail" : p->why[0] ? "skip" : "pass";
		text = tr_rtype(results[i]) != CK_PASS ? tr_msg(results[i]) : p->why;
		snprintf(p->message, sizeof(p->message), "%s", text ? text : "");
		for (c = p->message; *c; c++)
			if (*c == '"' || *c == '\\' || *c == '|' || (unsigned char)*c < ' ')
				*c = '\'';
	}
	free(results);
}

static FILE *open_report(const char *path)
{
	FILE *f = fopen(path, "ae");

	if (!f)
		fprintf(stderr, "conformance: cannot write %s: %s\n", path, strerror(errno));
	return f;
}

/* One object a line, appended: several runs make one file. */
static void write_json(void)
{
	FILE *f = open_report(opt.json);
	int i;

	for (i = 0; f && i < planned; i++) {
		const struct planned *p = &plan[i];

		fprintf(f, "{\"label\": \"%s\", \"row\": %d, \"name\": \"%s\", \"pages\": \"%s\", "
			"\"load\": %s, \"implicit\": %s, \"result\": \"%s\", \"events\": %u, "
			"\"seconds\": %.1f, \"message\": \"%s\"}\n", opt.label, p->row->number,
			p->row->name, p->row->run ? "-" : pages_name(p->pages),
			p->loaded ? "true" : "false", p->implicit ? "true" : "false", p->result, p->rounds,
			p->seconds, p->message);
	}
	if (f)
		fclose(f);
}

static void write_markdown(void)
{
	FILE *f = open_report(opt.report);
	int i;

	if (!f)
		return;
	fprintf(f, "| row | name | pages | region | | result | events | what |\n"
		"|---|---|---|---|---|---|---|---|\n");
	for (i = 0; i < planned; i++) {
		const struct planned *p = &plan[i];

		fprintf(f, "| %d | %s | %s | %s | %s | %s | %u | %s |\n", p->row->number,
			p->row->name,
			p->row->run ? "-" : pages_name(p->pages), p->implicit ? "implicit" : "explicit",
			p->loaded ? "under load" : "idle", p->result, p->rounds, p->message);
	}
	fclose(f);
}

static int run_plan(void)
{
	Suite *suite = suite_create("conformance");
	SRunner *runner = srunner_create(suite);
	int i, failed, skipped = 0;

	for (i = 0; i < planned; i++) {
		TCase *tc = rig_tcase(suite, plan[i].name, 120);

		tcase_add_loop_test(tc, &plan[i].test, i, i + 1);
	}
	if (opt.tap)
		srunner_set_tap(runner, "-");
	srunner_run_all(runner, opt.tap ? CK_SILENT : CK_ENV);
	machine_put_back();
	collect(runner);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	for (i = 0; i < planned; i++)
		skipped += !strcmp(plan[i].result, "skip");
	fprintf(stderr, "%d passed, %d failed, %d skipped\n", planned - failed - skipped, failed,
		skipped);
	if (opt.json)
		write_json();
	if (opt.report)
		write_markdown();
	return failed ? EXIT_FAILURE : skipped == planned ? 77 : EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ options */

static void usage(FILE *f)
{
	fprintf(f,
		"conformance [OPTION]...: what a device with on-demand paging makes of memory events\n"
		"  --list           the rows\n"
		"  --row N          only this row of the table; --name NAME: only the one of that name\n"
		"  --pages KIND     only 4k, thp or hugetlb\n"
		"  --idle           only with the event between two accesses\n"
		"  --under-load     only with the event under traffic; --seconds S: for so long (1.5)\n"
		"  --explicit       only by regions of the memory\n"
		"  --implicit       only by a region of the whole address space\n"
		"  --brief          a selection: idle all, the rest by one kind of pages\n"
		"  --whole-pages    accesses of whole pages in one packet only: for drivers that can do\n"
		"                   no others, to see their events all the same; what is refused at\n"
		"                   the local side may be flushed\n"
		"  --seed N         of what is random (ODPREG_SEED)\n"
		"  --device NAME    the RDMA device (ODPREG_DEVICE, rxe0)\n"
		"  --tap            results to standard output as TAP\n"
		"  --report FILE    append a table in Markdown\n"
		"  --json FILE      append a line of JSON for each; --label TEXT: with this in each\n"
		"Ends with 0 if everything passed, 1 if something failed, 77 if all was skipped.\n"
		"Needs root: rows prepare swap, huge pages, file systems, and put them back.\n");
}

static unsigned int parse_pages(const char *text)
{
	unsigned int pages;

	for (pages = PAGES_4K; pages <= PAGES_HUGETLB; pages <<= 1)
		if (!strcmp(text, pages_name(pages)))
			return pages;
	fprintf(stderr, "conformance: --pages %s: say 4k, thp or hugetlb\n", text);
	exit(2);
}

static void parse(int argc, char **argv)
{
	static const struct option option[] = {
		{ "list", 0, NULL, 'l' }, { "row", 1, NULL, 'r' }, { "name", 1, NULL, 'n' },
		{ "pages", 1, NULL, 'p' }, { "idle", 0, NULL, 'i' }, { "under-load", 0, NULL, 'u' },
		{ "seconds", 1, NULL, 's' }, { "explicit", 0, NULL, 'e' }, { "implicit", 0, NULL,
									     'm' },
		{ "brief", 0, NULL, 'b' }, { "whole-pages", 0, NULL, 'w' }, { "seed", 1, NULL,
									      'S' },
		{ "device", 1, NULL, 'd' }, { "tap", 0, NULL, 't' }, { "report", 1, NULL, 'R' },
		{ "json", 1, NULL, 'j' }, { "label", 1, NULL, 'L' }, { "help", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	opt.label = "";
	while ((c = getopt_long(argc, argv, "", option, NULL)) != -1) {
		switch (c) {
		case 'l': opt.list = true; break;
		case 'r': opt.row = atoi(optarg); break;
		case 'n': opt.name = optarg; break;
		case 'p': opt.pages = parse_pages(optarg); break;
		case 'i': opt.idle = true; break;
		case 'u': opt.load = true; break;
		case 's': opt.seconds = atof(optarg); break;
		case 'e': opt.explicit = true; break;
		case 'm': opt.implicit = true; break;
		case 'b': opt.brief = true; break;
		case 'w': opt.whole = true; break;
		case 'S': setenv("ODPREG_SEED", optarg, 1); break;
		case 'd': setenv("ODPREG_DEVICE", optarg, 1); break;
		case 't': opt.tap = true; break;
		case 'R': opt.report = optarg; break;
		case 'j': opt.json = optarg; break;
		case 'L': opt.label = optarg; break;
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "conformance: '%s' is no option\n", argv[optind]);
		usage(stderr);
		exit(2);
	}
}

/* As a program of the tests: by its name, and short. */
static void by_name(const char *name)
{
	if (!strncmp(name, "test_", 5)) {
		opt.brief = true;
		opt.seconds = 0.5;
	}
	if (strstr(name, "_idle"))
		opt.idle = opt.explicit = true;
	if (strstr(name, "_load"))
		opt.load = opt.explicit = true;
	if (strstr(name, "_implicit"))
		opt.idle = opt.implicit = true;
}

int main(int argc, char **argv)
{
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A thread's own arena is a mapping, which may take a hole that a row has just made. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	by_name(program_invocation_short_name);
	parse(argc, argv);
	if (opt.list) {
		list_rows();
		return 0;
	}
	if (!opt.idle && !opt.load)
		opt.idle = opt.load = true;
	if (!opt.explicit && !opt.implicit)
		opt.explicit = opt.implicit = true;
	machine_init();
	make_plan();
	if (!planned) {
		fprintf(stderr, "conformance: no row fits these options (--list shows them)\n");
		return 2;
	}
	rig_seed();
	machine_balancing(false);
	err = run_plan();
	machine_balancing(true);
	return err;
}
