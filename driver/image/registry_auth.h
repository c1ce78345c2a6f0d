/* SPDX-License-Identifier: Apache-2.0 */
/* Rights at a registry: tokens and passwords, as it asks for them. */
#ifndef IMAGE_REGISTRY_AUTH_H
#define IMAGE_REGISTRY_AUTH_H

#include "image/registry.h"

/** struct grant - an Authorization that did for a scope; both owned. */
struct grant {
	char *scope;
	char *authorization;
};

/** grants_done() - wipe and free those of a registry. */
void grants_done(struct registry *registry);

#endif
