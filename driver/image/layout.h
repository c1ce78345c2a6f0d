/* SPDX-License-Identifier: Apache-2.0 */
/* OCI layouts: indexes, manifests, and which of them is meant. */
#ifndef IMAGE_LAYOUT_H
#define IMAGE_LAYOUT_H

#include "image/plan.h"

/**
 * plan_layout() - plan the images of an OCI layout.
 * @text: its index.json, @size bytes.
 *
 * Descriptors of one name are one image, for the platform chosen among them; those without a name are an
 * image each, unless they say a platform. A bare tag as a name gets the source's name in front.
 */
int plan_layout(struct source *source, const char *text, size_t size,
		const struct platform *platform, struct plans *plans, struct snapdrv_error *err);

/**
 * plan_fetched() - plan one image by the manifest or index that a registry gave.
 * @data: @size bytes of digest @digest, taken over also on failure.
 */
int plan_fetched(struct source *source, char *data, size_t size, const struct digest *digest,
		 const char *reference, const struct platform *platform, struct plans *plans,
		 struct snapdrv_error *err);

#endif
