/* SPDX-License-Identifier: Apache-2.0 */
/* Telling archives from other files, by their first bytes. */
#ifndef LAYER_SNIFF_H
#define LAYER_SNIFF_H

#include "layer/input.h"

#define SNIFF_SIZE 512 /* bytes that a tar begins with */

/** sniff_header() - whether these @size bytes begin with the header of a tar's first entry. */
int sniff_header(const unsigned char *data, size_t size);

/** sniff_compressed() - whether they begin a stream that layer/inflate.h undoes. */
int sniff_compressed(const unsigned char *data, size_t size);

/**
 * sniff_tar() - whether a file is a tar, plain or compressed.
 * @fd: a regular file; its position stays. Return: 1, 0 (also for what cannot be inflated), or a negative
 * errno value.
 */
int sniff_tar(int fd, struct snapdrv_error *err);

#endif
