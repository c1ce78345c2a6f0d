/* SPDX-License-Identifier: Apache-2.0 */
/* The façade: the store as a whole, and places to measure in. */
#include <errno.h>
#include <stdlib.h>

#include "facade.h"
#include "image/check.h"
#include "image/df.h"
#include "kernel/scratch.h"
#include "snapshot/gc.h"
#include "snapshot/info.h"

struct snapdrv_scratch {
	struct scratch scratch;
};

PUBLIC int snapdrv_info(struct snapdrv_store *store, struct snapdrv_info *ret_info,
			struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return graph_info(&store->graph, ret_info, or_own(err, &own));
}

PUBLIC void snapdrv_info_done(struct snapdrv_info *info)
{
	graph_info_done(info);
}

PUBLIC int snapdrv_df(struct snapdrv_store *store, int each, struct snapdrv_df *ret_df,
		      struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return store_df(&store->graph, each, ret_df, or_own(err, &own));
}

PUBLIC void snapdrv_df_done(struct snapdrv_df *df)
{
	store_df_done(df);
}

PUBLIC int snapdrv_gc(struct snapdrv_store *store, const struct snapdrv_gc_options *options,
		      struct snapdrv_gc *ret_gc, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return graph_gc(&store->graph, options, ret_gc, or_own(err, &own));
}

PUBLIC int snapdrv_check(struct snapdrv_store *store, const struct snapdrv_check_options *options,
			 struct snapdrv_check *ret_check, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return store_check(&store->graph, options, ret_check, or_own(err, &own));
}

PUBLIC void snapdrv_check_done(struct snapdrv_check *check)
{
	store_check_done(check);
}

PUBLIC const char *const *snapdrv_scratch_filesystems(void)
{
	return scratch_filesystems();
}

PUBLIC int snapdrv_scratch_make(const struct snapdrv_scratch_options *options,
				struct snapdrv_scratch **ret_scratch, struct snapdrv_error *err)
{
	struct snapdrv_error own;
	struct snapdrv_scratch *scratch;
	int ret;

	err = or_own(err, &own);
	if (!options->filesystem == !options->dir)
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "scratch: either a filesystem or a directory");
	ret = facade_need_root("scratch", err);
	if (ret)
		return ret;
	scratch = calloc(1, sizeof(*scratch));
	if (!scratch)
		return fail_memory(err);
	ret = scratch_make(options, &scratch->scratch, err);
	if (ret) {
		free(scratch);
		return ret;
	}
	*ret_scratch = scratch;
	return 0;
}

PUBLIC const char *snapdrv_scratch_path(const struct snapdrv_scratch *scratch)
{
	return scratch->scratch.path;
}

PUBLIC const char *snapdrv_scratch_filesystem(const struct snapdrv_scratch *scratch)
{
	return scratch->scratch.filesystem.text;
}

PUBLIC int snapdrv_scratch_cool(struct snapdrv_scratch *scratch, int *ret_is_cold,
				struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return scratch_cool(&scratch->scratch, ret_is_cold, or_own(err, &own));
}

PUBLIC int snapdrv_scratch_drop(struct snapdrv_scratch *scratch, struct snapdrv_error *err)
{
	struct snapdrv_error own;
	int ret;

	if (!scratch)
		return 0;
	ret = scratch_drop(&scratch->scratch, or_own(err, &own));
	free(scratch);
	return ret;
}
