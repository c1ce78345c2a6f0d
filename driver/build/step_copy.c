/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and ADD: the words of the instruction, its key, and who does it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/copy.h"
#include "build/work.h"
#include "snapshot/rootfs.h"

/* A COPY with its variables expanded. */
struct copying {
	struct stage *stage;
	const struct recipe_step *step;
	struct strings sources;
	struct strings texts; /* of here-documents */
	struct copy_inline *inlines;
	char *target;
	char *chown;
	char *chmod;
	struct ignore excludes;
	struct strings patterns; /* of the excludes */
	struct context tree;	 /* of a stage or an image; its fd is -1 before it is opened */
	struct snapshot from;
	struct digest_text from_chain;
	struct digest digest; /* of the content, before it is copied */
	struct copy copy;
};

static void copying_done(struct copying *copying)
{
	strings_done(&copying->sources);
	strings_done(&copying->texts);
	free(copying->inlines);
	free(copying->target);
	free(copying->chown);
	free(copying->chmod);
	ignore_done(&copying->excludes);
	strings_done(&copying->patterns);
	if (copying->tree.fd >= 0)
		close(copying->tree.fd);
}

static int add_inline(struct copying *copying, const struct recipe_heredoc *heredoc, size_t index,
		      struct snapdrv_error *err)
{
	cleanup_free char *expanded = NULL;
	const char *text;
	int ret = 0;

	if (heredoc->expands)
		ret = scope_expand(copying->stage, heredoc->text, WORDS_KEEP_QUOTES, &expanded,
				   err);
	if (!ret)
		ret = strings_add(&copying->texts, expanded ? expanded : heredoc->text, err);
	if (ret || !copying->texts.items)
		return ret;
	text = copying->texts.items[copying->texts.count - 1];
	copying->inlines[index] = (struct copy_inline){heredoc->name, text, strlen(text)};
	return 0;
}

static int add_source(struct copying *copying, const char *word, struct snapdrv_error *err)
{
	const struct recipe_step *step = copying->step;
	cleanup_free char *source = NULL;
	int ret = step->n_heredocs ? recipe_heredoc_word(word, NULL, NULL, NULL, err) : 0;

	if (ret)
		return ret < 0 ? ret : 0;
	ret = scope_expand(copying->stage, word, 0, &source, err);
	if (!ret && step->op == RECIPE_ADD && recipe_remote(source))
		ret = refuse(err, "%s is %s", quote(source).text, recipe_remote(source));
	if (!ret && !*source)
		ret = refuse(err, "a source is empty");
	return ret ? ret : strings_add(&copying->sources, source, err);
}

static int add_sources(struct copying *copying, struct snapdrv_error *err)
{
	const struct recipe_step *step = copying->step;
	int ret = 0;

	copying->inlines = calloc(step->n_heredocs + 1, sizeof(*copying->inlines));
	if (!copying->inlines)
		return fail_memory(err);
	for (size_t i = 0; i < step->n_heredocs && !ret; i++)
		ret = add_inline(copying, &step->heredocs[i], i, err);
	for (size_t i = 0; i + 1 < step->args.count && !ret; i++)
		ret = add_source(copying, step->args.items[i], err);
	return ret;
}

static int set_target(struct copying *copying, struct snapdrv_error *err)
{
	const struct recipe_step *step = copying->step;
	cleanup_free char *text = NULL;
	int ret = step->args.count
			  ? scope_expand(copying->stage, step->args.items[step->args.count - 1], 0,
					 &text, err)
			  : refuse(err, "no destination");

	if (ret)
		return ret;
	if (!*text)
		return refuse(err, "the destination is empty");
	copying->target = path_absolute(config_text(copying->stage, "WorkingDir"), text, err);
	return copying->target ? 0 : -ENOMEM;
}

static int set_mode(struct copying *copying, struct snapdrv_error *err)
{
	char *end;
	long mode;
	int ret;

	copying->copy.mode = -1;
	if (!copying->step->chmod)
		return 0;
	ret = scope_expand(copying->stage, copying->step->chmod, 0, &copying->chmod, err);
	if (ret)
		return ret;
	mode = strtol(copying->chmod, &end, 8);
	if (!*copying->chmod || *end || mode < 0 || mode > 07777)
		return refuse(err, "--chmod=%s: not an octal mode", quote(copying->chmod).text);
	copying->copy.mode = mode;
	return 0;
}

static int read_words(struct copying *copying, struct snapdrv_error *err)
{
	const struct recipe_step *step = copying->step;
	int ret = add_sources(copying, err);

	if (!ret)
		ret = set_target(copying, err);
	if (!ret && step->chown)
		ret = scope_expand(copying->stage, step->chown, 0, &copying->chown, err);
	if (!ret)
		ret = set_mode(copying, err);
	for (size_t i = 0; i < step->excludes.count && !ret; i++) {
		cleanup_free char *pattern = NULL;

		ret = scope_expand(copying->stage, step->excludes.items[i], 0, &pattern, err);
		if (!ret)
			ret = ignore_add(&copying->excludes, pattern, err);
		if (!ret)
			ret = strings_add(&copying->patterns, pattern, err);
	}
	if (!ret && step->from)
		ret = from_top(copying->stage, step->from, &copying->from, &copying->from_chain,
			       err);
	return ret;
}

