/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases of contract.c are made of: files, pictures of trees, and each operation with its error. */
#ifndef TREES_H
#define TREES_H

#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../unit/unit.h"
#include "backend/backend.h"
#include "base/cleanup.h"

static const char *top; /* absolute path of the test's directory */
static int top_fd, layers_fd, active_fd, staging_fd, mnt_fd;
static const struct backend_ops *ops;
static struct backend backend;

static const struct tree_stack nothing;

/* ON("2", "1"): the stack of these trees, for the rest of the block. */
#define ON(...) stack_of((struct tree_ref[8]){0}, (const char *const[]){__VA_ARGS__, NULL})

static struct tree_ref ref_of(const char *path)
{
	struct tree_ref ref = {.root_given = 1};

	snprintf(ref.path, sizeof(ref.path), "%s", path);
	return ref;
}

static struct tree_stack stack_of(struct tree_ref *refs, const char *const *paths)
{
	size_t count = 0;

	for (; paths[count]; count++)
		refs[count] = ref_of(paths[count]);
	return (struct tree_stack){refs, count};
}

/* ---- files -------------------------------------------------------------------------------- */

static int exists(int dir_fd, const char *path)
{
	struct stat st;

	return !fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW);
}

static int is_empty(int dir_fd)
{
	cleanup_dir DIR *dir = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	int others = dir ? 0 : 1;

	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		printf("# there is '%s'\n", entry->d_name);
		others++;
	}
	return !others;
}

/* 0 or an errno value. */
static int write_file(int dir_fd, const char *path, const char *text)
{
	cleanup_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : EIO;
}

static int has_text(int dir_fd, const char *path, const char *text)
{
	cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	char data[256];
	ssize_t length = fd < 0 ? -1 : read(fd, data, sizeof(data) - 1);

	if (length < 0)
		return 0;
	data[length] = '\0';
	return !strcmp(data, text);
}

static void draw(FILE *out, int dir_fd, const char *name)
{
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char data[4096] = "";
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	fprintf(out, "%s %o %u:%u %lld.%09ld", name, st.st_mode, st.st_uid, st.st_gid,
		(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (S_ISLNK(st.st_mode) && readlinkat(dir_fd, name, data, sizeof(data) - 1) < 0)
		return;
	if (S_ISREG(st.st_mode) && (fd < 0 || read(fd, data, sizeof(data) - 1) < 0))
		return;
	if (!S_ISDIR(st.st_mode))
		fprintf(out, " %u %lld", (unsigned int)st.st_nlink, (long long)st.st_size);
	if (fd >= 0 && fgetxattr(fd, "trusted.mark", data + strlen(data), 64) > 0)
		fprintf(out, " marked");
	fprintf(out, " %s\n", data);
	if (S_ISDIR(st.st_mode)) {
		struct dirent **list = NULL;
		int count = scandirat(fd, ".", &list, NULL, alphasort);

		for (int i = 0; i < count; i++) {
			if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, ".."))
				draw(out, fd, list[i]->d_name);
			free(list[i]);
		}
		free(list);
		fprintf(out, "end of %s\n", name);
	}
}

/* Everything about a tree that a container could have changed; for free(3). */
static char *picture(const char *layer)
{
	cleanup_fd int fd = ops->open(&backend, layers_fd, layer, NULL);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	draw(out, fd, ".");
	fclose(out);
	return text;
}

/* Whether it looks as it did; gives the old picture back to free(3). */
static int still(const char *layer, char *before)
{
	cleanup_free char *after = picture(layer), *was = before;

	if (!strcmp(was, after))
		return 1;
	printf("# layer %s was\n%sand is\n%s", layer, was, after);
	return 0;
}

/* ---- trees -------------------------------------------------------------------------------- */

/* The answer is an error of this kind, and says so in one line. */
static int says(int ret, int errnum, const struct snapdrv_error *err)
{
	return ret == -errnum && err->errnum == errnum && err->code && *err->message &&
	       !strchr(err->message, '\n');
}

static int make(int dir_fd, const char *name, enum tree_kind kind, struct tree_stack parents)
{
	struct snapdrv_error err = {0};
	int ret;

	if (kind == TREE_LAYER && ops->is_layered)
		parents = nothing;
	ret = ops->make(&backend, dir_fd, name, kind, &parents, &err);
	if (ret)
		printf("# make %s: %s\n", name, err.message);
	return ret;
}

static int freeze(int dir_fd, const char *name)
{
	struct snapdrv_error err = {0};
	int ret = ops->freeze(&backend, dir_fd, name, &err);

	if (ret)
		printf("# freeze %s: %s\n", name, err.message);
	return ret;
}

