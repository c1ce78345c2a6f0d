/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of what a copy takes in.
 *
 *   all        what the instruction says about the copy, then each source, then each here-document
 *   source     its name, and the record of it; of a directory, in the order of their bytes, the path of each
 *              thing below it and its record
 *
 * A tag stands in front of each, a length in front of each text, so that no two different things give the
 * same bytes.
 */
#include "build/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/record.h"
#include "build/sources.h"
#include "kernel/copy.h"
#include "kernel/dirs.h"

DEFINE_CLEANUP(hasher, struct hasher, hasher_free)
#define cleanup_hasher __attribute__((cleanup(cleanup_hasher_at)))

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
	struct recorder recorder;
};

static void walk_done(struct walk *walk)
{
	for (size_t i = 0; i < walk->n_frames; i++) {
		dirs_list_done(&walk->frames[i].list);
		bytes_done(&walk->frames[i].record);
	}
	free(walk->frames);
	dirs_done(&walk->chain);
	recorder_done(&walk->recorder);
	chooser_done(&walk->chooser);
	bytes_done(&walk->path);
	bytes_done(&walk->record);
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
	int ret = bytes_add(&walk->path, name, strlen(name) + 1, err), fd, choice;
	struct stat st;

	walk->path.size = path_size;
	if (ret)
		return ret;
	fd = dirs_fd(&walk->chain, err);
	if (fd < 0)
		return fd;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat");
	choice = chooser_choose(&walk->chooser, walk->path.data, &st, err);
	if (choice < 0 || choice == COPY_NOT)
		return choice < 0 ? choice : 0;
	walk->record.size = 0;
	ret = record_tag(&walk->record, 'e', err);
	if (!ret)
		ret = record_text(&walk->record, walk->path.data, strlen(walk->path.data), err);
	if (!ret)
		ret = record_put(&walk->recorder, fd, name, walk->path.data, &st, &walk->record,
				 err);
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
				return fail_within(err, ret, "%s",
						   quote(depth == walk->n_frames && ret != -ENOMEM
								 ? walk->path.data
								 : name)
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
	ret = record_tag(&walk->record, 'D', err);
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
	ret = record_tag(&walk->record, 'S', err);
	if (!ret)
		ret = record_text(&walk->record, source->name, strlen(source->name), err);
	if (!ret)
		ret = record_put(&walk->recorder, fd, name, "", &source->st, &walk->record, err);
	if (!ret)
		hasher_update(walk->hasher, walk->record.data, walk->record.size);
	return ret;
}

static int digest_source(const struct copy *copy, const struct source *source,
			 struct hasher *hasher, struct snapdrv_error *err)
{
	__attribute__((cleanup(walk_done))) struct walk walk = {
		.copy = copy,
		.chooser = {.copy = copy, .source = source},
		.hasher = hasher,
		.chain = {.root_fd = -1},
		.recorder = {.copy = copy},
	};
	int ret = S_ISDIR(source->st.st_mode) ? digest_dir(&walk, err) : digest_other(&walk, err);

	return ret ? fail_within(err, ret, "source %s", quote(source->name).text) : 0;
}

static int digest_instruction(const struct copy *copy, struct hasher *hasher,
			      struct snapdrv_error *err)
{
	static const char version[] = "snapdrv copy 1";
	cleanup_bytes struct bytes bytes = {0};
	int ret = record_text(&bytes, version, strlen(version), err);

	if (!ret)
		ret = record_number(&bytes, (uint64_t) !!copy->is_add, err);
	/* Directories on the way that are made have them too. */
	if (!ret)
		ret = record_number(&bytes, (uint64_t)copy->uid, err);
	if (!ret)
		ret = record_number(&bytes, (uint64_t)copy->gid, err);
	if (!ret)
		ret = record_text(&bytes, copy->target, strlen(copy->target), err);
	for (size_t i = 0; i < copy->n_inlines && !ret; i++) {
		const struct copy_inline *one = &copy->inlines[i];

		ret = record_tag(&bytes, 'I', err);
		if (!ret)
			ret = record_text(&bytes, one->name, strlen(one->name), err);
		if (!ret)
			ret = record_text(&bytes, one->text, one->size, err);
	}
	if (!ret)
		ret = record_number(&bytes, (uint64_t)copy->mode, err);
	if (!ret)
		hasher_update(hasher, bytes.data, bytes.size);
	return ret;
}

int copy_digest(const struct copy *copy, struct digest *ret_digest, struct snapdrv_error *err)
{
	cleanup_sources struct sources sources = {0};
	cleanup_hasher struct hasher *hasher = hasher_new(err);
	int ret = hasher ? sources_find(copy, &sources, err) : -ENOMEM;

	if (!ret)
		ret = digest_instruction(copy, hasher, err);
	for (size_t i = 0; i < sources.count && !ret; i++)
		ret = digest_source(copy, &sources.items[i], hasher, err);
	if (!ret)
		*ret_digest = hasher_final(hasher);
	return ret;
}

int copy_check(const struct copy *copy, const struct digest *expected, struct snapdrv_error *err)
{
	struct digest digest;
	int ret = copy_digest(copy, &digest, err);

	if (!ret && !digest_equal(&digest, expected))
		ret = fail(err, SNAPDRV_FAILED, EAGAIN, "the context was changed meanwhile");
	return ret;
}
