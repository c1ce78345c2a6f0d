/* SPDX-License-Identifier: Apache-2.0 */
/* base/json: documents from outside within limits, and members with the type that was asked for. */
#include "base/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "unit.h"

static int parse(const char *text, json_t **ret_json, struct snapdrv_error *err)
{
	return json_parse(text, strlen(text), ret_json, err);
}

static void reads_objects_and_arrays(void)
{
	cleanup_json json_t *object = NULL, *array = NULL;

	CHECK(parse("{\"a\": [1, null, \"x\"]}", &object, NULL) == 0);
	CHECK(json_array_size(json_object_get(object, "a")) == 3);
	CHECK(parse("[]", &array, NULL) == 0);
	CHECK(json_is_array(array));
}

static void refuses_what_is_not_one_document(void)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"1",
		"\"text\"",
		"{\"a\":1}x",
		"{} {}",
		"{\"a\":}",
		"{'a':1}",
		"[1,]",
		"nul",
		"[\"\xff\"]",
		"[\"\\u0000\"]",
		"{\"a\":1,\"a\":2}",
		"[1e999]",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct snapdrv_error err = {0};
		json_t *json = NULL;

		if (!CHECK(parse(bad[i], &json, &err) == -EBADMSG))
			printf("# it was %s\n", bad[i]);
		CHECK(json == NULL);
		CHECK(err.code == SNAPDRV_REFUSED && !strchr(err.message, '\n'));
	}
}

static void takes_64_levels_and_no_more(void)
{
	char text[200];
	struct snapdrv_error err = {0};
	json_t *json = NULL;

	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	CHECK(json_parse(text, 128, &json, NULL) == 0);
	json_decref(json);
	json = NULL;
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	CHECK(json_parse(text, 130, &json, &err) == -EBADMSG);
	CHECK(strstr(err.message, "64 levels") != NULL);
	CHECK(json == NULL);
}

/* Brackets within strings nest nothing, escaped quotes do not end a string. */
static void counts_no_brackets_in_strings(void)
{
	char text[400];
	json_t *json = NULL;

	memset(text, '[', sizeof(text));
	memcpy(text, "[\"\\\"", 4);
	memcpy(text + sizeof(text) - 2, "\"]", 2);
	CHECK(json_parse(text, sizeof(text), &json, NULL) == 0);
	json_decref(json);
}

static void takes_4_mib_and_no_more(void)
{
	size_t size = JSON_DOCUMENT_MAX;
	cleanup_free char *text = malloc(size + 1);
	struct snapdrv_error err = {0};
	json_t *json = NULL;

	memset(text, ' ', size + 1);
	memcpy(text, "{}", 2);
	CHECK(json_parse(text, size, &json, NULL) == 0);
	json_decref(json);
	json = NULL;
	CHECK(json_parse(text, size + 1, &json, &err) == -EBADMSG);
	CHECK(err.code == SNAPDRV_REFUSED);
	CHECK(json == NULL);
}

static const char members[] = "{\"string\":\"s\", \"object\":{}, \"array\":[], \"number\":7,"
			      "\"null\":null, \"minus\":-1, \"exact\":9007199254740992,"
			      "\"more\":9007199254740993, \"real\":1.0, \"true\":true}";

static void gives_members_of_the_right_type(void)
{
	cleanup_json json_t *json = NULL;
	json_t *value = NULL;
	const char *text = NULL;
	uint64_t size = 0;

	CHECK(parse(members, &json, NULL) == 0);
	CHECK(json_member_string(json, "string", &text, NULL) == 1);
	CHECK_TEXT(text, "s");
	CHECK(json_member_object(json, "object", &value, NULL) == 1 && json_is_object(value));
	CHECK(json_member_array(json, "array", &value, NULL) == 1 && json_is_array(value));
	CHECK(json_member_size(json, "number", &size, NULL) == 1 && size == 7);
	CHECK(json_member_size(json, "exact", &size, NULL) == 1 && size == UINT64_C(1) << 53);
}

