/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing one layer into this session. */
#include "image/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/fetch.h"
#include "image/times.h"
#include "snapshot/seal.h"
#include "store/content.h"

#define ENTRIES_MAX 10000000ull
#define BYTES_MAX (1ull << 40)
#define RATIO_MAX 1100 /* deflate cannot do more than 1032 */
#define THREADS_MAX 8
#define PLAIN_BUFFER (1u << 18)

void intake_init(struct intake *intake, struct graph *graph,
		 const struct snapdrv_load_options *options)
{
	static const struct snapdrv_load_options no_options;

	*intake = (struct intake){.graph = graph, .options = options ? options : &no_options};
	intake->limits.entries =
		intake->options->max_entries ? intake->options->max_entries : ENTRIES_MAX;
	intake->limits.bytes = intake->options->max_bytes ? intake->options->max_bytes : BYTES_MAX;
	intake->limits.ratio = intake->options->max_ratio ? intake->options->max_ratio : RATIO_MAX;
	pthread_mutex_init(&intake->progress_lock, NULL);
}

void intake_write_back(struct intake *intake, struct writeback *writeback)
{
	if (intake->options->flags & SNAPDRV_NO_SYNC)
		return;
	writeback_start(&intake->graph->store, writeback);
	intake->writeback = writeback;
}

int intake_begin(struct intake *intake, struct writeback *writeback, struct snapdrv_error *err)
{
	int ret = store_session(&intake->graph->store, err);

	if (ret < 0)
		return ret;
	ret = intake->options->flags & SNAPDRV_VERITY ? graph_can_seal(intake->graph, err) : 0;
	if (ret)
		return fail_within(err, ret, "fs-verity");
	intake_write_back(intake, writeback);
	return 0;
}

int intake_keeps_blobs(const struct intake *intake)
{
	return !(intake->options->flags & SNAPDRV_DISCARD_BLOBS);
}

static void drop_writer(struct staged *staged)
{
	if (!staged->result.writer)
		return;
	tree_writer_free(steal_ptr(&staged->result.writer));
	close(staged->tree_fd);
}

void staged_drop(struct intake *intake, struct staged *staged)
{
	file_prints_done(&staged->result.prints);
	drop_writer(staged);
	draft_drop(intake->graph, &staged->draft);
	if (staged->has_blob)
		unlinkat(intake->graph->store.session_fd, staged->blob.text, 0);
	*staged = (struct staged){0};
}

void layer_place_done(struct layer_place *place)
{
	if (place->owns_fd)
		close(place->fd);
	*place = (struct layer_place){.fd = -1};
}

struct progress {
	struct intake *intake;
	const char *label;
	uint64_t total;
};

static void tell_progress(void *arg, uint64_t done)
{
	const struct progress *progress = arg;
	const struct snapdrv_load_options *options = progress->intake->options;
	struct snapdrv_progress news = {progress->label, done, progress->total};

	pthread_mutex_lock(&progress->intake->progress_lock);
	options->progress(options->progress_arg, &news);
	pthread_mutex_unlock(&progress->intake->progress_lock);
}

/* A draft to be made once what is below it is there. */
struct coming_tree {
	struct intake *intake;
	struct parents_source parents;
	struct staged *staged;
	int fd;
};

static int make_tree(void *arg, int *ret_fd, struct snapdrv_error *err)
{
	struct coming_tree *tree = arg;
	struct graph *graph = tree->intake->graph;
	cleanup_stack struct tree_stack stack = {0};
	int ret = tree->parents.wait ? tree->parents.wait(tree->parents.arg, &stack, err) : 0;

	tree->staged->start_ns = times_now_ns();
	if (!ret)
		ret = draft_make(graph, TREE_LAYER, &stack, &tree->staged->draft, err);
	if (ret)
		return ret;
	tree->fd = draft_open(graph, &tree->staged->draft, err);
	if (tree->fd < 0)
		return tree->fd;
	*ret_fd = tree->fd;
	return 0;
}

static int unpack_into(struct intake *intake, const struct layer_input *input, const char *label,
		       uint64_t size, struct parents_source parents, int lower_fd, int copy_fd,
		       struct staged *staged, struct snapdrv_error *err)
{
	struct coming_tree tree = {intake, parents, staged, -1};
	struct progress progress = {intake, label, size};
	struct unpack_request request = {.input = *input,
					 .copy_fd = copy_fd,
					 .open_tree = make_tree,
					 .open_tree_arg = &tree,
					 .lower_fd = lower_fd,
					 .limits = intake->limits};
	int ret;

