/* SPDX-License-Identifier: Apache-2.0 */
/* Building: images from Dockerfiles. */
#ifndef SNAPDRV_BUILD_H
#define SNAPDRV_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "load.h"

#ifdef __cplusplus
extern "C" {
#endif

/** enum snapdrv_build_flags - of struct snapdrv_build_options. */
enum snapdrv_build_flags {
	SNAPDRV_BUILD_NO_CACHE = 1 << 0,    /* carry out every step */
	SNAPDRV_BUILD_KEEP = 1 << 1,	    /* leave the container of a RUN that fails */
	SNAPDRV_BUILD_NEVER_PULL = 1 << 2,  /* images that are not here are missing */
	SNAPDRV_BUILD_HOST_NETWORK = 1 << 3 /* RUN has the network of the host; otherwise none */
};

/** enum snapdrv_build_kind - what is told while an image is built. */
enum snapdrv_build_kind {
	SNAPDRV_BUILD_STARTED, /* a step is worked on */
	SNAPDRV_BUILD_OUTPUT,  /* what a RUN prints */
	SNAPDRV_BUILD_CACHED,  /* a step need not be done; nothing was told of it before */
	SNAPDRV_BUILD_DONE,    /* a step is through */
	SNAPDRV_BUILD_STOPPED, /* a step failed, or was given up */
	SNAPDRV_BUILD_WARNING  /* something that may be a mistake; data is a line about it */
};

/**
 * struct snapdrv_build_event - what happens in a build; everything is borrowed.
 * @kind:  enum snapdrv_build_kind.
 * @id:    of the step: 1, 2, ... in the order in which they were begun; 0 of a warning that is of none.
 * @stage: the stage's name, or "stage-N" from 0, or "" of a file with one stage without a name.
 * @step:  number of the step in its stage, from 1, of @n_steps: FROM, and those that change files.
 * @line:  of the Dockerfile. @text: the instruction on one line.
 * @data:  @size bytes of output, any; or of a warning.
 * @duration_ns: how long the step took, when it is through or stopped.
 */
struct snapdrv_build_event {
	int kind;
	unsigned id;
	const char *stage;
	unsigned step;
	unsigned n_steps;
	unsigned line;
	const char *text;
	const char *data;
	size_t size;
	int64_t duration_ns;
};

/**
 * struct snapdrv_build_options - how to build; all zero, but for @input_fd and @cancel_fd, is a good start.
 * @dockerfile: path of the Dockerfile, "-" for @input_fd; NULL: Dockerfile in the context. Where the context
 *              is a tar, a path in it.
 * @input_fd:   read when the context, or the Dockerfile, is "-".
 * @tags:       @n_tags names for the image; a digest in one has to be the image's.
 * @args:       @n_args of KEY=VALUE for ARG; KEY alone takes the value of the environment.
 * @labels:     @n_labels of KEY=VALUE, put into the image.
 * @secrets:    @n_secrets of id=ID[,src=FILE|,env=NAME], for RUN --mount=type=secret.
 * @target:     the stage to build, by name or number; NULL: the last one.
 * @platform:   OS/ARCH[/VARIANT] to build for, or NULL for this machine's.
 * @flags:      enum snapdrv_build_flags.
 * @registry:   how images that are not here are pulled; or NULL.
 * @cancel_fd:  the build is given up when it becomes readable; -1 for none. It is not read.
 * @event:      told what happens, from several threads but never from two at once; or NULL.
 * @event_arg:  its argument.
 */
struct snapdrv_build_options {
	const char *dockerfile;
	int input_fd;
	const char *const *tags;
	size_t n_tags;
	const char *const *args;
	size_t n_args;
	const char *const *labels;
	size_t n_labels;
	const char *const *secrets;
	size_t n_secrets;
	const char *target;
	const char *platform;
	unsigned flags;
	const struct snapdrv_registry_options *registry;
	int cancel_fd;
	void (*event)(void *arg, const struct snapdrv_build_event *event);
	void *event_arg;
};

/**
 * snapdrv_build() - make an image as a Dockerfile says.
 * @context: a directory; "-": a tar (also compressed), or a Dockerfile alone, from @options->input_fd.
 * @options: or NULL. Borrowed.
 * @ret_id:  the image ID, for free(3).
 *
 * The whole Dockerfile is checked before anything is done. Each step that changes files becomes a layer of
 * the graph, found again by its parent, its instruction and the content, not the times, of what it takes
 * in; such a hit costs some look-ups. Stages that the target does not need are not built, and those that do
 * not need each other are built side by side, in threads with a mount namespace of their own. RUN is done by
 * `runc` from PATH. With SOURCE_DATE_EPOCH in the environment no later time gets into the image, and the
 * same build makes the same layers on every driver. The image is the same each time all its steps are found.
 *
 * A build that fails, or whose process is killed at any point, leaves no mount, process or container, but
 * for the container that SNAPDRV_BUILD_KEEP asks for, which the error names; steps that were done stay for
 * the next build, until snapdrv_gc().
 *
 * Return: 0, or a negative errno value: REFUSED (the Dockerfile, a source that is not there or not in the
 * context; `FILE:LINE: ` is in the message), MISSING (no such context, image, stage or secret; runc is not
 * installed), USAGE, FAILED (a RUN that failed; ECANCELED when it was given up).
 */
int snapdrv_build(struct snapdrv_store *store, const char *context,
		  const struct snapdrv_build_options *options, char **ret_id,
		  struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
