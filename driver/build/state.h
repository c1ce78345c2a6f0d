/* SPDX-License-Identifier: Apache-2.0 */
/* A build and its stages, as the files of this room share them. */
#ifndef BUILD_STATE_H
#define BUILD_STATE_H

#include <pthread.h>

#include "base/digest.h"
#include "base/json.h"
#include "build/context.h"
#include "build/recipe.h"
#include "build/words.h"
#include "image/platform.h"
#include "snapshot/graph.h"

/** struct variable - NAME and value, NULL where it has none. @is_used: somebody asked for it. */
struct variable {
	char *name;
	char *value;
	int is_used;
};

/** struct variables - a list of them; all zero is empty. */
struct variables {
	struct variable *items;
	size_t count;
};

/**
 * struct build_secret - --secret id=ID,src=FILE|env=NAME.
 * @data: @size bytes, once it was asked for: a FIFO gives it once. NULL before; under the build's @secret_lock.
 */
struct build_secret {
	char *id;
	char *file, *env; /* one of them */
	char *data;
	size_t size;
};

enum stage_state { STAGE_IDLE, STAGE_TAKEN, STAGE_DONE };

/**
 * struct stage - a stage in the making; one thread has it at a time, and others read it when it is done.
 * @graph:     of the thread that has it. @may_work: it may do what takes time; otherwise it only looks up.
 * @document:  the image config so far. @descriptors: of its layers, as a manifest has them.
 * @chain:     ChainID of the layers so far, where it @has_layers.
 * @created_ns: of the last layer; 0 where nobody says.
 * @args:      the ARGs that are in scope: its own, and those of a stage that it is based on.
 * @held:      bytes that its texts come to, those of its base among them; see scope_hold().
 * @has_cmd:   a CMD was given in this stage: ENTRYPOINT leaves it.
 * @triggers:  of the base image; they come before the stage's own steps. @at: the next of both.
 * @step:      how many steps were told of, of @n_steps.
 */
struct stage {
	struct build *build;
	const struct recipe_stage *recipe;
	size_t index;
	int is_needed;
	enum stage_state state;
	struct graph *graph;
	int may_work;
	int is_begun; /* FROM is done */
	json_t *document;
	json_t *descriptors;
	struct digest chain;
	int has_layers;
	int64_t created_ns;
	struct variables args;
	size_t held;
	int has_cmd;
	struct recipe_step *triggers;
	size_t n_triggers;
	size_t at;
	unsigned step, n_steps;
	char label[128]; /* for events */
};

/** struct build - one build. */
struct build {
	struct graph *graph; /* of the calling thread */
	const struct snapdrv_build_options *options;
	struct context context;
	struct recipe recipe;
	char *file;
	struct platform platform;
	struct variables args;	  /* --build-arg */
	struct variables globals; /* ARG in front of FROM, and what is always there */
	size_t held;		  /* by all stages, and in front of them */
	struct build_secret *secrets;
	size_t n_secrets;
	struct strings references;
	int has_epoch; /* SOURCE_DATE_EPOCH is set */
	int64_t epoch_ns;
	struct stage *stages;
	size_t n_stages;
	size_t target;
	pthread_mutex_t lock; /* of the states and the failure */
	pthread_cond_t changed;
	pthread_mutex_t event_lock;
	pthread_mutex_t secret_lock;
	unsigned n_events;
	int stop_fd; /* readable when somebody failed */
	int ret;     /* the first failure */
	struct snapdrv_error err;
};

/** Answers of what may have to wait: 0 done, 1 it takes work, and the stage may not; or negative. */
#define TAKES_WORK 1

/* ---- scope.c ------------------------------------------------------------------------------ */

void variables_done(struct variables *variables);
struct variable *variables_find(const struct variables *variables, const char *name, size_t length);
/** variables_set() - add or change one. @value: may be NULL. */
int variables_set(struct variables *variables, const char *name, const char *value,
		  struct snapdrv_error *err);

/** variables_copy() - add those of another list, or change them to what they are there. */
int variables_copy(struct variables *variables, const struct variables *from,
		   struct snapdrv_error *err);

/** scope_init() - --build-arg, the ARGs in front of the first FROM, the platforms. */
int scope_init(struct build *build, struct snapdrv_error *err);

