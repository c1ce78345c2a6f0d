/* SPDX-License-Identifier: Apache-2.0 */
/* Where images come from: directories and archives. */
#include "image/source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "image/stream.h"
#include "layer/members.h"

static int load_members(struct source *source, struct snapdrv_error *err)
{
	struct members *members;
	struct member member;
	int ret = members_open(source->fd, &members, err);

	if (ret)
		return ret;
	source->is_stream = !members_can_seek(members);
	while ((ret = members_next(members, &member, err)) == 1) {
		struct source_member *kept = source_add(source, member.name, member.link, err);

		if (!kept) {
			ret = -ENOMEM;
			break;
		}
		kept->is_file = member.is_file;
		kept->offset = member.offset;
		kept->size = member.size;
		if (source->is_stream && member.is_file) {
			const struct layer_input input = members_input(members);

			ret = stream_take(source, kept, &input, err);
			if (ret)
				break;
		}
	}
	members_close(members);
	if (ret)
		return ret;
	source_sort(source);
	return 0;
}

static int set_name(struct source *source, const char *path, struct snapdrv_error *err)
{
	static const char *const endings[] = {".gz", ".zst", ".xz", ".bz2", ".tgz", ".tar", NULL};
	cleanup_free char *full = realpath(path, NULL);
	char *name;

	if (!full)
		return fail(err, SNAPDRV_MISSING, errno, "%s", strerror(errno));
	name = text_dup(strrchr(full, '/') + 1, err);
	if (!name)
		return -ENOMEM;
	for (size_t i = 0; endings[i]; i++) {
		if (text_ends(name, endings[i]) && strlen(name) > strlen(endings[i]))
			name[strlen(name) - strlen(endings[i])] = '\0';
	}
	source->name = name;
	return 0;
}

static int open_path(struct source *source, const char *path, struct snapdrv_error *err)
{
	struct stat st;

	source->fd = open(path, O_RDONLY | O_CLOEXEC);
	source->owns_fd = source->fd >= 0;
	if (source->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return fail(err, SNAPDRV_MISSING, errno, "%s", strerror(errno));
	if (source->fd < 0 || fstat(source->fd, &st))
		return fail_errno(err, "open it");
	source->is_dir = S_ISDIR(st.st_mode);
	return set_name(source, path, err);
}

int source_open(struct intake *intake, const char *path, int fd, struct source **ret_source,
		struct snapdrv_error *err)
{
	struct source *source = calloc(1, sizeof(*source));
	int ret = 0;

	if (!source)
		return fail_memory(err);
	source->intake = intake;
	source->fd = fd;
	if (path)
		ret = open_path(source, path, err);
	if (!ret && !source->is_dir)
		ret = load_members(source, err);
	if (ret) {
		source_close(source);
		return ret;
	}
	*ret_source = source;
	return 0;
}

int source_fetched(struct intake *intake, struct fetcher *fetcher, struct source **ret_source,
		   struct snapdrv_error *err)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return fail_memory(err);
	*source = (struct source){.intake = intake, .fd = -1, .fetcher = fetcher};
	*ret_source = source;
	return 0;
}

struct fetcher *source_fetcher(const struct source *source)
{
	return source->fetcher;
}

void source_close(struct source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < source->n_members; i++) {
		struct source_member *member = &source->members[i];

		staged_drop(source->intake, &member->staged);
		free(member->name);
		free(member->link);
		free(member->text);
		free(member->refusal);
	}
	free(source->members);
	free(source->name);
	if (source->owns_fd)
		close(source->fd);
	free(source);
}

const char *source_name(const struct source *source)
{
	return source->name;
}

/*
 * Open a name of the layout, a part at a time: a directory on the way that is a symlink may lead anywhere, as
 * may `..` and an absolute name (in the manifest.json of a docker-archive; containers/image CVE-2024-3727).
 * Return: a descriptor, or -1 with errno set.
 */
