// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Options: one table for what all programs have, one of the program's own. */
#include <stdarg.h>
#include <time.h>

#include "bench.h"

#define USAGE_ERROR	2

static const char *const memory_words[] = { "none", "pinned", "explicit", "implicit", NULL };
const char *const bench_memory_name[] = { "none", "pinned", "explicit", "implicit" };

static bool want_help;

static const struct bench_option common[] = {
	{ "device", BENCH_TEXT, &bench.device, "NAME", "RDMA device (the first)", 0, 0, NULL },
	{ "port", BENCH_NUMBER, &bench.port, "N", "its port", 1, 255, NULL },
	{ "gid-index", BENCH_NUMBER, &bench.gid_index, "N",
	  "entry of its GID table (the first of RoCE v2 over IPv4)", 0, 65535, NULL },
	{ "mtu", BENCH_NUMBER, &bench.mtu, "BYTES", "path MTU, if the port has as much", 256, 4096,
	  NULL },
	{ "memory", BENCH_WORDS, &bench.memory, "KINDS",
	  "kinds of registration: pinned, explicit, implicit (those of the device)", 0, 0,
	  memory_words },
	{ "reps", BENCH_NUMBER, &bench.reps, "N", "repetitions of everything, in turn", 1, 100000,
	  NULL },
	{ "seed", BENCH_NUMBER, &bench.seed, "N", "of orders and places chosen by chance", 0,
	  UINT64_MAX, NULL },
	{ "poll", BENCH_FLAG, &bench.polls, NULL,
	  "poll for completions (else sleep until they come)", 0, 0, NULL },
	{ "csv", BENCH_FLAG, &bench.csv, NULL, "results as comma-separated values", 0, 0, NULL },
	{ "help", BENCH_FLAG, &want_help, NULL, "this text", 0, 0, NULL },
};

static __attribute__((format(printf, 1, 2), noreturn)) void refuse(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", bench.program->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n%s --help tells what there is.\n", bench.program->name);
	exit(USAGE_ERROR);
}

static void print_size(FILE *out, uint64_t v)
{
	static const char units[] = "KMGT";
	int u = -1;

	while (v && v % 1024 == 0 && u < 3) {
		v /= 1024;
		u++;
	}
	fprintf(out, "%llu", (unsigned long long)v);
	if (u >= 0)
		fputc(units[u], out);
}

/* What the option is now: before reading the arguments, its default. */
static void print_value(FILE *out, const struct bench_option *o)
{
	const struct bench_list *list = o->to;
	unsigned int i, n = 0;

	if (o->type == BENCH_TEXT || o->type == BENCH_FLAG)
		return;
	if (o->type == BENCH_NUMBER && *(uint64_t *)o->to == UINT64_MAX)
		return;
	fputs(" [", out);
	if (o->type == BENCH_NUMBER)
		print_size(out, *(uint64_t *)o->to);
	for (i = 0; o->type == BENCH_NUMBERS && i < list->n; i++) {
		fputs(i ? "," : "", out);
		print_size(out, list->value[i]);
	}
	for (i = 0; o->type == BENCH_WORDS && o->words[i]; i++)
		if (*(unsigned int *)o->to & 1u << i)
			fprintf(out, "%s%s", n++ ? "," : "", o->words[i]);
	fputc(']', out);
}

static void print_options(const struct bench_option *o, unsigned int n)
{
	char left[64];

	for (; n--; o++) {
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "",
			 o->argument ? o->argument : "");
		printf("  %-24s %s", left, o->help);
		print_value(stdout, o);
		putchar('\n');
	}
}

static void print_help(void)
{
	const struct bench_program *p = bench.program;

	printf("usage: %s [OPTION]...\n%s\n\n", p->name, p->purpose);
	print_options(p->options, p->noptions);
	printf("\nOf all odp_ programs:\n");
	print_options(common, ARRAY_SIZE(common));
	printf("\nSizes take K, M, G and T; lists are separated by commas.\n"
	       "Times are in microseconds, MB/s are 1,000,000 bytes a second.\n");
}

