/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting overlays.
 *
 *   newest: fsopen, fsconfig with a descriptor for each layer (Linux 6.13), fsmount, move_mount
 *   thread: unshare(CLONE_FS), fchdir(base)         names are short and relative
 *   new:    in it: fsopen, fsconfig lowerdir+ ..., fsmount, move_mount, mount_setattr
 *   old:    in it: mount(2) with one lowerdir=
 *   many:   the same, in /proc/thread-self/fd: the numbers of descriptors are names, and 500 of them fit
 *
 * fsconfig(2) cuts values at 256 bytes and mount(2) options at a page: hence the names. lowerdir+ takes
 * a name as it is; upperdir= and workdir= undo backslashes, which our relative names do not hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/mount.h"

#define OPTION_PAGE 4096
static const char fixed_options[] = "index=off,metacopy=off,redirect_dir=nofollow";

struct job {
	const struct overlay_mount *overlay;
	int target_fd;
	int ret;
	struct snapdrv_error err;
};

static int set_string(int fs_fd, const char *key, const char *value)
{
	return fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0);
}

static int set_fixed(int fs_fd)
{
	return set_string(fs_fd, "source", "snapdrv") || set_string(fs_fd, "index", "off") ||
	       set_string(fs_fd, "metacopy", "off") ||
	       set_string(fs_fd, "redirect_dir", "nofollow");
}

/* What the kernel had to say of a failed mount: its last line, in the descriptor's log. */
static int fail_fsopen(int fs_fd, const char *what, struct snapdrv_error *err)
{
	int errnum = errno;
	char line[256];
	ssize_t length = read(fs_fd, line, sizeof(line) - 1);

	while (length > 0 && line[length - 1] == '\n')
		length--;
	errno = errnum;
	if (length <= 2)
		return fail_errno(err, "mount an overlay: %s", what);
	line[length] = '\0';
	return fail_errno(err, "mount an overlay: %s: %s", what, line + 2);
}

static int fail_attached(int mount_fd, const char *what, struct snapdrv_error *err)
{
	int ret = fail_errno(err, "mount an overlay: %s", what);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", mount_fd);
	umount2(path, MNT_DETACH);
	return ret;
}

static int attach(int mount_fd, int target_fd, struct snapdrv_error *err)
{
	struct mount_attr attr = {.propagation = MS_PRIVATE};

	if (move_mount(mount_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return fail_errno(err, "mount an overlay: attach it");
	/* ENOSYS before Linux 5.12: the mount then propagates as its parent does. */
	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) && errno != ENOSYS)
		return fail_attached(mount_fd, "make it private", err);
	return 0;
}

typedef int set_layer(const struct overlay_mount *overlay, int fs_fd, const char *key,
		      const char *name);

static int set_by_name(const struct overlay_mount *overlay, int fs_fd, const char *key,
		       const char *name)
{
	(void)overlay;
	return set_string(fs_fd, key, name);
}

static int set_by_descriptor(const struct overlay_mount *overlay, int fs_fd, const char *key,
			     const char *name)
{
	cleanup_fd int fd = openat(overlay->base_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fsconfig(fs_fd, FSCONFIG_SET_FD, key, NULL, fd);
}

/*
 * Before Linux 6.5 overlay's options were kept as one string until the mount is made: any name is taken, and
 * only there refused. No option was binary, and none is since.
 */
static int is_legacy(int fs_fd)
{
	return fsconfig(fs_fd, FSCONFIG_SET_BINARY, "lowerdir+", "", 1) && errno == EOPNOTSUPP;
}

/* 1: this kernel does not take layers so, try another way. */
static int mount_new(const struct job *job, set_layer *set, struct snapdrv_error *err)
{
	const struct overlay_mount *overlay = job->overlay;
	cleanup_fd int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC), mount_fd = -1;

	if (fs_fd < 0)
		return errno == ENOSYS || errno == EPERM ? 1 : fail_errno(err, "mount an overlay");
	if (set == set_by_name && is_legacy(fs_fd))
		return 1;
	for (size_t i = 0; i < overlay->n_lower; i++) {
		if (!set(overlay, fs_fd, "lowerdir+", overlay->lower[i]))
			continue;
		if (!i && (errno == EINVAL || errno == EOPNOTSUPP))
			return 1;
		return fail_fsopen(fs_fd, overlay->lower[i], err);
	}
	if (overlay->upper && set(overlay, fs_fd, "upperdir", overlay->upper))
		return fail_fsopen(fs_fd, overlay->upper, err);
	if (overlay->upper && set(overlay, fs_fd, "workdir", overlay->work))
		return fail_fsopen(fs_fd, overlay->work, err);
	if (set_fixed(fs_fd) || fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return fail_fsopen(fs_fd, "create", err);
	mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, overlay->upper ? 0 : MOUNT_ATTR_RDONLY);
	if (mount_fd < 0)
		return fail_errno(err, "mount an overlay");
	return job->target_fd < 0 ? steal_fd(&mount_fd) : attach(mount_fd, job->target_fd, err);
}

