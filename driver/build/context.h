/* SPDX-License-Identifier: Apache-2.0 */
/* Where a build's files come from: a directory, or a tar that is unpacked into the session. */
#ifndef BUILD_CONTEXT_H
#define BUILD_CONTEXT_H

#include <sys/types.h>

#include "build/ignore.h"
#include "build/known.h"
#include "store/store.h"

/**
 * struct context - what COPY and ADD read from.
 * @fd:       its root directory, open for reading; -1 when there is only a Dockerfile.
 * @ignore:   of .dockerignore, or Dockerfile-name.dockerignore. All zero for one that is not a context
 *            (another stage, an image).
 * @is_image: it is the tree of a stage or an image: absolute names start at its root, as they do in a context.
 * @known:    what copy_digest() has read already, so that a file which several steps take in is read once.
 *            NULL (of a stage or an image whose owner makes none): each time.
 * @unpacked_fd, @unpacked: of a tar: the session's directory (borrowed), and the name in it that @fd is; "" for none.
 * @store_dev, @store_ino: the store's directory, which is left out where the context holds it. 0: none.
 */
struct context {
	int fd;
	struct ignore ignore;
	int is_image;
	struct known *known;
	int unpacked_fd;
	struct store_name unpacked;
	dev_t store_dev;
	ino_t store_ino;
};

/**
 * context_open() - open a context and read its Dockerfile.
 * @source:     a directory; "-": a tar (gzip, bzip2, xz, zstd or plain), or a Dockerfile alone, on @input_fd, told
 *              apart by content.
 * @cancel_fd:  readable when a FIFO is not to be waited for any more; -1 for none.
 * @dockerfile: -f: with a directory, a path of the host, as the user's directory has it, which may be a FIFO; else
 *              (podman) one in the context, or "-" for @input_fd; with a tar, a path in it. NULL: Dockerfile, Containerfile or
 *              dockerfile in the context; a symlink there does not lead out of it.
 * @ret_context: for context_done(). @ret_text: the Dockerfile, for free(3); at most RECIPE_SIZE_MAX bytes,
 *              more is REFUSED.
 * @ret_file:   what it is called in errors, for free(3).
 *
 * A tar is unpacked below the store's session directory by the layers' own reader, so that no name in it
 * leads out; symlinks in it are kept. Whiteouts have no meaning in it and are refused.
 *
 * The ignore file is the first of these: the Dockerfile's name with .dockerignore at its end, beside it;
 * .dockerignore and .containerignore in the context.
 *
 * Return: 0, or a negative errno value: MISSING (no Dockerfile, no such directory), REFUSED, USAGE (both from
 * the input), FAILED.
 */
int context_open(struct store *store, const char *source, int input_fd, int cancel_fd,
		 const char *dockerfile, struct context *ret_context, char **ret_text,
		 size_t *ret_size, char **ret_file, struct snapdrv_error *err);

/** context_done() - close it, and remove what was unpacked; before the store is closed. */
void context_done(struct context *context);

#define cleanup_context __attribute__((cleanup(context_done)))

#endif
