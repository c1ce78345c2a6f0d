/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting and unmounting containers' trees, and reading single files of them. */
#include "snapshot/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/mount.h"
#include "kernel/resolve.h"
#include "store/lock.h"

char *rootfs_path(struct graph *graph, const char *name, struct snapdrv_error *err)
{
	return text_format(err, "%s/containers/%s/rootfs", graph->store.root, name);
}

int rootfs_make(struct graph *graph, const char *name, struct snapdrv_error *err)
{
	cleanup_fd int dir_fd = -1;

	if (mkdirat(graph->store.containers_fd, name, 0700) && errno != EEXIST)
		return fail_errno(err, "make directory containers/%s", name);
	dir_fd = file_open_dir(graph->store.containers_fd, name, err);
	if (dir_fd < 0)
		return dir_fd;
	if (mkdirat(dir_fd, "rootfs", 0755) && errno != EEXIST)
		return fail_errno(err, "make directory containers/%s/rootfs", name);
	return 0;
}

int rootfs_remove(struct graph *graph, const char *name, struct snapdrv_error *err)
{
	cleanup_fd int dir_fd = openat(graph->store.containers_fd, name,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir_fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open directory containers/%s", name);
	if (unlinkat(dir_fd, "rootfs", AT_REMOVEDIR) && errno != ENOENT) {
		if (errno == EBUSY)
			return fail(err, SNAPDRV_BUSY, EBUSY, "it is mounted");
		return fail_errno(err, "remove directory containers/%s/rootfs", name);
	}
	if (unlinkat(graph->store.containers_fd, name, AT_REMOVEDIR) && errno != ENOENT)
		return fail_errno(err, "remove directory containers/%s", name);
	return 0;
}

static int open_container(struct graph *graph, const char *name)
{
	return openat(graph->store.containers_fd, name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_rootfs(int dir_fd)
{
	return dir_fd < 0 ? -1
			  : openat(dir_fd, "rootfs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int rootfs_shows(struct graph *graph, const char *name, const struct snapshot *snapshot,
		 struct snapdrv_error *err)
{
	const struct tree_record record = {.id = snapshot->tree, .is_active = snapshot->is_active};
	cleanup_free char *options = rootfs_mount_options(graph, name);
	cleanup_free char *upper = text_format(err, "/active/%lld/fs", (long long)snapshot->tree);
	cleanup_fd int container_fd = open_container(graph, name), rootfs_fd = -1, tree_fd = -1;
	struct stat shown, own;

	if (!upper)
		return -ENOMEM;
	/* An overlay has its upper directory in its options; a read-only one has none. */
	if (options && strstr(options, "upperdir="))
		return strstr(options, upper) != NULL;
	if (snapshot->kind == TREE_VIEW)
		return 1;
	rootfs_fd = open_rootfs(container_fd);
	tree_fd = graph->backend.ops->open(&graph->backend, graph->store.layers_fd,
					   tree_ref_of(&record).path, err);
	if (tree_fd < 0)
		return tree_fd;
	if (rootfs_fd < 0 || fstat(rootfs_fd, &shown) || fstat(tree_fd, &own))
		return fail_errno(err, "look at containers/%s/rootfs", name);
	return shown.st_dev == own.st_dev && shown.st_ino == own.st_ino;
}

int rootfs_is_mounted(struct graph *graph, const char *name, struct snapdrv_error *err)
{
	cleanup_fd int dir_fd = open_container(graph, name);
	int is;

	if (dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (dir_fd < 0)
		return fail_errno(err, "open directory containers/%s", name);
	is = mount_is(dir_fd, "rootfs");
	errno = is < 0 ? -is : 0;
	return is < 0 ? fail_errno(err, "look whether containers/%s/rootfs is mounted", name) : is;
}

char *rootfs_mount_options(struct graph *graph, const char *name)
{
	cleanup_free char *path = rootfs_path(graph, name, NULL);

	return path ? mount_options(path) : NULL;
}

/* The users of all containers, ascending; one more than there may be at most. Return: how many, or negative. */
static ssize_t list_users(struct graph *graph, uint32_t *users, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT DISTINCT shift_uid FROM live_container WHERE shift_size"
			 " ORDER BY shift_uid",
			 "");
	int found = query ? 0 : -EIO;
	ssize_t n = 0;

	while (!found && n <= IDMAP_USERS_MAX && (found = query_next(query, err)) == 1) {
		users[n++] = (uint32_t)query_int(query, 0);
		found = 0;
	}
	return found < 0 ? found : n;
}

/*
 * A runtime's init, root of its user namespace alone, has to come to its root directory. Those whose containers are
 * gone are let through no more once there is a new one.
 */
static int let_through(struct graph *graph, int dir_fd, uint32_t uid, struct snapdrv_error *err)
{
	const int shared[] = {graph->store.root_fd, graph->store.containers_fd};
	uint32_t users[IDMAP_USERS_MAX + 1];
	int ret = idmap_let_search(dir_fd, &uid, 1, err);

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]) && !ret; i++) {
		ssize_t n;

		if (idmap_may_search(shared[i], uid))
			continue;
		n = list_users(graph, users, err);
		ret = n < 0 ? (int)n : idmap_let_search(shared[i], users, (size_t)n, err);
	}
	return ret;
}

static int mount_locked(struct graph *graph, const char *name, const struct snapshot *snapshot,
			const struct id_shift *shift, struct snapdrv_error *err)
{
	cleanup_fd int dir_fd = -1, target_fd = -1;
	/* Somebody may have removed the container since it was found, and made another one of that name. */
	int ret = snapshot_expect(graph, snapshot, err);

	if (!ret)
		ret = rootfs_is_mounted(graph, name, err);
	if (ret)
		return ret < 0 ? ret : 0;
	dir_fd = open_container(graph, name);
	target_fd = open_rootfs(dir_fd);
	if (target_fd < 0) {
		/* Whatever cleaned up between two boots, the directory alone can always be made again. */
		ret = rootfs_make(graph, name, err);
		if (ret)
			return ret;
		if (dir_fd < 0)
			dir_fd = open_container(graph, name);
		target_fd = open_rootfs(dir_fd);
	}
	if (target_fd < 0)
		return fail_errno(err, "open directory containers/%s/rootfs", name);
	ret = shift ? let_through(graph, dir_fd, shift->uid, err) : 0;
	return ret ? ret : snapshot_mount(graph, snapshot, shift, target_fd, err);
}

int rootfs_mount(struct graph *graph, const char *name, const struct snapshot *snapshot,
		 const struct id_shift *shift, struct snapdrv_error *err)
{
	/* Two mounts of one writable layer would damage it: nobody mounts between the look and the mount. */
	int ret = lock_writer(&graph->store, err);

	if (ret)
		return ret;
	ret = mount_locked(graph, name, snapshot, shift, err);
	unlock_writer(&graph->store);
	return ret;
}

int rootfs_umount(struct graph *graph, const char *name, struct doomed *doomed,
		  struct snapdrv_error *err)
{
	cleanup_free char *path = NULL;
	cleanup_fd int kept_fd = -1;
	int ret = rootfs_is_mounted(graph, name, err);

	if (ret <= 0)
		return ret;
	path = rootfs_path(graph, name, err);
	if (!path)
		return -ENOMEM;
	if (doomed && graph->backend.ops->is_layered)
		kept_fd = mount_keep(path);
	ret = mount_remove(path, err);
	return ret || kept_fd < 0 ? ret : doomed_add_mount(doomed, &kept_fd, err);
}

int rootfs_peek(struct graph *graph, const struct snapshot *snapshot, struct snapdrv_error *err)
{
	cleanup_stack struct tree_stack stack = {0};
	int ret = snapshot_stack(graph, snapshot, &stack, err);

	return ret ? ret : graph->backend.ops->peek(&graph->backend, &stack, err);
}

int rootfs_read_file(int rootfs_fd, const char *path, size_t max, char **ret_data, size_t *ret_size,
		     struct snapdrv_error *err)
{
	cleanup_fd int path_fd = resolve_open(rootfs_fd, path, O_PATH), fd = -1;
	int ret;

	if (path_fd == -ENOENT || path_fd == -ENOTDIR)
		return 0;
	fd = path_fd < 0 ? path_fd : file_open_regular(path_fd);
	if (fd == -EINVAL)
		return refuse(err, "%s of the image: not a regular file", quote(path).text);
	errno = fd < 0 ? -fd : 0;
	if (errno == EIO || errno_is_passing(errno))
		return fail_errno(err, "open %s of the image", quote(path).text);
	if (fd < 0)
		return refuse(err, "%s of the image cannot be opened (errno %d)", quote(path).text,
			      -fd);
	ret = file_slurp(fd, max, ret_data, ret_size, err);
	return ret ? fail_within(err, ret, "%s of the image", quote(path).text) : 1;
}
