/* SPDX-License-Identifier: Apache-2.0 */
/* The image config of a stage: what it begins with, its layers, its history, its texts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"

/* Of a line of history, what comes to its text. */
#define HISTORY_LINE_SIZE 64

/* docker's where a base has none. */
static const char default_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* A member of an object that is of a type, made when there is none. Borrowed. */
json_t *config_member(json_t *object, const char *key, json_t *(*make)(void), json_type type)
{
	json_t *found = json_object_get(object, key);

	if (found && json_typeof(found) == type)
		return found;
	json_object_set_new(object, key, make());
	return json_object_get(object, key);
}

json_t *config_of(const struct stage *stage)
{
	return json_object_get(stage->document, "config");
}

const char *config_text(const struct stage *stage, const char *key)
{
	const char *text = json_string_value(json_object_get(config_of(stage), key));

	return text ? text : "";
}

const char *config_env(const struct stage *stage, const char *name, size_t length)
{
	const json_t *env = json_object_get(config_of(stage), "Env");
	json_t *entry;
	size_t i;

	json_array_foreach(env, i, entry) {
		const char *text = json_string_value(entry);

		if (text && !strncmp(text, name, length) && text[length] == '=')
			return text + length + 1;
	}
	return NULL;
}

json_t *config_string(const char *text, struct snapdrv_error *err)
{
	json_t *json = json_string(text);

	if (!json)
		refuse(err, "%s: not UTF-8", quote(text).text);
	return json;
}

int config_put(json_t *object, const char *key, const char *text, struct snapdrv_error *err)
{
	json_t *json = config_string(text, err);

	if (!json)
		return -EBADMSG;
	return json_object_set_new(object, key, json)
		       ? refuse(err, "%s: not UTF-8", quote(key).text)
		       : 0;
}

/* ---- the document ------------------------------------------------------------------------- */

int config_begin(struct stage *stage, struct snapdrv_error *err)
{
	const struct platform *platform = &stage->build->platform;

	stage->document =
		json_pack("{s:s, s:s, s:{s:[s], s:s}, s:{s:s, s:[]}, s:[]}", "architecture",
			  platform->architecture, "os", platform->os, "config", "Env", default_path,
			  "WorkingDir", "/", "rootfs", "type", "layers", "diff_ids", "history");
	stage->descriptors = json_array();
	if (!stage->document || !stage->descriptors)
		return fail_memory(err);
	if (*platform->variant)
		return config_put(stage->document, "variant", platform->variant, err);
	return 0;
}

/* A runtime adds one that ENV PATH=$PATH:... would not see, and would then take away. */
static int ensure_path(struct stage *stage, struct snapdrv_error *err)
{
	json_t *env = config_member(config_of(stage), "Env", json_array, JSON_ARRAY);

	if (config_env(stage, "PATH", strlen("PATH")))
		return 0;
	return json_array_append_new(env, json_string(default_path)) ? fail_memory(err) : 0;
}

int config_take(struct stage *stage, json_t *document, json_t *descriptors,
		struct snapdrv_error *err)
{
	/* What docker said of the container that made the image. */
	static const char *const stale[] = {"container", "container_config", "id", "parent"};
	json_t *diff_ids, *history, *diff_id;
	const char *created = json_string_value(json_object_get(document, "created"));
	size_t i;

	stage->document = document;
	stage->descriptors = descriptors;
	for (i = 0; i < sizeof(stale) / sizeof(stale[0]); i++)
		json_object_del(document, stale[i]);
	config_member(document, "config", json_object, JSON_OBJECT);
	diff_ids = config_member(config_member(document, "rootfs", json_object, JSON_OBJECT),
				 "diff_ids", json_array, JSON_ARRAY);
	history = config_member(document, "history", json_array, JSON_ARRAY);
	/* Without a word of the layers that are there, the next line would stand for the first. */
	for (i = json_array_size(history) ? json_array_size(diff_ids) : 0;
	     i < json_array_size(diff_ids); i++)
		json_array_append_new(history, json_object());
	if (created)
		text_time_parse(created, &stage->created_ns);
	json_array_foreach(diff_ids, i, diff_id) {
		struct digest diff;
		int ret = digest_parse(json_string_value(diff_id) ? json_string_value(diff_id) : "",
				       &diff, err);

		if (ret)
			return ret;
		stage->chain = digest_chain(i ? &stage->chain : NULL, &diff);
		stage->has_layers = 1;
	}
	return ensure_path(stage, err);
}

