/* SPDX-License-Identifier: Apache-2.0 */
/* Reading WWW-Authenticate: `Scheme name="value", name=value, Scheme ...`. */
#include "wire/challenge.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define HEADER "www-authenticate: "
#define WORD_MAX 8192

static const char *skip_blank(const char *at)
{
	return at + strspn(at, " \t,");
}

/* A token, or a quoted string. Gives what follows it, or NULL when there is none. */
static const char *read_word(const char *at, char *ret_word)
{
	size_t length = 0;

	if (*at != '"') {
		length = strcspn(at, " \t,=\"");
		if (!length || length >= WORD_MAX)
			return NULL;
		memcpy(ret_word, at, length);
		ret_word[length] = '\0';
		return at + length;
	}
	for (at++; *at && *at != '"'; at++) {
		if (*at == '\\' && at[1])
			at++;
		if (length == WORD_MAX - 1)
			return NULL;
		ret_word[length++] = *at;
	}
	ret_word[length] = '\0';
	return *at ? at + 1 : NULL;
}

static int keep(struct challenge *challenge, const char *name, const char *value,
		struct snapdrv_error *err)
{
	char **to = !strcasecmp(name, "realm")	   ? &challenge->realm
		    : !strcasecmp(name, "service") ? &challenge->service
		    : !strcasecmp(name, "scope")   ? &challenge->scope
						   : NULL;

	if (!to || *to)
		return 0;
	*to = text_dup(value, err);
	return *to ? 0 : fail_memory(err);
}

static int read_header(struct challenge *challenge, const char *at, struct snapdrv_error *err)
{
	char word[WORD_MAX], value[WORD_MAX];
	int in_bearer = 0, ret = 0;

	for (at = skip_blank(at); at && *at && !ret; at = at ? skip_blank(at) : NULL) {
		at = *at == '"' ? NULL : read_word(at, word);
		if (!at)
			break;
		at += strspn(at, " \t");
		if (*at != '=') {
			in_bearer = !strcasecmp(word, "bearer");
			challenge->has_bearer |= in_bearer;
			challenge->has_basic |= !strcasecmp(word, "basic");
			continue;
		}
		at++;
		at = read_word(at + strspn(at, " \t"), value);
		if (at && in_bearer)
			ret = keep(challenge, word, value, err);
	}
	return ret;
}

int challenge_parse(const struct http_response *response, struct challenge *ret_challenge,
		    struct snapdrv_error *err)
{
	cleanup_challenge struct challenge challenge = {0};
	int ret = 0;

	for (size_t i = 0; i < response->headers.count && !ret; i++) {
		if (text_starts(response->headers.items[i], HEADER))
			ret = read_header(&challenge, response->headers.items[i] + strlen(HEADER),
					  err);
	}
	if (ret)
		return ret;
	*ret_challenge = challenge;
	challenge = (struct challenge){0};
	return 0;
}

void challenge_done(struct challenge *challenge)
{
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	*challenge = (struct challenge){0};
}
