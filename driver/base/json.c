/* SPDX-License-Identifier: Apache-2.0 */
/* JSON documents from outside, within limits. */
#include "base/json.h"

#include <errno.h>

#include "base/error.h"

#define DEPTH_MAX 64
#define EXACT_MAX (1LL << 53) /* larger numbers are read differently by different programs */

/* jansson's own limit (2,048 levels) is compiled in; this one is looked for before it parses. */
static int too_deep(const char *data, size_t size)
{
	int depth = 0, in_string = 0;

	for (size_t i = 0; i < size; i++) {
		if (in_string) {
			if (data[i] == '\\')
				i++;
			else if (data[i] == '"')
				in_string = 0;
		} else if (data[i] == '"') {
			in_string = 1;
		} else if (data[i] == '{' || data[i] == '[') {
			if (++depth > DEPTH_MAX)
				return 1;
		} else if (data[i] == '}' || data[i] == ']') {
			depth--;
		}
	}
	return 0;
}

int json_parse(const void *data, size_t size, json_t **ret_json, struct snapdrv_error *err)
{
	json_error_t fault;
	json_t *json;

	if (size > JSON_DOCUMENT_MAX)
		return refuse(err, "more than %u bytes of JSON", JSON_DOCUMENT_MAX);
	if (too_deep(data, size))
		return refuse(err, "JSON nested deeper than %d levels", DEPTH_MAX);
	/* Memory that jansson does not get it calls an error of the text, or nothing at all. */
	errno = 0;
	json = json_loadb(data, size, JSON_REJECT_DUPLICATES, &fault);
	if (!json && errno == ENOMEM)
		return fail_memory(err);
	if (!json)
		return refuse(err, "not JSON: line %d: %s", fault.line, quote(fault.text).text);
	*ret_json = json;
	return 0;
}

static int member(const json_t *object, const char *key, int type, const char *type_name,
		  json_t **ret_value, struct snapdrv_error *err)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_object(object))
		return refuse(err, "not a JSON object where '%s' is looked for", key);
	if (!value || json_is_null(value))
		return 0;
	if ((int)json_typeof(value) != type)
		return refuse(err, "'%s' is not %s", key, type_name);
	*ret_value = value;
	return 1;
}

int json_member_string(const json_t *object, const char *key, const char **ret_value,
		       struct snapdrv_error *err)
{
	json_t *value = NULL;
	int found = member(object, key, JSON_STRING, "a string", &value, err);

	if (found == 1)
		*ret_value = json_string_value(value);
	return found;
}

int json_member_object(const json_t *object, const char *key, json_t **ret_value,
		       struct snapdrv_error *err)
{
	return member(object, key, JSON_OBJECT, "an object", ret_value, err);
}

int json_member_array(const json_t *object, const char *key, json_t **ret_value,
		      struct snapdrv_error *err)
{
	return member(object, key, JSON_ARRAY, "an array", ret_value, err);
}

int json_member_size(const json_t *object, const char *key, uint64_t *ret_value,
		     struct snapdrv_error *err)
{
	json_t *value = NULL;
	int found = member(object, key, JSON_INTEGER, "a whole number", &value, err);

	if (found != 1)
		return found;
	if (json_integer_value(value) < 0 || json_integer_value(value) > EXACT_MAX)
		return refuse(err, "'%s' is out of range", key);
	*ret_value = (uint64_t)json_integer_value(value);
	return 1;
}

int json_need(int found, const char *key, struct snapdrv_error *err)
{
	return found ? found : refuse(err, "no '%s'", key);
}

char *json_text(const json_t *json, size_t flags, struct snapdrv_error *err)
{
	char *text = json_dumps(json, flags | JSON_ENCODE_ANY);

	if (!text)
		fail_memory(err);
	return text;
}
