/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums of files' contents: they tell what a disk has damaged. Nothing is proved by them against
 * somebody who wants to deceive; base/digest.h is for that, at several times the cost.
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "snapdrv.h"

/**
 * struct checksum - 128 bits: XXH3 of the content, or, of more than 1 MiB, XXH3 of the list of those of its
 * pieces of 1 MiB, each with a count (8 bytes, little-endian): zeros that follow each other are one entry. A hole is as
 * good as the zeros that are read from it.
 */
struct checksum {
	unsigned char bytes[16];
};

#define CHECKSUM_PIECE (1u << 20)

/** checksum_of() - of what lies in one piece, at most CHECKSUM_PIECE. */
struct checksum checksum_of(const void *data, size_t size);

/**
 * checksum_short() - 64 bits, which depend on @seed too: for tables in memory, never for what is kept.
 */
uint64_t checksum_short(const void *data, size_t size, uint64_t seed);

/** checksum_equal() */
int checksum_equal(const struct checksum *one, const struct checksum *other);

struct summer;

/** summer_new() - a checksum of what comes in pieces. Return: for summer_free(), or NULL with @err filled. */
struct summer *summer_new(struct snapdrv_error *err);

/** summer_reset() - begin anew. */
void summer_reset(struct summer *summer);

/** summer_add() - take in what comes next. 10 GB/s and more on the machines of 2020. */
void summer_add(struct summer *summer, const void *data, size_t size);

/** summer_skip() - take in zeros, however many, at no cost to speak of. */
void summer_skip(struct summer *summer, uint64_t size);

/** summer_size() - bytes that were taken in. */
uint64_t summer_size(const struct summer *summer);

/** summer_end() - the checksum; summer_reset() comes next. */
struct checksum summer_end(struct summer *summer);

/** summer_free() - takes NULL. */
void summer_free(struct summer *summer);

DEFINE_CLEANUP(summer, struct summer, summer_free)
#define cleanup_summer __attribute__((cleanup(cleanup_summer_at)))

#endif