static int add_history(struct stage *stage, const char *created_by, int is_empty,
		       struct snapdrv_error *err)
{
	json_t *history = config_member(stage->document, "history", json_array, JSON_ARRAY);
	json_t *entry;
	int ret = scope_hold(stage, HISTORY_LINE_SIZE + strlen(created_by), err);

	if (ret)
		return ret;
	entry = json_object();
	ret = json_array_append_new(history, entry) ? fail_memory(err) : 0;
	if (!ret && stage->created_ns) {
		cleanup_free char *created = text_time_format(stage->created_ns, err);

		ret = created ? config_put(entry, "created", created, err) : -ENOMEM;
	}
	if (!ret)
		ret = config_put(entry, "created_by", created_by, err);
	if (!ret && is_empty)
		json_object_set_new(entry, "empty_layer", json_true());
	return ret;
}

int config_add_history(struct stage *stage, const char *created_by, struct snapdrv_error *err)
{
	return add_history(stage, created_by, 1, err);
}

int config_add_layer(struct stage *stage, const struct digest *diff, uint64_t size,
		     int64_t created_ns, const char *created_by, struct snapdrv_error *err)
{
	json_t *diff_ids = json_object_get(json_object_get(stage->document, "rootfs"), "diff_ids");
	json_t *descriptor =
		json_pack("{s:s, s:s, s:I}", "mediaType", "application/vnd.oci.image.layer.v1.tar",
			  "digest", digest_format(diff).text, "size", (json_int_t)size);

	if (json_array_append_new(diff_ids, json_string(digest_format(diff).text)) ||
	    json_array_append_new(stage->descriptors, descriptor))
		return fail_memory(err);
	stage->chain = digest_chain(stage->has_layers ? &stage->chain : NULL, diff);
	stage->has_layers = 1;
	stage->created_ns = created_ns;
	return add_history(stage, created_by, 0, err);
}

/* ---- texts -------------------------------------------------------------------------------- */

/* A last slash, and a last `.`, mean a directory. */
static int ends_as_directory(const char *path)
{
	size_t length = strlen(path);

	return length && (path[length - 1] == '/' ||
			  (path[length - 1] == '.' && (length == 1 || path[length - 2] == '/')));
}

char *path_absolute(const char *above, const char *path, struct snapdrv_error *err)
{
	cleanup_free char *joined =
		*path == '/' ? text_dup(path, err) : text_format(err, "%s/%s", above, path);
	char *clean = joined ? malloc(strlen(joined) + 3) : NULL, *end = clean;
	const char *from = joined;

	if (!clean)
		return NULL;
	while (*from) {
		size_t length = strcspn(from, "/");

		if (length == 2 && !strncmp(from, "..", 2)) {
			while (end > clean && *--end != '/')
				;
		} else if (length && !(length == 1 && *from == '.')) {
			*end++ = '/';
			memcpy(end, from, length);
			end += length;
		}
		from += length;
		from += *from == '/';
	}
	if (end == clean || ends_as_directory(path))
		*end++ = '/';
	*end = '\0';
	return clean;
}

char *list_text(const struct strings *words, int has_quotes, struct snapdrv_error *err)
{
	struct bytes text = {0};
	int ret = bytes_add(&text, "[", 1, err);

	for (size_t i = 0; i < words->count && !ret; i++) {
		if (i)
			ret = bytes_add(&text, " ", 1, err);
		if (!ret && has_quotes)
			ret = bytes_add(&text, "\"", 1, err);
		for (const char *at = words->items[i]; *at && !ret; at++) {
			if (has_quotes && (*at == '"' || *at == '\\'))
				ret = bytes_add(&text, "\\", 1, err);
			if (!ret)
				ret = bytes_add(&text, at, 1, err);
		}
		if (!ret && has_quotes)
			ret = bytes_add(&text, "\"", 1, err);
	}
	if (!ret)
		ret = bytes_add(&text, "]", 2, err);
	if (ret)
		bytes_done(&text);
	return ret ? NULL : text.data;
}
