/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of files' contents, by xxHash. */
#include "base/checksum.h"

#include <string.h>
#include <xxhash.h>

#include "base/error.h"

#define PIECE_SIZE CHECKSUM_PIECE

static const unsigned char zeros[PIECE_SIZE];

struct summer {
	XXH3_state_t *piece; /* what has come of the present piece */
	XXH3_state_t *whole; /* the checksums of the pieces so far */
	size_t filled;
	uint64_t n_pieces;
	struct checksum zero_piece; /* once it was needed */
	int has_zero_piece;
};

static struct checksum canonical(XXH128_hash_t hash)
{
	XXH128_canonical_t bytes;
	struct checksum sum;

	XXH128_canonicalFromHash(&bytes, hash);
	memcpy(sum.bytes, bytes.digest, sizeof(sum.bytes));
	return sum;
}

struct checksum checksum_of(const void *data, size_t size)
{
	return canonical(XXH3_128bits(data, size));
}

int checksum_equal(const struct checksum *one, const struct checksum *other)
{
	return !memcmp(one->bytes, other->bytes, sizeof(one->bytes));
}

struct summer *summer_new(struct snapdrv_error *err)
{
	struct summer *summer = calloc(1, sizeof(*summer));

	if (!summer) {
		fail_memory(err);
		return NULL;
	}
	summer->piece = XXH3_createState();
	summer->whole = XXH3_createState();
	if (!summer->piece || !summer->whole) {
		summer_free(summer);
		fail_memory(err);
		return NULL;
	}
	summer_reset(summer);
	return summer;
}

void summer_reset(struct summer *summer)
{
	summer->filled = 0;
	summer->n_pieces = 0;
}

static void add_piece(struct summer *summer, const struct checksum *sum)
{
	if (!summer->n_pieces++)
		XXH3_128bits_reset(summer->whole);
	XXH3_128bits_update(summer->whole, sum->bytes, sizeof(sum->bytes));
}

static void end_piece(struct summer *summer)
{
	const struct checksum sum = canonical(XXH3_128bits_digest(summer->piece));

	add_piece(summer, &sum);
	summer->filled = 0;
}

static void add_part(struct summer *summer, const void *data, size_t size)
{
	if (!summer->filled)
		XXH3_128bits_reset(summer->piece);
	XXH3_128bits_update(summer->piece, data, size);
	summer->filled += size;
}

void summer_add(struct summer *summer, const void *data, size_t size)
{
	const unsigned char *at = data;

	while (size) {
		size_t part = PIECE_SIZE - summer->filled;

		/* A piece is ended by what follows it: one alone is the whole content. */
		if (!part)
			end_piece(summer);
		part = PIECE_SIZE - summer->filled;
		if (part > size)
			part = size;
		add_part(summer, at, part);
		at += part;
		size -= part;
	}
}

void summer_skip(struct summer *summer, uint64_t size)
{
	uint64_t part = PIECE_SIZE - summer->filled;

	part = part < size ? part : size;
	summer_add(summer, zeros, part);
	size -= part;
	for (; size > PIECE_SIZE; size -= PIECE_SIZE) {
		if (summer->filled == PIECE_SIZE)
			end_piece(summer);
		if (!summer->has_zero_piece)
			summer->zero_piece = checksum_of(zeros, PIECE_SIZE);
		summer->has_zero_piece = 1;
		add_piece(summer, &summer->zero_piece);
	}
	summer_add(summer, zeros, size);
}

uint64_t summer_size(const struct summer *summer)
{
	return summer->n_pieces * PIECE_SIZE + summer->filled;
}

struct checksum summer_end(struct summer *summer)
{
	if (!summer->filled && !summer->n_pieces)
		return checksum_of("", 0);
	if (!summer->n_pieces)
		return canonical(XXH3_128bits_digest(summer->piece));
	if (summer->filled)
		end_piece(summer);
	return canonical(XXH3_128bits_digest(summer->whole));
}

void summer_free(struct summer *summer)
{
	if (!summer)
		return;
	XXH3_freeState(summer->piece);
	XXH3_freeState(summer->whole);
	free(summer);
}
