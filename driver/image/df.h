/* SPDX-License-Identifier: Apache-2.0 */
/* How much space the store takes. */
#ifndef IMAGE_DF_H
#define IMAGE_DF_H

#include "snapshot/graph.h"

/** store_df() - snapdrv_df(). */
int store_df(struct graph *graph, int each, struct snapdrv_df *ret_df, struct snapdrv_error *err);
void store_df_done(struct snapdrv_df *df);

#endif
