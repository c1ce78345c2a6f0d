/* SPDX-License-Identifier: Apache-2.0 */
/* base/text: strings, RFC 3339 times, lists and buffers. */
#include "base/text.h"

#include <stdlib.h>

#include "unit.h"

#define SECOND INT64_C(1000000000)

static void makes_strings(void)
{
	cleanup_free char *made = text_format(NULL, "%s-%d", "a", 5);
	cleanup_free char *copy = text_dup(made, NULL);

	CHECK_TEXT(made, "a-5");
	CHECK_TEXT(copy, "a-5");
	CHECK(copy != made);
}

static void compares_ends(void)
{
	CHECK(text_starts("sha256:x", "sha256:"));
	CHECK(text_starts("x", ""));
	CHECK(!text_starts("sha", "sha256:"));
	CHECK(text_ends("a.tar", ".tar"));
	CHECK(text_ends("a", ""));
	CHECK(!text_ends("tar", ".tar"));
	CHECK(!text_ends("a.tar.gz", ".tar"));
}

static int64_t time_of(const char *text)
{
	int64_t ns = -1;

	if (!CHECK(text_time_parse(text, &ns) == 1))
		printf("# it was %s\n", text);
	return ns;
}

static void reads_times(void)
{
	CHECK(time_of("1970-01-01T00:00:00Z") == 0);
	CHECK(time_of("2001-09-09T01:46:40Z") == 1000000000 * SECOND);
	CHECK(time_of("2001-09-09T01:46:40.5Z") == 1000000000 * SECOND + SECOND / 2);
	CHECK(time_of("2001-09-09T01:46:40.123456789Z") == 1000000000 * SECOND + 123456789);
	CHECK(time_of("2001-09-09T01:46:40.1234567899Z") == 1000000000 * SECOND + 123456789);
	CHECK(time_of("2001-09-09T03:46:40+02:00") == 1000000000 * SECOND);
	CHECK(time_of("2001-09-08T20:16:40.000000001-05:30") == 1000000000 * SECOND + 1);
	CHECK(time_of("2024-02-29T00:00:00Z") == INT64_C(1709164800) * SECOND);
	CHECK(time_of("1969-12-31T23:59:59Z") == -SECOND);
}

static void refuses_what_is_no_time(void)
{
	static const char *const bad[] = {
		"",
		"now",
		"2001-09-09",
		"2001-09-09T01:46:40",
		"2001-09-09 01:46:40Z",
		"2001-13-09T01:46:40Z",
		"2001-09-09T25:46:40Z",
		"2001-09-09T01:46:40Zx",
		"2001-09-09T01:46:40+02",
		"2001-09-09T01:46:40+02:00x",
		"0000-01-01T00:00:00Z",
		"9999-01-01T00:00:00Z",
	};
	int64_t untouched = 5;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (!CHECK(text_time_parse(bad[i], &untouched) == 0))
			printf("# it was %s\n", bad[i]);
	}
	CHECK(untouched == 5);
}

static void writes_times(void)
{
	cleanup_free char *epoch = text_time_format(0, NULL);
	cleanup_free char *late = text_time_format(1000000000 * SECOND + 999999999, NULL);
	cleanup_free char *before = text_time_format(-1, NULL);
	cleanup_free char *whole = text_time_format(-SECOND, NULL);

	CHECK_TEXT(epoch, "1970-01-01T00:00:00Z");
	CHECK_TEXT(late, "2001-09-09T01:46:40Z");
	CHECK_TEXT(before, "1969-12-31T23:59:59Z");
	CHECK_TEXT(whole, "1969-12-31T23:59:59Z");
}

static void lists_grow_and_own(void)
{
	struct strings list = {0};
	char text[] = "one";

	CHECK(!strings_has(&list, "one"));
	CHECK(strings_add(&list, text, NULL) == 0);
	text[0] = 'X';
	for (int i = 0; i < 100; i++)
		CHECK(strings_add(&list, "more", NULL) == 0);
	CHECK(list.count == 101);
	CHECK_TEXT(list.items[0], "one");
	CHECK(strings_has(&list, "one") && strings_has(&list, "more"));
	CHECK(!strings_has(&list, "on") && !strings_has(&list, "Xne"));
	strings_done(&list);
	CHECK(!list.items && !list.count);
	strings_done(&list);
}

static void buffers_grow_and_keep(void)
{
	struct bytes bytes = {0};
	int wrong = 0;

	for (int i = 0; i < 100000; i++) {
		unsigned char pair[2] = {(unsigned char)i, (unsigned char)(i >> 8)};

		if (bytes_add(&bytes, pair, sizeof(pair), NULL) < 0)
			break;
	}
	CHECK(bytes.size == 200000 && bytes.room >= bytes.size);
	for (int i = 0; i < 100000; i++)
		wrong += (unsigned char)bytes.data[2 * i] != (unsigned char)i;
	CHECK(!wrong);
	bytes_done(&bytes);
	CHECK(!bytes.data && !bytes.size && !bytes.room);
	bytes_done(&bytes);
}

int main(void)
{
	RUN(makes_strings);
	RUN(compares_ends);
	RUN(reads_times);
	RUN(refuses_what_is_no_time);
	RUN(writes_times);
	RUN(lists_grow_and_own);
	RUN(buffers_grow_and_keep);
	return UNIT_STATUS;
}