/* What upperdir and workdir take of the page. */
static size_t upper_size(const struct overlay_mount *overlay)
{
	return overlay->upper ? sizeof(",upperdir=,workdir=") + strlen(overlay->upper) +
					strlen(overlay->work)
			      : 0;
}

static int fits_page(const struct overlay_mount *overlay)
{
	size_t size = sizeof(fixed_options) + sizeof(",lowerdir=") + upper_size(overlay);

	for (size_t i = 0; i < overlay->n_lower; i++)
		size += strlen(overlay->lower[i]) + 1;
	return size <= OPTION_PAGE;
}

/* Our names hold no comma, colon or backslash; this says so before the kernel reads them otherwise. */
static int join_options(const struct overlay_mount *overlay, char *options,
			struct snapdrv_error *err)
{
	size_t used = (size_t)snprintf(options, OPTION_PAGE, "%s,lowerdir=", fixed_options);

	for (size_t i = 0; i < overlay->n_lower; i++) {
		size_t length = strlen(overlay->lower[i]);

		if (strpbrk(overlay->lower[i], ",:\\"))
			return fail(err, SNAPDRV_FAILED, EINVAL, "mount an overlay: unfit name %s",
				    quote(overlay->lower[i]).text);
		if (used + length + 2 + upper_size(overlay) > OPTION_PAGE)
			return fail(
				err, SNAPDRV_FAILED, E2BIG,
				"%zu layers: their names do not fit this kernel's mount options",
				overlay->n_lower);
		used += (size_t)sprintf(options + used, "%s%s", i ? ":" : "", overlay->lower[i]);
	}
	if (overlay->upper)
		snprintf(options + used, OPTION_PAGE - used, ",upperdir=%s,workdir=%s",
			 overlay->upper, overlay->work);
	return 0;
}

/* Directories by the numbers of their descriptors. */
struct numbered {
	struct number {
		char text[12];
		int fd;
	} * items;
	size_t count;
	const char **lower;
};

static void numbered_done(struct numbered *numbered)
{
	for (size_t i = 0; i < numbered->count; i++)
		close(numbered->items[i].fd);
	free(numbered->items);
	free(numbered->lower);
}

static const char *add_number(struct numbered *numbered, const char *name,
			      struct snapdrv_error *err)
{
	struct number *number = &numbered->items[numbered->count];

	number->fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (number->fd < 0) {
		fail_errno(err, "mount an overlay: open %s", name);
		return NULL;
	}
	numbered->count++;
	snprintf(number->text, sizeof(number->text), "%d", number->fd);
	return number->text;
}

/*
 * Give all directories of an overlay the shortest names that there are, and go to where these are found.
 * The descriptors belong to this mount namespace: the kernel takes no layer of another one.
 */
static int number_names(struct overlay_mount *overlay, struct numbered *numbered,
			struct snapdrv_error *err)
{
	numbered->items = calloc(overlay->n_lower + 2, sizeof(*numbered->items));
	numbered->lower = calloc(overlay->n_lower, sizeof(*numbered->lower));
	if (!numbered->items || !numbered->lower)
		return fail_memory(err);
	for (size_t i = 0; i < overlay->n_lower; i++) {
		numbered->lower[i] = add_number(numbered, overlay->lower[i], err);
		if (!numbered->lower[i])
			return -EIO;
	}
	if (overlay->upper) {
		overlay->upper = add_number(numbered, overlay->upper, err);
		overlay->work = overlay->upper ? add_number(numbered, overlay->work, err) : NULL;
		if (!overlay->work)
			return -EIO;
	}
	overlay->lower = numbered->lower;
	return chdir("/proc/thread-self/fd")
		       ? fail_errno(err, "mount an overlay: go to /proc/thread-self/fd")
		       : 0;
}

static int mount_with(const struct overlay_mount *overlay, const char *target,
		      struct snapdrv_error *err)
{
	char options[OPTION_PAGE];
	int ret = join_options(overlay, options, err);

	if (ret || !mount("snapdrv", target, "overlay", overlay->upper ? 0 : MS_RDONLY, options))
		return ret;
	if (overlay->shift && errno == EINVAL)
		return fail(
			err, SNAPDRV_FAILED, EOPNOTSUPP,
			"shift owners: this kernel has no idmapped overlay layers (Linux 5.19)");
	return fail_errno(err, "mount an overlay of %zu layers", overlay->n_lower);
}

