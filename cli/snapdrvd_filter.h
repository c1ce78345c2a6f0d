/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's filters, for lists: FIELD, FIELD==VALUE, FIELD!=VALUE, FIELD~=REGEX, several with commas
 * between, all of which must hold. A field is name, parent, kind or labels.KEY, its parts quoted where they
 * hold more than letters, digits, _ and -; values may be quoted too, with " as in C, with | or / as they are.
 */
#ifndef CLI_SNAPDRVD_FILTER_H
#define CLI_SNAPDRVD_FILTER_H

#include "snapdrv.h"

struct filter;

/** filter_parse() - Return: 0 and what is for filter_free(), or a negative errno value; USAGE. */
int filter_parse(const char *text, struct filter **ret_filter, struct snapdrv_error *err);

/** filter_matches() - whether it holds for a snapshot. Return: 1, 0, or a negative errno value; USAGE. */
int filter_matches(const struct filter *filter, const struct snapdrv_snapshot *snapshot,
		   struct snapdrv_error *err);

/** filter_free() - takes NULL. */
void filter_free(struct filter *filter);

#endif
