/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filesystem of one's own to measure in.
 *
 *   unshare(CLONE_NEWNS)	its mounts are nobody else's, and go with the last process that has them
 *   open(O_TMPFILE)		a sparse file that has no name
 *   LOOP_CONFIGURE		a device over it that frees itself when the mount goes
 *   mkfs, mount(2)
 *
 * So a process that is killed, at any point, leaves neither mount, device nor file.
 */
#include "kernel/scratch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/mkfs.h"
#include "kernel/mount.h"

/*
 * Where it is mounted, in a namespace where nobody else sees it: a directory that every kernel has, made
 * to be mounted on and empty, so that it covers no file of the user's. A directory made for it would
 * stay when the process is killed.
 */
#define MOUNT_POINT "/proc/fs/nfsd"
#define SIZE_DEFAULT (8ull << 30)
#define ARGS_MAX 64

struct scratch_kind {
	const char *name;
	const char *mkfs[6]; /* none: it lives in memory */
	const char *package; /* Debian's */
};

/* Without lazy work, which would go on in the background of what is measured. */
static const struct scratch_kind kinds[] = {
	{"ext4",
	 {"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"},
	 "e2fsprogs"},
	{"xfs", {"mkfs.xfs", "-q", "-f"}, "xfsprogs"},
	{"btrfs", {"mkfs.btrfs", "-q", "-f"}, "btrfs-progs"},
	{"tmpfs", {NULL}, NULL},
	{"f2fs", {"mkfs.f2fs", "-q", "-f"}, "f2fs-tools"},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *const *scratch_filesystems(void)
{
	static const char *names[N_KINDS + 1];

	for (size_t i = 0; i < N_KINDS; i++)
		names[i] = kinds[i].name;
	return names;
}

static int find_kind(const char *name, const struct scratch_kind **ret_kind,
		     struct snapdrv_error *err)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		if (!strcmp(kinds[i].name, name)) {
			*ret_kind = &kinds[i];
			return 0;
		}
	}
	return fail(err, SNAPDRV_USAGE, EINVAL, "filesystem %s: unknown", quote(name).text);
}

static int own_namespace(struct snapdrv_error *err)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fail_errno(err, "make a mount namespace");
	return 0;
}

static int fail_no_kernel(const struct scratch_kind *kind, struct snapdrv_error *err)
{
	return fail(err, SNAPDRV_MISSING, ENODEV, "this kernel has no %s", kind->name);
}

/* Asked before anything is made; fsopen(2) also loads the module. Where it is missing, mount(2) tells. */
static int ask_kernel(const struct scratch_kind *kind, struct snapdrv_error *err)
{
	cleanup_fd int fd = fsopen(kind->name, FSOPEN_CLOEXEC);

	return fd < 0 && errno == ENODEV ? fail_no_kernel(kind, err) : 0;
}

/* Not every filesystem has O_TMPFILE (overlay before Linux 6.2, NFS). */
static int nameless_file(uint64_t size, struct snapdrv_error *err)
{
	const char *tmp = getenv("TMPDIR");
	const char *dir = tmp && *tmp ? tmp : "/var/tmp";
	cleanup_fd int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	cleanup_free char *path = NULL;

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		path = text_format(err, "%s/snapdrv.XXXXXX", dir);
		if (!path)
			return -ENOMEM;
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0 || ftruncate(fd, (off_t)size))
		return fail_errno(err, "a file of %llu bytes in %s", (unsigned long long)size,
				  quote(dir).text);
	return steal_fd(&fd);
}

static int make_filesystem(const struct scratch *scratch,
			   const struct snapdrv_scratch_options *options, struct snapdrv_error *err)
{
	const char *argv[ARGS_MAX];
	size_t n = 0;
	int ret;

	assert(*scratch->kind->mkfs);
	for (; scratch->kind->mkfs[n]; n++)
		argv[n] = scratch->kind->mkfs[n];
	if (options->n_mkfs_args > ARGS_MAX - n - 2)
		return fail(err, SNAPDRV_USAGE, E2BIG, "more than %zu options for %s",
			    ARGS_MAX - n - 2, argv[0]);
	for (size_t i = 0; i < options->n_mkfs_args; i++)
		argv[n++] = options->mkfs_args[i];
	argv[n++] = scratch->loop.path;
	argv[n] = NULL;
	ret = mkfs_run(argv, err);
	if (ret == -ENOENT)
		return fail(err, SNAPDRV_MISSING, ENOENT, "%s is not in PATH (Debian's package %s)",
			    argv[0], scratch->kind->package);
	return ret;
}

static int attach(const struct scratch *scratch, struct snapdrv_error *err)
{
	cleanup_free char *data = NULL;

	if (!*scratch->kind->mkfs && scratch->size) {
		data = text_format(err, "size=%llu", (unsigned long long)scratch->size);
		if (!data)
			return -ENOMEM;
	}
	if (!mount(*scratch->kind->mkfs ? scratch->loop.path : "snapdrv", scratch->path,
		   scratch->kind->name, 0, data))
		return 0;
	return errno == ENODEV ? fail_no_kernel(scratch->kind, err)
			       : fail_errno(err, "mount %s", scratch->kind->name);
}