	writeback_begin(intake->writeback);
	request.carries_out = !intake->graph->backend.ops->is_layered;
	if (intake->options->progress && label) {
		request.progress = tell_progress;
		request.progress_arg = &progress;
	}
	ret = layer_unpack(&request, &staged->result, err);
	if (ret) {
		if (tree.fd >= 0)
			close(tree.fd);
		return ret;
	}
	staged->end_ns = times_now_ns();
	staged->is_unpacked = 1;
	staged->needs_lower = tree_writer_needs_lower(staged->result.writer);
	staged->tree_fd = tree.fd;
	staged->draft.ref.root_given = tree_writer_root_given(staged->result.writer);
	staged->draft.ref.root_opaque = tree_writer_root_opaque(staged->result.writer);
	if (!staged->needs_lower)
		drop_writer(staged);
	return 0;
}

/* The file that becomes the layer's blob while it is read. */
static int start_copy(struct intake *intake, struct staged *staged, int *ret_fd,
		      struct snapdrv_error *err)
{
	int fd = content_create(&intake->graph->store, &staged->blob, err);

	if (fd < 0)
		return fd;
	staged->has_blob = 1;
	*ret_fd = fd;
	return 0;
}

int stage_unpack(struct intake *intake, const struct layer_input *input, const char *label,
		 uint64_t size, struct parents_source parents, int lower_fd, int copy,
		 struct staged *ret_staged, struct snapdrv_error *err)
{
	struct staged staged = {0};
	cleanup_fd int copy_fd = -1;
	int ret = copy ? start_copy(intake, &staged, &copy_fd, err) : 0;

	if (ret)
		return ret;
	ret = unpack_into(intake, input, label, size, parents, lower_fd, copy_fd, &staged, err);
	if (ret) {
		staged_drop(intake, &staged);
		return ret;
	}
	*ret_staged = staged;
	return 0;
}

int stage_blob(struct intake *intake, const struct layer_input *input, int copy,
	       struct staged *ret_staged, struct snapdrv_error *err)
{
	struct unpack_request request = {.input = *input, .limits = intake->limits};
	struct staged staged = {0};
	cleanup_fd int copy_fd = -1;
	int ret = copy ? start_copy(intake, &staged, &copy_fd, err) : 0;

	if (ret)
		return ret;
	writeback_begin(intake->writeback);
	request.copy_fd = copy_fd;
	ret = layer_digest(&request, &staged.result, err);
	if (ret) {
		staged_drop(intake, &staged);
		return ret;
	}
	*ret_staged = staged;
	return 0;
}

/*
 * A file that was kept as a clone is not read itself: what is verified is what it came from. That is the same as long
 * as nobody has written there since. (The ctime says more than that: hard links that others make and remove.)
 */
static int check_unchanged(const struct layer_place *place, const struct stat *before,
			   struct snapdrv_error *err)
{
	struct stat now;

	if (fstat(place->fd, &now))
		return fail_errno(err, "stat a blob");
	if (now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
		return 0;
	return refuse(err, "it changes while it is read");
}

int stage_place(struct intake *intake, const struct layer_place *place, const char *label,
		struct parents_source parents, int lower_fd, int keep_blob,
		struct staged *ret_staged, struct snapdrv_error *err)
{
	struct input_range range = {place->fd, place->offset, place->offset + place->size};
	const struct layer_input input = input_from_range(&range);
	struct store_name blob;
	struct stat before = {0};
	int linked = 0, ret;

