/* SPDX-License-Identifier: Apache-2.0 */
/* base/error: codes, the wrapping of messages, and the quoting of names from outside. */
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

#include "unit.h"

static void fills_code_errno_and_message(void)
{
	struct snapdrv_error err = {0};

	CHECK(fail(&err, SNAPDRV_BUSY, EEXIST, "container %s: %d", "web", 7) == -EEXIST);
	CHECK(err.code == SNAPDRV_BUSY);
	CHECK(err.errnum == EEXIST);
	CHECK_TEXT(err.message, "container web: 7");

	CHECK(refuse(&err, "layer %s", "x") == -EBADMSG);
	CHECK(err.code == SNAPDRV_REFUSED && err.errnum == EBADMSG);
	CHECK_TEXT(err.message, "layer x");

	CHECK(fail_memory(&err) == -ENOMEM);
	CHECK(err.code == SNAPDRV_FAILED && err.errnum == ENOMEM);
}

static void adds_the_system_s_reason(void)
{
	struct snapdrv_error err = {0};

	errno = ENOENT;
	CHECK(fail_errno(&err, "open %s", "/x") == -ENOENT);
	CHECK(err.code == SNAPDRV_FAILED && err.errnum == ENOENT);
	CHECK_TEXT(err.message, "open /x: No such file or directory");
}

static void takes_no_error(void)
{
	errno = EPERM;
	CHECK(fail(NULL, SNAPDRV_USAGE, EINVAL, "%s", "x") == -EINVAL);
	CHECK(fail_errno(NULL, "x") == -EPERM);
	CHECK(refuse(NULL, "x") == -EBADMSG);
	CHECK(fail_within(NULL, -EIO, "x") == -EIO);
	CHECK(fail_memory(NULL) == -ENOMEM);
}

static void wraps_from_the_inside_out(void)
{
	struct snapdrv_error err = {0};
	int ret = refuse(&err, "entry %s", quote("etc/x").text);

	ret = fail_within(&err, ret, "layer %d", 2);
	ret = fail_within(&err, ret, "image debian:12");
	CHECK(ret == -EBADMSG);
	CHECK(err.code == SNAPDRV_REFUSED && err.errnum == EBADMSG);
	CHECK_TEXT(err.message, "image debian:12: layer 2: entry 'etc/x'");
}

static void cuts_what_is_too_long(void)
{
	struct snapdrv_error err = {0};
	char text[4000];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	refuse(&err, "%s", text);
	CHECK(strlen(err.message) == sizeof(err.message) - 1);
	fail_within(&err, -EBADMSG, "outer");
	CHECK(strlen(err.message) == sizeof(err.message) - 1);
	CHECK(!strncmp(err.message, "outer: aaaa", 11));
	fail_within(&err, -EBADMSG, "%s", text);
	CHECK(strlen(err.message) == sizeof(err.message) - 1);
	errno = EIO;
	fail_errno(&err, "%s", text);
	CHECK(strlen(err.message) == sizeof(err.message) - 1);
}

static void is_one_line_of_ascii(void)
{
	struct snapdrv_error err = {0};

	fail(&err, SNAPDRV_FAILED, EIO, "a\nb: \x1b[2J\xff%s", "\t");
	CHECK_TEXT(err.message, "a?b: ?[2J??");
	fail_within(&err, -EIO, "x\xc3\xa9%s", "\r");
	CHECK_TEXT(err.message, "x???: a?b: ?[2J??");
}

static void quotes_names(void)
{
	CHECK_TEXT(quote("").text, "''");
	CHECK_TEXT(quote("a b/c").text, "'a b/c'");
	CHECK_TEXT(quote("a\nb\x1b[0m").text, "'a\\x0ab\\x1b[0m'");
	CHECK_TEXT(quote("\xc3\xa9\x7f\\").text, "'\\xc3\\xa9\\x7f\\x5c'");
}

static void shortens_long_names_in_the_middle(void)
{
	char name[300] = "", wanted[400] = "";
	struct quoted out;

	memset(name, 'x', 120);
	snprintf(wanted, sizeof(wanted), "'%s'", name);
	CHECK_TEXT(quote(name).text, wanted);

	memset(name, 'b', 100);
	memset(name + 100, 'm', 99);
	memset(name + 199, 'e', 100);
	name[0] = 'F';
	name[298] = 'L';
	out = quote(name);
	CHECK(strlen(out.text) == 122);
	CHECK(!strncmp(out.text, "'Fbbb", 5));
	CHECK(strstr(out.text, "bbb...eee") != NULL);
	CHECK(!strchr(out.text, 'm'));
	CHECK(!strcmp(out.text + strlen(out.text) - 3, "eL'"));
}

/* Escapes make four bytes of one; whatever comes, the result ends, closed, within its room. */
static void never_overflows(void)
{
	char name[400];

	for (size_t length = 0; length < sizeof(name); length++) {
		for (size_t plain = 0; plain <= length; plain++) {
			struct quoted out;
			size_t size;

			memset(name, '\n', length);
			memset(name, 'p', plain);
			name[length] = '\0';
			out = quote(name);
			size = strnlen(out.text, sizeof(out.text));
			if (!CHECK(size >= 2 && size < sizeof(out.text)))
				return;
			if (!CHECK(out.text[0] == '\'' && out.text[size - 1] == '\''))
				return;
		}
	}
}

int main(void)
{
	RUN(fills_code_errno_and_message);
	RUN(adds_the_system_s_reason);
	RUN(takes_no_error);
	RUN(wraps_from_the_inside_out);
	RUN(cuts_what_is_too_long);
	RUN(is_one_line_of_ascii);
	RUN(quotes_names);
	RUN(shortens_long_names_in_the_middle);
	RUN(never_overflows);
	return UNIT_STATUS;
}
