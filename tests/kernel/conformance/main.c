// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The program: which rows, of which pages, how; and what became of them. Each is a test of Check in
 * a process of its own, by a name like row_17_punch_hole_memfd_4k_load.
 */
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>

#include "scene.h"

#define PLANNED		1200
#define NAME_LEN	80
#define ROWS		30
#define LONGEST		86400.0	/* seconds of load */
#define BESIDE		180	/* seconds that a test may take beside its load */

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
static SRunner *runner;
static FILE *json, *report, *tap;

static const char *pages_name(unsigned int pages)
{
	return pages == PAGES_4K ? "4k" : pages == PAGES_THP ? "thp" : "hugetlb";
}

/* The same for a row whatever else is run: by its name (FNV-1a). */
static uint64_t seed_of(const struct planned *p)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	const char *c;

	for (c = p->name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3ull;
	return rig_seed() + hash;
}

START_TEST(run_row)
{
	struct planned *p = &plan[_i];
	struct scene s = {
		.row = p->row, .pages = p->pages, .loaded = p->loaded, .implicit = p->implicit,
		.whole = opt.whole, .brief = opt.brief, .seconds = opt.seconds, .seed = seed_of(p),
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

	if (!wanted(row, pages, loaded, implicit))
		return;
	if (planned == PLANNED) {
		fprintf(stderr, "conformance: more than %d tests: PLANNED is too small\n", PLANNED);
		exit(2);
	}
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
	for (number = 1; number <= ROWS; number++)
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
	for (number = 1; number <= ROWS; number++)
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

static void collect(struct planned *p, TestResult *result)
{
	const char *text;
	char *c;

	p->result = tr_rtype(result) != CK_PASS ? "fail" : p->why[0] ? "skip" : "pass";
	text = tr_rtype(result) != CK_PASS ? tr_msg(result) : p->why;
	snprintf(p->message, sizeof(p->message), "%s", text ? text : "");
	for (c = p->message; *c; c++)
		if (*c == '"' || *c == '\\' || *c == '|' || (unsigned char)*c < ' ')
			*c = '\'';
}

/* One object a line, appended: several runs make one file. */
static void write_json(const struct planned *p)
{
	fprintf(json, "{\"label\": \"%s\", \"row\": %d, \"name\": \"%s\", \"pages\": \"%s\", "
		"\"load\": %s, \"implicit\": %s, \"result\": \"%s\", \"events\": %u, "
		"\"seconds\": %.1f, \"message\": \"%s\"}\n", opt.label, p->row->number,
		p->row->name, p->row->run ? "-" : pages_name(p->pages),
		p->loaded ? "true" : "false", p->implicit ? "true" : "false", p->result, p->rounds,
		p->seconds, p->message);
	fflush(json);
}

static void write_markdown(const struct planned *p)
{
	fprintf(report, "| %d | %s | %s | %s | %s | %s | %u | %s |\n", p->row->number,
		p->row->name,
		p->row->run ? "-" : pages_name(p->pages), p->implicit ? "implicit" : "explicit",
		p->loaded ? "under load" : "idle", p->result, p->rounds, p->message);
	fflush(report);
}

/* Check would print what is skipped as passed. */
static void write_tap(const struct planned *p)
{
	char text[sizeof(p->message)];
	char *c;

	/* There this would begin a directive. */
	snprintf(text, sizeof(text), "%s", p->message);
	for (c = text; *c; c++)
		if (*c == '#')
			*c = '\'';
	fprintf(tap, "%s %td - %s%s%s\n", strcmp(p->result, "fail") ? "ok" : "not ok", p - plan + 1,
		p->name, !strcmp(p->result, "skip") ? " # SKIP " : *text ? ": " : "", text);
	fflush(tap);
}

/*
 * The parent's, when the process of a row has ended: each is written at once, so that what is known
 * outlives this process. Everything is flushed, else the next child would write it once more.
 */
static void row_ended(void)
{
	int i = srunner_ntests_run(runner) - 1;
	TestResult **results;

	if (i < 0 || i >= planned || plan[i].result)
		return;
	results = srunner_results(runner);
	collect(&plan[i], results[i]);
	free(results);
	if (json)
		write_json(&plan[i]);
	if (report)
		write_markdown(&plan[i]);
	if (tap)
		write_tap(&plan[i]);
}

static FILE *open_report(const char *path)
{
	FILE *f = fopen(path, "ae");

	if (f)
		return f;
	fprintf(stderr, "conformance: cannot write %s: %s\n", path, strerror(errno));
	exit(2);
}

static bool close_report(FILE *f, const char *path)
{
	bool bad;

	if (!f)
		return true;
	bad = ferror(f);
	if (!fclose(f) && !bad)
		return true;
	fprintf(stderr, "conformance: %s is not complete: it could not be written (is there space?)\n",
		path);
	return false;
}

/* Standard output is of TAP alone: what rows say goes where errors go. */
static void open_tap(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	tap = fd < 0 ? NULL : fdopen(fd, "w");
	if (!tap || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		fprintf(stderr, "conformance: cannot write to standard output: %s\n",
			strerror(errno));
		exit(2);
	}
}

static void open_reports(void)
{
	if (opt.json)
		json = open_report(opt.json);
	if (opt.report)
		report = open_report(opt.report);
	if (opt.tap)
		open_tap();
}

static void begin_reports(void)
{
	if (report)
		fprintf(report, "| row | name | pages | region | | result | events | what |\n"
			"|---|---|---|---|---|---|---|---|\n");
	if (tap)
		fprintf(tap, "1..%d\n", planned);
	fflush(NULL);
}

/* False when something is missing in one. */
static bool end_reports(void)
{
	bool ok = close_report(json, opt.json);

	ok &= close_report(report, opt.report);
	return close_report(tap, "standard output") && ok;
}

static int run_plan(void)
{
	Suite *suite = suite_create("conformance");
	int i, failed, skipped = 0;

	runner = srunner_create(suite);
	for (i = 0; i < planned; i++) {
		TCase *tc = rig_tcase(suite, plan[i].name, BESIDE + opt.seconds);

		tcase_add_loop_test(tc, &plan[i].test, i, i + 1);
		tcase_add_unchecked_fixture(tc, NULL, row_ended);
	}
	begin_reports();
	srunner_run_all(runner, opt.tap ? CK_SILENT : CK_ENV);
	machine_put_back();
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	for (i = 0; i < planned; i++)
		skipped += !strcmp(plan[i].result, "skip");
	fprintf(stderr, "%d passed, %d failed, %d skipped\n", planned - failed - skipped, failed,
		skipped);
	if (!end_reports())
		return 2;
	return failed ? EXIT_FAILURE : skipped == planned ? 77 : EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ options */

static void usage(FILE *f)
{
	fprintf(f,
		"conformance [OPTION]...: what a device with on-demand paging makes of memory events\n"
		"  --list           the rows\n"
		"  --row N          only this row of the table, 1 to 30; --name NAME: only what has\n"
		"                   that name\n"
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
		"  --device NAME    the RDMA device (ODPREG_DEVICE; else the first that has it)\n"
		"  --tap            results to standard output as TAP, all else to standard error\n"
		"  --report FILE    append a table in Markdown\n"
		"  --json FILE      append a line of JSON for each; --label TEXT: with this in each\n"
		"Ends with 0 if everything passed, 1 if something failed, 77 if all was skipped or there\n"
		"is no such device here, 2 if an option is wrong or a file could not be written.\n"
		"Needs root: rows prepare swap, huge pages, file systems, and put them back.\n");
}

static void __attribute__((noreturn)) wrong(const char *option, const char *text, const char *right)
{
	fprintf(stderr, "conformance: --%s %s: say %s\n", option, text, right);
	exit(2);
}

static int parse_row(const char *text)
{
	char *end;
	long row = strtol(text, &end, 10);

	if (end == text || *end || row < 1 || row > ROWS)
		wrong("row", text, "a number from 1 to 30 (--list shows the rows)");
	return (int)row;
}

static double parse_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	/* Written so that what is no number is wrong, too. */
	if (end == text || *end || !(seconds > 0 && seconds <= LONGEST))
		wrong("seconds", text, "a number of seconds, above 0 and up to 86400");
	return seconds;
}

static const char *parse_seed(const char *text)
{
	char *end;

	errno = 0;
	strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || errno)
		wrong("seed", text, "a number, as an earlier run has printed it");
	return text;
}

/* It goes into the lines of JSON as it is. */
static const char *parse_label(const char *text)
{
	const char *c;

	for (c = text; *c; c++)
		if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
			wrong("label", text, "something without quotes, backslashes and line ends");
	return text;
}

static unsigned int parse_pages(const char *text)
{
	unsigned int pages;

	for (pages = PAGES_4K; pages <= PAGES_HUGETLB; pages <<= 1)
		if (!strcmp(text, pages_name(pages)))
			return pages;
	wrong("pages", text, "4k, thp or hugetlb");
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
		case 'r': opt.row = parse_row(optarg); break;
		case 'n': opt.name = optarg; break;
		case 'p': opt.pages = parse_pages(optarg); break;
		case 'i': opt.idle = true; break;
		case 'u': opt.load = true; break;
		case 's': opt.seconds = parse_seconds(optarg); break;
		case 'e': opt.explicit = true; break;
		case 'm': opt.implicit = true; break;
		case 'b': opt.brief = true; break;
		case 'w': opt.whole = true; break;
		case 'S': setenv("ODPREG_SEED", parse_seed(optarg), 1); break;
		case 'd': setenv("ODPREG_DEVICE", optarg, 1); break;
		case 't': opt.tap = true; break;
		case 'R': opt.report = optarg; break;
		case 'j': opt.json = optarg; break;
		case 'L': opt.label = parse_label(optarg); break;
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

/* The plan is what is run: nothing of Check's own choices. */
static void forget_choices(void)
{
	unsetenv("CK_RUN_SUITE");
	unsetenv("CK_RUN_CASE");
	unsetenv("CK_INCLUDE_TAGS");
	unsetenv("CK_EXCLUDE_TAGS");
}

/* Nothing at all can be run here: said once, and not by each row. */
static void expect_machine(void)
{
	char why[300];
	int code;

	if (geteuid()) {
		fprintf(stderr, "conformance: rows prepare swap, huge pages and file systems: "
			"run it as root\n");
		exit(77);
	}
	code = rig_pick_device(why, sizeof(why));
	if (!code)
		return;
	fprintf(stderr, "conformance: %s\n", why);
	exit(code);
}

int main(int argc, char **argv)
{
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	forget_choices();
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
	open_reports();
	expect_machine();
	rig_seed();
	machine_balancing(false);
	err = run_plan();
	machine_balancing(true);
	return err;
}
