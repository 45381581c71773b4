// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdlib.h>

#include "check_reg.h"

int main(void)
{
	SRunner *runner = srunner_create(interval_suite());
	int failed;

	srunner_add_suite(runner, cache_suite());
	srunner_add_suite(runner, watch_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
