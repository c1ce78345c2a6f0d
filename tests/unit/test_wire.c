/* SPDX-License-Identifier: Apache-2.0 */
/* wire/: how long to wait, what a server asks for, where a URL leads. */
#include <errno.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "wire/challenge.h"
#include "wire/retry.h"
#include "wire/url.h"

#include "unit.h"

static void reads_retry_after(void)
{
	const time_t now = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
	int64_t ms = -1;

	CHECK(retry_after_ms("0", now, &ms) && !ms);
	CHECK(retry_after_ms("120", now, &ms) && ms == 120000);
	CHECK(retry_after_ms("99999999999999999999", now, &ms) && ms == INT64_MAX);
	CHECK(retry_after_ms("Sun, 06 Nov 1994 08:50:07 GMT", now, &ms) && ms == 30000);
	CHECK(retry_after_ms("Sun, 06 Nov 1994 08:49:07 GMT", now, &ms) && ms == 0);
	CHECK(retry_after_ms("Sunday, 06-Nov-94 08:49:38 GMT", now, &ms) && ms == 1000);
	CHECK(retry_after_ms("Sun Nov  6 08:49:39 1994", now, &ms) && ms == 2000);
	CHECK(!retry_after_ms("", now, &ms));
	CHECK(!retry_after_ms("soon", now, &ms));
	CHECK(!retry_after_ms("12 monkeys", now, &ms));
	CHECK(!retry_after_ms("-1", now, &ms));
}

static void waits_longer(void)
{
	for (uint32_t chance = 0; chance < 5000; chance += 7) {
		CHECK(retry_backoff_ms(1, chance) >= 125 && retry_backoff_ms(1, chance) <= 250);
		CHECK(retry_backoff_ms(4, chance) >= 1000 && retry_backoff_ms(4, chance) <= 2000);
	}
	CHECK(retry_backoff_ms(2, 0) != retry_backoff_ms(2, 100));
	CHECK(retry_backoff_ms(60, UINT32_MAX) <= 2 * RETRY_WAIT_MAX_MS);
}

static void tries_again(void)
{
	struct http_response response = {.status = 404};
	struct retry retry = {0};
	unsigned tries = 0;

	CHECK(!retry_again(&retry, 0, &response, NULL, NULL));
	CHECK(!retry_again(&retry, -EIO, &response, NULL, NULL));
	response.status = 503;
	CHECK(!strings_add(&response.headers, "retry-after: 0", NULL));
	while (retry_again(&retry, 0, &response, NULL, NULL))
		tries++;
	CHECK(tries == RETRY_TRIES_MAX - 1);
	strings_done(&response.headers);
	CHECK(!strings_add(&response.headers, "retry-after: 86400", NULL));
	retry = (struct retry){0};
	CHECK(!retry_again(&retry, 0, &response, NULL, NULL));
	http_response_done(&response);
}

static struct challenge challenge_of(const char *one, const char *other)
{
	cleanup_response struct http_response response = {0};
	struct challenge challenge = {0};

	CHECK(!strings_add(&response.headers, "content-type: text/plain", NULL));
	CHECK(!strings_add(&response.headers, one, NULL));
	CHECK(!other || !strings_add(&response.headers, other, NULL));
	CHECK(!challenge_parse(&response, &challenge, NULL));
	return challenge;
}

static int is_text(const char *text, const char *wanted)
{
	return text && wanted ? !strcmp(text, wanted) : text == wanted;
}

static void check_bearer(const char *one, const char *other, const char *realm, const char *service,
			 const char *scope)
{
	cleanup_challenge struct challenge challenge = challenge_of(one, other);

	CHECK(challenge.has_bearer);
	CHECK(is_text(challenge.realm, realm));
	CHECK(is_text(challenge.service, service));
	CHECK(is_text(challenge.scope, scope));
}

#define WWW "www-authenticate: "

