// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What registering untouched address space costs: time and kernel memory. Then a few pages of it
 * are used by RDMA, with every byte checked, and the region is deregistered.
 *
 * Kernel memory is that of the whole machine (Slab, MemFree), so whatever else happens is in it.
 * Many regions are held at once and the sum is divided: what one alone takes would drown.
 * The last line is the result.
 */
#include <getopt.h>

#include "rig.h"

#define REGIONS		1000	/* held at once for the measurement of memory */
#define ROUNDS		9	/* the median of so many registrations is the time */
#define PROBES		8
#define PROBE_LEN	10000u

static void usage(FILE *out)
{
	fputs("usage: demo_reg [--length BYTES[K|M|G|T]] [--pinned]\n"
	      "Registers untouched address space and measures what that takes.\n"
	      "  --length   how much of it (1T)\n"
	      "  --pinned   pinned instead of on demand, for comparison\n", out);
}

/* 0 for what is no length. */
static size_t parse_length(const char *text)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	double value = strtod(text, &end);

	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return 0;
		value *= (double)(1ull << (10 * (unit - units + 1)));
	}
	return value >= 1 && value < 0x1p56 ? (size_t)value : 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return v[n / 2];
}

struct result {
	double reg;		/* seconds */
	double dereg;
	double kernel;		/* bytes a region */
	double touch;
};

/* Bytes of this process that are in memory. */
static int64_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long size, pages;

	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		ck_abort_msg("cannot read /proc/self/statm");
	fclose(f);
	return pages * (int64_t)RIG_PAGE;
}

static struct rig_mr *reg(struct rig *rig, void *area, size_t len, bool pinned)
{
	struct rig_mr *mr;
	int err = rig_try_reg(rig, area, len, RIG_IOVA_SAME, RIG_RW, !pinned, &mr);

	if (!err)
		return mr;
	fprintf(stderr, "demo_reg: %s registration of %zu bytes on %s: %s\n",
		pinned ? "pinned" : "on-demand", len, rig->attr.device, strerror(err));
	exit(EXIT_FAILURE);
}

static void measure_time(struct rig *rig, void *area, size_t len, bool pinned, struct result *r)
{
	double in[ROUNDS], out[ROUNDS], start;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct rig_mr *mr;

		start = rig_now();
		mr = reg(rig, area, len, pinned);
		in[i] = rig_now() - start;
		start = rig_now();
		rig_dereg(mr);
		out[i] = rig_now() - start;
	}
	r->reg = median(in, ROUNDS);
	r->dereg = median(out, ROUNDS);
	printf("  registration     %10.1f us\n", r->reg * 1e6);
	printf("  deregistration   %10.1f us\n", r->dereg * 1e6);
}

static void measure_memory(struct rig *rig, void *area, size_t len, bool pinned, struct result *r)
{
	static struct rig_mr *mr[REGIONS];
	int n = pinned ? 1 : REGIONS, i;
	int64_t slab, mem, rss = resident();

	/* The rounds before have filled the allocators' caches. */
	slab = rig_meminfo("Slab");
	mem = rig_meminfo("MemFree");
	for (i = 0; i < n; i++)
		mr[i] = reg(rig, area, len, pinned);
	slab = rig_meminfo("Slab") - slab;
	mem -= rig_meminfo("MemFree");
	rss = resident() - rss;
	r->kernel = (double)slab / n;
	printf("  kernel memory    %10.2f KiB of slab (free memory fell by %.2f KiB), mean of %d\n",
	       r->kernel / 1024, (double)mem / n / 1024, n);
	printf("  own memory       %10.2f KiB resident in this process, mean of %d\n",
	       (double)rss / n / 1024, n);
	for (i = 0; i < n; i++)
		rig_dereg(mr[i]);
}