/* By its name: a descriptor's number leads to what the mount covers. */
static int open_mounted(const struct overlay_mount *overlay, int base_fd, struct snapdrv_error *err)
{
	const char *name = overlay->lower[0];
	/* A mount of this thread's namespace cannot be attached in another one, a clone of it can. */
	int fd = overlay->shift ? open_tree(base_fd, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
				: openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open an overlay") : fd;
}

/*
 * Without a target: in a mount namespace that is this thread's alone, over the topmost layer, so that
 * nobody else sees it. The descriptor keeps the mount when the namespace ends with the thread.
 */
static int mount_old_detached(const struct job *job, struct snapdrv_error *err)
{
	__attribute__((cleanup(numbered_done))) struct numbered numbered = {0};
	struct overlay_mount overlay = *job->overlay;
	cleanup_fd int base_fd = -1;
	int ret;

	/* The current directory comes along into the namespace; the descriptor's mount stays outside. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fail_errno(err, "mount an overlay: mount namespace");
	base_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base_fd < 0)
		return fail_errno(err, "mount an overlay: open a directory");
	ret = fits_page(&overlay) ? 0 : number_names(&overlay, &numbered, err);
	if (!ret)
		ret = mount_with(&overlay, overlay.lower[0], err);
	return ret ? ret : open_mounted(job->overlay, base_fd, err);
}

static int mount_old(const struct job *job, struct snapdrv_error *err)
{
	__attribute__((cleanup(numbered_done))) struct numbered numbered = {0};
	struct overlay_mount overlay = *job->overlay;
	char target[64];
	int ret;

	if (job->target_fd < 0)
		return mount_old_detached(job, err);
	snprintf(target, sizeof(target), "/proc/self/fd/%d", job->target_fd);
	ret = fits_page(&overlay) ? 0 : number_names(&overlay, &numbered, err);
	return ret ? ret : mount_with(&overlay, target, err);
}

/*
 * Shifted layers have to be reached through an idmapped mount: in a mount namespace of this thread's own,
 * one is put over the parent of the base directory, and the thread goes into it.
 */
static int shift_base(const struct overlay_mount *overlay, struct snapdrv_error *err)
{
	cleanup_fd int tree_fd = -1, base_fd = -1;
	int ret;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fail_errno(err, "mount an overlay: mount namespace");
	tree_fd = open_tree(AT_FDCWD, "..", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree_fd < 0)
		return fail_errno(err, "shift owners: open_tree (Linux 5.2)");
	ret = idmap_apply(tree_fd, overlay->shift, err);
	if (ret)
		return ret;
	if (move_mount(tree_fd, "", AT_FDCWD, "..", MOVE_MOUNT_F_EMPTY_PATH))
		return fail_errno(err, "shift owners: attach a mount");
	base_fd = openat(tree_fd, overlay->base_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base_fd < 0 || fchdir(base_fd))
		return fail_errno(err, "shift owners: change directory");
	/* An overlay does all its work as the one that mounts it. */
	return idmap_become(overlay->shift, err);
}

static void *run(void *arg)
{
	struct job *job = arg;

	/* The current directory is the process's until the thread has one of its own. */
	if (unshare(CLONE_FS) || fchdir(job->overlay->base_fd)) {
		job->ret = fail_errno(&job->err, "mount an overlay: change directory");
		return NULL;
	}
	job->ret = job->overlay->shift ? shift_base(job->overlay, &job->err) : 0;
	if (job->ret)
		return NULL;
	job->ret = mount_new(job, set_by_name, &job->err);
	if (job->ret == 1)
		job->ret = mount_old(job, &job->err);
	return NULL;
}

int mount_overlay(const struct overlay_mount *overlay, int target_fd, struct snapdrv_error *err)
{
	/* A mount that was made in another namespace is attached from here. */
	struct job job = {.overlay = overlay, .target_fd = overlay->shift ? -1 : target_fd};
	cleanup_fd int shifted_fd = -1;
	pthread_t thread;
	int ret;

	if (overlay->n_lower > MOUNT_OVERLAY_MAX)
		return fail(err, SNAPDRV_FAILED, E2BIG,
			    "%zu layers: this kernel mounts at most %d of them at once",
			    overlay->n_lower, MOUNT_OVERLAY_MAX);
	if (!overlay->shift) {
		ret = mount_new(&job, set_by_descriptor, err);
		if (ret != 1)
			return ret;
	}
	ret = pthread_create(&thread, NULL, run, &job);
	if (ret)
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	pthread_join(thread, NULL);
	if (job.ret < 0)
		return fail(err, job.err.code, job.err.errnum, "%s", job.err.message);
	if (!overlay->shift || target_fd < 0)
		return job.ret;
	shifted_fd = job.ret;
	return attach(shifted_fd, target_fd, err);
}
