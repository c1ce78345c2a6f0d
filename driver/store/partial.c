/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs that came only in part. The directory is there only while there is one. */
#include "store/partial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "store/lock.h"

#define DIRECTORY "content/partial"
#define TRIES_MAX 10

struct partial_path {
	char text[sizeof(DIRECTORY) + 80];
};

static struct partial_path path_of(const struct digest *digest)
{
	struct digest_text text = digest_format(digest);
	struct partial_path path;

	snprintf(path.text, sizeof(path.text), DIRECTORY "/%s", digest_hex(&text));
	return path;
}

int partial_open(struct store *store, const struct digest *digest, uint64_t *ret_size,
		 struct snapdrv_error *err)
{
	struct partial_path path = path_of(digest);
	cleanup_fd int fd = -1;
	struct stat st;

	/* Somebody who drops the last one may take the directory away in between. */
	for (int tries = 0; fd < 0 && tries < TRIES_MAX; tries++) {
		if (mkdirat(store->root_fd, DIRECTORY, 0700) && errno != EEXIST)
			return fail_errno(err, "make directory " DIRECTORY);
		fd = openat(store->root_fd, path.text, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			    0600);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	if (fd < 0 || fstat(fd, &st))
		return fail_errno(err, "%s", path.text);
	*ret_size = (uint64_t)st.st_size;
	return steal_fd(&fd);
}

int partial_take(struct store *store, const struct digest *digest, struct store_name *ret_name,
		 struct snapdrv_error *err)
{
	struct partial_path path = path_of(digest);
	struct store_name name = store_name(store);
	int session_fd = store_session(store, err);

	if (session_fd < 0)
		return session_fd;
	if (renameat(store->root_fd, path.text, session_fd, name.text))
		return fail_errno(err, "move %s", path.text);
	unlinkat(store->root_fd, DIRECTORY, AT_REMOVEDIR);
	*ret_name = name;
	return 0;
}

void partial_drop(struct store *store, const struct digest *digest)
{
	unlinkat(store->root_fd, path_of(digest).text, 0);
	unlinkat(store->root_fd, DIRECTORY, AT_REMOVEDIR);
}

/* One file. Return: 1 it is nobody's, 0 somebody works on it, or negative. */
static int sweep_one(struct store *store, int dir_fd, const char *name, int only_count,
		     uint64_t *ret_size, struct snapdrv_error *err)
{
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;
	struct stat st;
	int is_ours = 1;

	snprintf(text, sizeof(text), "sha256:%.64s", name);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail_errno(err, DIRECTORY "/%s", quote(name).text);
	if (strlen(name) == 64 && !digest_parse(text, &digest, NULL))
		is_ours = lock_layer_try(store, &digest, err);
	if (is_ours <= 0)
		return is_ours;
	if (!only_count && unlinkat(dir_fd, name, 0) && errno != ENOENT)
		return fail_errno(err, "remove " DIRECTORY "/%s", quote(name).text);
	*ret_size = (uint64_t)st.st_size;
	return 1;
}

int partials_sweep(struct store *store, int only_count, uint64_t *ret_count, uint64_t *ret_bytes,
		   struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(store->root_fd, DIRECTORY);
	const struct dirent *entry;
	int ret = 0;

	*ret_count = *ret_bytes = 0;
	if (!dir)
		return errno == ENOENT ? 0 : fail_errno(err, "list " DIRECTORY);
	while (ret >= 0 && (entry = file_next(dir))) {
		uint64_t size;

		ret = sweep_one(store, dirfd(dir), entry->d_name, only_count, &size, err);
		*ret_count += ret == 1;
		*ret_bytes += ret == 1 ? size : 0;
	}
	if (ret >= 0 && errno)
		ret = fail_errno(err, "list " DIRECTORY);
	unlock_layers(store);
	if (!only_count)
		unlinkat(store->root_fd, DIRECTORY, AT_REMOVEDIR);
	return ret < 0 ? ret : 0;
}
