/* SPDX-License-Identifier: Apache-2.0 */
/* References: what is one is written out so that it is the same one again, and is safe in a URL. */
#include "image/reference.h"

#include "base/digest.h"
#include "fuzz.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *full = NULL, *again = NULL;
	struct reference reference;
	struct snapdrv_error err = {0};
	struct digest digest;
	int ret = reference_parse(text, &reference, &err);

	fuzz_check(ret, &err);
	if (!ret) {
		HOLDS(reference.registry && *reference.registry && *reference.repository);
		HOLDS(reference.tag || reference.digest);
		HOLDS(!strstr(reference.repository, "..") || !strstr(reference.repository, "/../"));
		HOLDS(strlen(reference.repository) <= 255 && *reference.repository != '/');
		HOLDS(!strpbrk(reference.repository, "?#%\\ :@\n"));
		HOLDS(!strpbrk(reference.registry, "/?#%\\ @\n"));
		HOLDS(!reference.tag ||
		      (strlen(reference.tag) <= 128 && !strpbrk(reference.tag, "/?#%\\ :@")));
		HOLDS(!reference.digest || !digest_parse(reference.digest, &digest, NULL));
		full = reference_format(&reference, NULL);
		HOLDS(full && !reference_normalize(full, &again, NULL) && !strcmp(full, again));
		reference_done(&reference);
	}
	free(text);
	free(full);
	free(again);
}
