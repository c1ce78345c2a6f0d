/* SPDX-License-Identifier: Apache-2.0 */
/* FROM, and whether the words of all instructions can be expanded. */
#include "build/recipe_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "build/words.h"

static int check_word(const char *word, char escape, unsigned flags, struct snapdrv_error *err)
{
	const struct words_scope scope = {.escape = escape};
	cleanup_free char *expanded = NULL;

	return word ? words_expand(&scope, word, flags | WORDS_CHECK, &expanded, err) : 0;
}

static int check_list(const struct strings *words, char escape, struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < words->count && !ret; i++)
		ret = check_word(words->items[i], escape, 0, err);
	return ret;
}

static int check_mount_words(const struct recipe_mount *mount, char escape,
			     struct snapdrv_error *err)
{
	const char *const words[] = {mount->target, mount->source, mount->id, mount->env};
	int ret = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words) && !ret; i++)
		ret = check_word(words[i], escape, 0, err);
	return ret;
}

int recipe_check_words(const struct recipe_step *step, char escape, struct snapdrv_error *err)
{
	int ret = check_word(step->chown, escape, 0, err);

	if (!ret)
		ret = check_word(step->chmod, escape, 0, err);
	if (!ret)
		ret = check_list(&step->excludes, escape, err);
	for (size_t i = 0; i < step->n_pairs && !ret; i++) {
		ret = check_word(step->pairs[i].key, escape, 0, err);
		if (!ret)
			ret = check_word(step->pairs[i].value, escape, 0, err);
	}
	for (size_t i = 0; i < step->n_mounts && !ret; i++)
		ret = check_mount_words(&step->mounts[i], escape, err);
	if (ret)
		return ret;
	switch (step->op) {
	case RECIPE_ADD:
	case RECIPE_COPY:
	case RECIPE_EXPOSE:
	case RECIPE_STOPSIGNAL:
	case RECIPE_USER:
	case RECIPE_VOLUME:
	case RECIPE_WORKDIR:
		return check_list(&step->args, escape, err);
	default:
		return 0;
	}
}

int recipe_check_heredocs(const struct recipe_step *step, struct snapdrv_error *err)
{
	int ret = 0;

	/* The shell expands those of RUN. */
	for (size_t i = 0; step->op != RECIPE_RUN && i < step->n_heredocs && !ret; i++) {
		if (step->heredocs[i].expands)
			ret = check_word(step->heredocs[i].text, '\\', WORDS_KEEP_QUOTES, err);
	}
	return ret;
}

/* A letter, then letters, digits, `-`, `_`, `.`; made lower case. */
static int check_name(char *name, struct snapdrv_error *err)
{
	for (char *at = name; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	if (islower((unsigned char)*name) &&
	    !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")])
		return 0;
	return refuse(err, "%s is no name of a stage", quote(name).text);
}

static int take(char **to, const char *word, struct snapdrv_error *err)
{
	*to = text_dup(word, err);
	return *to ? 0 : -ENOMEM;
}

int recipe_parse_from(const char *text, unsigned line, char escape, struct recipe_stage *ret_stage,
		      struct snapdrv_error *err)
{
	const char *rest = text + strcspn(text, RECIPE_BLANKS);
	const struct recipe_flag flags[] = {{.name = "platform", .text = &ret_stage->platform}};
	cleanup_strings struct strings words = {0};
	int ret;

	*ret_stage = (struct recipe_stage){.line = line};
	ret = recipe_flags(&rest, flags, 1, err);
	if (!ret)
		ret = recipe_blanks(rest, &words, err);
	if (ret)
		return ret;
	if (words.count != 1 && (words.count != 3 || strcasecmp(words.items[1], "as")))
		return refuse(err, "FROM takes an image, or an image AS a name");
	ret_stage->text =
		text_format(err, "%.4s %s", text, text + 4 + strspn(text + 4, RECIPE_BLANKS));
	ret = ret_stage->text ? take(&ret_stage->base, words.items[0], err) : -ENOMEM;
	if (!ret && words.count == 3)
		ret = take(&ret_stage->name, words.items[2], err);
	if (!ret && ret_stage->name)
		ret = check_name(ret_stage->name, err);
	if (!ret)
		ret = check_word(ret_stage->base, escape, 0, err);
	return ret ? ret : check_word(ret_stage->platform, escape, 0, err);
}
