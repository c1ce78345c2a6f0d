/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying single names.
 *
 *   file      FICLONE or data; owner, mode, xattrs (data and owner first: they take capabilities); mtime
 *   symlink   its text, owner, xattrs, mtime
 *   device, FIFO, socket: mknodat(2), then likewise
 */
#include "kernel/copy_leaf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/xattr.h"

static uid_t owner(const struct copy_rules *rules, const struct stat *st)
{
	return rules->uid < 0 ? st->st_uid : (uid_t)rules->uid;
}

static gid_t group(const struct copy_rules *rules, const struct stat *st)
{
	return rules->gid < 0 ? st->st_gid : (gid_t)rules->gid;
}

static mode_t permissions(const struct copy_rules *rules, const struct stat *st)
{
	return (rules->mode < 0 ? st->st_mode : (mode_t)rules->mode) & 07777;
}

/* Of an open file or directory; data and entries are there already. */
int leaf_attributes(int from_fd, int to_fd, const struct stat *st, const struct copy_rules *rules,
		    int keeps_xattrs, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, copy_mtime(rules, &st->st_mtim)};
	int ret;

	if (fchown(to_fd, owner(rules, st), group(rules, st)) ||
	    fchmod(to_fd, permissions(rules, st)))
		return fail_errno(err, "set owner and mode");
	ret = keeps_xattrs ? 0 : xattr_clear(to_fd, err);
	if (!ret)
		ret = xattr_add(from_fd, to_fd, rules->wants_xattr, err);
	/* An ACL among them brings its own bits. */
	if (!ret && rules->mode >= 0 && fchmod(to_fd, permissions(rules, st)))
		ret = fail_errno(err, "set the mode");
	if (ret)
		return ret;
	return futimens(to_fd, times) ? fail_errno(err, "set times") : 0;
}

static int copy_file(const struct leaf *leaf, struct snapdrv_error *err)
{
	/* Whatever stands there by now: a FIFO is not waited for, a terminal not taken. */
	cleanup_fd int in = openat(leaf->from_fd, leaf->name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
		       out = -1;
	struct stat st;
	int ret;

	if (in < 0 || fstat(in, &st))
		return fail_errno(err, "open");
	if (!S_ISREG(st.st_mode))
		return fail(err, SNAPDRV_FAILED, ESTALE, "it became something else meanwhile");
	out = openat(leaf->to_fd, leaf->as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		     0600);
	if (out < 0)
		return fail_errno(err, "create");
	ret = st.st_size ? file_same_data(in, out, "data", err) : 0;
	return ret ? ret : leaf_attributes(in, out, &st, leaf->rules, 0, err);
}

static int copy_link_text(const struct leaf *leaf, struct snapdrv_error *err)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(leaf->from_fd, leaf->name, target, sizeof(target) - 1);

	if (length < 0)
		return fail_errno(err, "read a symlink");
	target[length] = '\0';
	return symlinkat(target, leaf->to_fd, leaf->as) ? fail_errno(err, "make a symlink") : 0;
}

/* Of a name that cannot be opened. */
static int copy_xattrs_at(const struct leaf *leaf, struct snapdrv_error *err)
{
	cleanup_free char *to = text_format(err, "/proc/self/fd/%d/%s", leaf->to_fd, leaf->as);
	cleanup_fd int from = openat(leaf->from_fd, leaf->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (!to)
		return -ENOMEM;
	if (from < 0)
		return fail_errno(err, "open it");
	/* From a default ACL of a directory far above; symlinks have none. */
	lremovexattr(to, "system.posix_acl_access");
	return xattr_copy_name(from, leaf->to_fd, leaf->as, leaf->rules->wants_xattr, err);
}

static int copy_special(const struct leaf *leaf, const struct stat *st, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, copy_mtime(leaf->rules, &st->st_mtim)};
	const mode_t mode = permissions(leaf->rules, st);
	int is_link = S_ISLNK(st->st_mode);
	int ret = is_link ? copy_link_text(leaf, err) : 0;

	if (ret)
		return ret;
	if (!is_link && mknodat(leaf->to_fd, leaf->as, (st->st_mode & S_IFMT) | 0600, st->st_rdev))
		return fail_errno(err, "make a device, FIFO or socket");
	if (fchownat(leaf->to_fd, leaf->as, owner(leaf->rules, st), group(leaf->rules, st),
		     AT_SYMLINK_NOFOLLOW) ||
	    (!is_link && fchmodat(leaf->to_fd, leaf->as, mode, 0)))
		return fail_errno(err, "set owner and mode");
	ret = copy_xattrs_at(leaf, err);
	if (ret)
		return ret;
	if (utimensat(leaf->to_fd, leaf->as, times, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "set times");
	return 0;
}

int leaf_copy(const struct leaf *leaf, const struct stat *st, struct snapdrv_error *err)
{
	return S_ISREG(st->st_mode) ? copy_file(leaf, err) : copy_special(leaf, st, err);
}
