/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of what a copy takes in.
 *
 *   all        what the instruction says about the copy, then each source, then each here-document
 *   source     its name, and the record of it; of a directory, in the order of their bytes, the path of each
 *              thing below it and its record
 *   record     mode, owner; then by kind: xattrs, link text, device number, digest of xattrs and content,
 *              or the first path of a file that has several
 *
 * A tag stands in front of each, a length in front of each text, so that no two different things give the
 * same bytes. Blocks of zeros are left out of the content, like holes, with which they may take turns.
 */
#include "build/copy.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/sources.h"
#include "kernel/copy.h"
#include "kernel/dirs.h"
#include "kernel/file.h"
#include "kernel/xattr.h"

#define BLOCK_SIZE (1u << 16)

DEFINE_CLEANUP(hasher, struct hasher, hasher_free)
#define cleanup_hasher __attribute__((cleanup(cleanup_hasher_at)))

/* A file with several names, and the first of them. */
struct linked {
	dev_t dev;
	ino_t ino;
	char *path;
};

/* A directory on the way down. */
struct frame {
	struct dir_list list;
	size_t next;
	size_t path_size; /* of the path to what is above it */
	int waits;	  /* it counts when something in it does: its bytes are kept until then */
	struct bytes record;
};

struct walk {
	const struct copy *copy;
	struct chooser chooser;
	struct hasher *hasher;
	struct dir_chain chain;
	struct frame *frames;
	size_t n_frames;
	struct bytes path; /* of the present directory, from the source, with a slash at its end */
	struct bytes record;
	struct linked *links; /* in open addressing */
	size_t n_links, n_places;
	unsigned char *block;
};

static void walk_done(struct walk *walk)
{
	for (size_t i = 0; i < walk->n_frames; i++) {
		dirs_list_done(&walk->frames[i].list);
		bytes_done(&walk->frames[i].record);
	}
	free(walk->frames);
	dirs_done(&walk->chain);
	for (size_t i = 0; i < walk->n_places; i++)
		free(walk->links[i].path);
	free(walk->links);
	chooser_done(&walk->chooser);
	bytes_done(&walk->path);
	bytes_done(&walk->record);
}

static int put_number(struct bytes *bytes, uint64_t number, struct snapdrv_error *err)
{
	unsigned char data[8];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(number >> 8 * i);
	return bytes_add(bytes, data, sizeof(data), err);
}

static int put_text(struct bytes *bytes, const void *data, size_t size, struct snapdrv_error *err)
{
	int ret = put_number(bytes, size, err);

	return ret || !size ? ret : bytes_add(bytes, data, size, err);
}

static int put_tag(struct bytes *bytes, char tag, struct snapdrv_error *err)
{
	return bytes_add(bytes, &tag, 1, err);
}

static int is_wanted(const struct copy *copy, const char *attribute)
{
	return copy->from->is_image || xattr_is_portable(attribute);
}

static int put_xattrs(const struct walk *walk, int dir_fd, const char *name, struct bytes *bytes,
		      struct snapdrv_error *err)
{
	cleanup_xattr_items struct xattr_items items = {0};
	int ret = xattr_read(dir_fd, name, &items, err);

	for (size_t i = 0; i < items.count && !ret; i++) {
		const struct xattr_item *item = &items.items[i];

		if (!is_wanted(walk->copy, item->name))
			continue;
		ret = put_tag(bytes, 'x', err);
		if (!ret)
			ret = put_text(bytes, item->name, strlen(item->name), err);
		if (!ret)
			ret = put_text(bytes, item->value, item->size, err);
	}
	return ret ? ret : put_tag(bytes, '.', err);
}

static int is_zero(const unsigned char *data, size_t size)
{
	return !size || (!data[0] && !memcmp(data, data + 1, size - 1));
}

static int hash_block(const struct walk *walk, struct hasher *hasher, int fd, off_t at,
		      struct snapdrv_error *err)
{
	ssize_t got = file_read_at(fd, walk->block, BLOCK_SIZE, at, err);
	uint64_t head[2] = {htole64((uint64_t)at), htole64((uint64_t)got)};

	if (got < 0)
		return (int)got;
	if (is_zero(walk->block, (size_t)got))
		return 0;
	hasher_update(hasher, head, sizeof(head));
	hasher_update(hasher, walk->block, (size_t)got);
	return 0;
}

static int hash_data(const struct walk *walk, struct hasher *hasher, int fd, off_t size,
		     struct snapdrv_error *err)
{
	off_t at = 0;
	int ret = 0;

