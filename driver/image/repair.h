/* SPDX-License-Identifier: Apache-2.0 */
/* Getting blobs again from where their images came from. */
#ifndef IMAGE_REPAIR_H
#define IMAGE_REPAIR_H

#include "image/check.h"
#include "store/store.h"

/**
 * repair_fetch() - get a blob of an image from the repository that the image was pulled from.
 * @image: its row. @size: that the blob must have.
 * @ret_name: a file of the session, complete and verified.
 *
 * Return: 1 done, 0 the image did not come from a registry, or a negative errno value.
 */
int repair_fetch(struct check *check, int64_t image, const struct digest *digest, uint64_t size,
		 struct store_name *ret_name, struct snapdrv_error *err);

/**
 * repair_registry() - find out for which registry the user's credentials and certificates are, if there are
 * any. Before repair_fetch().
 *
 * Return: 0, or -EINVAL with USAGE when damaged images came from several registries: none is to see what
 * is meant for another.
 */
int repair_registry(struct check *check, struct snapdrv_error *err);

#endif