/** scope_expand_global() - a word of a FROM. */
int scope_expand_global(struct build *build, const char *word, char **ret_text,
			struct snapdrv_error *err);

/**
 * scope_hold() - count a text that a stage comes by, before it is kept: a variable in a variable doubles with each
 * line, and a small Dockerfile could fill the memory.
 * @size: bytes.
 *
 * What is thrown away again counts too.
 *
 * Return: 0, or a negative errno value: REFUSED when it is more than an image's config may have.
 */
int scope_hold(struct stage *stage, size_t size, struct snapdrv_error *err);

/** scope_expand() - a word in a stage, which holds it. @flags: enum words_flags. @ret_text: for free(3). */
int scope_expand(struct stage *stage, const char *word, unsigned flags, char **ret_text,
		 struct snapdrv_error *err);

/** scope_expand_list() - as words_expand_list() in a stage, which holds them. */
int scope_expand_list(struct stage *stage, const char *word, struct strings *list,
		      struct snapdrv_error *err);

/** scope_arg() - ARG in a stage. */
int scope_arg(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err);

/**
 * scope_run_args() - NAME=VALUE of the ARGs that a RUN sees, without those that ENV has.
 * scope_proxies() - NAME=VALUE of the proxies that --build-arg sets: they are seen, and change no key.
 */
int scope_run_args(const struct stage *stage, struct strings *list, struct snapdrv_error *err);
int scope_proxies(const struct stage *stage, struct strings *list, struct snapdrv_error *err);

/** scope_warn_unused() - tell of --build-args that nobody asked for. */
void scope_warn_unused(struct build *build);

/* ---- document.c, config.c ----------------------------------------------------------------- */

/** config_of() - the "config" object of the stage's document. Borrowed. */
json_t *config_of(const struct stage *stage);

/** config_text() - a string of it, "" where it has none. Borrowed. */
const char *config_text(const struct stage *stage, const char *key);

/** config_env() - the value of a variable of its Env, or NULL. @name: @length bytes. Borrowed. */
const char *config_env(const struct stage *stage, const char *name, size_t length);

/** config_member() - a member that is of a type, made when there is none. Borrowed. */
json_t *config_member(json_t *object, const char *key, json_t *(*make)(void), json_type type);

/** config_string() - a text as JSON, owned; NULL with @err filled when it is not UTF-8. */
json_t *config_string(const char *text, struct snapdrv_error *err);

/** config_put() - set a member to a text. */
int config_put(json_t *object, const char *key, const char *text, struct snapdrv_error *err);

/** config_begin() - the document of an image without layers. */
int config_begin(struct stage *stage, struct snapdrv_error *err);

/**
 * config_take() - the document of an image, as a base; PATH is docker's where it says nothing of it.
 * @document: taken over. @descriptors: likewise.
 */
int config_take(struct stage *stage, json_t *document, json_t *descriptors,
		struct snapdrv_error *err);

/** config_step() - an instruction that changes no files. */
int config_step(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err);

/** config_shell() - the words in front of a command for the shell, appended. */
int config_shell(const struct stage *stage, struct strings *words, struct snapdrv_error *err);

/** config_add_layer() - a layer more, and its line of history. @size: of its tar. */
int config_add_layer(struct stage *stage, const struct digest *diff, uint64_t size,
		     int64_t created_ns, const char *created_by, struct snapdrv_error *err);

/** config_add_history() - a line of history without a layer. */
int config_add_history(struct stage *stage, const char *created_by, struct snapdrv_error *err);

/** path_absolute() - a path from a WORKDIR, without `.`, `..` and `//`; a slash at the end stays. */
char *path_absolute(const char *above, const char *path, struct snapdrv_error *err);

/** list_text() - words as Go prints them: ["a" "b"] with quotes, [a b] without. For free(3), or NULL. */
char *list_text(const struct strings *words, int has_quotes, struct snapdrv_error *err);

/* ---- cache.c ------------------------------------------------------------------------------ */

/** struct key - a step's key in the making. */
struct key {
	struct hasher *hasher;
};

/** key_begin() - over the stage's layers. @kind: of the step. For key_text(). */
int key_begin(struct key *key, const struct stage *stage, const char *kind,
	      struct snapdrv_error *err);
