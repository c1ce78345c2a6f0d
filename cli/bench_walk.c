/* SPDX-License-Identifier: Apache-2.0 */
/* What bench does with trees of files: look at all, find the biggest, write to one, read a source. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "cleanup.h"

#define BLOCK (1u << 18)

static void fts_close_at(FTS **at)
{
	if (*at)
		fts_close(*at);
}

#define cleanup_fts __attribute__((cleanup(fts_close_at)))

static int wrong(struct snapdrv_error *err, const char *what, const char *path)
{
	*err = (struct snapdrv_error){.code = SNAPDRV_FAILED, .errnum = errno};
	snprintf(err->message, sizeof(err->message), "%s '%s': %s", what, path,
		 strerror(err->errnum));
	return -err->errnum;
}

/* The next entry, a directory once; NULL at the end. What cannot be read ends it, with errno set. */
static FTSENT *next_entry(FTS *fts, struct snapdrv_error *err, int *ret)
{
	for (;;) {
		FTSENT *entry;

		errno = 0;
		entry = fts_read(fts);
		if (!entry) {
			*ret = errno ? wrong(err, "walk", "the tree") : 0;
			return NULL;
		}
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
		    entry->fts_info == FTS_NS) {
			errno = entry->fts_errno;
			*ret = wrong(err, "walk", entry->fts_path);
			return NULL;
		}
		if (entry->fts_info != FTS_DP)
			return entry;
	}
}

int bench_walk(const char *root, uint64_t *ret_entries, struct snapdrv_error *err)
{
	char *paths[] = {(char *)root, NULL};
	cleanup_fts FTS *fts = fts_open(paths, FTS_PHYSICAL, NULL);
	uint64_t entries = 0;
	int ret;

	if (!fts)
		return wrong(err, "walk", root);
	while (next_entry(fts, err, &ret))
		entries++;
	if (!ret)
		*ret_entries = entries;
	return ret;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int bench_pick(const char *root, char **ret_file, uint64_t *ret_size, struct snapdrv_error *err)
{
	char *paths[] = {(char *)root, NULL};
	cleanup_fts FTS *fts = fts_open(paths, FTS_PHYSICAL, by_name);
	cleanup_free char *file = strdup("");
	uint64_t size = 0;
	FTSENT *entry;
	int ret;

	if (!fts || !file)
		return wrong(err, "walk", root);
	while ((entry = next_entry(fts, err, &ret))) {
		char *path;

		/* The path has to be opened as a whole. */
		if (entry->fts_info != FTS_F || (uint64_t)entry->fts_statp->st_size <= size ||
		    entry->fts_pathlen >= PATH_MAX)
			continue;
		path = strdup(entry->fts_path + strlen(root) + 1);
		if (!path)
			return wrong(err, "walk", root);
		free(file);
		file = path;
		size = (uint64_t)entry->fts_statp->st_size;
	}
	if (ret)
		return ret;
	*ret_file = file;
	*ret_size = size;
	file = NULL;
	return 0;
}

int bench_write(const char *root, const char *file, struct snapdrv_error *err)
{
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;

	if (asprintf(&path, "%s/%s", root, file) < 0) {
		path = NULL;
		return wrong(err, "open", file);
	}
	fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return wrong(err, "open", file);
	return pwrite(fd, "x", 1, 0) == 1 ? 0 : wrong(err, "write to", file);
}

static int read_file(const char *path, uint64_t *bytes, struct snapdrv_error *err)
{
	cleanup_free char *block = malloc(BLOCK);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	while (fd >= 0 && block && (got = read(fd, block, BLOCK)) > 0)
		*bytes += (uint64_t)got;
	return got < 0 ? wrong(err, "read", path) : 0;
}

int bench_read(const char *source, uint64_t *ret_bytes, struct snapdrv_error *err)
{
	char *paths[] = {(char *)source, NULL};
	cleanup_fts FTS *fts = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, NULL);
	uint64_t bytes = 0;
	FTSENT *entry;
	int ret = 0;

	if (!fts)
		return wrong(err, "read", source);
	while ((entry = next_entry(fts, err, &ret))) {
		if (entry->fts_info == FTS_F)
			ret = read_file(entry->fts_accpath, &bytes, err);
		if (ret)
			return ret;
	}
	if (!ret)
		*ret_bytes = bytes;
	return ret;
}