/* Nonzero also when the tree is still there. */
static int drop(int dir_fd, const char *name)
{
	struct snapdrv_error err = {0};
	int ret = ops->drop(&backend, dir_fd, name, &err);

	if (ret)
		printf("# drop %s: %s\n", name, err.message);
	return ret ? ret : exists(dir_fd, name);
}

static int write_tree(int dir_fd, const char *name, const char *file, const char *text)
{
	cleanup_fd int fd = ops->open(&backend, dir_fd, name, NULL);

	return fd < 0 ? fd : write_file(fd, file, text);
}

/* A frozen layer of one file more than its parents, made where drafts are made. */
static int put_layer(const char *name, struct tree_stack parents, const char *file,
		     const char *text)
{
	int ret = make(staging_fd, name, TREE_LAYER, parents);

	if (!ret)
		ret = write_tree(staging_fd, name, file, text);
	if (!ret)
		ret = freeze(staging_fd, name);
	return ret ? ret : renameat(staging_fd, name, layers_fd, name);
}

static int put_active(const char *name, enum tree_kind kind, struct tree_stack parents)
{
	int ret = make(staging_fd, name, kind, parents);

	return ret ? ret : renameat(staging_fd, name, active_fd, name);
}

/* Mount active/NAME on mnt/NAME. A descriptor of what is mounted, or -1. */
static int mount_active(const char *name, enum tree_kind kind, struct tree_stack parents)
{
	struct snapdrv_error err = {0};
	cleanup_fd int target_fd = -1;
	struct tree_ref ref;
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "../active/%s", name);
	ref = ref_of(path);
	mkdirat(mnt_fd, name, 0755);
	target_fd = openat(mnt_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret = ops->mount(&backend, &ref, kind, &parents, NULL, target_fd, &err);
	if (ret) {
		printf("# mount %s: %s\n", name, err.message);
		return -1;
	}
	return openat(mnt_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Gives the descriptor back. */
static int unmount(const char *name, int fd)
{
	cleanup_free char *path = NULL;

	if (fd >= 0)
		close(fd);
	if (asprintf(&path, "%s/mnt/%s", top, name) < 0)
		return -ENOMEM;
	return umount2(path, UMOUNT_NOFOLLOW) ? -errno : 0;
}

static int mounts_below(void)
{
	cleanup_free char *line = NULL;
	FILE *file = fopen("/proc/self/mountinfo", "re");
	size_t size = 0, length = strlen(top);
	int count = 0;

	while (file && getline(&line, &size, file) > 0) {
		const char *at = strstr(line, top);

		count += at && at[length] == '/';
	}
	if (file)
		fclose(file);
	return file ? count : -1;
}

static int count_mounts(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	int count = 0, c;

	while (file && (c = getc(file)) != EOF)
		count += c == '\n';
	if (file)
		fclose(file);
	return count;
}

static int count_subvolumes(void)
{
	struct btrfs_util_subvolume_iterator *iterator;
	int count = 0;

	if (btrfs_util_create_subvolume_iterator_fd(top_fd, 5, 0, &iterator))
		return -1;
	while (!btrfs_util_subvolume_iterator_next(iterator, NULL, NULL))
		count++;
	btrfs_util_destroy_subvolume_iterator(iterator);
	return count;
}

/* All kinds of entries. */
static int populate(int fd)
{
	return mkdirat(fd, "dir", 0755) || mkdirat(fd, "dir/sub", 0711) ||
	       write_file(fd, "dir/file", "file") || write_file(fd, "dir/sub/other", "other") ||
	       linkat(fd, "dir/file", fd, "dir/sub/hard", 0) || symlinkat("dir", fd, "link") ||
	       mkfifoat(fd, "fifo", 0600) || fchownat(fd, "dir/file", 7, 8, 0);
}

/* Layers 1 and 2, the second one over the first. */
static void two_layers(void)
{
	cleanup_fd int fd = -1;

	CHECK(!make(layers_fd, "1", TREE_LAYER, nothing));
	fd = ops->open(&backend, layers_fd, "1", NULL);
	CHECK(fd >= 0);
	CHECK(!populate(fd));
	CHECK(!write_file(fd, "common", "one"));
	CHECK(!write_file(fd, "first", "1"));
	CHECK(!freeze(layers_fd, "1"));
	CHECK(!put_layer("2", ON("1"), "common", "two"));
}

static void drop_two_layers(void)
{
	CHECK(!drop(layers_fd, "2"));
	CHECK(!drop(layers_fd, "1"));
}

#endif