static void reads_challenges(void)
{
	cleanup_challenge struct challenge basic = challenge_of(WWW "Basic realm=\"x\"", NULL);
	cleanup_challenge struct challenge nonsense =
		challenge_of(WWW "=,\"\" ,,Bearer realm=\"endless", WWW "\"Bearer\" =");

	check_bearer(WWW "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\"",
		     NULL, "https://a/t", "s", "repository:x:pull");
	check_bearer(WWW "bearer  realm = \"a,b=c\" , SERVICE=tok.en", NULL, "a,b=c", "tok.en",
		     NULL);
	check_bearer(WWW "Bearer realm=\"q\\\"u\\\\o\"", NULL, "q\"u\\o", NULL, NULL);
	check_bearer(WWW "Basic realm=\"no\", Bearer realm=\"yes\"", NULL, "yes", NULL, NULL);
	check_bearer(WWW "Basic realm=\"no\"", WWW "Bearer realm=\"yes\"", "yes", NULL, NULL);
	check_bearer(WWW "Bearer realm=\"yes\", Basic realm=\"no\"", NULL, "yes", NULL, NULL);
	CHECK(basic.has_basic && !basic.has_bearer && !basic.realm);
	CHECK(!nonsense.realm && !nonsense.has_basic);
}

static void joins_and_compares_urls(void)
{
	static const char *const bad[] = {"file:///etc/passwd", "ftp://h/x",   "http://u@h/",
					  "http://u:p@h/",	"gopher://h/", "http://h:99999/"};
	cleanup_free char *joined = NULL, *other = NULL, *query = NULL, *more = NULL;
	char *unused = NULL;

	CHECK(!url_join("https://h:1/v2/x", "/up/load?a=b", &joined, NULL));
	CHECK(is_text(joined, "https://h:1/up/load?a=b"));
	CHECK(!url_join("https://h:1/v2/x", "http://other/y", &other, NULL));
	CHECK(is_text(other, "http://other/y"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(url_join("https://h/", bad[i], &unused, NULL) == -EBADMSG);
	CHECK(url_same_origin("https://h/a", "https://H:443/b?c"));
	CHECK(!url_same_origin("https://h/a", "http://h/a"));
	CHECK(!url_same_origin("https://h/a", "https://h:444/a"));
	CHECK(!url_same_origin("https://h/a", "https://h.evil/a"));
	CHECK(!url_same_origin("https://h/a", "https://h@evil/a"));
	CHECK(!url_same_origin("https://h/a", "nonsense:"));
	CHECK(!url_add_query("http://h/", "digest", "sha256:a b", &query, NULL));
	CHECK(is_text(query, "http://h/?digest=sha256%3Aa%20b"));
	CHECK(!url_add_query(query, "x", "", &more, NULL));
	CHECK(is_text(more, "http://h/?digest=sha256%3Aa%20b&x="));
}

static void knows_base64(void)
{
	static const char *const pairs[][2] = {{"", ""},
					       {"f", "Zg=="},
					       {"fo", "Zm8="},
					       {"foo", "Zm9v"},
					       {"foob", "Zm9vYg=="},
					       {"fooba", "Zm9vYmE="},
					       {"\xff\xfe", "//4="}};
	char *unused = NULL;
	size_t size;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		cleanup_free char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]), NULL);
		cleanup_free char *data = NULL;

		CHECK(is_text(text, pairs[i][1]));
		CHECK(!base64_decode(pairs[i][1], &data, &size, NULL));
		CHECK(size == strlen(pairs[i][0]) && is_text(data, pairs[i][0]));
	}
	CHECK(base64_decode("Zm 9v", &unused, &size, NULL) == -EBADMSG);
	CHECK(base64_decode("Zm9v=Zg", &unused, &size, NULL) == -EBADMSG);
}

int main(void)
{
	RUN(reads_retry_after);
	RUN(waits_longer);
	RUN(tries_again);
	RUN(reads_challenges);
	RUN(joins_and_compares_urls);
	RUN(knows_base64);
	return UNIT_STATUS;
}
