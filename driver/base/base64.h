/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, 4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

#include "snapdrv.h"

/** base64_encode() - for free(3), or NULL with @err filled. */
char *base64_encode(const void *data, size_t size, struct snapdrv_error *err);

/**
 * base64_decode() - @ret_data: for free(3), @ret_size bytes and a NUL. Padding may be missing.
 * Return: 0, or a negative errno value; REFUSED when it is no base64.
 */
int base64_decode(const char *text, char **ret_data, size_t *ret_size, struct snapdrv_error *err);

#endif