	while (at < size && !ret) {
		off_t data = lseek(fd, at, SEEK_DATA), end;

		if (data < 0 && errno == ENXIO)
			break;
		end = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		/* A filesystem that knows no holes. */
		if (end < 0) {
			data = at;
			end = size;
		}
		if (data - data % BLOCK_SIZE > at)
			at = data - data % BLOCK_SIZE;
		for (; at < end && !ret; at += BLOCK_SIZE)
			ret = hash_block(walk, hasher, fd, at, err);
	}
	return ret;
}

/* Xattrs, size and data, of a file that may be another one by now. @ret_st: of the one that was read. */
static int hash_file(struct walk *walk, int dir_fd, const char *name, struct stat *ret_st,
		     struct digest *ret_digest, struct snapdrv_error *err)
{
	cleanup_fd int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	cleanup_hasher struct hasher *hasher = NULL;
	cleanup_bytes struct bytes head = {0};
	int ret;

	if (fd < 0 || fstat(fd, ret_st))
		return fail_errno(err, "open");
	if (!S_ISREG(ret_st->st_mode))
		return fail(err, SNAPDRV_FAILED, ESTALE, "it became something else meanwhile");
	if (known_find(walk->copy->from->known, ret_st, ret_digest))
		return 0;
	hasher = hasher_new(err);
	ret = hasher ? put_xattrs(walk, dir_fd, name, &head, err) : -ENOMEM;
	if (!ret)
		ret = put_number(&head, (uint64_t)ret_st->st_size, err);
	if (ret)
		return ret;
	hasher_update(hasher, head.data, head.size);
	ret = hash_data(walk, hasher, fd, ret_st->st_size, err);
	if (ret)
		return ret;
	*ret_digest = hasher_final(hasher);
	known_add(walk->copy->from->known, ret_st, ret_digest);
	return 0;
}

static struct linked *link_place(struct linked *links, size_t places, dev_t dev, ino_t ino)
{
	size_t at = (size_t)(((uint64_t)ino * 0x9e3779b97f4a7c15u) >> 20) & (places - 1);

	while (links[at].path && (links[at].ino != ino || links[at].dev != dev))
		at = (at + 1) & (places - 1);
	return &links[at];
}

static int grow_links(struct walk *walk, struct snapdrv_error *err)
{
	size_t places = walk->n_places ? 2 * walk->n_places : 64;
	struct linked *links = calloc(places, sizeof(*links));

	if (!links)
		return fail_memory(err);
	for (size_t i = 0; i < walk->n_places; i++) {
		const struct linked *old = &walk->links[i];

		if (old->path)
			*link_place(links, places, old->dev, old->ino) = *old;
	}
	free(walk->links);
	walk->links = links;
	walk->n_places = places;
	return 0;
}

/* A file with several names: the first one's path, or NULL when this is it. */
static int first_name(struct walk *walk, const char *path, const struct stat *st,
		      const char **ret_first, struct snapdrv_error *err)
{
	int ret = 2 * walk->n_links < walk->n_places ? 0 : grow_links(walk, err);
	struct linked *place;

	if (ret)
		return ret;
	place = link_place(walk->links, walk->n_places, st->st_dev, st->st_ino);
	*ret_first = place->path;
	if (place->path)
		return 0;
	*place = (struct linked){st->st_dev, st->st_ino, text_dup(path, err)};
	walk->n_links++;
	return place->path ? 0 : -ENOMEM;
}

static int put_owner(const struct walk *walk, const struct stat *st, struct bytes *bytes,
		     struct snapdrv_error *err)
{
	const struct copy *copy = walk->copy;
	int64_t uid = copy->from->is_image ? st->st_uid : 0;
	int64_t gid = copy->from->is_image ? st->st_gid : 0;
	int is_given = copy->mode >= 0 && !S_ISLNK(st->st_mode);
	mode_t mode = (is_given ? (mode_t)copy->mode : st->st_mode) & 07777;
	int ret = put_number(bytes, (st->st_mode & S_IFMT) | mode, err);

	if (!ret)
		ret = put_number(bytes, (uint64_t)(copy->uid >= 0 ? copy->uid : uid), err);
	return ret ? ret : put_number(bytes, (uint64_t)(copy->gid >= 0 ? copy->gid : gid), err);
}

static int put_symlink(int dir_fd, const char *name, struct bytes *bytes, struct snapdrv_error *err)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(dir_fd, name, target, sizeof(target));

	return length < 0 ? fail_errno(err, "read a symlink")
			  : put_text(bytes, target, (size_t)length, err);
}

static int put_file(struct walk *walk, int dir_fd, const char *name, const struct stat *seen,
		    struct bytes *bytes, struct snapdrv_error *err)
{
	struct stat st = *seen;
	struct digest digest;
	int ret = known_find(walk->copy->from->known, seen, &digest)
			  ? 0
			  : hash_file(walk, dir_fd, name, &st, &digest, err);