static void fill_copy(struct copying *copying)
{
	const struct build *build = copying->stage->build;
	struct copy *copy = &copying->copy;

	copy->from = copying->step->from ? &copying->tree : &build->context;
	copy->sources = (const char *const *)copying->sources.items;
	copy->n_sources = copying->sources.count;
	copy->inlines = copying->inlines;
	copy->n_inlines = copying->step->n_heredocs;
	copy->target = copying->target;
	copy->is_add = copying->step->op == RECIPE_ADD;
	copy->uid = copy->gid = -1;
	copy->excludes = &copying->excludes;
	copy->clamp_ns = build->has_epoch ? build->epoch_ns : INT64_MAX;
}

static int open_tree_of(struct copying *copying, struct snapdrv_error *err)
{
	if (!copying->step->from || copying->tree.fd >= 0)
		return 0;
	if (!copying->from.id)
		return refuse(err, "%s has no files", quote(copying->step->from).text);
	copying->tree.fd = rootfs_peek(copying->stage->graph, &copying->from, err);
	return copying->tree.fd < 0 ? copying->tree.fd : 0;
}

/* @content: digest of what is copied, or the ChainID of the whole tree that it comes from. */
static int add_key(struct copying *copying, const char *kind, const char *content,
		   struct strings *keys, struct snapdrv_error *err)
{
	cleanup_key struct key key = {0};
	int ret = key_begin(&key, copying->stage, kind, err);

	if (ret)
		return ret;
	key_add(&key, content);
	key_add(&key, copying->target);
	key_add(&key, copying->chown);
	key_add_number(&key, copying->copy.mode);
	key_add_number(&key, copying->copy.is_add);
	key_add_number(&key, !!copying->step->from);
	/* Of a tree that is known by its name alone, what is taken of it. */
	if (!strcmp(kind, "copy from")) {
		key_add_list(&key, &copying->sources);
		key_add_list(&key, &copying->patterns);
		key_add_list(&key, &copying->texts);
	}
	return strings_add(keys, key_text(&key).text, err);
}

static int add_content_key(void *arg, struct strings *keys, struct snapdrv_error *err)
{
	struct copying *copying = arg;
	int ret = open_tree_of(copying, err);

	if (!ret)
		ret = copy_digest(&copying->copy, &copying->digest, err);
	return ret ? ret
		   : add_key(copying, "copy", digest_format(&copying->digest).text, keys, err);
}

/* What was copied is to be what the key says. */
static int check_digest(struct copying *copying, struct snapdrv_error *err)
{
	struct copy copy = copying->copy;

	copy.uid = copy.gid = -1;
	return copy_check(&copy, &copying->digest, err);
}

static int set_owner(struct copying *copying, struct snapdrv_error *err)
{
	const char *chown = copying->chown;
	uint32_t uid, gid;
	int ret;

	if (!chown)
		return 0;
	ret = user_find(copying->stage, chown, &uid, &gid, err);
	if (ret)
		return fail_within(err, ret, "--chown=%s", quote(chown).text);
	/* docker: a number alone is the group's too. */
	if (!chown[strspn(chown, "0123456789")])
		gid = uid;
	copying->copy.uid = uid;
	copying->copy.gid = gid;
	return 0;
}

static int change(void *arg, struct work *work, const struct report *report,
		  struct snapdrv_error *err)
{
	struct copying *copying = arg;
	int ret = set_owner(copying, err);

	(void)report;
	if (!ret)
		ret = open_tree_of(copying, err);
	if (!ret)
		ret = copy_into(&copying->copy, work->root_fd, err);
	return ret || copying->step->from ? ret : check_digest(copying, err);
}

static char *history_of(const struct copying *copying, struct snapdrv_error *err)
{
	const struct recipe_step *step = copying->step;
	struct bytes text = {0};
	int ret = bytes_add(&text, recipe_op_name(step->op), strlen(recipe_op_name(step->op)), err);

	for (size_t i = 0; i < copying->sources.count && !ret; i++) {
		ret = bytes_add(&text, " ", 1, err);
		if (!ret)
			ret = bytes_add(&text, copying->sources.items[i],
					strlen(copying->sources.items[i]), err);
	}
	for (size_t i = 0; i < step->n_heredocs && !ret; i++) {
		cleanup_free char *name = text_format(err, " <<%s", step->heredocs[i].name);

		ret = name ? bytes_add(&text, name, strlen(name), err) : -ENOMEM;
	}
	if (!ret)
		ret = bytes_add(&text, " ", 1, err);
	if (!ret)
		ret = bytes_add(&text, copying->target, strlen(copying->target) + 1, err);
	if (ret)
		bytes_done(&text);
	return ret ? NULL : text.data;
}

int step_copy(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	__attribute__((cleanup(copying_done))) struct copying copying = {
		.stage = stage, .step = step, .tree = {.fd = -1, .is_image = 1}};
	cleanup_strings struct strings keys = {0};
	cleanup_free char *created_by = NULL;
	struct doing doing = {.step = step, .keys = &keys, .change = change, .arg = &copying};
	int ret = read_words(&copying, err);

	if (ret)
		return ret;
	fill_copy(&copying);
	created_by = history_of(&copying, err);
	if (!created_by)
		return -ENOMEM;
	doing.created_by = created_by;
	/* A stage or an image has a name for all that is in it, which is known at once. */
	if (step->from) {
		ret = add_key(&copying, "copy from", copying.from_chain.text, &keys, err);
		doing.late_key = add_content_key;
	} else {
		ret = add_content_key(&copying, &keys, err);
	}
	return ret ? ret : step_do(stage, &doing, err);
}
