/* SPDX-License-Identifier: Apache-2.0 */
/* Values with a form of their own: durations of HEALTHCHECK, ports of EXPOSE. */
#include "build/recipe_parts.h"

#include <string.h>

#include "base/error.h"

#define NS_PER_MS 1000000LL
#define NS_PER_HOUR (3600 * 1000 * NS_PER_MS)

/* One number with its unit, as `1.5h`. Return: its end, or NULL. */
static const char *read_part(const char *at, int64_t *sum)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		/* The longer ones first. */
		{"ns", 1},
		{"us", 1000},
		{"\xc2\xb5s", 1000},
		{"\xce\xbcs", 1000},
		{"ms", NS_PER_MS},
		{"s", 1000 * NS_PER_MS},
		{"m", 60 * 1000 * NS_PER_MS},
		{"h", NS_PER_HOUR},
	};
	int64_t whole = 0, fraction = 0, scale = 1;
	int has_digits = 0;

	for (; *at >= '0' && *at <= '9'; at++, has_digits = 1) {
		whole = whole * 10 + (*at - '0');
		if (whole > INT64_MAX / 16)
			return NULL;
	}
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++, has_digits = 1) {
			if (scale < 1000000) {
				fraction = fraction * 10 + (*at - '0');
				scale *= 10;
			}
		}
	}
	for (size_t i = 0; has_digits && i < sizeof(units) / sizeof(*units); i++) {
		if (!text_starts(at, units[i].name))
			continue;
		if (whole > (INT64_MAX / 2 - *sum) / units[i].ns)
			return NULL;
		*sum += whole * units[i].ns + fraction * units[i].ns / scale;
		return at + strlen(units[i].name);
	}
	return NULL;
}

int recipe_duration(const char *text, int64_t *ret_ns, struct snapdrv_error *err)
{
	const char *at = *text == '+' ? text + 1 : text;
	int64_t sum = 0;

	if (!strcmp(at, "0")) {
		*ret_ns = 0;
		return 0;
	}
	if (*text == '-')
		return refuse(err, "the duration %s is less than nothing", quote(text).text);
	do
		at = read_part(at, &sum);
	while (at && *at);
	if (!at)
		return refuse(err, "%s is no duration like 1m30s", quote(text).text);
	if (sum && sum < NS_PER_MS)
		return refuse(err, "the duration %s is less than 1ms", quote(text).text);
	*ret_ns = sum;
	return 0;
}

static int read_ports(const char *text, size_t length)
{
	char word[16], *dash;
	int64_t first, last;

	if (length >= sizeof(word))
		return 0;
	memcpy(word, text, length);
	word[length] = '\0';
	dash = strchr(word, '-');
	if (dash)
		*dash = '\0';
	if (!recipe_number(word, 10, 65535, &first))
		return 0;
	return !dash || (recipe_number(dash + 1, 10, 65535, &last) && first <= last);
}

int recipe_port(const char *text, struct snapdrv_error *err)
{
	static const char *const protocols[] = {"/tcp", "/udp", "/sctp"};
	size_t length = strcspn(text, "/");
	int is_known = !text[length];

	if (strpbrk(text, "$\"'\\`"))
		return 0;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		is_known |= !strcasecmp(text + length, protocols[i]);
	if (!read_ports(text, length) || !is_known)
		return refuse(err, "%s is no port like 80, 53/udp or 8000-8010", quote(text).text);
	return 0;
}
