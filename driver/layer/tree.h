/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of trees: a tree_sink that makes files.
 *
 * All names are resolved one component at a time from descriptors of directories inside the tree, with
 * O_NOFOLLOW; a symlink on the way is read and followed inside the root, as in a chroot. Nothing that an
 * archive says can lead outside.
 *
 * Deletions are carried out in a tree that starts as the lower layers' own, or *marked* (overlay: 0:0 devices, trusted.overlay.opaque), and the lower layers need not be
 * there while the layer is written. What depends on them is kept in mind and *bound* at the end:
 *   - directories that only lower layers describe get their attributes;
 *   - whiteouts in directories that no lower layer has are dropped (the kernel would list them);
 *   - hard links to files of lower layers become copies.
 * When a lower layer turns out to have a symlink on the way of a name, the layer has to be written again
 * with the lower layers in view from the start.
 */
#ifndef LAYER_TREE_H
#define LAYER_TREE_H

#include <stdint.h>

#include "layer/finish.h"
#include "layer/sink.h"
#include "snapdrv.h"

struct tree_writer;

/**
 * tree_writer_new() - write a layer into a directory.
 * @root_fd:  the directory, open for reading. Borrowed.
 * @carries_out: the directory holds the lower layers' tree, and deletions are carried out in it. There is
 *            nothing to bind then. Otherwise it is empty, and deletions are marked.
 * @lower_fd: the merged lower layers, when they are to be in view from the start; -1 otherwise. Borrowed.
 * @finisher: fills and ends plain files; finisher_wait() comes before tree_writer_end(). Borrowed.
 *
 * The process's umask is taken as it is: the writing thread has one of its own (tree_writer_thread()).
 */
int tree_writer_new(int root_fd, int carries_out, int lower_fd, struct finisher *finisher,
		    struct tree_writer **ret_writer, struct snapdrv_error *err);

/** tree_writer_sink() - where to send the entries. */
struct tree_sink *tree_writer_sink(struct tree_writer *writer);

/**
 * tree_writer_end() - all entries are written: set what had to wait, directories' times among it.
 *
 * What binding will change is set again there.
 */
int tree_writer_end(struct tree_writer *writer, struct snapdrv_error *err);

/** tree_writer_needs_lower() - after the end: whether there is anything to bind. */
int tree_writer_needs_lower(const struct tree_writer *writer);

/** tree_writer_is_tied() - after binding: whether the tree would be another one over other layers. */
int tree_writer_is_tied(const struct tree_writer *writer);

/** tree_writer_root_given() - after the end: whether the layer had an entry for the root directory. */
int tree_writer_root_given(const struct tree_writer *writer);

/** tree_writer_root_opaque() - after the end: whether the layer hides all that is below it. */
int tree_writer_root_opaque(const struct tree_writer *writer);

/**
 * tree_writer_bind() - settle what depends on the lower layers.
 * @lower_fd: the merged lower layers, or -1 when there are none.
 *
 * Return: 0 done, 1 the layer has to be written again with @lower_fd in view, or a negative errno
 * value; REFUSED when an entry's parent is no directory below, or a hard link's target is nowhere.
 */
int tree_writer_bind(struct tree_writer *writer, int lower_fd, struct snapdrv_error *err);

/**
 * tree_writer_leave() - leave what depends on lower layers as it is, for marks_settle() (kernel/marks.h) over
 * those that the tree is put over later.
 *
 * Return: 0, or a negative errno value; REFUSED for what takes more than marks, a hard link to a lower file
 * or a symlink on the way.
 */
int tree_writer_leave(struct tree_writer *writer, struct snapdrv_error *err);

/** tree_writer_free() - takes NULL. Leaves the files. */
void tree_writer_free(struct tree_writer *writer);

/** tree_writer_thread() - give the calling thread, and only it, a umask of 0. */
int tree_writer_thread(struct snapdrv_error *err);

#endif
