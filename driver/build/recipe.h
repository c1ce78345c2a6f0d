/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Dockerfile, read and checked as a whole: what each of its instructions says. Nothing is carried out here,
 * no file but the Dockerfile is looked at, and variables are left as they are written (build/words.h).
 */
#ifndef BUILD_RECIPE_H
#define BUILD_RECIPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/** enum recipe_op - the instructions. */
enum recipe_op {
	RECIPE_ADD,
	RECIPE_ARG,
	RECIPE_CMD,
	RECIPE_COPY,
	RECIPE_ENTRYPOINT,
	RECIPE_ENV,
	RECIPE_EXPOSE,
	RECIPE_FROM,
	RECIPE_HEALTHCHECK,
	RECIPE_LABEL,
	RECIPE_MAINTAINER,
	RECIPE_ONBUILD,
	RECIPE_RUN,
	RECIPE_SHELL,
	RECIPE_STOPSIGNAL,
	RECIPE_USER,
	RECIPE_VOLUME,
	RECIPE_WORKDIR
};

/** struct recipe_pair - ENV, LABEL, ARG. @value: NULL for an ARG without a default. */
struct recipe_pair {
	char *key;
	char *value;
};

/**
 * struct recipe_heredoc - a here-document of a RUN, COPY or ADD.
 * @name:    the word that ended it; the file's name in COPY and ADD.
 * @text:    what stands in it, with tabs taken off for `<<-`, NUL added; variables not expanded.
 * @expands: the name was not quoted: variables are expanded (COPY, ADD), or left to the shell (RUN).
 */
struct recipe_heredoc {
	char *name;
	char *text;
	size_t size;
	int expands;
};

/** enum recipe_mount_type - of RUN --mount. */
enum recipe_mount_type {
	RECIPE_MOUNT_BIND,
	RECIPE_MOUNT_CACHE,
	RECIPE_MOUNT_TMPFS,
	RECIPE_MOUNT_SECRET
};

/** enum recipe_sharing - of a cache. */
enum recipe_sharing { RECIPE_SHARED, RECIPE_PRIVATE, RECIPE_LOCKED };

/**
 * struct recipe_mount - one RUN --mount=...; texts are unexpanded, NULL where not given.
 * @from:    a stage's name or number, or an image (bind, cache); takes no variables. @source: in it, or in the
 *           context.
 * @env:     a secret that is given as a variable too. @mode, @uid, @gid: -1 where not given.
 * @size:    of a tmpfs, bytes; 0 for no limit. @writable: bind: written to, and thrown away.
 * @required: a secret that has to be there.
 */
struct recipe_mount {
	enum recipe_mount_type type;
	enum recipe_sharing sharing;
	char *target, *source, *from, *id, *env;
	int64_t mode, uid, gid;
	uint64_t size;
	int read_only, writable, required;
};

/**
 * struct recipe_step - an instruction, but FROM.
 * @line:   of its first line, from 1.
 * @text:   the instruction as it is written, on one line: continuations joined, comments left out, one
 *          blank between the keyword and the rest; for progress and history.
 * @is_exec: RUN, CMD, ENTRYPOINT, SHELL, VOLUME, COPY, ADD, HEALTHCHECK CMD as a JSON array; @args are its
 *          words then. Otherwise, of RUN, CMD, ENTRYPOINT, HEALTHCHECK: one string for the shell; of
 *          the others, their words, quotes kept (words_expand() takes them off).
 * @args:   COPY, ADD: sources, and the destination last; a source that is a here-document is its `<<NAME`
 *          word as written. RUN with here-documents: the line with its `<<NAME`. HEALTHCHECK NONE: no args.
 *          WORKDIR, USER, STOPSIGNAL, MAINTAINER: one. EXPOSE: each port as written.
 * @pairs:  ENV, LABEL, ARG.
 * @heredocs: in the order of their words.
 * @from:   COPY --from, as written (variables are refused, as docker has it), or NULL. @chown, @chmod:
 *          unexpanded, or NULL. @link: --link.
 * @excludes: --exclude of COPY and ADD.
 * @network: RUN --network: "none", "host", "default", or NULL.
 * @health: HEALTHCHECK's --interval, --timeout, --start-period, --start-interval in ns; 0 where not given.
 * @retries: HEALTHCHECK's; 0 where not given.
 * @trigger: ONBUILD: the instruction that is kept, itself parsed; owned. Its @text goes into the config: blanks
 *          as they are written, and its here-documents, with newlines.
 */
