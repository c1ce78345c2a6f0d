/* SPDX-License-Identifier: Apache-2.0 */
/* How long the parts of a load took, and when an image is made. */
#ifndef IMAGE_TIMES_H
#define IMAGE_TIMES_H

#include <stdint.h>

#include "snapdrv.h"

struct units;

/** times_now_ns() - the monotonic clock. */
int64_t times_now_ns(void);

/** times_creation_ns() - when an image is made: now, or when SOURCE_DATE_EPOCH says (reproducible-builds.org). */
int64_t times_creation_ns(void);

/** load_times_list() - what was measured of each layer. @ret_times: for load_times_done(). */
int load_times_list(const struct units *units, struct snapdrv_load_times *ret_times,
		    struct snapdrv_error *err);

/** load_times_done() - as snapdrv_load_times_done(). */
void load_times_done(struct snapdrv_load_times *times);

#endif