void key_add(struct key *key, const char *text);
void key_add_bytes(struct key *key, const void *data, size_t size);
void key_add_list(struct key *key, const struct strings *list);
void key_add_number(struct key *key, int64_t number);

/** key_text() - it is complete. */
struct digest_text key_text(struct key *key);
void key_done(struct key *key);

#define cleanup_key __attribute__((cleanup(key_done)))

/** struct cached - a step's result: a layer, or none where it changed nothing. */
struct cached {
	int has_layer;
	struct digest diff;
	uint64_t size;
	int64_t created_ns;
};

/** cache_find() - Return: 1 found, 0 not (or the cache is not to be used), or a negative errno value. */
int cache_find(struct stage *stage, const char *key, struct cached *ret_cached,
	       struct snapdrv_error *err);

/** cache_alias() - what is found by one key is found by another one too. */
int cache_alias(struct stage *stage, const char *key, const char *alias, struct snapdrv_error *err);

/** cache_put_nothing() - a step changed nothing. */
int cache_put_nothing(struct stage *stage, const struct strings *keys, int64_t created_ns,
		      struct snapdrv_error *err);

/* ---- report.c ----------------------------------------------------------------------------- */

/** struct report - a step that is told of. */
struct report {
	struct stage *stage;
	unsigned id, step, line;
	const char *text;
	int64_t start_ns;
	int is_open;
};

/** report_begin() - a step begins. */
struct report report_begin(struct stage *stage, unsigned line, const char *text);
void report_output(const struct report *report, const char *data, size_t size);

/** report_end() - it is through, or failed. */
void report_end(struct report *report, int ret);

/** report_cached() - a step need not be done. */
void report_cached(struct stage *stage, unsigned line, const char *text);
void report_warning(struct build *build, const char *text);

/** build_is_stopped() - whether the build was cancelled, or another stage failed: -ECANCELED then. */
int build_is_stopped(struct build *build, struct snapdrv_error *err);

/* ---- from.c ------------------------------------------------------------------------------- */

/** from_begin() - FROM. Return: 0, TAKES_WORK, or a negative errno value. */
int from_begin(struct stage *stage, struct snapdrv_error *err);

/** from_stage() - a stage by its name or number that the given one may use, or NULL. */
struct stage *from_stage(const struct stage *stage, const char *name);

/** from_wait() - until another stage is done. Return: 0, TAKES_WORK, or a negative errno value. */
int from_wait(struct stage *stage, const struct stage *other, struct snapdrv_error *err);

/**
 * from_top() - the topmost snapshot of what --from names: a stage, or an image, which is pulled where it is
 * missing. @ret_snapshot: its id is 0 for a stage without files. @ret_chain: its name.
 */
int from_top(struct stage *stage, const char *name, struct snapshot *ret_snapshot,
	     struct digest_text *ret_chain, struct snapdrv_error *err);

/* ---- stages.c, stage.c, export.c, keep.c -------------------------------------------------- */

/** stages_choose() - which ones are needed. */
int stages_choose(struct build *build, struct snapdrv_error *err);

/** stages_build() - all of them. */
int stages_build(struct build *build, struct snapdrv_error *err);

/** stage_advance() - go on as far as possible. Return: 0 done, TAKES_WORK, or a negative errno value. */
int stage_advance(struct stage *stage, struct snapdrv_error *err);

void stage_done(struct stage *stage);

/** stage_top() - the snapshot of the layers so far. Its id is 0 where there are none. */
int stage_top(struct stage *stage, struct snapshot *ret_snapshot, struct snapdrv_error *err);

/** step_line() - where an instruction is: a trigger's is that of the FROM. */
unsigned step_line(const struct stage *stage, const struct recipe_step *step);

/** export_image() - the stage becomes an image. @references: its names. @ret_id: for free(3). */
int export_image(struct stage *stage, const struct strings *references, char **ret_id,
		 struct snapdrv_error *err);

/* ---- step_run.c, step_copy.c, step_workdir.c ---------------------------------------------- */

/** step_run(), ... - an instruction that changes files. Return: 0, TAKES_WORK, or a negative errno value. */
int step_run(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err);
int step_copy(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err);
int step_workdir(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err);

#endif
