/* SPDX-License-Identifier: Apache-2.0 */
/* Results: one description of a row prints it in a table, as `Key: value` lines and as JSON. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stddef.h>
#include <stdio.h>

/** enum field_type - what stands at a field's offset, and how it is shown. */
enum field_type {
	FIELD_TEXT,  /* char *; NULL is `<none>`, and null in JSON */
	FIELD_IMAGE, /* char * or NULL; a familiar reference, or an ID as below; whole in JSON */
	FIELD_ID,    /* char *; twelve digits in a table, whole in JSON */
	FIELD_TIME,  /* int64_t, ns since 1970; `3 weeks ago`, and RFC 3339; 0 is `N/A`, and null */
	FIELD_SIZE,  /* uint64_t; `74.8MB`, and bytes; SNAPDRV_UNKNOWN is `-`, and null */
	FIELD_COUNT, /* size_t */
	FIELD_BOOL,  /* int */
	FIELD_LIST,  /* char **, and a size_t at .count; in JSON alone */
	FIELD_ROWS   /* pointer to structs, and a size_t at .count; in JSON alone */
};

/**
 * struct field - a column and a JSON key.
 * @column: heading, or NULL: in JSON alone. @key: in JSON, or NULL: in the table alone.
 *          Both NULL end an array of fields.
 * @offset: of the value in the row. @count: for lists, offset of its length.
 * @only_with: 0, or the enum output_flags that the column needs to be shown.
 * @fields: of the structs of FIELD_ROWS. @size: of one such struct.
 */
struct field {
	const char *column;
	const char *key;
	enum field_type type;
	size_t offset;
	size_t count;
	unsigned only_with;
	const struct field *fields;
	size_t size;
};

/** enum output_flags - choices for a table. */
enum output_flags {
	OUTPUT_DIGESTS = 1 << 0, /* show the columns that ask for it */
	OUTPUT_FULL_IDS = 1 << 1 /* whole IDs */
};

/** struct rows - @count structs of @size bytes each, and their description. All borrowed. */
struct rows {
	const struct field *fields;
	const void *first;
	size_t size;
	size_t count;
};

/*
 * All of these print to stdout and return 0, or -1 when memory is out; stdout's own state is for
 * main().
 */

/** output_table() - a heading and a line for each row. @flags: enum output_flags. */
int output_table(const struct rows *rows, unsigned flags);

/** output_pairs() - `COLUMN: value` lines for one row. */
int output_pairs(const struct field *fields, const void *row);

/** output_id() - an image ID alone on a line, or as {"@key":[{"id":...}]}. Return: 0, or -1 for want of memory. */
int output_id(int json, const char *key, const char *id);

/** output_json_rows() - {"@key":[...]}. */
int output_json_rows(const char *key, const struct rows *rows);

/** output_json_row() - {"@key":{...}}. */
int output_json_row(const char *key, const struct field *fields, const void *row);

/**
 * output_json_texts() - documents from the library: {"@key":[...]}; an indented array when @key is
 * NULL.
 * Return: as above, and -1 when one of them is no JSON.
 */
int output_json_texts(const char *key, char *const *texts, size_t count);

/** output_json_error() - {"error":{"code":...,"message":...}} in one line. */
int output_json_error(FILE *to, int code, const char *message);

#endif
