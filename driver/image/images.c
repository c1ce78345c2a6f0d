/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and listing images. */
#include "image/images.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/reference.h"

#define PREFIX_MIN 4
#define COLUMNS "SELECT image.id, top, digest, config_digest FROM image "

void image_done(struct image *image)
{
	free(image->name);
	image->name = NULL;
}

static int read_image(struct query *query, struct image *ret_image, struct snapdrv_error *err)
{
	int found = query ? query_next(query, err) : -EIO;

	if (found != 1)
		return found;
	*ret_image = (struct image){.id = query_int(query, 0), .top = query_int(query, 1)};
	snprintf(ret_image->digest.text, sizeof(ret_image->digest.text), "%s",
		 query_text(query, 2));
	snprintf(ret_image->config_digest.text, sizeof(ret_image->config_digest.text), "%s",
		 query_text(query, 3));
	return 1;
}

static int find_name(struct graph *graph, const char *name, struct image *ret_image,
		     struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 COLUMNS "JOIN reference ON image = image.id WHERE name = ?", "s", name);

	return read_image(query, ret_image, err);
}

/* name@digest: an image of that digest that has a name in the repository. */
static int find_digest(struct graph *graph, const struct reference *reference,
		       struct image *ret_image, struct snapdrv_error *err)
{
	cleanup_free char *repository =
		text_format(err, "%s/%s", reference->registry, reference->repository);
	cleanup_query struct query *query = NULL;

	if (!repository)
		return -ENOMEM;
	query = db_query(graph->store.db, err,
			 COLUMNS "WHERE digest = ?1 AND EXISTS (SELECT 1 FROM reference"
				 " WHERE image = image.id AND substr(name, 1, length(?2)) = ?2"
				 " AND substr(name, length(?2) + 1, 1) IN (':', '@'))",
			 "ss", reference->digest, repository);
	return read_image(query, ret_image, err);
}

static int find_reference(struct graph *graph, const char *text, struct image *ret_image,
			  struct snapdrv_error *err)
{
	cleanup_reference struct reference reference = {0};
	cleanup_free char *full = NULL;
	int found;

	/* What is no name may still be the beginning of an ID. */
	if (reference_parse(text, &reference, NULL))
		return 0;
	full = reference_format(&reference, err);
	if (!full)
		return -ENOMEM;
	found = find_name(graph, full, ret_image, err);
	if (!found && reference.digest) {
		found = find_digest(graph, &reference, ret_image, err);
		ret_image->by_digest = found == 1;
	}
	if (found == 1)
		ret_image->name = steal_ptr(&full);
	return found;
}

/* The digits of an ID or its beginning; NULL when it is none. */
static const char *id_digits(const char *text)
{
	const char *digits = text_starts(text, "sha256:") ? text + strlen("sha256:") : text;
	size_t length = strspn(digits, "0123456789abcdef");

	return digits[length] || length < PREFIX_MIN || length > 64 ? NULL : digits;
}

static int find_id(struct graph *graph, const char *text, size_t at_least, struct image *ret_image,
		   struct snapdrv_error *err)
{
	const char *digits = id_digits(text);
	cleanup_free char *pattern = NULL;
	cleanup_query struct query *query = NULL;
	struct image other;
	int found, more;

	if (!digits || strlen(digits) < at_least)
		return 0;
	pattern = text_format(err, "sha256:%s*", digits);
	if (!pattern)
		return -ENOMEM;
	query = db_query(graph->store.db, err,
			 COLUMNS "WHERE config_digest GLOB ? ORDER BY image.id DESC", "s", pattern);
	found = read_image(query, ret_image, err);
	if (found != 1)
		return found;
	ret_image->by_id = 1;
	while ((more = read_image(query, &other, err)) == 1) {
		if (strcmp(other.config_digest.text, ret_image->config_digest.text))
			return fail(err, SNAPDRV_USAGE, EINVAL,
				    "image %s: several IDs start like this", quote(text).text);
	}
	return more < 0 ? more : 1;
}