/* Write and read back some bytes at places all over the region; false: they were wrong. */
static bool use(struct rig *rig, uint8_t *area, size_t len, bool pinned, struct result *r)
{
	struct rig_pair *pair = rig_pair_mtu(rig, IBV_QPT_RC, 4096);
	uint32_t n = len < PROBE_LEN ? (uint32_t)len : PROBE_LEN;
	uint8_t *buf = rig_map(2 * PROBE_LEN, 0, RIG_ANON);
	struct rig_mr *mb = rig_reg(rig, buf, 2 * PROBE_LEN, RIG_IOVA_SAME, RIG_RW, false);
	struct rig_mr *mr = reg(rig, area, len, pinned);
	double times[PROBES], start;
	bool good = true;
	size_t i, at;

	for (i = 0; i < PROBES; i++) {
		at = (len - n) / (PROBES - 1) * i;
		rig_fill(buf, n, i + 1, 0);
		start = rig_now();
		good &= rig_res_ok(rig_write(pair, rig_at(mb, 0, n), rig_at(mr, at, n)));
		times[i] = rig_now() - start;
		good = good && rig_diff(area + at, n, i + 1, 0) < 0;
		good = good && rig_res_ok(rig_read(pair, rig_at(mb, PROBE_LEN, n),
						   rig_at(mr, at, n)));
		good = good && rig_diff(buf + PROBE_LEN, n, i + 1, 0) < 0;
		if (!good)
			break;
	}
	r->touch = median(times, PROBES);
	if (good)
		printf("  first touch      %10.1f us (write of %u bytes, at %d places from end to end, "
		       "read back: all right)\n", r->touch * 1e6, n, PROBES);
	else
		printf("  WRONG at offset %#zx\n", at);
	start = rig_now();
	rig_dereg(mr);
	printf("  deregistration   %10.1f us after that use\n", (rig_now() - start) * 1e6);
	rig_dereg(mb);
	rig_unmap(buf, 2 * PROBE_LEN);
	rig_unpair(pair);
	return good;
}

static bool demonstrate(size_t len, bool pinned)
{
	struct rig *rig = rig_open(NULL);
	uint8_t *area = rig_map_bare(len, RIG_WINDOW, true);
	struct result r;
	bool good;

	if (!pinned && !rig_has_odp(rig)) {
		fprintf(stderr, "demo_reg: %s has no on-demand paging (ibv_devinfo -v shows it)\n",
			rig->attr.device);
		exit(EXIT_FAILURE);
	}
	printf("%s region of %zu bytes (%.0f GiB), untouched, on %s\n",
	       pinned ? "pinned" : "on-demand", len, (double)len / 0x1p30, rig->attr.device);
	measure_time(rig, area, len, pinned, &r);
	measure_memory(rig, area, len, pinned, &r);
	good = use(rig, area, len, pinned, &r);
	rig_unmap(area, len);
	rig_close(rig);
	if (!good)
		printf("wrong data or a failed operation\n");
	else
		printf("%.0f us, %.1f KiB of kernel memory\n", r.reg * 1e6, r.kernel / 1024);
	return good;
}

static bool result;
static size_t length = 1ul << 40;
static bool pin;

START_TEST(demo)
{
	result = demonstrate(length, pin);
}
END_TEST

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "length", required_argument, NULL, 'l' }, { "pinned", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	Suite *s = suite_create("demo_reg");
	TCase *tc = tcase_create("demo_reg");
	SRunner *runner = srunner_create(s);
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'h') {
			usage(stdout);
			return EXIT_SUCCESS;
		}
		if (option == 'l')
			length = parse_length(optarg);
		pin |= option == 'p';
		if (option == '?' || !length) {
			usage(stderr);
			return 2;
		}
	}
	/* The library reports what must not happen through Check: give it a test to fail. */
	suite_add_tcase(s, tc);
	tcase_add_test(tc, demo);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_SILENT);
	if (srunner_ntests_failed(runner)) {
		srunner_print(runner, CK_MINIMAL);
		result = false;
	}
	srunner_free(runner);
	return result ? EXIT_SUCCESS : EXIT_FAILURE;
}
