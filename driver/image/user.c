/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up a User in passwd and group files that are not trusted; no byte of them is copied. */
#include "image/user.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ID_MAX INT32_MAX
#define GROUPS_MAX 65536 /* setgroups(2) takes no more: NGROUPS_MAX */

/* A piece of a file or of the User; without a NUL at its end. */
struct slice {
	const char *at;
	size_t size;
};

struct passwd_entry {
	struct slice name, home;
	uint32_t uid, gid;
};

struct group_entry {
	struct slice name, members;
	uint32_t gid;
};

static int slice_equal(struct slice a, struct slice b)
{
	return a.size == b.size && (!a.size || !memcmp(a.at, b.at, a.size));
}

/* Takes what stands before the next @separator; 0 at the end. */
static int take(struct slice *rest, char separator, struct slice *ret_piece)
{
	const char *end;
	size_t size;

	if (!rest->at)
		return 0;
	end = rest->size ? memchr(rest->at, separator, rest->size) : NULL;
	size = end ? (size_t)(end - rest->at) : rest->size;
	*ret_piece = (struct slice){rest->at, size};
	*rest = end ? (struct slice){end + 1, rest->size - size - 1} : (struct slice){0};
	return 1;
}

static int is_number(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return 0;
	}
	return text.size > 0;
}

static int read_id(struct slice text, uint32_t *ret_id)
{
	uint64_t id = 0;

	if (!is_number(text))
		return 0;
	for (size_t i = 0; i < text.size; i++) {
		id = id * 10 + (uint64_t)(text.at[i] - '0');
		if (id > ID_MAX)
			return 0;
	}
	*ret_id = (uint32_t)id;
	return 1;
}

/* The next line that may be an entry, cut into at most @max fields; how many, or 0 at the end. */
static size_t next_fields(struct slice *rest, struct slice *fields, size_t max)
{
	struct slice line;

	while (take(rest, '\n', &line)) {
		size_t count = 0;

		while (line.size && strchr(" \t\r", *line.at) && *line.at)
			line = (struct slice){line.at + 1, line.size - 1};
		while (line.size && strchr(" \t\r", line.at[line.size - 1]) &&
		       line.at[line.size - 1])
			line.size--;
		if (!line.size || *line.at == '#' || memchr(line.at, '\0', line.size))
			continue;
		while (count < max && take(&line, ':', &fields[count]))
			count++;
		return count;
	}
	return 0;
}

/* name:password:uid:gid:gecos:home:shell */
static int next_passwd(struct slice *rest, struct passwd_entry *ret_entry)
{
	struct slice fields[7];
	size_t count;

	while ((count = next_fields(rest, fields, 7))) {
		struct passwd_entry entry = {.name = fields[0]};

		if (count < 4 || !read_id(fields[2], &entry.uid) || !read_id(fields[3], &entry.gid))
			continue;
		if (count > 5)
			entry.home = fields[5];
		*ret_entry = entry;
		return 1;
	}
	return 0;
}

/* name:password:gid:member,member,... */
static int next_group(struct slice *rest, struct group_entry *ret_entry)
{
	struct slice fields[4];
	size_t count;

	while ((count = next_fields(rest, fields, 4))) {
		struct group_entry entry = {.name = fields[0]};

		if (count < 3 || !read_id(fields[2], &entry.gid))
			continue;
		if (count > 3)
			entry.members = fields[3];
		*ret_entry = entry;
		return 1;
	}
	return 0;
}

static int has_member(struct slice members, struct slice name)
{
	struct slice member;

	while (take(&members, ',', &member)) {
		if (slice_equal(member, name))
			return 1;
	}
	return 0;
}

static int find_user(const struct user_files *files, struct slice wanted,
		     struct passwd_entry *ret_entry)
{
	struct slice rest = {files->passwd, files->passwd_size};
	int numeric = is_number(wanted);
	struct passwd_entry entry;
	uint32_t uid = 0;

	if (numeric)
		read_id(wanted, &uid);
	while (next_passwd(&rest, &entry)) {
		if (numeric ? entry.uid == uid : slice_equal(entry.name, wanted)) {
			*ret_entry = entry;
			return 1;
		}
	}
	return 0;
}

