/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark programs have in common: they end at the first failure, and say at what. */
#ifndef BENCH_MUST_H
#define BENCH_MUST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapdrv.h"

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

static inline void must(int failed, const char *what)
{
	if (failed)
		die(what);
}

static inline void must_library(int ret, const struct snapdrv_error *err)
{
	if (ret) {
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, err->message);
		exit(1);
	}
}

#endif
