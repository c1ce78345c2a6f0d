/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a Dockerfile: directives, comments, continuations, here-documents. */
#include "build/recipe_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

void recipe_reader_init(struct recipe_reader *reader, const char *text, size_t size, int is_file)
{
	*reader = (struct recipe_reader){
		.at = text, .end = text + size, .escape = '\\', .in_directives = is_file};
	if (is_file && size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		reader->at += 3;
}

/* A line of the file. Return: whether there was one; its end is without the line's end. */
static int next_line(struct recipe_reader *reader, const char **ret_from, const char **ret_end)
{
	const char *end;

	if (reader->at >= reader->end)
		return 0;
	*ret_from = reader->at;
	end = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
	reader->at = end ? end + 1 : reader->end;
	if (!end)
		end = reader->end;
	while (end > *ret_from && end[-1] == '\r')
		end--;
	*ret_end = end;
	reader->line++;
	return 1;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && isspace((unsigned char)*at))
		at++;
	return at;
}

static int set_directive(struct recipe_reader *reader, unsigned number, const char *name,
			 const char *value, size_t size, struct snapdrv_error *err)
{
	if (reader->directives_seen & 1u << number)
		return refuse(err, "a second '# %s='", name);
	reader->directives_seen |= 1u << number;
	if (strcmp(name, "escape"))
		return 0;
	if (size != 1 || !strchr("\\`", *value))
		return refuse(err, "'# escape=' is neither \\ nor `");
	reader->escape = *value;
	return 0;
}

/* `# NAME = VALUE`, at the top; anything else ends the top. */
static int read_directive(struct recipe_reader *reader, const char *at, const char *end,
			  struct snapdrv_error *err)
{
	static const char *const names[] = {"escape", "syntax", "check"};
	const char *name, *name_end;

	reader->in_directives = 0;
	if (at == end || *at != '#')
		return 0;
	name = name_end = skip_blanks(at + 1, end);
	while (name_end < end && isalnum((unsigned char)*name_end))
		name_end++;
	at = skip_blanks(name_end, end);
	if (at == end || *at != '=')
		return 0;
	at = skip_blanks(at + 1, end);
	while (end > at && isspace((unsigned char)end[-1]))
		end--;
	for (unsigned i = 0; at < end && i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) != (size_t)(name_end - name) ||
		    strncasecmp(names[i], name, (size_t)(name_end - name)))
			continue;
		reader->in_directives = 1;
		return set_directive(reader, i, names[i], at, (size_t)(end - at), err);
	}
	return 0;
}

