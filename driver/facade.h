/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the façade have in common. Each checks its arguments and calls one room. */
#ifndef FACADE_H
#define FACADE_H

#include "base/error.h"
#include "snapdrv.h"
#include "snapshot/graph.h"

#define PUBLIC __attribute__((visibility("default")))

struct snapdrv_store {
	struct graph graph;
};

/** or_own() - inside the library every error is filled; a caller's may be NULL. */
static inline struct snapdrv_error *or_own(struct snapdrv_error *err, struct snapdrv_error *own)
{
	return err ? err : own;
}

/** facade_need_root() - fail for who is not root. @what: cannot be done. */
int facade_need_root(const char *what, struct snapdrv_error *err);

#endif