static int find_group(const struct user_files *files, struct slice wanted, uint32_t *ret_gid)
{
	struct slice rest = {files->group, files->group_size};
	struct group_entry entry;

	while (next_group(&rest, &entry)) {
		if (slice_equal(entry.name, wanted)) {
			*ret_gid = entry.gid;
			return 1;
		}
	}
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return (one > other) - (one < other);
}

/* Sorts the groups behind the first one, and leaves out what is there twice. */
static void tidy_groups(struct image_user *user)
{
	size_t kept = 1;

	qsort(user->groups + 1, user->n_groups - 1, sizeof(*user->groups), compare_ids);
	for (size_t i = 1; i < user->n_groups; i++) {
		uint32_t gid = user->groups[i];

		if (gid != user->gid && gid != user->groups[kept - 1])
			user->groups[kept++] = gid;
	}
	user->n_groups = kept;
}

/* docker gives the process its own gid as a supplementary group too (CVE-2022-36109). */
static int fill_groups(const struct user_files *files, struct slice name, struct image_user *user,
		       struct snapdrv_error *err)
{
	struct slice rest = {files->group, files->group_size};
	struct group_entry entry;
	size_t room = 1;

	user->groups = malloc(room * sizeof(*user->groups));
	if (!user->groups)
		return fail_memory(err);
	user->groups[user->n_groups++] = user->gid;
	while (name.size && next_group(&rest, &entry)) {
		if (!has_member(entry.members, name))
			continue;
		if (user->n_groups == room) {
			uint32_t *grown = reallocarray(user->groups, 2 * room, sizeof(*grown));

			if (!grown)
				return fail_memory(err);
			user->groups = grown;
			room *= 2;
		}
		user->groups[user->n_groups++] = entry.gid;
	}
	tidy_groups(user);
	if (user->n_groups > GROUPS_MAX)
		return refuse(err, "a user of more than %d groups", GROUPS_MAX);
	return 0;
}

static int fill_home(struct slice home, struct image_user *user, struct snapdrv_error *err)
{
	user->home = home.size ? strndup(home.at, home.size) : strdup("/");
	return user->home ? 0 : fail_memory(err);
}

/* One half of a User: a number that is too large is refused, since no name is all digits. */
static int check_range(struct slice half, const char *user, struct snapdrv_error *err)
{
	uint32_t id;

	if (is_number(half) && !read_id(half, &id))
		return refuse(err, "user %s: ids are 0 to %d", quote(user).text, ID_MAX);
	return 0;
}

int image_user_lookup(const char *user, const struct user_files *files, struct image_user *ret_user,
		      struct snapdrv_error *err)
{
	cleanup_image_user struct image_user found = {0};
	struct slice group = {user, strlen(user)}, name = {0}, wanted = {"0", 1}, member = {0};
	struct passwd_entry entry = {0};
	int ret;

	take(&group, ':', &name);
	if (check_range(name, user, err) < 0 || check_range(group, user, err) < 0)
		return -EBADMSG;
	if (name.size)
		wanted = name;
	if (find_user(files, wanted, &entry))
		found.gid = name.size ? entry.gid : 0;
	else if (!is_number(wanted))
		return refuse(err, "user %s: not in the image's /etc/passwd", quote(user).text);
	if (!read_id(wanted, &found.uid))
		found.uid = entry.uid;
	if (group.size && !read_id(group, &found.gid) && !find_group(files, group, &found.gid))
		return refuse(err, "user %s: no such group in the image's /etc/group",
			      quote(user).text);
	if (!group.size)
		member = entry.name;
	ret = fill_groups(files, member, &found, err);
	if (!ret)
		ret = fill_home(entry.home, &found, err);
	if (ret < 0)
		return ret;
	*ret_user = found;
	found = (struct image_user){0};
	return 0;
}

void image_user_done(struct image_user *user)
{
	free(user->groups);
	free(user->home);
	*user = (struct image_user){0};
}
