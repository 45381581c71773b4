// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Running suites and keeping account of skips. */
#include <malloc.h>
#include <fcntl.h>

#include "rig.h"

/* An emulated machine is about twenty times slower than hardware, and its host may be busy too. */
#define TEST_TIMEOUT	180.0

/* Tests run in forked processes: the number of skips lives in memory that they share. */
static unsigned int *skips;

void rig_skip(const char *test, const char *reason)
{
	const char *log = getenv("ODPREG_SKIP_LOG");
	char name[128];
	size_t len;
	FILE *f;

	/* Check makes the function behind START_TEST(x) x_fn. */
	snprintf(name, sizeof(name), "%s", test);
	len = strlen(name);
	if (len > 3 && !strcmp(name + len - 3, "_fn"))
		name[len - 3] = '\0';
	printf("skipped: %s: %s\n", name, reason);
	fflush(stdout);
	if (skips)
		__atomic_fetch_add(skips, 1, __ATOMIC_RELAXED);
	if (!log)
		return;
	f = fopen(log, "ae");
	if (!f)
		ck_abort_msg("cannot append to %s: %s", log, strerror(errno));
	fprintf(f, "%s: %s\n", name, reason);
	fclose(f);
}

TCase *rig_tcase(Suite *suite, const char *name, double seconds)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, seconds > 0 ? seconds : TEST_TIMEOUT);
	suite_add_tcase(suite, tc);
	return tc;
}

int rig_main(Suite *const *suites, int count)
{
	SRunner *runner;
	int i, ran, failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A thread's own arena is a mapping, which may take a hole that a test has just made. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	skips = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (skips == MAP_FAILED)
		skips = NULL;
	/* Before the first fork, so that all tests use the same. */
	rig_seed();
	runner = srunner_create(suites[0]);
	for (i = 1; i < count; i++)
		srunner_add_suite(runner, suites[i]);
	srunner_run_all(runner, CK_ENV);
	ran = srunner_ntests_run(runner);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (failed)
		return EXIT_FAILURE;
	return skips && (int)*skips >= ran ? 77 : EXIT_SUCCESS;
}
