/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the Dockerfile's reader share: lines, flags, words, and the parsers of instructions. */
#ifndef BUILD_RECIPE_PARTS_H
#define BUILD_RECIPE_PARTS_H

#include "build/recipe.h"

/**
 * struct recipe_reader - a Dockerfile that is read line by line.
 * @at, @end: what is left of it. @line: number of the last line that was read.
 * @escape:  the character that joins lines. @directives_seen: of the top, as bits; @in_directives: still there.
 */
struct recipe_reader {
	const char *at, *end;
	unsigned line;
	char escape;
	unsigned directives_seen;
	int in_directives;
};

/** recipe_reader_init() - @is_file: it may begin with a BOM and with directives. @text: @size bytes. Borrowed. */
void recipe_reader_init(struct recipe_reader *reader, const char *text, size_t size, int is_file);

/**
 * recipe_read() - the next instruction, on one line: continuations joined, comments and empty lines left out.
 * @ret_text: without blanks around it, for free(3). @ret_line: of its first line.
 * Return: 1, 0 at the end, or a negative errno value.
 */
int recipe_read(struct recipe_reader *reader, char **ret_text, unsigned *ret_line,
		struct snapdrv_error *err);

/** recipe_read_heredocs() - the here-documents that @text asks for; added to @step. */
int recipe_read_heredocs(struct recipe_reader *reader, const char *text, struct recipe_step *step,
			 struct snapdrv_error *err);

/** struct recipe_flag - a flag of an instruction; one of @text, @set, @list is where it goes. */
struct recipe_flag {
	const char *name;
	char **text;	      /* --name=TEXT, once */
	int *set;	      /* --name, --name=true, --name=false */
	struct strings *list; /* --name=TEXT, several times */
	const char *refused;  /* or why it cannot be had */
};

/** recipe_flags() - take the flags from the start of @rest. @flags: @n_flags of them. */
int recipe_flags(const char **rest, const struct recipe_flag *flags, size_t n_flags,
		 struct snapdrv_error *err);

/** recipe_words() - split at blanks, quotes and escapes kept and heeded. */
int recipe_words(const char *text, char escape, struct strings *words, struct snapdrv_error *err);

/** recipe_blanks() - split at blanks, whatever is quoted. */
int recipe_blanks(const char *text, struct strings *words, struct snapdrv_error *err);

/** recipe_json() - a JSON array of strings. Return: 1, 0 it is none, or a negative errno value. */
int recipe_json(const char *text, struct strings *words, struct snapdrv_error *err);

/** recipe_pairs() - of ENV and LABEL (@need_value), or ARG. */
int recipe_pairs(const char *text, char escape, int need_value, struct recipe_step *step,
		 struct snapdrv_error *err);

/** recipe_mount() - one --mount of RUN, added to @step. */
int recipe_mount(const char *text, struct recipe_step *step, struct snapdrv_error *err);

/** recipe_duration() - Go's: 1m30s, 1.5h, 500ms; from 1 ms on, or 0. */
int recipe_duration(const char *text, int64_t *ret_ns, struct snapdrv_error *err);

/** recipe_number() - decimal digits. Return: 1, or 0 for what is none or too large. */
int recipe_number(const char *text, int base, int64_t max, int64_t *ret_number);

/** recipe_port() - whether EXPOSE can mean it; variables are left for later. */
int recipe_port(const char *text, struct snapdrv_error *err);

/**
 * recipe_parse_step() - an instruction but FROM; its here-documents are still to be read.
 * @text: as recipe_read() gives it. @op: what it is. @ret_step: for recipe_step_done(), on failure too.
 */
int recipe_parse_step(const char *text, unsigned line, char escape, int is_trigger,
		      struct recipe_step *ret_step, struct snapdrv_error *err);

/** recipe_parse_from() - a FROM. @ret_stage: likewise. */
int recipe_parse_from(const char *text, unsigned line, char escape, struct recipe_stage *ret_stage,
		      struct snapdrv_error *err);

/** recipe_op() - the instruction that a line begins with. @ret_rest: what follows, in @text. Return: 1 or 0. */
int recipe_op(const char *text, enum recipe_op *ret_op, const char **ret_rest);

/** recipe_takes_heredocs() - RUN, COPY, ADD, not as a JSON array. */
int recipe_takes_heredocs(const struct recipe_step *step);

/** recipe_check_words() - that all words of a step can be expanded. */
int recipe_check_words(const struct recipe_step *step, char escape, struct snapdrv_error *err);

/** recipe_check_heredocs() - the same for its here-documents, where variables are expanded in them. */
int recipe_check_heredocs(const struct recipe_step *step, struct snapdrv_error *err);

#define RECIPE_BLANKS " \t\v\f\r\n"

#endif
