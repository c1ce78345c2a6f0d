/* SPDX-License-Identifier: Apache-2.0 */
/* image/platform: reading platforms, and choosing among those of an index. */
#include "image/platform.h"

#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "unit.h"

static void reads_and_names(void)
{
	static const struct {
		const char *text, *name;
	} cases[] = {
		{"linux/amd64", "linux/amd64"},	      {"linux/x86_64", "linux/amd64"},
		{"Linux/X86-64", "linux/amd64"},      {"linux/amd64/v1", "linux/amd64"},
		{"linux/amd64/v3", "linux/amd64/v3"}, {"linux/aarch64", "linux/arm64"},
		{"linux/arm64/v8", "linux/arm64"},    {"linux/arm64/8", "linux/arm64"},
		{"linux/arm64/v9", "linux/arm64/v9"}, {"linux/arm", "linux/arm/v7"},
		{"linux/arm/6", "linux/arm/v6"},      {"linux/armhf", "linux/arm/v7"},
		{"linux/armel", "linux/arm/v6"},      {"linux/armv7l", "linux/arm/v7"},
		{"linux/i686", "linux/386"},	      {"linux/s390x", "linux/s390x"},
		{"macos/arm64", "darwin/arm64"},      {"windows/amd64", "windows/amd64"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup_free char *name = NULL;
		struct platform platform;

		if (!CHECK(platform_parse(cases[i].text, &platform, NULL) == 0))
			continue;
		name = platform_format(&platform, NULL);
		CHECK_TEXT(name, cases[i].name);
	}
}

static void refuses_what_is_no_platform(void)
{
	static const char *const bad[] = {
		"",
		"linux",
		"/",
		"linux/",
		"/amd64",
		"linux//v8",
		"linux/arm/",
		"linux/arm/v7/x",
		"linux/a b",
		"lin\nux/arm",
		"linux/caf\xc3\xa9",
		"linux/an-architecture-of-more-than-31-bytes",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct platform untouched = {.os = "before"};
		struct snapdrv_error err = {0};

		if (!CHECK(platform_parse(bad[i], &untouched, &err) == -EINVAL))
			printf("# it was %s\n", bad[i]);
		CHECK(err.code == SNAPDRV_USAGE);
		CHECK_TEXT(untouched.os, "before");
	}
}

static void knows_this_machine(void)
{
	struct platform host, again;
	cleanup_free char *name = NULL;

	platform_host(&host);
	name = platform_format(&host, NULL);
	CHECK_TEXT(host.os, "linux");
	CHECK(platform_parse(name, &again, NULL) == 0);
	CHECK_TEXT(again.architecture, host.architecture);
#if defined(__x86_64__)
	CHECK_TEXT(name, "linux/amd64");
#elif defined(__aarch64__)
	CHECK_TEXT(name, "linux/arm64");
#endif
}

/* How @offered, the members of a platform object, suits @wanted. */
static int fit(const char *wanted, const char *offered)
{
	cleanup_json json_t *json = json_loads(offered, 0, NULL);
	struct platform platform;

	CHECK(platform_parse(wanted, &platform, NULL) == 0);
	CHECK(json != NULL);
	return platform_fit(&platform, json);
}

static void fits_itself_best(void)
{
	CHECK(fit("linux/amd64", "{\"os\":\"linux\",\"architecture\":\"amd64\"}") == 100);
	CHECK(fit("linux/amd64", "{\"os\":\"linux\",\"architecture\":\"x86_64\"}") == 100);
	CHECK(fit("linux/arm64",
		  "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}") == 100);
	CHECK(fit("linux/arm/v7", "{\"os\":\"linux\",\"architecture\":\"arm\"}") == 100);
	CHECK(fit("linux/s390x",
		  "{\"os\":\"linux\",\"architecture\":\"s390x\",\"variant\":\"\"}") == 100);
}

static void fits_no_other(void)
{
	CHECK(fit("linux/amd64", "{\"os\":\"linux\",\"architecture\":\"arm64\"}") == 0);
	CHECK(fit("linux/amd64", "{\"os\":\"windows\",\"architecture\":\"amd64\"}") == 0);
	CHECK(fit("linux/amd64", "{\"os\":\"unknown\",\"architecture\":\"unknown\"}") == 0);
	CHECK(fit("linux/amd64",
		  "{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":\"v3\"}") == 0);
	CHECK(fit("linux/arm64",
		  "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v9\"}") == 0);
	CHECK(fit("linux/arm/v6", "{\"os\":\"linux\",\"architecture\":\"arm\"}") == 0);
	CHECK(fit("linux/arm/v7",
		  "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"soft\"}") == 0);
	CHECK(fit("linux/ppc64le/x", "{\"os\":\"linux\",\"architecture\":\"ppc64le\"}") == 0);
}

static void prefers_the_highest_that_runs(void)
{
	int v5 = fit("linux/arm/v7",
		     "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v5\"}");
	int v6 = fit("linux/arm/v7",
		     "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}");
	int v7 = fit("linux/arm/v7",
		     "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}");
	int base = fit("linux/amd64/v3", "{\"os\":\"linux\",\"architecture\":\"amd64\"}");
	int v2 = fit("linux/amd64/v3",
		     "{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":\"v2\"}");
	int far = fit("linux/arm64/v99.9", "{\"os\":\"linux\",\"architecture\":\"arm64\"}");

	CHECK(0 < v5 && v5 < v6 && v6 < v7 && v7 == 100);
	CHECK(0 < base && base < v2 && v2 < 100);
	CHECK(far > 1 && far < 100);
}

static void takes_none_for_perhaps(void)
{
	struct platform host;

	platform_host(&host);
	CHECK(platform_fit(&host, NULL) == 1);
}

static void malformed_ones_do_not_fit(void)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"os\":\"linux\"}",
		"{\"architecture\":\"amd64\"}",
		"{\"os\":\"\",\"architecture\":\"amd64\"}",
		"{\"os\":[\"linux\"],\"architecture\":\"amd64\"}",
		"{\"os\":\"linux\",\"architecture\":7}",
		"{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":{}}",
		"{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":\"v 1\"}",
		"{\"os\":\"linux\",\"architecture\":\"amd64/\"}",
		"{\"os\":\"linux\",\"architecture\":"
		"\"amd64amd64amd64amd64amd64amd64amd64amd64amd64\"}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (!CHECK(fit("linux/amd64", bad[i]) == 0))
			printf("# it was %s\n", bad[i]);
	}
}

int main(void)
{
	RUN(reads_and_names);
	RUN(refuses_what_is_no_platform);
	RUN(knows_this_machine);
	RUN(fits_itself_best);
	RUN(fits_no_other);
	RUN(prefers_the_highest_that_runs);
	RUN(takes_none_for_perhaps);
	RUN(malformed_ones_do_not_fit);
	return UNIT_STATUS;
}
