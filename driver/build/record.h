/* SPDX-License-Identifier: Apache-2.0 */
/* What a digest of files is made of: bytes that say all that counts of each of them, and nothing else. */
#ifndef BUILD_RECORD_H
#define BUILD_RECORD_H

#include <stdint.h>
#include <sys/stat.h>

#include "build/copy.h"

/** struct recorder - for the files of one source; all but @copy is zero at first. For recorder_done(). */
struct recorder {
	const struct copy *copy;
	struct record_link *links; /* files with several names; in open addressing */
	size_t n_links, n_places;
	unsigned char *block;
};

void recorder_done(struct recorder *recorder);

/**
 * record_put() - append the record of one name: as it will be copied, but for its time.
 * @dir_fd, @name: it is not followed. @path: from the source, for hard links. @st: what stat(2) said of it.
 *
 * Reads the content of a file that is not known yet.
 */
int record_put(struct recorder *recorder, int dir_fd, const char *name, const char *path,
	       const struct stat *st, struct bytes *bytes, struct snapdrv_error *err);

/** record_number(), record_text(), record_tag() - append one field; a text has its length in front. */
int record_number(struct bytes *bytes, uint64_t number, struct snapdrv_error *err);
int record_text(struct bytes *bytes, const void *data, size_t size, struct snapdrv_error *err);
int record_tag(struct bytes *bytes, char tag, struct snapdrv_error *err);

#endif
