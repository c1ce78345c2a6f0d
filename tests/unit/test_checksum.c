/* SPDX-License-Identifier: Apache-2.0 */
/* base/checksum: a known answer, pieces of any size, and holes that are as good as zeros. */
#include "base/checksum.h"

#include <stdlib.h>

#include "unit.h"

#define SIZE ((3u << 20) + 4321)

static struct checksum sum_in_steps(const unsigned char *data, size_t size, size_t step)
{
	struct summer *summer = summer_new(NULL);
	struct checksum sum;

	for (size_t at = 0; at < size; at += step)
		summer_add(summer, data + at, size - at < step ? size - at : step);
	CHECK(summer_size(summer) == size);
	sum = summer_end(summer);
	summer_free(summer);
	return sum;
}

/* xxhsum -H2 of nothing. */
static void knows_xxh3(void)
{
	static const unsigned char of_nothing[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47,
						     0x98, 0xd8, 0x60, 0x01, 0xc3, 0x24,
						     0x46, 0x8d, 0x49, 0x7f};
	struct checksum sum = checksum_of("", 0);

	CHECK(!memcmp(sum.bytes, of_nothing, sizeof(of_nothing)));
}

static void takes_any_pieces(void)
{
	static const size_t sizes[] = {1,
				       100,
				       CHECKSUM_PIECE - 1,
				       CHECKSUM_PIECE,
				       CHECKSUM_PIECE + 1,
				       2 * CHECKSUM_PIECE,
				       SIZE};
	unsigned char *data = malloc(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (unsigned char)(i * 2654435761u >> 13);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct checksum whole = sum_in_steps(data, sizes[i], sizes[i]);
		struct checksum odd = sum_in_steps(data, sizes[i], 4097);
		struct checksum one = sum_in_steps(data, sizes[i] - 1, 65536);

		CHECK(checksum_equal(&whole, &odd));
		CHECK(!checksum_equal(&whole, &one));
		if (sizes[i] > CHECKSUM_PIECE)
			continue;
		one = checksum_of(data, sizes[i]);
		CHECK(checksum_equal(&whole, &one));
	}
	free(data);
}

static void skips_zeros(void)
{
	static const size_t sizes[] = {
		0, 1, 5000, CHECKSUM_PIECE, CHECKSUM_PIECE + 7, 2 * CHECKSUM_PIECE - 1, SIZE};
	unsigned char *zeros = calloc(1, SIZE + 2);
	struct summer *summer = summer_new(NULL);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct checksum read, skipped;

		zeros[0] = 'a';
		zeros[sizes[i] + 1] = 'z';
		read = sum_in_steps(zeros, sizes[i] + 2, 60000);
		zeros[sizes[i] + 1] = 0;
		summer_reset(summer);
		summer_add(summer, "a", 1);
		summer_skip(summer, sizes[i]);
		CHECK(summer_size(summer) == sizes[i] + 1);
		summer_add(summer, "z", 1);
		skipped = summer_end(summer);
		CHECK(checksum_equal(&read, &skipped));
		/* One zero more or less is something else. */
		summer_reset(summer);
		summer_add(summer, "a", 1);
		summer_skip(summer, sizes[i] + 1);
		summer_add(summer, "z", 1);
		skipped = summer_end(summer);
		CHECK(!checksum_equal(&read, &skipped));
	}
	/* Nobody could wait for so many. */
	summer_reset(summer);
	summer_skip(summer, 1ull << 62);
	CHECK(summer_size(summer) == 1ull << 62);
	summer_end(summer);
	summer_free(summer);
	free(zeros);
}

int main(void)
{
	RUN(knows_xxh3);
	RUN(takes_any_pieces);
	RUN(skips_zeros);
	return UNIT_STATUS;
}
