/* SPDX-License-Identifier: Apache-2.0 */
/* image/user: who `User` is by the image's passwd and group, whatever these files hold. */
#include "image/user.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "unit.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "daemon:x:1:1::/usr/sbin:\n"
			     "app:x:1000:1001:App,,,:/home/app:/bin/sh\n"
			     "twin:x:1000:7::/home/twin:/bin/sh\n"
			     "123:x:55:56::/home/digits:\n"
			     "short:x:60:61\n"
			     "last:x:70:71::/home/last"; /* no newline */

static const char group[] = "root:x:0:root\n"
			    "wheel:x:10:root,app\n"
			    "audio:x:29:other,app\n"
			    "apps:x:30:application,ap,appp\n"
			    "staff:x:5:app,last\n"
			    "again:x:29:app\n"
			    "own:x:1001:app\n"
			    "99:x:98:\n"
			    "tail:x:44:last"; /* no newline */

static int lookup_in(const char *user, const char *passwd_text, size_t passwd_size,
		     const char *group_text, size_t group_size, struct image_user *ret_user,
		     struct snapdrv_error *err)
{
	struct user_files files = {passwd_text, passwd_size, group_text, group_size};

	return image_user_lookup(user, &files, ret_user, err);
}

static int lookup(const char *user, struct image_user *ret_user, struct snapdrv_error *err)
{
	return lookup_in(user, passwd, strlen(passwd), group, strlen(group), ret_user, err);
}

/* The result as `uid:gid groups home`, or the message of a refusal after `!`. */
static char *outcome(const char *user, const char *passwd_text, size_t passwd_size,
		     const char *group_text, size_t group_size)
{
	cleanup_image_user struct image_user found = {0};
	struct snapdrv_error err = {0};
	char groups[200] = "";

	if (lookup_in(user, passwd_text, passwd_size, group_text, group_size, &found, &err) < 0) {
		CHECK(err.code == SNAPDRV_REFUSED && err.errnum == EBADMSG);
		CHECK(!found.groups && !found.home);
		return text_format(NULL, "!%s", err.message);
	}
	for (size_t i = 0; i < found.n_groups && i < 16; i++)
		sprintf(groups + strlen(groups), "%s%u", i ? "," : "", found.groups[i]);
	return text_format(NULL, "%u:%u %s %s", found.uid, found.gid, groups, found.home);
}

static void expect_in(const char *user, const char *passwd_text, const char *group_text,
		      const char *wanted)
{
	cleanup_free char *got = outcome(user, passwd_text, passwd_text ? strlen(passwd_text) : 0,
					 group_text, group_text ? strlen(group_text) : 0);

	CHECK_TEXT(got, wanted);
}

static void expect(const char *user, const char *wanted)
{
	expect_in(user, passwd, group, wanted);
}

static void finds_names_and_numbers(void)
{
	expect("", "0:0 0,10 /root");
	expect("root", "0:0 0,10 /root");
	expect("0", "0:0 0,10 /root");
	expect("app", "1000:1001 1001,5,10,29 /home/app");
	expect("1000", "1000:1001 1001,5,10,29 /home/app");
	expect("twin", "1000:7 7 /home/twin");
	expect("daemon", "1:1 1 /usr/sbin");
	expect("last", "70:71 71,5,44 /home/last");
}

static void a_number_need_not_be_there(void)
{
	expect("4242", "4242:0 0 /");
	expect("123", "123:0 0 /");
	expect("2147483647", "2147483647:0 0 /");
	expect("007", "7:0 0 /");
	expect_in("1000", NULL, NULL, "1000:0 0 /");
	expect_in("", NULL, NULL, "0:0 0 /");
	expect_in("", "", "", "0:0 0 /");
}

static void a_group_takes_the_place_of_all_others(void)
{
	expect("app:audio", "1000:29 29 /home/app");
	expect("app:29", "1000:29 29 /home/app");
	expect("1000:audio", "1000:29 29 /home/app");
	expect("1000:77", "1000:77 77 /home/app");
	expect("4242:4343", "4242:4343 4343 /");
	expect("app:99", "1000:99 99 /home/app");
	expect("app:tail", "1000:44 44 /home/app");
	expect("app:", "1000:1001 1001,5,10,29 /home/app");
	expect(":audio", "0:29 29 /root");
	expect_in("4242:4343", NULL, NULL, "4242:4343 4343 /");
}

static void unknown_names_are_refused(void)
{
	expect("nobody", "!user 'nobody': not in the image's /etc/passwd");
	expect("ap", "!user 'ap': not in the image's /etc/passwd");
	expect("App", "!user 'App': not in the image's /etc/passwd");
	expect(" app", "!user ' app': not in the image's /etc/passwd");
	expect("-1", "!user '-1': not in the image's /etc/passwd");
	expect("0x0", "!user '0x0': not in the image's /etc/passwd");
	expect("app:nogroup", "!user 'app:nogroup': no such group in the image's /etc/group");
	expect("app:29:29", "!user 'app:29:29': no such group in the image's /etc/group");
	expect("app:-1", "!user 'app:-1': no such group in the image's /etc/group");
	expect_in("app", NULL, NULL, "!user 'app': not in the image's /etc/passwd");
	expect_in("1:g", passwd, NULL, "!user '1:g': no such group in the image's /etc/group");
}

static void numbers_out_of_range_are_refused(void)
{
	expect("2147483648", "!user '2147483648': ids are 0 to 2147483647");
	expect("4294967296", "!user '4294967296': ids are 0 to 2147483647");
	expect("18446744073709551616", "!user '18446744073709551616': ids are 0 to 2147483647");
	expect("0:99999999999999999999999",
	       "!user '0:99999999999999999999999': ids are 0 to 2147483647");
}

