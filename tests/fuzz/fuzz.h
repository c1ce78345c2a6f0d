/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every fuzzer is made of. A fuzzer is one file with fuzz_one(), which feeds an input to a part of the
 * driver and says with HOLDS() what must be true whatever the input; libFuzzer calls it.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "snapdrv.h"

/** HOLDS() - end the program, so that libFuzzer keeps the input, where a condition does not hold. */
#define HOLDS(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

/** fuzz_one() - what the file is about. @data: @size bytes, borrowed. */
static void fuzz_one(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_one(data, size);
	return 0;
}

/** fuzz_check() - a failure has a filled error, of one line and in ASCII; a success leaves it alone. */
static inline void fuzz_check(int ret, const struct snapdrv_error *err)
{
	if (ret >= 0) {
		if (err->code)
			fprintf(stderr, "a success, and the error '%s'\n", err->message);
		HOLDS(!err->code && !err->message[0]);
		return;
	}
	HOLDS(err->code && err->errnum > 0 && err->message[0]);
	for (const char *at = err->message; *at; at++)
		HOLDS(*at >= ' ' && *at <= '~');
}

/** fuzz_text() - a copy of bytes with a NUL behind them, for free(3). */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	HOLDS(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/** struct fuzz_rest - what has not been taken from an input yet. */
struct fuzz_rest {
	const uint8_t *data;
	size_t size;
};

/** fuzz_take() - the next byte, 0 at the end. */
static inline uint8_t fuzz_take(struct fuzz_rest *rest)
{
	if (!rest->size)
		return 0;
	rest->size--;
	return *rest->data++;
}

/**
 * fuzz_part() - what stands before the next @separator, or all that is left.
 * Return: 1, or 0 when there is nothing left.
 */
static inline int fuzz_part(struct fuzz_rest *rest, const char *separator,
			    struct fuzz_rest *ret_part)
{
	size_t length = strlen(separator);
	const uint8_t *end;

	if (!rest->size)
		return 0;
	end = memmem(rest->data, rest->size, separator, length);
	*ret_part = *rest;
	if (!end) {
		*rest = (struct fuzz_rest){rest->data + rest->size, 0};
		return 1;
	}
	ret_part->size = (size_t)(end - rest->data);
	rest->size -= ret_part->size + length;
	rest->data = end + length;
	return 1;
}

/** fuzz_line() - fuzz_part() of a line, as text for free(3), or NULL when there is none left. */
static inline char *fuzz_line(struct fuzz_rest *rest)
{
	struct fuzz_rest part;

	return fuzz_part(rest, "\n", &part) ? fuzz_text(part.data, part.size) : NULL;
}

#endif