	if (!ret)
		ret = put_owner(walk, &st, bytes, err);
	return ret ? ret : bytes_add(bytes, digest.bytes, sizeof(digest.bytes), err);
}

/* @path is from the source. */
static int put_record(struct walk *walk, int dir_fd, const char *name, const char *path,
		      const struct stat *st, struct bytes *bytes, struct snapdrv_error *err)
{
	const char *first = NULL;
	int ret = !S_ISDIR(st->st_mode) && st->st_nlink > 1
			  ? first_name(walk, path, st, &first, err)
			  : 0;

	if (ret)
		return ret;
	if (first) {
		ret = put_tag(bytes, 'L', err);
		return ret ? ret : put_text(bytes, first, strlen(first), err);
	}
	ret = put_tag(bytes, 'F', err);
	if (ret || S_ISREG(st->st_mode))
		return ret ? ret : put_file(walk, dir_fd, name, st, bytes, err);
	ret = put_owner(walk, st, bytes, err);
	if (!ret)
		ret = put_xattrs(walk, dir_fd, name, bytes, err);
	if (!ret && S_ISLNK(st->st_mode))
		return put_symlink(dir_fd, name, bytes, err);
	return ret || S_ISDIR(st->st_mode) ? ret : put_number(bytes, st->st_rdev, err);
}

/* A directory that was only waiting for something in it. */
static void flush_frames(struct walk *walk)
{
	for (size_t i = 0; i < walk->n_frames; i++) {
		struct frame *frame = &walk->frames[i];

		if (frame->waits)
			hasher_update(walk->hasher, frame->record.data, frame->record.size);
		frame->waits = 0;
	}
}

/* Down into the present directory. */
static int push_frame(struct walk *walk, size_t path_size, struct snapdrv_error *err)
{
	struct frame *frames =
		reallocarray(walk->frames, walk->n_frames + 1, sizeof(*walk->frames));
	int fd = dirs_fd(&walk->chain, err), ret;

	if (!frames)
		return fail_memory(err);
	walk->frames = frames;
	if (fd < 0)
		return fd;
	frames[walk->n_frames] = (struct frame){.path_size = path_size};
	ret = dirs_list(fd, &frames[walk->n_frames].list, err);
	if (!ret)
		walk->n_frames++;
	return ret;
}

static void pop_frame(struct walk *walk)
{
	struct frame *frame = &walk->frames[--walk->n_frames];

	walk->path.size = frame->path_size;
	dirs_list_done(&frame->list);
	bytes_done(&frame->record);
	if (walk->n_frames)
		dirs_pop(&walk->chain);
}

static int go_down(struct walk *walk, const char *name, enum copy_choice choice,
		   struct snapdrv_error *err)
{
	size_t path_size = walk->path.size;
	int ret = dirs_push(&walk->chain, name, err);

	if (ret)
		return ret;
	/* The NUL of the path was behind it. */
	walk->path.size += strlen(name);
	ret = bytes_add(&walk->path, "/", 1, err);
	if (!ret)
		ret = push_frame(walk, path_size, err);
	if (ret)
		return ret;
	if (choice == COPY_WHAT_IS_IN) {
		struct frame *frame = &walk->frames[walk->n_frames - 1];

		frame->waits = 1;
		return bytes_add(&frame->record, walk->record.data, walk->record.size, err);
	}
	flush_frames(walk);
	hasher_update(walk->hasher, walk->record.data, walk->record.size);
	return 0;
}

static int visit(struct walk *walk, const char *name, struct snapdrv_error *err)
{
	const size_t path_size = walk->path.size;
	int fd = dirs_fd(&walk->chain, err), choice, ret;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat");
	ret = bytes_add(&walk->path, name, strlen(name) + 1, err);
	walk->path.size = path_size;
	if (ret)
		return ret;
	choice = chooser_choose(&walk->chooser, walk->path.data, &st, err);
	if (choice < 0 || choice == COPY_NOT)
		return choice < 0 ? choice : 0;
	walk->record.size = 0;
	ret = put_tag(&walk->record, 'e', err);
	if (!ret)
		ret = put_text(&walk->record, walk->path.data, strlen(walk->path.data), err);
	if (!ret)
		ret = put_record(walk, fd, name, walk->path.data, &st, &walk->record, err);
	if (ret)
		return ret;
	if (S_ISDIR(st.st_mode))
		return go_down(walk, name, choice, err);
	flush_frames(walk);
	hasher_update(walk->hasher, walk->record.data, walk->record.size);
	return 0;
}

