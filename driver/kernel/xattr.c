/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes. */
#include "kernel/xattr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

int xattr_is_ours(const char *name)
{
	return text_starts(name, "trusted.overlay.") || text_starts(name, "user.overlay.");
}

int xattr_fits(const char *name, mode_t type)
{
	if (text_starts(name, "user."))
		return S_ISREG(type) || S_ISDIR(type);
	if (text_starts(name, "system.posix_acl_"))
		return !S_ISLNK(type);
	return text_starts(name, "trusted.") || text_starts(name, "security.");
}

int xattr_is_portable(const char *name)
{
	return !strcmp(name, "security.capability") ||
	       (text_starts(name, "user.") && !xattr_is_ours(name));
}

int xattr_set(int fd, const char *name, const char *attribute, const void *value, size_t size,
	      struct snapdrv_error *err)
{
	cleanup_free char *path = NULL;
	int ret;

	if (!name) {
		ret = fsetxattr(fd, attribute, value, size, 0);
	} else {
		/* There is no setxattrat(2) before Linux 6.13: the directory goes through /proc. */
		path = text_format(err, "/proc/self/fd/%d/%s", fd, name);
		if (!path)
			return -ENOMEM;
		ret = lsetxattr(path, attribute, value, size, 0);
	}
	return ret ? fail_errno(err, "set xattr %s", quote(attribute).text) : 0;
}

/* All names, each ended by NUL, for free(3). */
static ssize_t list_names(int fd, char **ret_names, struct snapdrv_error *err)
{
	ssize_t size = flistxattr(fd, NULL, 0);
	char *names;

	if (size < 0 && errno != EOPNOTSUPP)
		return fail_errno(err, "list xattrs");
	names = malloc(size > 0 ? (size_t)size : 1);
	if (!names)
		return fail_memory(err);
	size = size > 0 ? flistxattr(fd, names, (size_t)size) : 0;
	if (size < 0) {
		fail_errno(err, "list xattrs");
		free(names);
		return -errno;
	}
	*ret_names = names;
	return size;
}

/* By these names XFS tells root what is on the disk of an ACL, once more. */
static int is_alias(const char *name)
{
	return !strcmp(name, "trusted.SGI_ACL_FILE") || !strcmp(name, "trusted.SGI_ACL_DEFAULT");
}

static int is_kept(const char *name)
{
	return strcmp(name, "security.selinux") && !is_alias(name);
}

static int is_copied(const char *name)
{
	return !xattr_is_ours(name) && is_kept(name);
}

static int copy_one(int from, int to, const char *name, struct snapdrv_error *err)
{
	ssize_t size = fgetxattr(from, name, NULL, 0);
	cleanup_free char *value = size < 0 ? NULL : malloc((size_t)size + 1);

	if (size < 0)
		return fail_errno(err, "read xattr %s", quote(name).text);
	if (!value)
		return fail_memory(err);
	size = fgetxattr(from, name, value, (size_t)size);
	if (size < 0)
		return fail_errno(err, "read xattr %s", quote(name).text);
	return xattr_set(to, NULL, name, value, (size_t)size, err);
}

int xattr_clear(int fd, struct snapdrv_error *err)
{
	cleanup_free char *names = NULL;
	ssize_t size = list_names(fd, &names, err);

	if (size < 0)
		return (int)size;
	for (char *name = names; name < names + size; name += strlen(name) + 1) {
		if (is_copied(name) && fremovexattr(fd, name) && errno != ENODATA)
			return fail_errno(err, "remove xattr %s", quote(name).text);
	}
	return 0;
}

int xattr_add(int from, int to, int (*is_wanted)(const char *name), struct snapdrv_error *err)
{
	cleanup_free char *names = NULL;
	ssize_t size = list_names(from, &names, err);

	if (size < 0)
		return (int)size;
	for (char *name = names; name < names + size; name += strlen(name) + 1) {
		int ret = is_copied(name) && (!is_wanted || is_wanted(name))
				  ? copy_one(from, to, name, err)
				  : 0;

		if (ret)
			return ret;
	}
	return 0;
}

int xattr_copy(int from, int to, struct snapdrv_error *err)
{
	int ret = xattr_clear(to, err);

	return ret ? ret : xattr_add(from, to, NULL, err);
}

static int copy_by_path(const char *path, int fd, const char *name, const char *attribute,
			struct snapdrv_error *err)
{
	ssize_t size = getxattr(path, attribute, NULL, 0);
	cleanup_free char *value = size < 0 ? NULL : malloc((size_t)size + 1);

