/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions by PCRE2. glibc's regcomp(3) and regexec(3) have no limits: "x++++..." takes all memory. */
#include "snapdrvd_regex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "snapdrvd.h"

#define MATCH_LIMIT 100000 /* steps of one match */
#define HEAP_LIMIT 4096	   /* KiB of one match */
/* As RE2 has it: $ is the very end; and texts need not be UTF-8. */
#define OPTIONS \
	(PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C)

struct regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

static int compile(struct regex *regex, const char *pattern, struct snapdrv_error *err)
{
	PCRE2_UCHAR why[128];
	PCRE2_SIZE at;
	int code;

	regex->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, OPTIONS, &code, &at,
				    NULL);
	if (regex->code)
		return 0;
	pcre2_get_error_message(code, why, sizeof(why));
	return daemon_fail(err, SNAPDRV_USAGE, EINVAL,
			   "regular expression '%.200s': at byte %zu: %s", pattern, at,
			   (const char *)why);
}

int regex_new(const char *pattern, struct regex **ret_regex, struct snapdrv_error *err)
{
	struct regex *regex = calloc(1, sizeof(*regex));
	int ret = regex ? compile(regex, pattern, err) : daemon_no_memory(err);

	if (!ret) {
		regex->data = pcre2_match_data_create(1, NULL);
		regex->limits = pcre2_match_context_create(NULL);
		if (!regex->data || !regex->limits)
			ret = daemon_no_memory(err);
	}
	if (ret) {
		regex_free(regex);
		return ret;
	}
	pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
	pcre2_set_heap_limit(regex->limits, HEAP_LIMIT);
	*ret_regex = regex;
	return 0;
}

int regex_matches(const struct regex *regex, const char *text, struct snapdrv_error *err)
{
	int ret = pcre2_match(regex->code, (PCRE2_SPTR)text, strlen(text), 0, 0, regex->data,
			      regex->limits);

	if (ret >= 0 || ret == PCRE2_ERROR_NOMATCH)
		return ret >= 0;
	if (ret == PCRE2_ERROR_NOMEMORY)
		return daemon_no_memory(err);
	return daemon_fail(err, SNAPDRV_USAGE, EINVAL, "a regular expression takes too long");
}

void regex_free(struct regex *regex)
{
	if (!regex)
		return;
	pcre2_match_context_free(regex->limits);
	pcre2_match_data_free(regex->data);
	pcre2_code_free(regex->code);
	free(regex);
}
