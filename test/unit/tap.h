/*
 * The Test Anything Protocol, as much as the unit tests need: each program
 * says tap_ok for every fact and ends with return tap_done().
 */
#ifndef TAP_H
#define TAP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int	tap_count;
static int	tap_failures;

/* One fact; returns whether it holds. */
static inline bool
tap_ok(bool holds, const char *name)
{
	tap_count++;
	tap_failures += holds ? 0 : 1;
	printf("%sok %d - %s\n", holds ? "" : "not ", tap_count, name);
	fflush(stdout);				/* log lines may go to the same file */
	return holds;
}

/* Two texts are equal; shows both where not.  NULL equals NULL alone. */
static inline bool
tap_is_text(const char *got, const char *expected, const char *name)
{
	bool		equal = got == expected;

	if (got != NULL && expected != NULL)
		equal = strcmp(got, expected) == 0;
	if (!tap_ok(equal, name))
		printf("# got      %s\n# expected %s\n", got != NULL ? got : "(null)",
			   expected != NULL ? expected : "(null)");
	return equal;
}

/* Two integers are equal; shows both where not. */
static inline bool
tap_is_int(int64_t got, int64_t expected, const char *name)
{
	if (!tap_ok(got == expected, name))
		printf("# got      %" PRId64 "\n# expected %" PRId64 "\n", got,
			   expected);
	return got == expected;
}

/* Ends the plan: the exit status of main. */
static inline int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures == 0 ? 0 : 1;
}

#endif