int image_find(struct graph *graph, const char *text, struct image *ret_image,
	       struct snapdrv_error *err)
{
	int found = find_id(graph, text, 64, ret_image, err);

	if (!found)
		found = find_reference(graph, text, ret_image, err);
	if (!found)
		found = find_id(graph, text, PREFIX_MIN, ret_image, err);
	if (found)
		return found < 0 ? found : 0;
	return fail(err, SNAPDRV_MISSING, ENOENT, "image %s: no such image", quote(text).text);
}

static int read_document(struct graph *graph, const char *sql, int64_t id, char **ret_text,
			 size_t *ret_size, struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(graph->store.db, err, sql, "i", id);
	int found = query ? query_next(query, err) : -EIO;
	const void *data;
	size_t size;
	char *text;

	if (found != 1)
		return found ? found
			     : fail(err, SNAPDRV_MISSING, ENOENT, "image: it has been removed");
	data = query_bytes(query, 0, &size);
	text = malloc(size + 1);
	if (!text)
		return fail_memory(err);
	memcpy(text, data, size);
	text[size] = '\0';
	*ret_text = text;
	*ret_size = size;
	return 0;
}

int image_config(struct graph *graph, int64_t id, char **ret_text, size_t *ret_size,
		 struct snapdrv_error *err)
{
	return read_document(graph, "SELECT config FROM image WHERE id = ?", id, ret_text, ret_size,
			     err);
}

int image_manifest(struct graph *graph, int64_t id, char **ret_text, size_t *ret_size,
		   struct snapdrv_error *err)
{
	return read_document(graph, "SELECT manifest FROM image WHERE id = ?", id, ret_text,
			     ret_size, err);
}

int image_references(struct graph *graph, int64_t id, struct strings *names,
		     struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT name FROM reference WHERE image = ? ORDER BY name", "i", id);
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = strings_add(names, query_text(query, 0), err);
	return ret;
}

static int fill_image(struct graph *graph, struct query *query, struct snapdrv_image *image,
		      struct snapdrv_error *err)
{
	struct strings names = {0};
	int ret;

	*image = (struct snapdrv_image){
		.digest = text_dup(query_text(query, 1), err),
		.id = text_dup(query_text(query, 2), err),
		.platform = text_dup(query_text(query, 3), err),
		.created_ns = query_int(query, 4),
		.size = (uint64_t)query_int(query, 5),
		.n_layers = (size_t)query_int(query, 6),
		.in_use = (int)query_int(query, 7),
	};
	if (!image->digest || !image->id || !image->platform)
		return -ENOMEM;
	ret = image_references(graph, query_int(query, 0), &names, err);
	image->references = names.items;
	image->n_references = names.count;
	return ret;
}

int images_list(struct graph *graph, struct snapdrv_image **ret_images, size_t *ret_count,
		struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT id, digest, config_digest, platform, created_ns, bytes, n_layers,"
			 " EXISTS (SELECT 1 FROM live_container WHERE image = image.id) FROM image"
			 " ORDER BY created_ns DESC, id DESC",
			 "");
	struct snapdrv_image *images = NULL;
	size_t count = 0;
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		struct snapdrv_image *grown = reallocarray(images, count + 1, sizeof(*grown));

		if (!grown) {
			ret = fail_memory(err);
			break;
		}
		images = grown;
		ret = fill_image(graph, query, &images[count++], err);
	}
	if (ret) {
		images_free(images, count);
		return ret;
	}
	*ret_images = images;
	*ret_count = count;
	return 0;
}

void images_free(struct snapdrv_image *images, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct strings names = {images[i].references, images[i].n_references};

		strings_done(&names);
		free(images[i].id);
		free(images[i].digest);
		free(images[i].platform);
	}
	free(images);
}
