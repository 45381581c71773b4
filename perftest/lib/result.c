// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Values of repetitions, their medians, quartiles and ratios, and how they are printed. */
#include <stdarg.h>
#include <time.h>

#include "bench.h"

struct series {
	char what[40];
	char memory[24];
	double x;
	char metric[24];
	char unit[12];
	char note[96];
	double *value;
	size_t n;
};

struct bench bench;

static struct series *all;
static size_t nseries;
static bool in_child;

void bench_is_child(void)
{
	in_child = true;
	nseries = 0;
}

double bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* xorshift64* */
uint64_t bench_random(uint64_t below)
{
	bench.rand ^= bench.rand >> 12;
	bench.rand ^= bench.rand << 25;
	bench.rand ^= bench.rand >> 27;
	return (bench.rand * 0x2545f4914f6cdd1dull >> 16) % below;
}

void bench_shuffle(unsigned int *order, unsigned int n)
{
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		j = (unsigned int)bench_random(i + 1);
		order[i] = order[j];
		order[j] = i;
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_sort(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare);
}

double bench_quantile(const double *sorted, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t i = (size_t)at;

	if (i + 1 >= n)
		return sorted[n - 1];
	return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

double bench_median(double *v, size_t n)
{
	bench_sort(v, n);
	return bench_quantile(v, n, 0.5);
}

static struct series *find(const char *what, const char *memory, double x, const char *metric)
{
	size_t i;

	for (i = 0; i < nseries; i++)
		if (!strcmp(all[i].what, what) && !strcmp(all[i].memory, memory) &&
		    all[i].x == x && !strcmp(all[i].metric, metric))
			return &all[i];
	return NULL;
}

static struct series *get(const char *what, const char *memory, double x, const char *metric)
{
	struct series *s = find(what, memory, x, metric);

	if (s)
		return s;
	all = realloc(all, (nseries + 1) * sizeof(*all));
	if (!all)
		abort();
	s = &all[nseries++];
	memset(s, 0, sizeof(*s));
	snprintf(s->what, sizeof(s->what), "%s", what);
	snprintf(s->memory, sizeof(s->memory), "%s", memory);
	snprintf(s->metric, sizeof(s->metric), "%s", metric);
	s->x = x;
	return s;
}

void bench_add(const char *what, const char *memory, double x, const char *metric,
	       const char *unit, double value)
{
	struct series *s = get(what, memory, x, metric);

	snprintf(s->unit, sizeof(s->unit), "%s", unit);
	s->value = realloc(s->value, (s->n + 1) * sizeof(*s->value));
	if (!s->value)
		abort();
	s->value[s->n++] = value;
}

void bench_note(const char *what, const char *memory, double x, const char *fmt, ...)
{
	struct series *s = get(what, memory, x, "-");
	char *c;
	va_list args;

	va_start(args, fmt);
	vsnprintf(s->note, sizeof(s->note), fmt, args);
	va_end(args);
	for (c = s->note; *c; c++)
		if (*c == ',' || *c == '\n')
			*c = ';';
}

void bench_add_latency(const char *what, const char *memory, double x, double *v, size_t n)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += v[i];
	bench_sort(v, n);
	bench_add(what, memory, x, "mean", "us", sum / (double)n * 1e6);
	bench_add(what, memory, x, "p50", "us", bench_quantile(v, n, 0.5) * 1e6);
	bench_add(what, memory, x, "p90", "us", bench_quantile(v, n, 0.9) * 1e6);
	bench_add(what, memory, x, "p99", "us", bench_quantile(v, n, 0.99) * 1e6);
	bench_add(what, memory, x, "max", "us", v[n - 1] * 1e6);
}

struct summary {
	double median, low, high;
};

static struct summary summarise(const double *v, size_t n)
{
	double *copy = malloc(n * sizeof(*v));
	struct summary s;

