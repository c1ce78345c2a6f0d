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
 * @sources: @n_sources names, patterns unless @is_literal; from the root of @from, `..` never leads out of it.
 * @target:  the destination, absolute (WORKDIR applied by the caller, but `.`, `..` and a slash at the end kept:
 *           a directory).
 * @inlines: here-documents, put in after the sources.
 * @is_add:  archives (tar; plain, gzip, bzip2, xz, zstd) are unpacked into the target, owners, modes and all as
 *           they have it; otherwise they are files.
 * @uid, @gid: of --chown; -1 for 0, or, from a stage or image, for what they have there.
 * @mode:    of --chmod, for files and directories; -1 for as it is.
 * @excludes: of --exclude, or NULL: paths from a source that is a directory; of what a pattern fits, and of
 *           files, their names.
 * @clamp_ns: later mtimes become this one (SOURCE_DATE_EPOCH); INT64_MAX for none.
 */
struct copy {
	const struct context *from;
	const char *const *sources;
	size_t n_sources;
	int is_literal;
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
 * Symlinks on the way to a source, and one that is a source, are followed inside @from, as docker does; below
 * it they are copied. A pattern's components fit names in directories, not behind symlinks. What the
 * instruction says (owners, mode, target) counts too.
 *
 * A context may change between this and copy_into(): a copy whose digest is another one afterwards is not what
 * the first digest says. With @from->known the second digest costs a stat(2) for each file.
 *
 * Return: 0, or a negative errno value: REFUSED when a source is not there, is left out by .dockerignore, or
 * the only source is a pattern that fits nothing (beside others it may: docker's `yarn.lock*`); the message
 * names the source.
 */
int copy_digest(const struct copy *copy, struct digest *ret_digest, struct snapdrv_error *err);

/** copy_check() - what was copied still has the digest that it had before. Return: 0, or EAGAIN and others negative. */
int copy_check(const struct copy *copy, const struct digest *expected, struct snapdrv_error *err);

/**
 * copy_into() - put it into a tree.
 * @root_fd: the root of a container's tree, open for reading; symlinks in it, on the way to @target, are
 *           followed inside it, never out of it.
 *
 * Missing directories on the way, and the target itself, are made 0755 and with @uid, @gid (0 for -1) as docker
 * makes them. A directory over a directory merges: the target keeps its attributes, those below it get the
 * source's, as docker has it; one over a symlink merges with what the symlink leads to inside the root (docker refuses it). A file over
 * a directory, or a directory over a file, is REFUSED. Several sources want a @target that ends with a slash; a
 * pattern that fits several files, one that does or is there already. Kept as in a layer: modes, mtimes,
 * symlinks, hard links within one source, holes, FIFOs, devices of an image or stage (of a context they are
 * REFUSED); xattrs, of a context security.capability and user.* alone. Sockets are left out, as no layer can hold
 * them. Whoever changes the context meanwhile gets an error or a copy of what was there at some time,
 * never of what is outside.
 *
 * Return: 0, or a negative errno value: REFUSED, FAILED; what was written stays in the tree.
 */
int copy_into(const struct copy *copy, int root_fd, struct snapdrv_error *err);

#endif
