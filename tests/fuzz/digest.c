/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: the only text that is one is the one that it is written out as. */
#include "base/digest.h"

#include "fuzz.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct snapdrv_error err = {0};
	struct digest digest;
	int ret = digest_parse(text, &digest, &err);

	fuzz_check(ret, &err);
	HOLDS(ret || !strcmp(digest_format(&digest).text, text));
	free(text);
}
