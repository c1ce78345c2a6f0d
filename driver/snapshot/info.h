/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to tell of a store and the machine it is on. */
#ifndef SNAPSHOT_INFO_H
#define SNAPSHOT_INFO_H

#include "snapshot/graph.h"

/** graph_info() - snapdrv_info(): counts from the database, and each backend's answer, found by trying. */
int graph_info(struct graph *graph, struct snapdrv_info *ret_info, struct snapdrv_error *err);

void graph_info_done(struct snapdrv_info *info);

#endif