static int visit_all(struct walk *walk, struct snapdrv_error *err)
{
	int ret = push_frame(walk, 0, err);

	while (!ret && walk->n_frames) {
		struct frame *frame = &walk->frames[walk->n_frames - 1];

		if (frame->next < frame->list.count) {
			const char *name = frame->list.entries[frame->next++].name;
			size_t depth = walk->n_frames;

			ret = visit(walk, name, err);
			if (ret)
				return fail_within(
					err, ret, "%s",
					quote(depth == walk->n_frames ? walk->path.data : name)
						.text);
		} else {
			pop_frame(walk);
		}
	}
	return ret;
}

static int digest_dir(struct walk *walk, struct snapdrv_error *err)
{
	cleanup_fd int fd =
		sources_open(walk->copy, walk->chooser.source, O_RDONLY | O_DIRECTORY, err);
	struct stat st;
	int ret;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return fail_errno(err, "stat");
	walk->chain.root_fd = fd;
	walk->record.size = 0;
	/* The directory itself is not copied, only what is in it. */
	ret = put_tag(&walk->record, 'D', err);
	if (ret)
		return ret;
	hasher_update(walk->hasher, walk->record.data, walk->record.size);
	return visit_all(walk, err);
}

static int digest_other(struct walk *walk, struct snapdrv_error *err)
{
	const struct source *source = walk->chooser.source;
	const char *name = NULL;
	cleanup_fd int fd = sources_open_parent(walk->copy, source, &name, err);
	int ret = fd < 0 ? fd : chooser_choose(&walk->chooser, "", &source->st, err);

	if (ret < 0)
		return ret;
	walk->record.size = 0;
	ret = put_tag(&walk->record, 'S', err);
	if (!ret)
		ret = put_text(&walk->record, source->name, strlen(source->name), err);
	if (!ret)
		ret = put_record(walk, fd, name, "", &source->st, &walk->record, err);
	if (!ret)
		hasher_update(walk->hasher, walk->record.data, walk->record.size);
	return ret;
}

static int digest_source(const struct copy *copy, const struct source *source, unsigned char *block,
			 struct hasher *hasher, struct snapdrv_error *err)
{
	__attribute__((cleanup(walk_done))) struct walk walk = {
		.copy = copy,
		.chooser = {.copy = copy, .source = source},
		.hasher = hasher,
		.chain = {.root_fd = -1},
		.block = block,
	};
	int ret = S_ISDIR(source->st.st_mode) ? digest_dir(&walk, err) : digest_other(&walk, err);

	return ret ? fail_within(err, ret, "source %s", quote(source->name).text) : 0;
}

static int digest_instruction(const struct copy *copy, struct hasher *hasher,
			      struct snapdrv_error *err)
{
	static const char version[] = "snapdrv copy 1";
	cleanup_bytes struct bytes bytes = {0};
	int ret = put_text(&bytes, version, strlen(version), err);

	if (!ret)
		ret = put_number(&bytes, (uint64_t) !!copy->is_add, err);
	/* Directories on the way that are made have them too. */
	if (!ret)
		ret = put_number(&bytes, (uint64_t)copy->uid, err);
	if (!ret)
		ret = put_number(&bytes, (uint64_t)copy->gid, err);
	if (!ret)
		ret = put_text(&bytes, copy->target, strlen(copy->target), err);
	for (size_t i = 0; i < copy->n_inlines && !ret; i++) {
		const struct copy_inline *one = &copy->inlines[i];

		ret = put_tag(&bytes, 'I', err);
		if (!ret)
			ret = put_text(&bytes, one->name, strlen(one->name), err);
		if (!ret)
			ret = put_text(&bytes, one->text, one->size, err);
	}
	if (!ret)
		ret = put_number(&bytes, (uint64_t)copy->mode, err);
	if (!ret)
		hasher_update(hasher, bytes.data, bytes.size);
	return ret;
}

int copy_digest(const struct copy *copy, struct digest *ret_digest, struct snapdrv_error *err)
{
	cleanup_sources struct sources sources = {0};
	cleanup_hasher struct hasher *hasher = hasher_new(err);
	cleanup_free unsigned char *block = malloc(BLOCK_SIZE);
	int ret = hasher ? sources_find(copy, &sources, err) : -ENOMEM;

	if (!ret && !block)
		ret = fail_memory(err);
	if (!ret)
		ret = digest_instruction(copy, hasher, err);
	for (size_t i = 0; i < sources.count && !ret; i++)
		ret = digest_source(copy, &sources.items[i], block, hasher, err);
	if (!ret)
		*ret_digest = hasher_final(hasher);
	return ret;
}
