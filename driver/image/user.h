/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a container's process runs as: the User of an image, looked up in its passwd and group. */
#ifndef IMAGE_USER_H
#define IMAGE_USER_H

#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

/** struct user_files - the image's passwd and group, any bytes; NULL where there is none. */
struct user_files {
	const char *passwd;
	size_t passwd_size;
	const char *group;
	size_t group_size;
};

/**
 * struct image_user - whom the process runs as.
 * @groups: @n_groups supplementary groups: @gid, and then the others in rising order.
 * @home:   the home directory; "/" where passwd names none. Any bytes but NUL.
 */
struct image_user {
	uint32_t uid;
	uint32_t gid;
	uint32_t *groups;
	size_t n_groups;
	char *home;
};

/**
 * image_user_lookup() - look up a User as docker and runc do.
 * @user:     "", `user`, `uid`, `user:group`, `uid:gid`, `user:gid` or `uid:group`; from outside.
 *            All digits are a number, never a name.
 * @files:    from outside. Borrowed.
 * @ret_user: for image_user_done().
 *
 * A name must be in its file. A number need not: its gid is then 0, its home "/". "" is 0:0 with
 * the home of passwd's first entry of uid 0. The first of several entries wins. Supplementary groups
 * are those that list the entry's name, and none when a group is given. Ids are 0 to 2^31 - 1, as
 * runc has it. A line that holds a NUL, too few fields or a number that is none is no entry, so that
 * nobody becomes uid 0 by a garbled line.
 *
 * Return: 0, or -EBADMSG with REFUSED.
 */
int image_user_lookup(const char *user, const struct user_files *files, struct image_user *ret_user,
		      struct snapdrv_error *err);

/** image_user_done() - free what is in @user. */
void image_user_done(struct image_user *user);

#define cleanup_image_user __attribute__((cleanup(image_user_done)))

#endif
