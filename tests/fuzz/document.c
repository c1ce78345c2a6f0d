/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of an image source, with a byte 0xff between them: the first is index.json (or manifest.json
 * of a docker-archive), the others its blobs, found by their digests. `$d2` in a document is the digest of
 * the third one, `$s2` its size; only later ones can be named so. Byte 0: what kind of source it is.
 */
#include "base/digest.h"
#include "base/text.h"
#include "fuzz.h"
#include "image/plan.h"
#include "image/reference.h"
#include "image/stream.h"

#define TEXTS_MAX 10

enum { IS_DOCKER = 1, HAS_VERSION = 2 };

struct document {
	struct bytes text;
	struct digest_text digest;
};

static void add(struct bytes *bytes, const void *data, size_t size)
{
	HOLDS(!bytes_add(bytes, data, size, NULL));
}

/* The text of a document, with what it says of others put in. */
static void expand(struct document *documents, size_t self, size_t count, struct fuzz_rest part)
{
	struct document *document = &documents[self];

	for (size_t i = 0; i < part.size; i++) {
		size_t other = i + 2 < part.size ? (size_t)(part.data[i + 2] - '0') : 0;
		char number[24];

		if (part.data[i] != '$' || other <= self || other >= count ||
		    !strchr("ds", part.data[i + 1])) {
			add(&document->text, &part.data[i], 1);
			continue;
		}
		snprintf(number, sizeof(number), "%zu", documents[other].text.size);
		if (part.data[i + 1] == 'd')
			add(&document->text, documents[other].digest.text, DIGEST_TEXT_SIZE - 1);
		else
			add(&document->text, number, strlen(number));
		i += 2;
	}
	/* Documents have a NUL behind them, which does not count. */
	add(&document->text, "", 1);
	document->text.size--;
}

static void add_member(struct source *source, const char *name, const struct document *document)
{
	struct source_member *member = source_add(source, name, NULL, NULL);

	HOLDS(member);
	member->is_file = 1;
	member->size = document->text.size;
	member->text = fuzz_text((const uint8_t *)document->text.data, document->text.size);
}

static size_t make_source(struct fuzz_rest rest, struct source *source, struct document *documents)
{
	int kind = fuzz_take(&rest);
	struct fuzz_rest parts[TEXTS_MAX];
	size_t count = 0;

	while (count < TEXTS_MAX && fuzz_part(&rest, "\xff", &parts[count]))
		count++;
	for (size_t i = count; i-- > 0;) {
		char name[100];

		expand(documents, i, count, parts[i]);
		documents[i].digest = ({
			struct digest digest =
				digest_of(documents[i].text.data, documents[i].text.size);

			digest_format(&digest);
		});
		snprintf(name, sizeof(name), "blobs/sha256/%s", digest_hex(&documents[i].digest));
		add_member(source, name, &documents[i]);
		if (i == 1 && kind & HAS_VERSION)
			add_member(source, "oci-layout", &documents[i]);
	}
	if (count)
		add_member(source, kind & IS_DOCKER ? "manifest.json" : "index.json",
			   &documents[0]);
	source_sort(source);
	return count;
}

static void look_at(const struct image_plan *image)
{
	HOLDS(image->n_layers && image->config && image->platform);
	for (size_t i = 0; i < image->references.count; i++) {
		char *again = NULL;

		HOLDS(!reference_normalize(image->references.items[i], &again, NULL));
		HOLDS(!strcmp(again, image->references.items[i]));
		free(again);
	}
	for (size_t i = 0; i < image->n_layers; i++) {
		const struct layer_plan *layer = &image->layers[i];
		struct digest chain = digest_chain(i ? &layer[-1].chain : NULL, &layer->diff);

		HOLDS(layer->member && digest_equal(&chain, &layer->chain));
	}
	HOLDS(plan_label(image).text[0]);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	static const struct platform platform = {"linux", "amd64", ""};
	static struct intake intake;
	static struct document documents[TEXTS_MAX];
	struct source *source = calloc(1, sizeof(*source));
	struct snapdrv_error err = {0};
	struct plans plans = {0};
	size_t count;
	int ret;

	HOLDS(source);
	*source = (struct source){.intake = &intake, .fd = -1, .is_stream = 1};
	count = make_source((struct fuzz_rest){data, size}, source, documents);
	ret = plan_source(source, &platform, size % 2 ? NULL : "named:1", &plans, &err);
	fuzz_check(ret, &err);
	for (size_t i = 0; i < plans.count; i++) {
		look_at(&plans.images[i]);
		if (!plans.images[i].manifest)
			HOLDS(!plan_make_manifest(&plans.images[i], NULL));
	}
	plans_done(&plans);
	source_close(source);
	for (size_t i = 0; i < count; i++)
		bytes_done(&documents[i].text);
}
