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
	XXH3_state_t *whole; /* the pieces so far, as struct run */
	size_t filled;
	uint64_t n_pieces;
	uint64_t n_zero;	    /* of which the last ones are zeros, and not in `whole` yet */
	struct checksum zero_piece; /* once there was more than one piece */
};

/* Pieces of one checksum: as many as there are where they are zeros, otherwise one. */
struct run {
	unsigned char count[8];
	struct checksum sum;
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

uint64_t checksum_short(const void *data, size_t size, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, size, seed);
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
	summer->n_pieces = summer->n_zero = 0;
}

static void add_run(struct summer *summer, uint64_t count, const struct checksum *sum)
{
	struct run run = {.sum = *sum};

	for (size_t i = 0; i < sizeof(run.count); i++)
		run.count[i] = (unsigned char)(count >> (8 * i));
	XXH3_128bits_update(summer->whole, &run, sizeof(run));
}

static void end_zeros(struct summer *summer)
{
	if (summer->n_zero)
		add_run(summer, summer->n_zero, &summer->zero_piece);
	summer->n_zero = 0;
}

static void begin_whole(struct summer *summer)
{
	if (summer->n_pieces)
		return;
	XXH3_128bits_reset(summer->whole);
	summer->zero_piece = checksum_of(zeros, PIECE_SIZE);
}

static void add_zeros(struct summer *summer, uint64_t count)
{
	begin_whole(summer);
	summer->n_pieces += count;
	summer->n_zero += count;
}

static void add_piece(struct summer *summer, const struct checksum *sum)
{
	begin_whole(summer);
	if (checksum_equal(sum, &summer->zero_piece)) {
		add_zeros(summer, 1);
		return;
	}
	end_zeros(summer);
	summer->n_pieces++;
	add_run(summer, 1, sum);
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

	if (summer->filled && size) {
		part = part < size ? part : size;
		summer_add(summer, zeros, part);
		size -= part;
	}
	if (size > PIECE_SIZE) {
		if (summer->filled)
			end_piece(summer);
		add_zeros(summer, (size - 1) / PIECE_SIZE);
		size -= (size - 1) / PIECE_SIZE * PIECE_SIZE;
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
	end_zeros(summer);
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