static uint64_t number(const struct bench_option *o, const char *text)
{
	static const char units[] = "KMGT";
	const char *unit = NULL;
	unsigned long long v;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (end != text && *end && !end[1])
		unit = strchr(units, *end);
	if (unit)
		shift = 10 * (unsigned int)(unit - units + 1);
	if (end == text || *text == '-' || (*end && !unit) || errno || v << shift >> shift != v)
		refuse("--%s: '%s' is no number (with K, M, G or T at most)", o->name, text);
	v <<= shift;
	if (v < o->min || v > o->max)
		refuse("--%s: %s is not from %llu to %llu", o->name, text,
		       (unsigned long long)o->min, (unsigned long long)o->max);
	return v;
}

static void take_numbers(const struct bench_option *o, char *text)
{
	struct bench_list *list = o->to;
	char *word;

	list->n = 0;
	for (word = strsep(&text, ","); word; word = strsep(&text, ",")) {
		if (list->n == BENCH_LIST)
			refuse("--%s: more than %d values", o->name, BENCH_LIST);
		list->value[list->n++] = number(o, word);
	}
}

static void take_words(const struct bench_option *o, char *text)
{
	unsigned int *bits = o->to, i;
	char *word;

	*bits = 0;
	for (word = strsep(&text, ","); word; word = strsep(&text, ",")) {
		for (i = 0; o->words[i] && strcmp(o->words[i], word); i++)
			;
		if (!o->words[i]) {
			fprintf(stderr, "%s: --%s: '%s' is none of:", bench.program->name, o->name,
				word);
			for (i = 0; o->words[i]; i++)
				fprintf(stderr, " %s", o->words[i]);
			fputc('\n', stderr);
			exit(USAGE_ERROR);
		}
		*bits |= 1u << i;
	}
}

static const struct bench_option *find(const char *name, size_t len)
{
	const struct bench_program *p = bench.program;
	unsigned int i;

	for (i = 0; i < p->noptions; i++)
		if (strlen(p->options[i].name) == len && !strncmp(p->options[i].name, name, len))
			return &p->options[i];
	for (i = 0; i < ARRAY_SIZE(common); i++)
		if (strlen(common[i].name) == len && !strncmp(common[i].name, name, len))
			return &common[i];
	return NULL;
}

static void take(const struct bench_option *o, char *value)
{
	if (o->type == BENCH_TEXT)
		*(const char **)o->to = value;
	else if (o->type == BENCH_NUMBER)
		*(uint64_t *)o->to = number(o, value);
	else if (o->type == BENCH_NUMBERS)
		take_numbers(o, value);
	else
		take_words(o, value);
}

static void parse(int argc, char **argv)
{
	const struct bench_option *o;
	char *name, *value;
	int i;

	for (i = 1; i < argc; i++) {
		name = argv[i];
		if (strncmp(name, "--", 2))
			refuse("'%s' is no option", name);
		name += 2;
		value = strchr(name, '=');
		o = find(name, value ? (size_t)(value - name) : strlen(name));
		if (!o)
			refuse("there is no option '%s'", argv[i]);
		if (o->type == BENCH_FLAG) {
			if (value)
				refuse("--%s takes no value", o->name);
			*(bool *)o->to = true;
			continue;
		}
		if (value)
			value++;
		else
			value = argv[++i];
		if (!value || !*value)
			refuse("--%s needs a value (%s)", o->name, o->argument);
		take(o, value);
	}
}

static bool a_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

void bench_start(int argc, char **argv, const struct bench_program *program)
{
	const char *reason;

	bench.program = program;
	bench.port = 1;
	bench.gid_index = UINT64_MAX;
	bench.mtu = 4096;
	bench.seed = 1;
	bench.reps = program->reps;
	bench.memory = program->memory;
	/* Output is line by line even into a file: a guest may die. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		print_help();
		exit(EXIT_SUCCESS);
	}
	parse(argc, argv);
	if (want_help) {
		print_help();
		exit(EXIT_SUCCESS);
	}
	if (!a_power_of_two(bench.mtu))
		refuse("--mtu: %llu is no path MTU: 256, 512, 1024, 2048 or 4096",
		       (unsigned long long)bench.mtu);
	reason = program->check ? program->check() : NULL;
	if (reason)
		refuse("%s", reason);
	bench.rand = bench.seed * 0x9e3779b97f4a7c15ull + 1;
}
