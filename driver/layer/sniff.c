/* SPDX-License-Identifier: Apache-2.0 */
/* Telling archives from other files. */
#include "layer/sniff.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/inflate.h"

DEFINE_CLEANUP(inflater, struct inflater, inflater_free)
#define cleanup_inflater __attribute__((cleanup(cleanup_inflater_at)))

#define SUM_AT 148 /* of the header's checksum */
#define SUM_SIZE 8

/* Bytes that are read like an input. */
struct memory {
	const unsigned char *data;
	size_t size;
};

static int read_octal(const unsigned char *text, size_t size, long *ret_number)
{
	size_t at = 0, start;

	while (at < size && (text[at] == ' ' || text[at] == '0'))
		at++;
	start = at;
	for (*ret_number = 0; at < size && text[at] >= '0' && text[at] <= '7'; at++)
		*ret_number = *ret_number * 8 + text[at] - '0';
	return at > start && (at == size || text[at] == ' ' || !text[at]);
}

int sniff_header(const unsigned char *data, size_t size)
{
	/* Some old writers added the bytes up as signed ones. */
	long sum = 0, signed_sum = 0, want;

	if (size < SNIFF_SIZE || !read_octal(data + SUM_AT, SUM_SIZE, &want))
		return 0;
	for (size_t i = 0; i < SNIFF_SIZE; i++) {
		int is_sum = i >= SUM_AT && i < SUM_AT + SUM_SIZE;

		sum += is_sum ? ' ' : data[i];
		signed_sum += is_sum ? ' ' : (signed char)data[i];
	}
	return want == sum || want == signed_sum;
}

static ssize_t read_memory(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct memory *memory = context;

	(void)err;
	if (size > memory->size)
		size = memory->size;
	memcpy(data, memory->data, size);
	memory->data += size;
	memory->size -= size;
	return (ssize_t)size;
}

int sniff_compressed(const unsigned char *data, size_t size)
{
	struct memory memory = {data, size};
	const struct layer_input input = {.read = read_memory, .context = &memory};
	cleanup_inflater struct inflater *inflater = NULL;
	struct snapdrv_error err = {0};

	/* Who begins like one, and then fails, is one. */
	return inflater_new(&input, &inflater, &err) ? err.code == SNAPDRV_REFUSED
						     : !inflater_is_plain(inflater);
}

int sniff_tar(int fd, struct snapdrv_error *err)
{
	struct input_range range = {.fd = fd, .end = INT64_MAX};
	const struct layer_input input = input_from_range(&range);
	cleanup_inflater struct inflater *inflater = NULL;
	unsigned char header[SNIFF_SIZE] = {0};
	struct snapdrv_error why = {0};
	ssize_t got;
	int ret = inflater_new(&input, &inflater, &why);

	got = ret ? ret : inflater_read(inflater, header, sizeof(header), &why);
	if (got < 0)
		return why.code == SNAPDRV_REFUSED ? 0 : fail_as(err, &why);
	return sniff_header(header, (size_t)got);
}
