/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dockerfile lines as `import --change` takes them, one after the other. What stands before a byte 0xff is the
 * "config" of an image that is changed: `commit --change` does so.
 */
#include "image/changes.h"

#include "base/json.h"
#include "fuzz.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size}, part;
	json_t *config = NULL;
	char *line, *text;

	if (memchr(data, 0xff, size) && fuzz_part(&rest, "\xff", &part))
		json_parse(part.data, part.size, &config, NULL);
	if (!json_is_object(config)) {
		json_decref(config);
		config = json_object();
	}
	while ((line = fuzz_line(&rest))) {
		struct snapdrv_error err = {0};
		int ret = config_change(config, line, &err);

		fuzz_check(ret, &err);
		HOLDS(!ret || err.code == SNAPDRV_USAGE);
		free(line);
	}
	text = json_text(config, JSON_COMPACT, NULL);
	HOLDS(text);
	free(text);
	json_decref(config);
}
