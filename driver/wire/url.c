/* SPDX-License-Identifier: Apache-2.0 */
/* URLs, as libcurl reads them: what is compared here is what it would connect to. */
#include "wire/url.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/curl.h"

struct url {
	const struct curl_api *curl;
	CURLU *handle;
};

static void url_done(struct url *url)
{
	if (url->handle)
		url->curl->url_cleanup(url->handle);
}

#define cleanup_url __attribute__((cleanup(url_done)))

static int url_init(struct url *url, const char *text, struct snapdrv_error *err)
{
	int ret = curl_load(&url->curl, err);

	if (ret)
		return ret;
	url->handle = url->curl->url();
	if (!url->handle)
		return fail_memory(err);
	if (url->curl->url_set(url->handle, CURLUPART_URL, text, 0))
		return refuse(err, "%s is no URL", quote(text).text);
	return 0;
}

/* A part, or NULL where there is none; for free(3). */
static char *part(const struct url *url, CURLUPart what, unsigned flags)
{
	char *value = NULL, *copy;

	if (url->curl->url_get(url->handle, what, &value, flags))
		return NULL;
	copy = text_dup(value, NULL);
	url->curl->free(value);
	return copy;
}

int url_join(const char *base, const char *link, char **ret_url, struct snapdrv_error *err)
{
	cleanup_url struct url url = {0};
	cleanup_free char *scheme = NULL, *user = NULL, *password = NULL, *whole = NULL;
	int ret = url_init(&url, base, err);

	if (ret)
		return ret;
	if (url.curl->url_set(url.handle, CURLUPART_URL, link, CURLU_NON_SUPPORT_SCHEME))
		return refuse(err, "%s is no URL", quote(link).text);
	scheme = part(&url, CURLUPART_SCHEME, 0);
	if (!scheme || (strcasecmp(scheme, "http") && strcasecmp(scheme, "https")))
		return refuse(err, "%s: neither http nor https", quote(link).text);
	user = part(&url, CURLUPART_USER, 0);
	password = part(&url, CURLUPART_PASSWORD, 0);
	if (user || password)
		return refuse(err, "a URL that holds a user or a password");
	whole = part(&url, CURLUPART_URL, 0);
	if (!whole)
		return fail_memory(err);
	*ret_url = steal_ptr(&whole);
	return 0;
}

int url_same_origin(const char *one, const char *other)
{
	static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
	cleanup_url struct url a = {0}, b = {0};

	if (url_init(&a, one, NULL) || url_init(&b, other, NULL))
		return 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		cleanup_free char *left = part(&a, parts[i], CURLU_DEFAULT_PORT);
		cleanup_free char *right = part(&b, parts[i], CURLU_DEFAULT_PORT);

		if (!left || !right || strcasecmp(left, right))
			return 0;
	}
	return 1;
}

int url_is_secure(const char *url)
{
	return !strncasecmp(url, "https://", strlen("https://"));
}

char *url_escape(const char *text, struct snapdrv_error *err)
{
	const struct curl_api *curl;
	char *escaped, *copy;

	if (curl_load(&curl, err))
		return NULL;
	escaped = curl->easy_escape(NULL, text, 0);
	if (!escaped) {
		fail_memory(err);
		return NULL;
	}
	copy = text_dup(escaped, err);
	curl->free(escaped);
	return copy;
}

int url_add_query(const char *url, const char *name, const char *value, char **ret_url,
		  struct snapdrv_error *err)
{
	cleanup_free char *escaped = url_escape(value, err);
	char *whole;

	if (!escaped)
		return -ENOMEM;
	whole = text_format(err, "%s%c%s=%s", url, strchr(url, '?') ? '&' : '?', name, escaped);
	if (!whole)
		return -ENOMEM;
	*ret_url = whole;
	return 0;
}
