/* SPDX-License-Identifier: Apache-2.0 */
/* What a COPY or ADD names: its sources, found in the context, and what of them is taken. */
#ifndef BUILD_SOURCES_H
#define BUILD_SOURCES_H

#include <sys/stat.h>

#include "build/copy.h"

/**
 * struct source - one thing to be copied.
 * @path: from the root of the context, without a symlink in it; "" for the root.
 * @name: what it is called: of a symlink its own name, not that of where it leads.
 * @st:   as it was when it was found. A directory or anything but a symlink.
 */
struct source {
	char *path;
	char *name;
	struct stat st;
};

/** struct sources - in the order of the instruction, those of one pattern in the order of their bytes. */
struct sources {
	struct source *items;
	size_t count;
	int is_several; /* more than one source or here-document is named, or a pattern fits several */
};

/** sources_find() - as copy_digest() says. @ret_sources: for sources_done(). */
int sources_find(const struct copy *copy, struct sources *ret_sources, struct snapdrv_error *err);

void sources_done(struct sources *sources);

#define cleanup_sources __attribute__((cleanup(sources_done)))

/** copy_wants_directory() - whether the text of the target says that it is a directory. */
int copy_wants_directory(const struct copy *copy);

/** sources_open() - open a source again; nothing that became a symlink is followed. */
int sources_open(const struct copy *copy, const struct source *source, int flags,
		 struct snapdrv_error *err);

/**
 * sources_open_parent() - the directory that a source other than the root stands in (O_PATH).
 * @ret_name: its name there: the end of @source->path.
 */
int sources_open_parent(const struct copy *copy, const struct source *source, const char **ret_name,
			struct snapdrv_error *err);

/** struct chooser - what is taken of one source; for chooser_done(). All but @path is borrowed. */
struct chooser {
	const struct copy *copy;
	const struct source *source;
	struct bytes path;
};

/**
 * chooser_choose() - the choose() of struct copy_rules.
 * @chooser: a struct chooser. @path: from the source; "" for the source itself.
 *
 * Left out: what .dockerignore or --exclude says, the store, sockets (which no layer can hold). REFUSED: a
 * device of a context, names that would be whiteouts.
 */
int chooser_choose(void *chooser, const char *path, const struct stat *st,
		   struct snapdrv_error *err);

void chooser_done(struct chooser *chooser);

#endif
