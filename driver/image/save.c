/* SPDX-License-Identifier: Apache-2.0 */
/* Giving images back, byte for byte where their blobs were kept: to a file, a directory or a descriptor. */
#include "image/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/rewrite.h"
#include "layer/member_writer.h"
#include "store/content.h"
#include "store/target.h"

#define cleanup_plan __attribute__((cleanup(save_plan_done)))

DEFINE_CLEANUP(writer, struct member_writer, member_writer_free)

/* Where files go: an archive, or a directory. */
struct sink {
	struct member_writer *writer; /* or NULL */
	int dir_fd;
	int file_fd; /* the one being written in the directory */
	const struct snapdrv_save_options *options;
	struct snapdrv_progress progress;
};

void image_saved_free(struct snapdrv_saved *saved, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(saved[i].reference);
		free(saved[i].id);
		free(saved[i].digest);
	}
	free(saved);
}

static int read_image(struct graph *graph, struct save_image *image, struct snapdrv_error *err)
{
	int ret = detail_read(graph, &image->image, &image->detail, err);

	if (!ret)
		ret = rewrite_image(graph, &image->detail, err);
	if (ret < 0)
		return ret;
	image->is_rewritten = ret;
	image->digest = digest_of(image->detail.manifest_text, image->detail.manifest_size);
	image->id = digest_of(image->detail.config_text, image->detail.config_size);
	return 0;
}

static struct save_image *find_image(struct save_plan *plan, int64_t id)
{
	for (size_t i = 0; i < plan->n_images; i++) {
		if (plan->images[i].image.id == id)
			return &plan->images[i];
	}
	return NULL;
}

/* An image is saved under the names that it is asked for by; by its ID, under none, as docker does. */
static int add_image(struct graph *graph, struct save_plan *plan, const char *text,
		     struct snapdrv_error *err)
{
	cleanup_image struct image image = {0};
	struct save_image *place;
	int ret = image_find(graph, text, &image, err);

	if (ret)
		return ret;
	place = find_image(plan, image.id);
	if (!place) {
		place = &plan->images[plan->n_images++];
		place->image = image;
		place->image.name = NULL;
		ret = read_image(graph, place, err);
	}
	if (!ret && image.name && !strings_has(&place->names, image.name))
		ret = strings_add(&place->names, image.name, err);
	return ret ? fail_within(err, ret, "image %s", quote(text).text) : 0;
}

static int make_plan(struct graph *graph, const char *const *images, size_t n_images,
		     enum snapdrv_save_format format, struct save_plan *plan,
		     struct snapdrv_error *err)
{
	int ret;

	plan->images = calloc(n_images, sizeof(*plan->images));
	if (!plan->images)
		return fail_within(err, fail_memory(err), "save");
	for (size_t i = 0; i < n_images; i++) {
		ret = add_image(graph, plan, images[i], err);
		if (ret)
			return ret;
	}
	ret = format == SNAPDRV_DOCKER_ARCHIVE ? save_plan_docker(graph, plan, err)
					       : save_plan_layout(plan, err);
	if (ret)
		return fail_within(err, ret, "save");
	save_plan_sort(plan);
	return 0;
}

static int put_data(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct sink *sink = context;
	int ret = sink->writer ? member_writer_data(sink->writer, data, size, err)
			       : content_append(sink->file_fd, data, size, err);

	sink->progress.done += size;
	if (!ret && sink->options->progress)
		sink->options->progress(sink->options->progress_arg, &sink->progress);
	return ret;
}

static int put_archived(struct graph *graph, struct sink *sink, const struct save_file *file,
			struct snapdrv_error *err)
{
	int ret;

	if (file->from == SAVE_DIRECTORY)
		return member_writer_dir(sink->writer, file->name, err);
	ret = member_writer_file(sink->writer, file->name, file->size, err);
	return ret ? ret : save_read(graph, file, put_data, sink, err);
}

