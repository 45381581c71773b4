// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the environment asks for. A program that runs with more rights than its caller
 * has (setuid) does not listen to it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider.h"

static struct odpreg_settings settings;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The index of the variable's value among the words; 0, the default, when there is no such word. */
static int choose(const char *name, const char *const *words, int count)
{
	const char *value = secure_getenv(name);
	char list[64] = "";
	int i;

	if (!value || !*value)
		return 0;
	for (i = 0; i < count; i++)
		if (!strcmp(value, words[i]))
			return i;
	for (i = 0; i < count; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 words[i]);
	fprintf(stderr, "odpreg: %s=%.40s is none of: %s; going on with %s\n", name, value, list,
		words[0]);
	return 0;
}

static void read_environment(void)
{
	static const char *const modes[] = {
		[ODPREG_NATIVE] = "native", [ODPREG_ALWAYS] = "always", [ODPREG_NEVER] = "never",
	};
	static const char *const prefetches[] = {
		[ODPREG_PREFETCH_NONE] = "none", [ODPREG_PREFETCH_ASYNC] = "async",
		[ODPREG_PREFETCH_SYNC] = "sync",
	};
	static const char *const switches[] = { "0", "1" };

	settings.mode = choose("ODPREG_MODE", modes, 3);
	settings.prefetch = choose("ODPREG_PREFETCH", prefetches, 3);
	settings.debug = choose("ODPREG_DEBUG", switches, 2);
}

const struct odpreg_settings *odpreg_settings(void)
{
	pthread_once(&once, read_environment);
	return &settings;
}

void odpreg_debug(const char *fmt, ...)
{
	int saved = errno;
	char line[256];
	va_list args;

	if (!odpreg_settings()->debug)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	/* one write: lines of several threads do not mix */
	fprintf(stderr, "odpreg: %s\n", line);
	errno = saved;
}
