/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 digests (OpenSSL's EVP) and their text form, `sha256:` and 64 lower-case hex digits. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "snapdrv.h"

#define DIGEST_TEXT_SIZE 72 /* "sha256:", 64 digits, NUL */

struct digest {
	unsigned char bytes[32];
};

struct digest_text {
	char text[DIGEST_TEXT_SIZE];
};

/**
 * digest_parse() - read the text form; nothing else is accepted, so the result is safe in a path.
 * @text: from outside, any bytes.
 *
 * Return: 0, or -EBADMSG with REFUSED.
 */
int digest_parse(const char *text, struct digest *ret_digest, struct snapdrv_error *err);

/** digest_format() - the text form; used as digest_format(&d).text within one expression. */
struct digest_text digest_format(const struct digest *digest);

/** digest_hex() - the 64 hex digits within a text form. */
static inline const char *digest_hex(const struct digest_text *text)
{
	return text->text + 7;
}

/** digest_equal() - whether two digests are the same. */
int digest_equal(const struct digest *a, const struct digest *b);

/** digest_of() - the digest of @size bytes at @data. Aborts only when OpenSSL has no SHA-256. */
struct digest digest_of(const void *data, size_t size);

/**
 * digest_chain() - the ChainID of a layer over a stack (OCI image spec, config.md, "Layer ChainID").
 * @parent: ChainID of the stack below, or NULL for the lowest layer.
 * @diff:   the layer's DiffID.
 */
struct digest digest_chain(const struct digest *parent, const struct digest *diff);

/** struct hasher - a digest in the making; used by one thread at a time. */
struct hasher;

struct hasher *hasher_new(struct snapdrv_error *err);
void hasher_free(struct hasher *hasher);
void hasher_update(struct hasher *hasher, const void *data, size_t size);

/** hasher_final() - the digest of all that was given; the hasher can only be freed afterwards. */
struct digest hasher_final(struct hasher *hasher);

#endif