	if (size >= 0 && !value)
		return fail_memory(err);
	if (size >= 0)
		size = getxattr(path, attribute, value, (size_t)size);
	if (size < 0)
		return fail_errno(err, "read xattr %s", quote(attribute).text);
	return xattr_set(fd, name, attribute, value, (size_t)size, err);
}

int xattr_copy_name(int from, int fd, const char *name, int (*is_wanted)(const char *attribute),
		    struct snapdrv_error *err)
{
	cleanup_free char *list = NULL;
	char path[64];
	ssize_t size;

	/* The link in /proc leads to the file itself, a symlink too. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
	size = listxattr(path, NULL, 0);
	if (size < 0)
		return errno == EOPNOTSUPP ? 0 : fail_errno(err, "list xattrs");
	list = malloc((size_t)size + 1);
	if (!list)
		return fail_memory(err);
	size = size ? listxattr(path, list, (size_t)size) : 0;
	if (size < 0)
		return fail_errno(err, "list xattrs");
	for (const char *at = list; at < list + size; at += strlen(at) + 1) {
		int ret = is_copied(at) && (!is_wanted || is_wanted(at))
				  ? copy_by_path(path, fd, name, at, err)
				  : 0;

		if (ret)
			return ret;
	}
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct xattr_item *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static int read_item(const char *path, const char *name, struct xattr_items *items,
		     struct snapdrv_error *err)
{
	struct xattr_item *grown = reallocarray(items->items, items->count + 1, sizeof(*grown));
	ssize_t size = lgetxattr(path, name, NULL, 0);
	cleanup_free char *value = NULL, *copy = NULL;

	if (!grown)
		return fail_memory(err);
	items->items = grown;
	if (size >= 0) {
		value = malloc((size_t)size + 1);
		copy = strdup(name);
		if (!value || !copy)
			return fail_memory(err);
		size = lgetxattr(path, name, value, (size_t)size);
	}
	if (size < 0)
		/* Taken away a moment ago. */
		return errno == ENODATA ? 0 : fail_errno(err, "read xattr %s", quote(name).text);
	grown[items->count++] =
		(struct xattr_item){steal_ptr(&copy), steal_ptr(&value), (size_t)size};
	return 0;
}

static int read_items(int dir_fd, const char *name, int (*counts)(const char *attribute),
		      struct xattr_items *ret_items, struct snapdrv_error *err)
{
	/* There is no listxattrat(2) before Linux 6.13. */
	cleanup_free char *path = text_format(err, "/proc/self/fd/%d/%s", dir_fd, name);
	cleanup_free char *list = NULL;
	cleanup_xattr_items struct xattr_items items = {0};
	ssize_t size = path ? llistxattr(path, NULL, 0) : -ENOMEM;

	if (!path)
		return -ENOMEM;
	if (size > 0) {
		list = malloc((size_t)size);
		if (!list)
			return fail_memory(err);
		size = llistxattr(path, list, (size_t)size);
	}
	if (size < 0 && errno != EOPNOTSUPP)
		return fail_errno(err, "list xattrs");
	for (const char *at = list; size > 0 && at < list + size; at += strlen(at) + 1) {
		int ret = counts(at) ? read_item(path, at, &items, err) : 0;

		if (ret)
			return ret;
	}
	if (items.count)
		qsort(items.items, items.count, sizeof(*items.items), compare_items);
	*ret_items = items;
	items = (struct xattr_items){0};
	return 0;
}

int xattr_read(int dir_fd, const char *name, struct xattr_items *ret_items,
	       struct snapdrv_error *err)
{
	return read_items(dir_fd, name, is_copied, ret_items, err);
}

int xattr_read_all(int dir_fd, const char *name, struct xattr_items *ret_items,
		   struct snapdrv_error *err)
{
	return read_items(dir_fd, name, is_kept, ret_items, err);
}

int xattr_has(int dir_fd, const char *name, const char *attribute, const char *value,
	      struct snapdrv_error *err)
{
	cleanup_free char *path = text_format(err, "/proc/self/fd/%d/%s", dir_fd, name);
	char found[16];
	ssize_t size;

	if (!path)
		return -ENOMEM;
	size = lgetxattr(path, attribute, found, sizeof(found));
	if (size < 0 && errno == ERANGE)
		return !value;
	if (size < 0)
		return errno == ENODATA || errno == EOPNOTSUPP || errno == ENOENT
			       ? 0
			       : fail_errno(err, "read xattr %s of %s", attribute,
					    quote(name).text);
	return !value || ((size_t)size == strlen(value) && !memcmp(found, value, (size_t)size));
}

void xattr_items_done(struct xattr_items *items)
{
	for (size_t i = 0; i < items->count; i++) {
		free(items->items[i].name);
		free(items->items[i].value);
	}
	free(items->items);
	*items = (struct xattr_items){0};
}