static void absent_and_null_are_the_same(void)
{
	cleanup_json json_t *json = NULL;
	const char *text = "before";
	uint64_t size = 5;

	CHECK(parse(members, &json, NULL) == 0);
	CHECK(json_member_string(json, "null", &text, NULL) == 0);
	CHECK(json_member_string(json, "none", &text, NULL) == 0);
	CHECK(json_member_size(json, "none", &size, NULL) == 0);
	CHECK(size == 5);
	CHECK_TEXT(text, "before");
}

static void refuses_members_of_another_type(void)
{
	cleanup_json json_t *json = NULL;
	struct snapdrv_error err = {0};
	json_t *value = NULL;
	const char *text = NULL;
	uint64_t size = 5;

	CHECK(parse(members, &json, NULL) == 0);
	CHECK(json_member_string(json, "number", &text, &err) == -EBADMSG);
	CHECK(err.code == SNAPDRV_REFUSED);
	CHECK_TEXT(err.message, "'number' is not a string");
	CHECK(json_member_object(json, "array", &value, &err) == -EBADMSG);
	CHECK_TEXT(err.message, "'array' is not an object");
	CHECK(json_member_array(json, "object", &value, &err) == -EBADMSG);
	CHECK(json_member_size(json, "minus", &size, &err) == -EBADMSG);
	CHECK(json_member_size(json, "more", &size, &err) == -EBADMSG);
	CHECK(json_member_size(json, "real", &size, &err) == -EBADMSG);
	CHECK(json_member_size(json, "true", &size, &err) == -EBADMSG);
	CHECK(json_member_string(json_object_get(json, "array"), "x", &text, &err) == -EBADMSG);
	CHECK(json_member_string(NULL, "x", &text, &err) == -EBADMSG);
	CHECK(!text && !value && size == 5);
}

static void needs_what_is_needed(void)
{
	struct snapdrv_error err = {0};

	CHECK(json_need(1, "a", &err) == 1);
	CHECK(json_need(-EIO, "a", &err) == -EIO);
	CHECK(err.code == 0);
	CHECK(json_need(0, "layers", &err) == -EBADMSG);
	CHECK_TEXT(err.message, "no 'layers'");
}

static size_t allocations_left;

static void *allocate(size_t size)
{
	if (allocations_left) {
		allocations_left--;
		return malloc(size);
	}
	errno = ENOMEM;
	return NULL;
}

static void tells_want_of_memory(void)
{
	static const char text[] = "{\"a\": [1, null, \"x\"], \"b\": {\"c\": 2}}";
	json_t *json = NULL;
	int ret;

	json_set_alloc_funcs(allocate, free);
	for (size_t n = 0; n < 100 && !json; n++) {
		struct snapdrv_error err = {0};

		allocations_left = n;
		ret = parse(text, &json, &err);
		if (!CHECK(json ? !ret : ret == -ENOMEM && err.code == SNAPDRV_FAILED))
			printf("# with %zu allocations: %s\n", n, err.message);
	}
	CHECK(json != NULL);
	json_decref(json);
	json_set_alloc_funcs(malloc, free);
}

static void writes_text(void)
{
	cleanup_json json_t *json = NULL;
	cleanup_free char *text = NULL, *scalar = NULL;

	CHECK(parse("{ \"b\" : 1, \"a\" : [ ] }", &json, NULL) == 0);
	text = json_text(json, JSON_COMPACT, NULL);
	CHECK_TEXT(text, "{\"b\":1,\"a\":[]}");
	scalar = json_text(json_object_get(json, "b"), 0, NULL);
	CHECK_TEXT(scalar, "1");
}

int main(void)
{
	RUN(reads_objects_and_arrays);
	RUN(refuses_what_is_not_one_document);
	RUN(takes_64_levels_and_no_more);
	RUN(counts_no_brackets_in_strings);
	RUN(takes_4_mib_and_no_more);
	RUN(gives_members_of_the_right_type);
	RUN(absent_and_null_are_the_same);
	RUN(refuses_members_of_another_type);
	RUN(needs_what_is_needed);
	RUN(tells_want_of_memory);
	RUN(writes_text);
	return UNIT_STATUS;
}
