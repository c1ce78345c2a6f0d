/* SPDX-License-Identifier: Apache-2.0 */
/* The User of an image: a line, and then its passwd and its group with a byte 0xff between them. */
#include "image/user.h"

#include "fuzz.h"

/* Whether a text of digits alone. */
static int is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size}, passwd = {0}, group = {0};
	char *text = fuzz_line(&rest);
	struct snapdrv_error err = {0};
	struct image_user user = {0};
	struct user_files files;
	int ret;

	fuzz_part(&rest, "\xff", &passwd);
	fuzz_part(&rest, "\xff", &group);
	files = (struct user_files){(const char *)passwd.data, passwd.size,
				    (const char *)group.data, group.size};
	ret = image_user_lookup(text ? text : "", &files, &user, &err);
	fuzz_check(ret, &err);
	HOLDS(!ret || err.code == SNAPDRV_REFUSED);
	if (!ret) {
		HOLDS(user.uid <= INT32_MAX && user.gid <= INT32_MAX && user.home);
		HOLDS(user.n_groups && user.groups[0] == user.gid);
		/* Nobody becomes root by a name that stands for nothing. */
		HOLDS(user.uid || !text || !*text || *text == ':' || passwd.size ||
		      (*text >= '0' && *text <= '9'));
		HOLDS(!text || !is_number(text) || strtoul(text, NULL, 10) == user.uid);
		image_user_done(&user);
	}
	free(text);
}
