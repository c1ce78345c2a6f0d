/* SPDX-License-Identifier: Apache-2.0 */
/* Variables in the words of a Dockerfile, and their quotes. */
#ifndef BUILD_WORDS_H
#define BUILD_WORDS_H

#include "base/text.h"

/** struct words_scope - what variables there are. */
struct words_scope {
	/* The value of a variable, or NULL when it is not set. Borrowed until the next call. */
	const char *(*get)(void *context, const char *name, size_t length);
	void *context;
	char escape; /* '\\' or '`' */
};

/** enum words_flags - for words_expand(). */
enum words_flags {
	WORDS_KEEP_QUOTES = 1 << 0, /* only variables: for here-documents */
	WORDS_CHECK = 1 << 1	    /* only whether it can be read: @scope.get is not called */
};

/**
 * words_expand() - one word: $NAME, ${NAME}, ${NAME:-word}, ${NAME-word}, ${NAME:+word}, ${NAME+word},
 * ${NAME:?word}, ${NAME?word}, ${NAME#pattern}, ##, %, %%, ${NAME/pattern/word}, //; single quotes keep,
 * double quotes and the escape character as in docker. Nested to a depth of 64; a result of more than 1 MiB is refused.
 * @ret_text: for free(3). Untouched on failure.
 *
 * A variable that is not set is nothing. Values are not expanded once more.
 *
 * Return: 0, or a negative errno value: REFUSED; the message says what is wrong with which word.
 */
int words_expand(const struct words_scope *scope, const char *word, unsigned flags, char **ret_text,
		 struct snapdrv_error *err);

/**
 * words_expand_list() - the same for instructions where a variable may become several words (EXPOSE): split at
 * blanks after expanding. Appended to @list.
 */
int words_expand_list(const struct words_scope *scope, const char *word, struct strings *list,
		      struct snapdrv_error *err);

#endif
