/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry says: a line with a URL, one with what it refers to, header lines up to an empty one, and a
 * body.
 */
#include <time.h>

#include "fuzz.h"
#include "image/registry.h"
#include "wire/challenge.h"
#include "wire/retry.h"
#include "wire/url.h"

static void join(const char *base, const char *link)
{
	struct snapdrv_error err = {0};
	char *url = NULL, *again = NULL, *more = NULL, *escaped = url_escape(link, NULL);
	int ret = url_join(base, link, &url, &err);

	fuzz_check(ret, &err);
	if (!ret) {
		HOLDS(!strncmp(url, "https://", 8) || !strncmp(url, "http://", 7));
		HOLDS(!strpbrk(url, "\r\n "));
		HOLDS(url_is_secure(url) == !strncmp(url, "https://", 8));
		HOLDS(!url_join(url, url, &again, NULL) && url_same_origin(url, again));
		HOLDS(!url_add_query(url, "scope", link, &more, NULL));
		HOLDS(url_same_origin(url, more));
	}
	HOLDS(escaped && !strpbrk(escaped, "&=?#/ \n"));
	url_same_origin(base, link);
	free(url);
	free(again);
	free(more);
	free(escaped);
}

static void read_headers(const struct http_response *response)
{
	static const char *const names[] = {"retry-after", "content-length", "range", "location"};
	struct challenge challenge = {0};
	struct snapdrv_error err = {0};
	uint64_t number;
	int64_t ms;

	fuzz_check(challenge_parse(response, &challenge, &err), &err);
	challenge_done(&challenge);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = http_header(response, names[i]);

		http_header_number(response, names[i], &number);
		HOLDS(!value || !retry_after_ms(value, 784111777, &ms) || ms >= 0);
	}
	HOLDS(registry_failed(response, &err) < 0);
	fuzz_check(-1, &err);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	struct http_response response = {.status = 100 + 4 * fuzz_take(&rest)};
	char *base = fuzz_line(&rest), *link = fuzz_line(&rest), *line;

	if (base && link)
		join(base, link);
	while ((line = fuzz_line(&rest)) && *line) {
		const char *colon = strchr(line, ':');

		/* As wire/http.c makes them. */
		if (colon && colon[1] == ' ')
			HOLDS(!strings_add(&response.headers, line, NULL));
		free(line);
	}
	free(line);
	HOLDS(!bytes_add(&response.body, rest.data, rest.size, NULL));
	read_headers(&response);
	http_response_done(&response);
	free(base);
	free(link);
}