struct recipe_step {
	enum recipe_op op;
	unsigned line;
	char *text;
	int is_exec;
	struct strings args;
	struct recipe_pair *pairs;
	size_t n_pairs;
	struct recipe_heredoc *heredocs;
	size_t n_heredocs;
	struct recipe_mount *mounts;
	size_t n_mounts;
	char *from, *chown, *chmod, *network;
	int link;
	struct strings excludes;
	int64_t health_ns[4];
	unsigned retries;
	struct recipe_step *trigger;
};

/**
 * struct recipe_stage - from a FROM to the next one.
 * @line, @text: of the FROM.
 * @name:     AS, in lower case, or NULL. @base: as written, unexpanded.
 * @platform: --platform, unexpanded, or NULL.
 */
struct recipe_stage {
	unsigned line;
	char *text;
	char *name;
	char *base;
	char *platform;
	struct recipe_step *steps;
	size_t n_steps;
};

/**
 * struct recipe - the whole file.
 * @file:    what it is called in errors.
 * @globals: the ARGs in front of the first FROM.
 */
struct recipe {
	char *file;
	struct recipe_step *globals;
	size_t n_globals;
	struct recipe_stage *stages;
	size_t n_stages;
	char escape; /* '\\' or '`' */
};

/** RECIPE_SIZE_MAX - a longer Dockerfile is refused unread. Bytes. */
#define RECIPE_SIZE_MAX (1024 * 1024)

/**
 * recipe_parse() - read a Dockerfile (docs.docker.com/reference/dockerfile; syntax 1.7).
 * @file:  what it is called in errors, e.g. "Dockerfile". Borrowed.
 * @text:  @size bytes, any; a BOM and CRLF are taken. Borrowed.
 * @ret_recipe: for recipe_done().
 *
 * All that can be known before anything runs is checked: unknown instructions and flags, wrong numbers of
 * words, bad JSON (which is shell form, as docker has it, where the instruction has one), stages that are
 * named twice, COPY --from and --mount=from of this or a later stage, words that cannot be expanded (an
 * unknown modifier, an open `${`), here-documents without an end, ONBUILD of ONBUILD, FROM or MAINTAINER.
 * `# syntax=` is read and has no effect, `# escape=` has, `# check=` none.
 *
 * Return: 0, or a negative errno value: REFUSED, the message begins with `FILE:LINE: `.
 */
int recipe_parse(const char *file, const char *text, size_t size, struct recipe *ret_recipe,
		 struct snapdrv_error *err);

/** recipe_parse_trigger() - an ONBUILD instruction of an image's config. @ret_step: for recipe_step_done(). */
int recipe_parse_trigger(const char *text, struct recipe_step *ret_step, struct snapdrv_error *err);

/**
 * recipe_remote() - whether a source of ADD or COPY, expanded, is a URL or a git repository. recipe_parse()
 * refuses those that it sees.
 * Return: "a URL; builds fetch no sources" or the like, for messages, or NULL.
 */
const char *recipe_remote(const char *source);

/**
 * recipe_heredoc_word() - whether a word, quotes kept, is a here-document's: `<<NAME`, digits in front of it or not.
 * @ret_name: without quotes, for free(3). @ret_expands, @ret_strips: not quoted; `<<-`. May all be NULL.
 * Return: 1, 0, or -ENOMEM.
 */
int recipe_heredoc_word(const char *word, char **ret_name, int *ret_expands, int *ret_strips,
			struct snapdrv_error *err);

/** recipe_op_name() - "RUN", for messages. */
const char *recipe_op_name(enum recipe_op op);

/**
 * recipe_stage_find() - a stage by its name (whatever the case) or number, among the first @limit.
 * Return: its index, or -1.
 */
int recipe_stage_find(const struct recipe *recipe, const char *name, size_t limit);

void recipe_step_done(struct recipe_step *step);
void recipe_done(struct recipe *recipe);

#define cleanup_recipe __attribute__((cleanup(recipe_done)))

#endif
