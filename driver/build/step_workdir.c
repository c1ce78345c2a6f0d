/* SPDX-License-Identifier: Apache-2.0 */
/* WORKDIR: the directory is made where it is missing, and is the user's. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/work.h"
#include "kernel/resolve.h"

struct directory {
	struct stage *stage;
	const char *path;
};

static int make_one(int above_fd, const char *name, uint32_t uid, uint32_t gid,
		    struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;

	if (mkdirat(above_fd, name, 0755))
		return fail_errno(err, "make directory %s", quote(name).text);
	fd = openat(above_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) || fchown(fd, uid, gid))
		return fail_errno(err, "make directory %s", quote(name).text);
	return 0;
}

/* @ret: what resolve_open() said. */
static int fail_to_reach(const char *path, int ret, struct snapdrv_error *err)
{
	if (resolve_is_absent(ret))
		return refuse(err, "%s is no directory", quote(path).text);
	return fail_ret(err, ret, "directory %s", quote(path).text);
}

/* Each part of the path as one who is chrooted to the tree would find it. */
static int make_path(int root_fd, const char *path, uint32_t uid, uint32_t gid,
		     struct snapdrv_error *err)
{
	cleanup_free char *so_far = text_dup(path, err);
	int ret = 0;

	if (!so_far)
		return -ENOMEM;
	for (char *at = so_far; !ret && *at;) {
		char *end = at + 1 + strcspn(at + 1, "/"), rest = *end;
		cleanup_fd int above_fd = -1, fd = -1;

		*end = '\0';
		fd = resolve_open(root_fd, so_far, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && fd != -ENOENT)
			ret = fail_to_reach(so_far, fd, err);
		if (fd == -ENOENT) {
			*at = '\0';
			above_fd = resolve_open(root_fd, *so_far ? so_far : "/",
						O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			*at = '/';
			ret = above_fd < 0 ? fail_to_reach(so_far, above_fd, err)
					   : make_one(above_fd, at + 1, uid, gid, err);
		}
		*end = rest;
		at = end;
	}
	return ret;
}

static int change(void *arg, struct work *work, const struct report *report,
		  struct snapdrv_error *err)
{
	const struct directory *directory = arg;
	uint32_t uid, gid;
	int ret =
		user_find(directory->stage, config_text(directory->stage, "User"), &uid, &gid, err);

	(void)report;
	return ret ? ret : make_path(work->root_fd, directory->path, uid, gid, err);
}

/* Without a slash at the end, unless it is the root. */
static int find_path(struct stage *stage, const struct recipe_step *step, char **ret_path,
		     struct snapdrv_error *err)
{
	cleanup_free char *text = NULL;
	char *path;
	size_t length;
	int ret = step->args.count ? scope_expand(stage, step->args.items[0], 0, &text, err)
				   : refuse(err, "no directory");

	if (ret)
		return ret;
	if (!*text)
		return refuse(err, "the directory's name is empty");
	path = path_absolute(config_text(stage, "WorkingDir"), text, err);
	if (!path)
		return -ENOMEM;
	length = strlen(path);
	if (length > 1 && path[length - 1] == '/')
		path[length - 1] = '\0';
	*ret_path = path;
	return 0;
}

int step_workdir(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	cleanup_free char *path = NULL, *created_by = NULL;
	cleanup_strings struct strings keys = {0};
	cleanup_key struct key key = {0};
	struct directory directory = {.stage = stage};
	struct doing doing = {.step = step, .keys = &keys, .change = change, .arg = &directory};
	json_t *json;
	int ret = find_path(stage, step, &path, err);

	if (!ret)
		ret = key_begin(&key, stage, "workdir", err);
	if (ret)
		return ret;
	directory.path = path;
	created_by = text_format(err, "WORKDIR %s", path);
	if (!created_by)
		return -ENOMEM;
	doing.created_by = created_by;
	key_add(&key, path);
	key_add(&key, config_text(stage, "User"));
	ret = strings_add(&keys, key_text(&key).text, err);
	if (!ret)
		ret = step_do(stage, &doing, err);
	if (ret)
		return ret;
	json = json_string(path);
	if (!json)
		return refuse(err, "%s: not UTF-8", quote(path).text);
	return json_object_set_new(config_of(stage), "WorkingDir", json) ? fail_memory(err) : 0;
}