	if (!copy)
		abort();
	memcpy(copy, v, n * sizeof(*v));
	bench_sort(copy, n);
	s.median = bench_quantile(copy, n, 0.5);
	s.low = bench_quantile(copy, n, 0.25);
	s.high = bench_quantile(copy, n, 0.75);
	free(copy);
	return s;
}

/* The ratios to the baseline, repetition by repetition. */
static bool ratios(const struct series *s, struct summary *r)
{
	const struct series *base;
	size_t i, n = 0;
	double *v;

	if (!bench.program->baseline || !strcmp(s->memory, bench.program->baseline))
		return false;
	base = find(s->what, bench.program->baseline, s->x, s->metric);
	if (!base)
		return false;
	v = malloc(s->n * sizeof(*v));
	if (!v)
		abort();
	for (i = 0; i < s->n && i < base->n; i++)
		if (base->value[i] > 0)
			v[n++] = s->value[i] / base->value[i];
	if (n)
		*r = summarise(v, n);
	free(v);
	return n;
}

static void print_csv(FILE *out)
{
	struct summary m, r;
	size_t i;

	fprintf(out, "program,device,what,memory,x,metric,unit,n,median,low,high,"
		"base,ratio,ratio_low,ratio_high,note\n");
	for (i = 0; i < nseries; i++) {
		const struct series *s = &all[i];

		fprintf(out, "%s,%s,%s,%s,%.15g,%s,%s,%zu,", bench.program->name, bench.device,
			s->what, s->memory, s->x, s->metric, s->unit, s->n);
		if (s->n) {
			m = summarise(s->value, s->n);
			fprintf(out, "%.6g,%.6g,%.6g,", m.median, m.low, m.high);
		} else {
			fprintf(out, ",,,");
		}
		if (s->n && ratios(s, &r))
			fprintf(out, "%s,%.5f,%.5f,%.5f,", bench.program->baseline, r.median, r.low,
				r.high);
		else
			fprintf(out, ",,,,");
		fprintf(out, "%s\n", s->note);
	}
}

static void human_size(char *text, size_t size, double x)
{
	static const char units[] = "KMGT";
	int u = -1;

	while (u < 3 && x >= 1024 && (uint64_t)x % 1024 == 0) {
		x /= 1024;
		u++;
	}
	if (u < 0)
		snprintf(text, size, "%.15g", x);
	else
		snprintf(text, size, "%.15g%c", x, units[u]);
}

static void print_human(FILE *out)
{
	struct summary m, r;
	char x[32];
	size_t i;

	fprintf(out, "%-22s %-10s %8s %-14s %12s  %-25s %s\n", "case", "memory", "x", "metric",
		"median", "quartiles", "unit");
	for (i = 0; i < nseries; i++) {
		const struct series *s = &all[i];

		human_size(x, sizeof(x), s->x);
		fprintf(out, "%-22s %-10s %8s ", s->what, s->memory, x);
		if (!s->n) {
			fprintf(out, "%s\n", s->note);
			continue;
		}
		m = summarise(s->value, s->n);
		fprintf(out, "%-14s %12.6g  %-12.6g %-12.6g %-7s", s->metric, m.median, m.low,
			m.high, s->unit);
		if (ratios(s, &r))
			fprintf(out, " %.3f of %s (%.3f ... %.3f)", r.median,
				bench.program->baseline, r.low, r.high);
		fputc('\n', out);
	}
}

void bench_print(FILE *out)
{
	if (in_child || !nseries)
		return;
	if (bench.csv)
		print_csv(out);
	else
		print_human(out);
	fflush(out);
}

int bench_finish(void)
{
	bench_print(stdout);
	return EXIT_SUCCESS;
}

void bench_die(const char *fmt, ...)
{
	va_list args;

	bench_print(stdout);
	fprintf(stderr, "%s: ", bench.program->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	if (in_child)
		_exit(EXIT_FAILURE);
	exit(EXIT_FAILURE);
}