/* Return: 1 it is there, 0 it is to be written to *@ret_fd, or a negative errno value. */
static int begin_in_dir(struct graph *graph, struct sink *sink, const struct save_file *file,
			int *ret_fd, struct snapdrv_error *err)
{
	if (file->from == SAVE_DIRECTORY)
		return mkdirat(sink->dir_fd, file->name, 0777) ? fail_errno(err, "make it") : 1;
	if (file->from == SAVE_BLOB)
		return content_share_out(&graph->store, &file->blob, sink->dir_fd, file->name,
					 ret_fd, err);
	*ret_fd = openat(sink->dir_fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return *ret_fd < 0 ? fail_errno(err, "create %s", file->name) : 0;
}

static int put_in_dir(struct graph *graph, struct sink *sink, const struct save_file *file,
		      struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	int done = begin_in_dir(graph, sink, file, &fd, err);

	if (done)
		return done < 0 ? done : 0;
	sink->file_fd = fd;
	return save_read(graph, file, put_data, sink, err);
}

static int put_files(struct graph *graph, const struct save_plan *plan, struct sink *sink,
		     struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < plan->n_files && !ret; i++) {
		const struct save_file *file = &plan->files[i];

		sink->progress = (struct snapdrv_progress){file->name, 0, file->size};
		ret = sink->writer ? put_archived(graph, sink, file, err)
				   : put_in_dir(graph, sink, file, err);
	}
	return ret;
}

static int put_archive(struct graph *graph, const struct save_plan *plan, int fd,
		       const struct snapdrv_save_options *options, struct snapdrv_error *err)
{
	__attribute__((cleanup(cleanup_writer_at))) struct member_writer *writer = NULL;
	struct sink sink = {.dir_fd = -1, .file_fd = -1, .options = options};
	int ret = member_writer_new(fd, &writer, err);

	sink.writer = writer;
	if (!ret)
		ret = put_files(graph, plan, &sink, err);
	return ret ? ret : member_writer_end(writer, err);
}

static int put_target(struct graph *graph, const struct save_plan *plan, const char *path,
		      const struct snapdrv_save_options *options, struct snapdrv_error *err)
{
	cleanup_target struct target target = {0};
	int is_dir = options->format == SNAPDRV_OCI_DIR;
	int ret = is_dir ? target_dir(path, &target, err) : target_file(path, &target, err);

	if (!ret && is_dir) {
		struct sink sink = {.dir_fd = target.fd, .file_fd = -1, .options = options};

		ret = put_files(graph, plan, &sink, err);
	} else if (!ret) {
		ret = put_archive(graph, plan, target.fd, options, err);
	}
	if (!ret)
		ret = target_commit(&target, err);
	return ret ? fail_within(err, ret, "%s", quote(path).text) : 0;
}

/* A row for each name of each image. */
static int list_saved(const struct save_plan *plan, struct snapdrv_saved **ret_saved,
		      size_t *ret_count, struct snapdrv_error *err)
{
	size_t room = 0, count = 0;
	struct snapdrv_saved *saved;
	int is_short = 0;

	for (size_t i = 0; i < plan->n_images; i++)
		room += plan->images[i].names.count + 1;
	saved = calloc(room + 1, sizeof(*saved));
	if (!saved)
		return fail_memory(err);
	for (size_t i = 0; i < plan->n_images; i++) {
		const struct save_image *image = &plan->images[i];

		for (size_t name = 0; name < image->names.count || !name; name++) {
			struct snapdrv_saved *row = &saved[count++];

			row->id = text_dup(digest_format(&image->id).text, err);
			row->digest = text_dup(digest_format(&image->digest).text, err);
			row->rewritten = image->is_rewritten;
			if (image->names.count)
				row->reference = text_dup(image->names.items[name], err);
			is_short |=
				!row->id || !row->digest || (image->names.count && !row->reference);
		}
	}
	if (is_short) {
		image_saved_free(saved, count);
		return -ENOMEM;
	}
	*ret_saved = saved;
	*ret_count = count;
	return 0;
}

int image_save(struct graph *graph, const char *const *images, size_t n_images, const char *path,
	       int fd, const struct snapdrv_save_options *options, struct snapdrv_saved **ret_saved,
	       size_t *ret_count, struct snapdrv_error *err)
{
	static const struct snapdrv_save_options no_options;
	cleanup_plan struct save_plan plan = {0};
	int ret;

	if (!options)
		options = &no_options;
	if (!n_images || (unsigned)options->format > SNAPDRV_DOCKER_ARCHIVE)
		return fail(err, SNAPDRV_USAGE, EINVAL, "save: %s",
			    n_images ? "there is no such format" : "no image");
	if (!path && options->format == SNAPDRV_OCI_DIR)
		return fail(err, SNAPDRV_USAGE, EINVAL, "save: a directory needs a path");
	ret = make_plan(graph, images, n_images, options->format, &plan, err);
	if (ret)
		return ret;
	if (path)
		ret = put_target(graph, &plan, path, options, err);
	else
		ret = put_archive(graph, &plan, fd, options, err);
	if (!ret)
		ret = list_saved(&plan, ret_saved, ret_count, err);
	return ret ? fail_within(err, ret, "save") : 0;
}
