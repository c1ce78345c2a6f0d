/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, naming and comparing platforms as containerd and docker do. */
#include "image/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#define FIT_EXACT 100
#define FIT_UNKNOWN 1

/* What uname(2), Debian and people call an architecture; Go's name and variant for it. */
static const struct alias {
	const char *name, *architecture, *variant;
} aliases[] = {
	{"x86_64", "amd64", ""},   {"x86-64", "amd64", ""},
	{"aarch64", "arm64", ""},  {"armhf", "arm", "v7"},
	{"armel", "arm", "v6"},	   {"armv8l", "arm", "v8"},
	{"armv7l", "arm", "v7"},   {"armv6l", "arm", "v6"},
	{"armv5tel", "arm", "v5"}, {"i386", "386", ""},
	{"i486", "386", ""},	   {"i586", "386", ""},
	{"i686", "386", ""},	   {"loongarch64", "loong64", ""},
};

static void lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text += 'a' - 'A';
	}
}

/* Copies a part of a platform; 0 when it is empty, too long or has other than these bytes. */
static int take(const char *text, size_t length, char (*to)[32])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	if (!length || length >= sizeof(*to) || strspn(text, allowed) < length)
		return 0;
	memcpy(*to, text, length);
	(*to)[length] = '\0';
	lower(*to);
	return 1;
}

static void normalize(struct platform *platform)
{
	char *variant = platform->variant;

	if (!strcmp(platform->os, "macos"))
		strcpy(platform->os, "darwin");
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
		if (strcmp(platform->architecture, aliases[i].name))
			continue;
		strcpy(platform->architecture, aliases[i].architecture);
		if (!*variant)
			strcpy(variant, aliases[i].variant);
	}
	if (*variant >= '0' && *variant <= '9' && strlen(variant) + 1 < sizeof(platform->variant)) {
		memmove(variant + 1, variant, strlen(variant) + 1);
		*variant = 'v';
	}
	if (!strcmp(platform->architecture, "arm") && !*variant)
		strcpy(variant, "v7");
	if ((!strcmp(platform->architecture, "arm64") && !strcmp(variant, "v8")) ||
	    (!strcmp(platform->architecture, "amd64") && !strcmp(variant, "v1")))
		*variant = '\0';
}

int platform_parse(const char *text, struct platform *ret_platform, struct snapdrv_error *err)
{
	struct platform platform = {0};
	const char *architecture = strchr(text, '/');
	const char *variant = architecture ? strchr(architecture + 1, '/') : NULL;
	size_t length = architecture ? strcspn(architecture + 1, "/") : 0;

	if (!architecture || !take(text, (size_t)(architecture - text), &platform.os) ||
	    !take(architecture + 1, length, &platform.architecture) ||
	    (variant && !take(variant + 1, strlen(variant + 1), &platform.variant)))
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "%s: not a platform, which is OS/ARCHITECTURE[/VARIANT]",
			    quote(text).text);
	normalize(&platform);
	*ret_platform = platform;
	return 0;
}

void platform_host(struct platform *ret_platform)
{
	struct platform platform = {.os = "linux"};
	struct utsname name;

	if (uname(&name) < 0 || !take(name.machine, strlen(name.machine), &platform.architecture))
		strcpy(platform.architecture, "unknown");
	normalize(&platform);
	*ret_platform = platform;
}

char *platform_format(const struct platform *platform, struct snapdrv_error *err)
{
	return text_format(err, "%s/%s%s%s", platform->os, platform->architecture,
			   *platform->variant ? "/" : "", platform->variant);
}

/* How far a variant is up its architecture's ladder, v1, v8, v8.1, ...; -1 for other words. */
static int level(const struct platform *platform)
{
	const char *variant = platform->variant;
	int major = 0, minor = 0, used = 0;

	if (!*variant)
		variant = !strcmp(platform->architecture, "arm64") ? "v8" : "v1";
	if (variant[strspn(variant, "v.0123456789")])
		return -1;
	if (sscanf(variant, "v%2d%n.%2d%n", &major, &used, &minor, &used) < 1 || variant[used])
		return -1;
	return major * 10 + minor;
}

/* Only of these architectures does a lower variant run on a higher one. */
static int has_levels(const char *architecture)
{
	return !strcmp(architecture, "amd64") || !strcmp(architecture, "arm") ||
	       !strcmp(architecture, "arm64");
}

static int read_platform(const json_t *json, struct platform *ret_platform)
{
	struct platform platform = {0};
	const char *os, *architecture, *variant = "";

	if (json_member_string(json, "os", &os, NULL) != 1 ||
	    json_member_string(json, "architecture", &architecture, NULL) != 1 ||
	    json_member_string(json, "variant", &variant, NULL) < 0)
		return 0;
	if (!take(os, strlen(os), &platform.os) ||
	    !take(architecture, strlen(architecture), &platform.architecture) ||
	    (*variant && !take(variant, strlen(variant), &platform.variant)))
		return 0;
	normalize(&platform);
	*ret_platform = platform;
	return 1;
}

int platform_fit(const struct platform *wanted, const json_t *json)
{
	struct platform offered, mine = *wanted;
	int have, need;

	if (!json)
		return FIT_UNKNOWN;
	normalize(&mine);
	if (!read_platform(json, &offered) || strcmp(mine.os, offered.os) ||
	    strcmp(mine.architecture, offered.architecture))
		return 0;
	if (!strcmp(mine.variant, offered.variant))
		return FIT_EXACT;
	have = level(&mine);
	need = level(&offered);
	if (!has_levels(mine.architecture) || have < 0 || need < 0 || need > have)
		return 0;
	return have - need < FIT_EXACT - FIT_UNKNOWN ? FIT_EXACT - (have - need) : FIT_UNKNOWN + 1;
}
