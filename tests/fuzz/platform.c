/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms: a line of text, and after it the "platform" of a descriptor of an index. */
#include "image/platform.h"

#include "base/json.h"
#include "fuzz.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	char *text = fuzz_line(&rest), *full = NULL;
	struct platform platform, again;
	struct snapdrv_error err = {0};
	json_t *json = NULL;
	int ret = platform_parse(text ? text : "", &platform, &err);

	fuzz_check(ret, &err);
	if (ret) {
		platform_host(&platform);
	} else {
		full = platform_format(&platform, NULL);
		HOLDS(full && !platform_parse(full, &again, NULL));
		HOLDS(!strcmp(platform.os, again.os) && !strcmp(platform.variant, again.variant) &&
		      !strcmp(platform.architecture, again.architecture));
	}
	if (!json_parse(rest.data, rest.size, &json, NULL)) {
		int fit = platform_fit(&platform, json);

		HOLDS(fit >= 0 && fit <= 100);
	}
	json_decref(json);
	free(text);
	free(full);
}