/* Go's parser reads a number that is none as 0, which makes the user root. */
static void garbled_lines_are_no_entries(void)
{
	static const char bad[] = "a:x::5::/h:\n"
				  "b:x:y:5::/h:\n"
				  "c:x:-1:5::/h:\n"
				  "d:x:4294967296:5::/h:\n"
				  "e:x:18446744073709551616:5::/h:\n"
				  "f:x:1:z::/h:\n"
				  "g:x:1\n"
				  "h\n"
				  "::::::\n"
				  "+::::::\n"
				  "i:x: 1:1::/h:\n"
				  "#j:x:1:1::/h:\n"
				  "\n\n   \n"
				  " \tk:x:7:8::/k:/bin/sh \r\n";
	static const char *const names[] = {"a", "b", "c", "d", "e", "f",
					    "g", "h", "+", "i", "j", "#j"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		cleanup_free char *got = outcome(names[i], bad, strlen(bad), NULL, 0);

		if (!CHECK(got[0] == '!'))
			printf("# it was %s: %s\n", names[i], got);
	}
	expect_in("k", bad, NULL, "7:8 8 /k");
	expect_in("", bad, NULL, "0:0 0 /");
	expect_in("1:g", "", "g:x:y:\ng:x\ng\n:x:5:\ng:x:6:\n", "1:6 6 /");
}

static void homes_default_to_the_root(void)
{
	expect("short", "60:61 61 /");
	expect_in("u", "u:x:1:2:::", NULL, "1:2 2 /");
	expect_in("u", "u:x:1:2::/a b\xff:", NULL, "1:2 2 /a b\xff");
}

/* An entry without a name has no members in common with a list's empty places. */
static void an_empty_name_is_in_no_group(void)
{
	expect_in("5", ":x:5:6::/h:\n", "g:x:7:,,\nh:x:8:\n", "5:6 6 /h");
}

static void root_s_own_group_stays_0(void)
{
	expect_in("", "root:x:0:1234::/r:\n", NULL, "0:0 0 /r");
	expect_in("root", "root:x:0:1234::/r:\n", NULL, "0:1234 1234 /r");
}

static void nuls_hide_nothing(void)
{
	static const char bad[] = "app\0x:x:0:0::/h:\nroot:x:0:0::/ro\0ot:\napp:x:5:6::/a:\n";
	static const char bad_group[] = "g:x:1:app\0\nh:x:2:app\n";
	cleanup_free char *app =
		outcome("app", bad, sizeof(bad) - 1, bad_group, sizeof(bad_group) - 1);
	cleanup_free char *root = outcome("", bad, sizeof(bad) - 1, NULL, 0);
	cleanup_free char *nothing = outcome("1", "\0\0\0", 3, "\0", 1);

	CHECK_TEXT(app, "5:6 6,2 /a");
	CHECK_TEXT(root, "0:0 0 /");
	CHECK_TEXT(nothing, "1:0 0 /");
}

/* A MiB, all of it one line, then one of entries: no stack and no square of time is spent on it. */
static void long_files_are_read(void)
{
	size_t size = 1 << 20;
	cleanup_free char *line = malloc(size), *many = malloc(size);
	cleanup_image_user struct image_user found = {0};
	struct snapdrv_error err = {0};
	size_t used = 0;

	memset(line, 'a', size);
	memcpy(line, "app:x:5:6:", 10);
	memcpy(line + size - 3, ":/h", 3);
	CHECK(lookup_in("app", line, size, line, size, &found, NULL) == 0);
	CHECK(found.uid == 5);
	CHECK_TEXT(found.home, "/h");
	image_user_done(&found);

	memset(line, ':', size);
	CHECK(lookup_in("5", line, size, line, size, &found, NULL) == 0);
	image_user_done(&found);
	memset(line, ',', size);
	memcpy(line, "g:x:9:", 6);
	memcpy(line + size - 4, ",app", 4);
	CHECK(lookup_in("app", "app:x:5:6:", 10, line, size, &found, NULL) == 0);
	CHECK(found.n_groups == 2 && found.groups[1] == 9);
	image_user_done(&found);

	for (unsigned i = 0; used < size - 16; i++)
		used += (size_t)sprintf(many + used, "::%u:a\n", i % 60000);
	CHECK(lookup_in("a", "a:x:5:6:", 8, many, used, &found, NULL) == 0);
	CHECK(found.n_groups == 60000 && found.groups[0] == 6 && found.groups[1] == 0);
	image_user_done(&found);
	used = 0;
	for (unsigned i = 0; used < size - 16; i++)
		used += (size_t)sprintf(many + used, "::%u:a\n", i);
	CHECK(lookup_in("a", "a:x:5:6:", 8, many, used, &found, &err) == -EBADMSG);
	CHECK(strstr(err.message, "65536 groups") != NULL);
}

static void leaves_the_outcome_alone_on_failure(void)
{
	struct image_user untouched = {.uid = 7};

	CHECK(lookup("nobody", &untouched, NULL) == -EBADMSG);
	CHECK(untouched.uid == 7 && !untouched.home);
}

int main(void)
{
	RUN(finds_names_and_numbers);
	RUN(a_number_need_not_be_there);
	RUN(a_group_takes_the_place_of_all_others);
	RUN(unknown_names_are_refused);
	RUN(numbers_out_of_range_are_refused);
	RUN(garbled_lines_are_no_entries);
	RUN(homes_default_to_the_root);
	RUN(an_empty_name_is_in_no_group);
	RUN(root_s_own_group_stays_0);
	RUN(nuls_hide_nothing);
	RUN(long_files_are_read);
	RUN(leaves_the_outcome_alone_on_failure);
	return UNIT_STATUS;
}
