/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations of a runtime config: what an image says of itself (OCI image spec, conversion.md). */
#ifndef IMAGE_ANNOTATIONS_H
#define IMAGE_ANNOTATIONS_H

#include <jansson.h>

#include "snapdrv.h"

/**
 * annotations_make() - the annotations of a container.
 * @document: the image config document. From outside. Borrowed.
 * @config:   its `config`, an object. Likewise.
 * @ret_json: an object of strings, owned by the caller (json_decref).
 *
 * Labels, and org.opencontainers.image.os, .architecture, .variant, .os.version, .os.features,
 * .author, .created, .stopSignal and .exposedPorts where the image has them; a label wins over
 * those. Labels that runtimes would obey (hooks, unit properties, options of a sandbox) are left
 * out, as conversion.md allows: an image gives no orders to the host.
 *
 * Return: 0, or -EBADMSG with REFUSED when a member has the wrong type.
 */
int annotations_make(const json_t *document, const json_t *config, json_t **ret_json,
		     struct snapdrv_error *err);

#endif
