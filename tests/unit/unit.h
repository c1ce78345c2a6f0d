/* SPDX-License-Identifier: Apache-2.0 */
/* What each unit test program is made of: checks that count, and one line for each test function. */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>
#include <string.h>

static int unit_failed_checks; /* in the test that runs */
static int unit_failed_tests;

static inline int unit_check(int holds, const char *file, int line, const char *text)
{
	if (!holds) {
		unit_failed_checks++;
		printf("# %s:%d: %s\n", file, line, text);
	}
	return holds;
}

static inline int unit_check_text(const char *got, const char *wanted, const char *file, int line)
{
	if (got && wanted && !strcmp(got, wanted))
		return 1;
	unit_failed_checks++;
	printf("# %s:%d: got \"%s\", wanted \"%s\"\n", file, line, got ? got : "(NULL)",
	       wanted ? wanted : "(NULL)");
	return 0;
}

static inline void unit_run(void (*test)(void), const char *name)
{
	unit_failed_checks = 0;
	test();
	unit_failed_tests += unit_failed_checks > 0;
	printf("%s %s\n", unit_failed_checks ? "not ok" : "ok", name);
	fflush(stdout);
}

/** CHECK() - count and print a condition that does not hold; the test goes on. Is the condition. */
#define CHECK(condition) unit_check((condition) ? 1 : 0, __FILE__, __LINE__, #condition)

/** CHECK_TEXT() - the same for two strings that have to be equal; a NULL is not. */
#define CHECK_TEXT(got, wanted) unit_check_text((got), (wanted), __FILE__, __LINE__)

/** RUN() - run a test function and print its line. */
#define RUN(test) unit_run(test, #test)

/** UNIT_STATUS - what main() returns. */
#define UNIT_STATUS (unit_failed_tests ? 1 : 0)

#endif