static int open_inside(int dir_fd, const char *name)
{
	cleanup_free char *copy = strdup(name);
	cleanup_fd int above = -1;
	char *rest = copy, *part;

	if (!copy)
		return -1;
	while ((part = strsep(&rest, "/"))) {
		const int at = above < 0 ? dir_fd : above;
		int fd;

		/* Only an absolute name begins with an empty part. */
		if (!strcmp(part, "..") || (!*part && part == copy)) {
			errno = ELOOP;
			return -1;
		}
		if (rest && (!*part || !strcmp(part, ".")))
			continue;
		fd = openat(at, part,
			    O_NOFOLLOW | O_CLOEXEC |
				    (rest ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK));
		if (fd < 0 || !rest)
			return fd;
		cleanup_fd_at(&above);
		above = fd;
	}
	errno = ENOENT;
	return -1;
}

/* A regular file of the layout; a symlink, FIFO or directory in its place is no blob. */
static int open_in_dir(struct source *source, const char *name, struct stat *ret_stat,
		       struct snapdrv_error *err)
{
	cleanup_fd int fd = open_inside(source->fd, name);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && errno != ELOOP && errno != ENXIO && errno != ENOTDIR && errno != ENAMETOOLONG)
		return fail_errno(err, "open %s", quote(name).text);
	if (fd >= 0 && fstat(fd, ret_stat))
		return fail_errno(err, "stat %s", quote(name).text);
	if (fd < 0 || !S_ISREG(ret_stat->st_mode)) {
		refuse(err, "%s is not a regular file", quote(name).text);
		return -EBADMSG;
	}
	return steal_fd(&fd);
}

static int read_range(int fd, uint64_t offset, uint64_t size, char **ret_data, size_t *ret_size,
		      struct snapdrv_error *err)
{
	struct input_range range = {fd, offset, offset + size};
	const struct layer_input input = input_from_range(&range);
	cleanup_free char *data = NULL;
	ssize_t got;

	data = malloc(size + 1);
	if (!data)
		return fail_memory(err);
	got = input_fill(&input, data, size, err);
	if (got < 0)
		return (int)got;
	data[got] = '\0';
	*ret_data = steal_ptr(&data);
	*ret_size = (size_t)got;
	return 1;
}

/* A small index can name the same large document thousands of times, and each image holds its own. */
static int note_given(struct source *source, uint64_t size, struct snapdrv_error *err)
{
	if (size > JSON_DOCUMENT_MAX)
		return refuse(err, "more than %u bytes", JSON_DOCUMENT_MAX);
	source->given += size;
	if (source->given > DOCUMENTS_MAX)
		return refuse(err, "more than %u bytes of documents in all", DOCUMENTS_MAX);
	return 0;
}

int source_document(struct source *source, const char *name, char **ret_data, size_t *ret_size,
		    struct snapdrv_error *err)
{
	struct source_member *member;
	int ret;

	if (source->is_dir) {
		struct stat st;
		cleanup_fd int fd = open_in_dir(source, name, &st, err);

		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		ret = note_given(source, (uint64_t)st.st_size, err);
		return ret ? ret : read_range(fd, 0, (uint64_t)st.st_size, ret_data, ret_size, err);
	}
	ret = source_find(source, name, &member, err);
	if (ret <= 0)
		return ret;
	if (source->is_stream && member->refusal)
		return refuse(err, "%s", member->refusal);
	if (source->is_stream && !member->text)
		return refuse(err, "%s is not a document", quote(name).text);
	ret = note_given(source, member->size, err);
	if (ret)
		return ret;
	if (!source->is_stream)
		return read_range(source->fd, member->offset, member->size, ret_data, ret_size,
				  err);
	*ret_data = malloc(member->size + 1);
	if (!*ret_data)
		return fail_memory(err);
	memcpy(*ret_data, member->text, member->size + 1);
	*ret_size = member->size;
	return 1;
}

int source_layer(struct source *source, const char *name, struct layer_place *ret_place,
		 struct snapdrv_error *err)
{
	struct source_member *member;
	int ret;

	if (source->is_dir) {
		struct stat st;
		int fd = open_in_dir(source, name, &st, err);

		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		*ret_place = (struct layer_place){
			.fd = fd, .owns_fd = 1, .is_whole_file = 1, .size = (uint64_t)st.st_size};
		return 1;
	}
	ret = source_find(source, name, &member, err);
	if (ret <= 0)
		return ret;
	if (source->is_stream)
		return stream_place(source, member, ret_place, err);
	*ret_place = (struct layer_place){
		.fd = source->fd, .offset = member->offset, .size = member->size};
	return 1;
}