/* Whether the line goes on: the escape character, not escaped itself, and blanks. It is taken off. */
static int take_continuation(const char *from, const char **end, char escape)
{
	const char *at = *end;

	while (at > from && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	if (at == from || at[-1] != escape || (at - 1 > from && at[-2] == escape))
		return 0;
	*end = at - 1;
	return 1;
}

/* Lines behind one that goes on. */
static int read_continuations(struct recipe_reader *reader, struct bytes *text,
			      struct snapdrv_error *err)
{
	const char *from, *end, *start;
	int goes_on = 1;

	while (goes_on && next_line(reader, &from, &end)) {
		int ret;

		start = skip_blanks(from, end);
		if (start == end || *start == '#')
			continue;
		goes_on = take_continuation(from, &end, reader->escape);
		ret = bytes_add(text, from, (size_t)(end - from), err);
		if (ret)
			return ret;
	}
	return 0;
}

static char *trimmed(const struct bytes *text, struct snapdrv_error *err)
{
	const char *end = text->data + text->size;
	const char *from = skip_blanks(text->data, end);

	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	return text_format(err, "%.*s", (int)(end - from), from);
}

int recipe_read(struct recipe_reader *reader, char **ret_text, unsigned *ret_line,
		struct snapdrv_error *err)
{
	const char *from, *end;

	while (next_line(reader, &from, &end)) {
		cleanup_bytes struct bytes text = {0};
		int goes_on, ret = 0;
		char *whole;

		*ret_line = reader->line;
		from = skip_blanks(from, end);
		if (reader->in_directives)
			ret = read_directive(reader, from, end, err);
		if (ret)
			return ret;
		if (from == end || *from == '#')
			continue;
		goes_on = take_continuation(from, &end, reader->escape);
		ret = bytes_add(&text, from, (size_t)(end - from), err);
		if (!ret && goes_on)
			ret = read_continuations(reader, &text, err);
		if (ret)
			return ret;
		if (!text.size)
			continue;
		whole = trimmed(&text, err);
		if (!whole)
			return -ENOMEM;
		*ret_text = whole;
		if (*whole)
			return 1;
		free(whole);
	}
	return 0;
}

/* ---- here-documents ---------------------------------------------------------------------------- */

/* The name of one, without its quotes. Return: NULL with @err filled, or an empty one for what is none. */
static char *unquote(const char *word, int *ret_is_quoted, struct snapdrv_error *err)
{
	char *name = text_dup(word, err), *to = name, quote_char = 0;

	*ret_is_quoted = 0;
	for (const char *at = word; name && *at; at++) {
		if (quote_char && *at == quote_char) {
			quote_char = 0;
		} else if (!quote_char && (*at == '\'' || *at == '"')) {
			quote_char = *at;
			*ret_is_quoted = 1;
		} else if (*at == '\\' && at[1] && quote_char != '\'') {
			*to++ = *++at;
			*ret_is_quoted = 1;
		} else {
			*to++ = *at;
		}
	}
	if (name)
		*(quote_char ? name : to) = '\0';
	return name;
}

int recipe_heredoc_word(const char *word, char **ret_name, int *ret_expands, int *ret_strips,
			struct snapdrv_error *err)
{
	const char *at = word + strspn(word, "0123456789");
	cleanup_free char *name = NULL;
	int strips, is_quoted;

	if (!text_starts(at, "<<"))
		return 0;
	at += 2;
	strips = *at == '-';
	at += strips;
	if (!*at || strchr(at, '<'))
		return 0;
	name = unquote(at, &is_quoted, err);
	if (!name)
		return -ENOMEM;
	if (!*name)
		return 0;
	if (ret_name)
		*ret_name = steal_ptr(&name);
	if (ret_expands)
		*ret_expands = !is_quoted;
	if (ret_strips)
		*ret_strips = strips;
	return 1;
}

static int read_heredoc(struct recipe_reader *reader, struct recipe_heredoc *heredoc, int strips,
			struct snapdrv_error *err)
{
	cleanup_bytes struct bytes text = {0};
	const char *from, *end;
	size_t length = strlen(heredoc->name);

	while (next_line(reader, &from, &end)) {
		int ret;

		while (strips && from < end && *from == '\t')
			from++;
		if ((size_t)(end - from) == length && !memcmp(from, heredoc->name, length)) {
			heredoc->size = text.size;
			ret = bytes_add(&text, "", 1, err);
			heredoc->text = steal_ptr(&text.data);
			return ret;
		}
		ret = bytes_add(&text, from, (size_t)(reader->at - from), err);
		if (ret)
			return ret;
	}
	return refuse(err, "the here-document %s has no end", quote(heredoc->name).text);
}

int recipe_read_heredocs(struct recipe_reader *reader, const char *text, struct recipe_step *step,
			 struct snapdrv_error *err)
{
	cleanup_strings struct strings words = {0};
	int ret = strstr(text, "<<") ? recipe_words(text, '\\', &words, err) : 0;

	for (size_t i = 0; !ret && i < words.count; i++) {
		struct recipe_heredoc heredoc = {0}, *grown;
		int strips;

		ret = recipe_heredoc_word(words.items[i], &heredoc.name, &heredoc.expands, &strips,
					  err);
		if (ret <= 0)
			continue;
		grown = reallocarray(step->heredocs, step->n_heredocs + 1, sizeof(*grown));
		if (!grown) {
			free(heredoc.name);
			return fail_memory(err);
		}
		step->heredocs = grown;
		grown[step->n_heredocs] = heredoc;
		ret = read_heredoc(reader, &grown[step->n_heredocs++], strips, err);
	}
	return ret;
}
