/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and ADD: finding what is meant, a digest of its content for the cache, putting it into a tree. */
#ifndef BUILD_COPY_H
#define BUILD_COPY_H

#include "base/digest.h"
#include "build/context.h"

/** struct copy_inline - a here-document: a file with this name and text. */
struct copy_inline {
	const char *name;
	const char *text;
	size_t size;
};

/**
 * struct copy - one COPY or ADD, with all variables expanded. Everything is borrowed.
 * @sources: @n_sources names, patterns allowed; from the root of @from, `..` never leads out of it.
 * @target:  the destination, absolute (WORKDIR applied by the caller, a slash at the end kept: a directory).
 * @inlines: here-documents, put in after the sources.
 * @is_add:  archives (tar; plain, gzip, bzip2, xz, zstd) are unpacked; otherwise they are files.
 * @uid, @gid: of --chown; -1 for 0, or, from a stage or image, for what they have there.
 * @mode:    of --chmod, octal, for files and directories; -1 for as it is.
 * @excludes: of --exclude.
 * @clamp_ns: later mtimes become this one (SOURCE_DATE_EPOCH); INT64_MAX for none.
 */
struct copy {
	const struct context *from;
	const char *const *sources;
	size_t n_sources;
	const struct copy_inline *inlines;
	size_t n_inlines;
	const char *target;
	int is_add;
	int64_t uid, gid;
	int64_t mode;
	const struct ignore *excludes;
	int64_t clamp_ns;
};

/**
 * copy_digest() - what a copy takes in: names below the sources, kinds, modes, owners where they count, link
 * targets, xattrs, content; not times, not inode numbers.
 *
 * Symlinks on the way to a source are followed inside @from, as docker does; below it they are copied.
 *
 * Return: 0, or a negative errno value: REFUSED when a source is not there, is left out by .dockerignore, leads
 * out of the context, or a pattern fits nothing; the message names the source.
 */
int copy_digest(const struct copy *copy, struct digest *ret_digest, struct snapdrv_error *err);

/**
 * copy_into() - put it into a tree.
 * @root_fd: the root of a container's tree, open for reading; symlinks in it, on the way to @target, are
 *           followed inside it, never out of it.
 *
 * Missing directories on the way are made 0755 and with @uid, @gid as docker makes them. A directory over a
 * directory merges; a file over a directory, or a directory over a file, is REFUSED as in docker. Several
 * sources, or a pattern that fits several, want a @target that ends with a slash. Kept as in a layer: modes,
 * mtimes, symlinks, xattrs, hard links within one source, holes, devices and FIFOs of an image or stage; a socket
 * or device of a context is REFUSED.
 *
 * Return: 0, or a negative errno value: REFUSED, FAILED; what was written stays in the tree.
 */
int copy_into(const struct copy *copy, int root_fd, struct snapdrv_error *err);

#endif
