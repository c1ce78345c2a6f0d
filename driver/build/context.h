/* SPDX-License-Identifier: Apache-2.0 */
/* Where a build's files come from: a directory, or a tar that is unpacked into the session. */
#ifndef BUILD_CONTEXT_H
#define BUILD_CONTEXT_H

#include "build/ignore.h"
#include "store/store.h"

/**
 * struct context - what COPY and ADD read from.
 * @fd:       its root directory, open for reading; -1 when there is only a Dockerfile.
 * @ignore:   of .dockerignore, or Dockerfile-name.dockerignore. All zero for one that is not a context
 *            (another stage, an image).
 * @is_image: it is the tree of a stage or an image: absolute names start at its root, as they do in a context.
 */
struct context {
	int fd;
	struct ignore ignore;
	int is_image;
};

/**
 * context_open() - open a context and read its Dockerfile.
 * @source:     a directory; "-": a tar (gzip, bzip2, xz, zstd or plain), or a Dockerfile alone, on @input_fd, told
 *              apart by content.
 * @dockerfile: -f: with a directory, a path of the host, as the user's directory has it, or "-" for @input_fd;
 *              with a tar, a path in it. NULL: Dockerfile in the context.
 * @ret_context: for context_done(). @ret_text: the Dockerfile, for free(3); at most RECIPE_SIZE_MAX bytes,
 *              more is REFUSED.
 * @ret_file:   what it is called in errors, for free(3).
 *
 * A tar is unpacked below the store's session directory by the layers' own reader, so that no name in it
 * leads out; symlinks in it are kept. Whiteouts have no meaning in it and are refused.
 *
 * Return: 0, or a negative errno value: MISSING (no Dockerfile, no such directory), REFUSED, FAILED.
 */
int context_open(struct store *store, const char *source, int input_fd, const char *dockerfile,
		 struct context *ret_context, char **ret_text, size_t *ret_size, char **ret_file,
		 struct snapdrv_error *err);

/** context_done() - close it; what was unpacked goes with the session. */
void context_done(struct context *context);

#define cleanup_context __attribute__((cleanup(context_done)))

#endif