	if (place->fetch) {
		struct fetch_reader reader = {.fetch = place->fetch};
		const struct layer_input arriving = fetch_input(&reader);

		return stage_unpack(intake, &arriving, NULL, 0, parents, lower_fd, 0, ret_staged,
				    err);
	}
	if (keep_blob && place->is_whole_file) {
		if (fstat(place->fd, &before))
			return fail_errno(err, "stat a blob");
		linked = content_keep_file(&intake->graph->store, place->fd, &blob, err);
		if (linked < 0)
			return linked;
	}
	ret = stage_unpack(intake, &input, label, place->size, parents, lower_fd,
			   keep_blob && !linked, ret_staged, err);
	if (linked && !ret) {
		ret = check_unchanged(place, &before, err);
		if (ret)
			staged_drop(intake, ret_staged);
	}
	if (linked && ret)
		unlinkat(intake->graph->store.session_fd, blob.text, 0);
	if (linked && !ret) {
		ret_staged->has_blob = 1;
		ret_staged->blob = blob;
	}
	return ret;
}

static int inflate_to(int from, int to, struct hasher *hasher, struct snapdrv_error *err)
{
	const struct layer_input input = input_from_fd(&from);
	cleanup_free char *buffer = malloc(PLAIN_BUFFER);
	struct inflater *inflater;
	ssize_t got = 0;
	int ret = buffer ? inflater_new(&input, &inflater, err) : fail_memory(err);

	if (ret)
		return ret;
	while (!ret && (got = inflater_read(inflater, buffer, PLAIN_BUFFER, err)) > 0) {
		hasher_update(hasher, buffer, (size_t)got);
		ret = content_append(to, buffer, (size_t)got, err);
	}
	inflater_free(inflater);
	return got < 0 ? (int)got : ret;
}

/* The file may be a link to one that somebody writes to: what comes out is looked at once more. */
static int inflate_blob(struct intake *intake, struct staged *staged, struct store_name *ret_name,
			struct snapdrv_error *err)
{
	struct store *store = &intake->graph->store;
	cleanup_fd int from = openat(store->session_fd, staged->blob.text, O_RDONLY | O_CLOEXEC);
	cleanup_fd int to = from < 0 ? -1 : content_create(store, ret_name, err);
	struct hasher *hasher;
	struct digest is;
	int ret;

	if (from < 0)
		return fail_errno(err, "open a blob");
	if (to < 0)
		return to;
	hasher = hasher_new(err);
	ret = hasher ? inflate_to(from, to, hasher, err) : -ENOMEM;
	if (!ret) {
		is = hasher_final(hasher);
		ret = digest_equal(&is, &staged->result.diff)
			      ? 0
			      : refuse(err, "it changes while it is read");
	}
	hasher_free(hasher);
	if (ret)
		unlinkat(store->session_fd, ret_name->text, 0);
	return ret;
}

int stage_plain(struct intake *intake, struct staged *staged, struct snapdrv_error *err)
{
	struct unpack_result *result = &staged->result;
	struct store_name name;
	int ret = staged->has_blob ? inflate_blob(intake, staged, &name, err) : 0;

	if (ret)
		return ret;
	if (staged->has_blob) {
		unlinkat(intake->graph->store.session_fd, staged->blob.text, 0);
		staged->blob = name;
	}
	result->blob = result->diff;
	result->blob_size = result->size;
	result->compression = COMPRESSION_NONE;
	return 0;
}

int stage_bind(struct staged *staged, int lower_fd, struct snapdrv_error *err)
{
	int ret = tree_writer_bind(staged->result.writer, lower_fd, err);

	if (!ret) {
		staged->is_tied = tree_writer_is_tied(staged->result.writer);
		drop_writer(staged);
	}
	return ret;
}

struct thread_start {
	void *(*run)(void *arg);
	void *arg;
	struct snapdrv_error err;
	int ret;
};

static void *start_thread(void *arg)
{
	struct thread_start *start = arg;

	start->ret = tree_writer_thread(&start->err);
	return start->ret ? NULL : start->run(start->arg);
}

int run_threads(unsigned n, void *(*run)(void *arg), void *arg, struct snapdrv_error *err)
{
	struct thread_start starts[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	unsigned started = 0;
	int ret = 0;

	if (n > THREADS_MAX)
		n = THREADS_MAX;
	for (; started < n && !ret; started++) {
		starts[started] = (struct thread_start){.run = run, .arg = arg};
		ret = pthread_create(&threads[started], NULL, start_thread, &starts[started]);
		if (ret)
			break;
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	/* Fewer threads than wanted do the same work. */
	if (ret && !started)
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	for (unsigned i = 0; i < started; i++) {
		if (starts[i].ret)
			return fail(err, starts[i].err.code, starts[i].err.errnum, "%s",
				    starts[i].err.message);
	}
	return 0;
}