static int make_on_loop(struct scratch *scratch, const struct snapdrv_scratch_options *options,
			struct snapdrv_error *err)
{
	int ret;

	scratch->size = options->size ? options->size : SIZE_DEFAULT;
	scratch->file_fd = nameless_file(scratch->size, err);
	if (scratch->file_fd < 0)
		return scratch->file_fd;
	ret = loop_attach(scratch->file_fd, &scratch->loop, err);
	return ret ? ret : make_filesystem(scratch, options, err);
}

static int make_kind(struct scratch *scratch, const struct snapdrv_scratch_options *options,
		     struct snapdrv_error *err)
{
	int ret = find_kind(options->filesystem, &scratch->kind, err);

	if (!ret)
		ret = ask_kernel(scratch->kind, err);
	if (ret)
		return ret;
	scratch->path = text_dup(MOUNT_POINT, err);
	if (!scratch->path)
		return -ENOMEM;
	scratch->size = options->size;
	if (*scratch->kind->mkfs)
		ret = make_on_loop(scratch, options, err);
	return ret ? ret : attach(scratch, err);
}

static int make_dir(struct scratch *scratch, const char *dir, struct snapdrv_error *err)
{
	cleanup_free char *whole = realpath(dir, NULL), *path = NULL;

	if (!whole)
		return errno == ENOENT || errno == ENOTDIR
			       ? fail(err, SNAPDRV_MISSING, errno, "directory %s: %s",
				      quote(dir).text, strerror(errno))
			       : fail_errno(err, "directory %s", quote(dir).text);
	scratch->above_fd = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scratch->above_fd < 0)
		return fail_errno(err, "directory %s", quote(dir).text);
	path = text_format(err, "%s/snapdrv-bench.XXXXXX", whole);
	if (!path)
		return -ENOMEM;
	if (!mkdtemp(path))
		return fail_errno(err, "directory %s: make one in it", quote(dir).text);
	scratch->path = steal_ptr(&path);
	return 0;
}

static struct filesystem_name filesystem_at(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return probe_filesystem(fd);
}

int scratch_make(const struct snapdrv_scratch_options *options, struct scratch *ret_scratch,
		 struct snapdrv_error *err)
{
	struct scratch scratch = {.loop = {.fd = -1}, .file_fd = -1, .above_fd = -1};
	int ret = own_namespace(err);

	if (!ret)
		ret = options->filesystem ? make_kind(&scratch, options, err)
					  : make_dir(&scratch, options->dir, err);
	if (ret) {
		scratch_drop(&scratch, NULL);
		return ret;
	}
	scratch.filesystem = filesystem_at(scratch.path);
	*ret_scratch = scratch;
	return 0;
}

/* For a directory of somebody's filesystem, the whole machine's caches; where /proc may be written. */
static int drop_caches(struct scratch *scratch, int *ret_is_cold, struct snapdrv_error *err)
{
	cleanup_fd int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0) {
		*ret_is_cold = 0;
		return 0;
	}
	ret = file_sync_all(scratch->above_fd, err);
	if (!ret)
		ret = file_write(fd, "3\n", 2, "/proc/sys/vm/drop_caches", err);
	if (!ret)
		*ret_is_cold = 1;
	return ret;
}

int scratch_cool(struct scratch *scratch, int *ret_is_cold, struct snapdrv_error *err)
{
	int ret;

	if (!scratch->kind && !strcmp(scratch->filesystem.text, "tmpfs")) {
		*ret_is_cold = 0;
		return 0;
	}
	if (!scratch->kind)
		return drop_caches(scratch, ret_is_cold, err);
	if (!*scratch->kind->mkfs) {
		*ret_is_cold = 0;
		return 0;
	}
	if (umount2(scratch->path, UMOUNT_NOFOLLOW))
		return fail_errno(err, "unmount %s", scratch->kind->name);
	ret = loop_forget_cache(&scratch->loop, err);
	if (ret)
		return ret;
	/* Without direct I/O the device is read through the pages of its file. */
	if (fdatasync(scratch->file_fd))
		return fail_errno(err, "sync the file of %s", scratch->loop.path);
	posix_fadvise(scratch->file_fd, 0, 0, POSIX_FADV_DONTNEED);
	ret = attach(scratch, err);
	if (!ret)
		*ret_is_cold = 1;
	return ret;
}

int scratch_drop(struct scratch *scratch, struct snapdrv_error *err)
{
	int ret = 0, more;

	if (scratch->path) {
		ret = mount_detach_below(scratch->path, err);
		if (!scratch->kind) {
			more = file_remove_tree(scratch->above_fd, strrchr(scratch->path, '/') + 1,
						ret ? NULL : err);
			ret = ret ? ret : more;
		}
	}
	cleanup_fd_at(&scratch->loop.fd);
	cleanup_fd_at(&scratch->file_fd);
	cleanup_fd_at(&scratch->above_fd);
	free(scratch->path);
	*scratch = (struct scratch){.loop = {.fd = -1}, .file_fd = -1, .above_fd = -1};
	return ret;
}
