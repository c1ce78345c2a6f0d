/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: three bytes as four characters. */
#include "base/base64.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t size, struct snapdrv_error *err)
{
	const unsigned char *in = data;
	char *text = malloc((size + 2) / 3 * 4 + 1), *out = text;

	if (!text) {
		fail_memory(err);
		return NULL;
	}
	for (size_t i = 0; i < size; i += 3) {
		unsigned bits = (unsigned)in[i] << 16;

		if (i + 1 < size)
			bits |= (unsigned)in[i + 1] << 8;
		if (i + 2 < size)
			bits |= in[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = i + 1 < size ? digits[bits >> 6 & 63] : '=';
		*out++ = i + 2 < size ? digits[bits & 63] : '=';
	}
	*out = '\0';
	return text;
}

int base64_decode(const char *text, char **ret_data, size_t *ret_size, struct snapdrv_error *err)
{
	size_t length = strlen(text), size = 0;
	cleanup_free char *data = malloc(length + 1);
	unsigned bits = 0, count = 0;

	if (!data)
		return fail_memory(err);
	while (length && text[length - 1] == '=')
		length--;
	for (size_t i = 0; i < length; i++) {
		const char *digit = strchr(digits, text[i]);

		if (!digit || !*digit)
			return refuse(err, "no base64");
		bits = bits << 6 | (unsigned)(digit - digits);
		if (++count % 4 != 1)
			data[size++] = (char)(bits >> (6 - 2 * ((count - 1) % 4)));
	}
	data[size] = '\0';
	*ret_data = steal_ptr(&data);
	*ret_size = size;
	return 0;
}
