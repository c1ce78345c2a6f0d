/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing one layer into this session: unpacked as a draft, its blob beside it. */
#ifndef IMAGE_STAGE_H
#define IMAGE_STAGE_H

#include <pthread.h>
#include <stdint.h>

#include "layer/unpack.h"
#include "snapshot/graph.h"
#include "store/writeback.h"

/** struct intake - what all layers of one load or import share. */
struct intake {
	struct graph *graph;
	const struct snapdrv_load_options *options; /* never NULL */
	struct unpack_limits limits;
	pthread_mutex_t progress_lock;
	struct writeback *writeback; /* to be stopped before the sync; or NULL */
	int64_t sync_ns;	     /* waiting for the disk took so long */
};

/** intake_init() - @options may be NULL. */
void intake_init(struct intake *intake, struct graph *graph,
		 const struct snapdrv_load_options *options);

/**
 * intake_begin() - make this handle's session and intake_write_back().
 *
 * Return: 0, or a negative errno value; with SNAPDRV_VERITY also where the store cannot have it.
 */
int intake_begin(struct intake *intake, struct writeback *writeback, struct snapdrv_error *err);

/** intake_write_back() - keep the disk busy from now on, if what comes in is to be synced. */
void intake_write_back(struct intake *intake, struct writeback *writeback);

/** intake_keeps_blobs() - whether compressed layers are kept. */
int intake_keeps_blobs(const struct intake *intake);

/** struct staged - a layer that is in the session. All zero is none. */
struct staged {
	int is_unpacked;
	struct draft draft;
	int tree_fd;		     /* open while there is a writer, and only then */
	struct unpack_result result; /* its writer only while something is to be bound */
	int needs_lower;	     /* there is something to bind, or was */
	int is_tied;		     /* bound in a way that fits only these lower layers */
	int has_blob;
	struct store_name blob;	  /* its file in the session */
	int64_t start_ns, end_ns; /* of unpacking it, on the monotonic clock */
};

void staged_drop(struct intake *intake, struct staged *staged);

struct fetch;

/** struct layer_place - where the bytes of a layer are. */
struct layer_place {
	int fd; /* borrowed from the source, or owned when owns_fd; -1: in `staged` or `fetch` */
	int owns_fd;
	int is_whole_file; /* the file is the blob: it may be linked */
	uint64_t offset;
	uint64_t size;
	struct staged
		*staged; /* a layer of a stream, taken as it came by; borrowed from the source */
	struct fetch *fetch; /* it comes from a registry; borrowed from the fetcher */
};

void layer_place_done(struct layer_place *place);

/**
 * struct parents_source - where the trees below a layer come from, on a backend that needs them.
 * @wait: gives them, the topmost first, when they can be had; it may wait for that. @ret_parents: for
 *        stack_done(). NULL: there are none, or the backend is layered.
 */
struct parents_source {
	int (*wait)(void *arg, struct tree_stack *ret_parents, struct snapdrv_error *err);
	void *arg;
};

/**
 * stage_unpack() - unpack a layer into a draft. In a thread that tree_writer_thread() prepared.
 * @label:    the layer's name in progress, or NULL for none. Borrowed.
 * @size:     bytes of the input, or 0 when that is not known.
 * @parents:  asked when reading and inflating have begun.
 * @lower_fd: the merged lower layers, or -1 to do without them for now.
 * @copy:     keep a copy of the input as the blob.
 *
 * Checks nothing but what the layer itself must be: digests are the caller's.
 */
int stage_unpack(struct intake *intake, const struct layer_input *input, const char *label,
		 uint64_t size, struct parents_source parents, int lower_fd, int copy,
		 struct staged *ret_staged, struct snapdrv_error *err);

/** stage_blob() - only read a layer: its digests and sizes, and a copy of it when @copy. */
int stage_blob(struct intake *intake, const struct layer_input *input, int copy,
	       struct staged *ret_staged, struct snapdrv_error *err);

/**
 * stage_place() - stage_unpack() of a place that can be read; links the blob where that is possible. One
 * that is fetched stays the fetcher's file: fetch_keep() it when its digest is known to be right.
 */
int stage_place(struct intake *intake, const struct layer_place *place, const char *label,
		struct parents_source parents, int lower_fd, int keep_blob,
		struct staged *ret_staged, struct snapdrv_error *err);

/**
 * stage_plain() - keep the plain stream as the blob, in place of one whose compression no media type names.
 * The result is that of the plain stream then.
 */
int stage_plain(struct intake *intake, struct staged *staged, struct snapdrv_error *err);

/** stage_bind() - settle what the draft needs of the layers below. As tree_writer_bind(). */
int stage_bind(struct staged *staged, int lower_fd, struct snapdrv_error *err);

/**
 * run_threads() - run a function in @n threads of ours and wait for them.
 * Each thread has a umask of its own. Return: the first failure of starting them.
 */
int run_threads(unsigned n, void *(*run)(void *arg), void *arg, struct snapdrv_error *err);

#endif
