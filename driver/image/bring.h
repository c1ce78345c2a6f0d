/* SPDX-License-Identifier: Apache-2.0 */
/* The way of every image into the store, whatever it is made from. */
#ifndef IMAGE_BRING_H
#define IMAGE_BRING_H

#include "image/units.h"

/**
 * bring_in_images() - look up, unpack, sync and commit the images of @units->plans.
 * @source: where their layers are; NULL when they are staged in the units already.
 */
int bring_in_images(struct units *units, struct source *source, struct snapdrv_error *err);

#endif
