/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfile lines as `import --change` takes them, one after the other, over an image config. */
#include "image/changes.h"

#include "base/json.h"
#include "fuzz.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	json_t *config = json_object();
	char *line, *text;

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
