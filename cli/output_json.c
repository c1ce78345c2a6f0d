/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of results, written as JSON. */
#include <jansson.h>
#include <string.h>

#include "cleanup.h"
#include "output.h"
#include "show.h"
#include "snapdrv.h"

static void json_unref_at(json_t **json)
{
	json_decref(*json);
}

#define cleanup_json __attribute__((cleanup(json_unref_at)))

static json_t *rows_json(const struct rows *rows);

/* A string of bytes; what is not UTF-8 becomes U+FFFD, as JSON has no other way to say it. */
static json_t *text_json(const char *text)
{
	cleanup_free char *clean = NULL;
	size_t size;
	FILE *to;

	if (!text)
		return json_null();
	to = open_memstream(&clean, &size);
	if (!to)
		return NULL;
	for (size_t step; *text; text += step ? step : 1) {
		step = show_character(text);
		fwrite(step ? text : "\xef\xbf\xbd", step ? step : 3, 1, to);
	}
	return fclose(to) ? NULL : json_string(clean);
}

static json_t *list_json(char *const *items, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(list, text_json(items[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *number_json(uint64_t number)
{
	return json_integer(number < INT64_MAX ? (json_int_t)number : INT64_MAX);
}

static json_t *field_json(const struct field *field, const void *row)
{
	const void *value = (const char *)row + field->offset;
	const size_t *count = (const void *)((const char *)row + field->count);
	struct rows rows;

	switch (field->type) {
	case FIELD_TEXT:
	case FIELD_IMAGE:
	case FIELD_ID:
		return text_json(*(char *const *)value);
	case FIELD_TIME:
		return *(const int64_t *)value
			       ? json_string(show_time(*(const int64_t *)value).text)
			       : json_null();
	case FIELD_SIZE:
		return *(const uint64_t *)value == SNAPDRV_UNKNOWN
			       ? json_null()
			       : number_json(*(const uint64_t *)value);
	case FIELD_COUNT:
		return number_json(*(const size_t *)value);
	case FIELD_BOOL:
		return json_boolean(*(const int *)value);
	case FIELD_LIST:
		return list_json(*(char *const *const *)value, *count);
	case FIELD_ROWS:
		rows = (struct rows){field->fields, *(const void *const *)value, field->size,
				     *count};
		return rows_json(&rows);
	}
	return NULL;
}

static json_t *row_json(const struct field *fields, const void *row)
{
	json_t *object = json_object();

	for (const struct field *field = fields; field->column || field->key; field++) {
		if (field->key && json_object_set_new(object, field->key, field_json(field, row))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *rows_json(const struct rows *rows)
{
	json_t *list = json_array();

	for (size_t i = 0; i < rows->count; i++) {
		const void *row = (const char *)rows->first + i * rows->size;

		if (json_array_append_new(list, row_json(rows->fields, row))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* jansson leaves DEL and U+0080 to U+009f as they are; some terminals obey them. */
static void put_escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text, next = (unsigned char)text[1];

		if (byte == 0x7f)
			fputs("\\u007f", to);
		else if (byte == 0xc2 && next < 0xa0)
			fprintf(to, "\\u%04x", (unsigned char)*++text);
		else
			fputc(byte, to);
	}
}

/* Print a document, and a newline. @value: consumed; NULL is a failure of who made it. */
static int print(FILE *to, const char *key, json_t *value, size_t flags)
{
	cleanup_json json_t *document = key ? json_pack("{s:o}", key, value) : value;
	cleanup_free char *text = document ? json_dumps(document, flags) : NULL;

	if (!text)
		return -1;
	put_escaped(to, text);
	fputc('\n', to);
	return 0;
}

int output_json_rows(const char *key, const struct rows *rows)
{
	return print(stdout, key, rows_json(rows), JSON_COMPACT);
}

int output_json_row(const char *key, const struct field *fields, const void *row)
{
	return print(stdout, key, row_json(fields, row), JSON_COMPACT);
}

int output_json_texts(const char *key, char *const *texts, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *value = json_loads(texts[i], JSON_ALLOW_NUL, NULL);

		if (json_array_append_new(list, value)) {
			json_decref(list);
			return -1;
		}
	}
	return print(stdout, key, list, key ? JSON_COMPACT : JSON_INDENT(4));
}

int output_json_error(FILE *to, int code, const char *message)
{
	return print(to, "error",
		     json_pack("{s:i,s:o?}", "code", code, "message", text_json(message)),
		     JSON_COMPACT);
}
