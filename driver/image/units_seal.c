/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing the layers of one load, each file once, by several threads. */
#include <stdatomic.h>

#include "base/error.h"
#include "image/units.h"
#include "snapshot/seal.h"

/* The kernel waits for the disk at each file: more than there are processors. */
#define PARTS 4

struct sealing {
	struct units *units;
	atomic_uint next;   /* part of the files of all trees */
	atomic_int is_over; /* something failed; everybody gives up */
	pthread_mutex_t lock;
	int ret;
	struct snapdrv_error err;
};

static int seal_unit(struct units *units, const struct unit *unit, unsigned part,
		     struct snapdrv_error *err)
{
	const struct tree_ref ref =
		unit->has_tree ? tree_ref_of(&unit->tree) : unit->staged.draft.ref;

	/* What shares its twin's tree has none of its own. */
	return unit->shares_tree && !unit->has_tree
		       ? 0
		       : graph_seal_tree(units->intake->graph, &ref, part, PARTS, err);
}

static void seal_part(struct sealing *sealing, unsigned part)
{
	for (size_t i = 0; i < sealing->units->count && !sealing->is_over; i++) {
		const struct unit *unit = sealing->units->items[i];
		struct snapdrv_error err;
		int ret = seal_unit(sealing->units, unit, part, &err);

		if (!ret)
			continue;
		pthread_mutex_lock(&sealing->lock);
		if (!sealing->ret) {
			sealing->ret = unit_fail(unit, ret, &err);
			sealing->err = err;
		}
		pthread_mutex_unlock(&sealing->lock);
		sealing->is_over = 1;
	}
}

static void *work(void *arg)
{
	struct sealing *sealing = arg;
	unsigned part;

	/* Where fewer threads than wanted could be started, they do all parts. */
	while ((part = atomic_fetch_add(&sealing->next, 1)) < PARTS)
		seal_part(sealing, part);
	return NULL;
}

int units_seal(struct units *units, struct snapdrv_error *err)
{
	struct sealing sealing = {.units = units};
	int ret;

	if (!(units->intake->options->flags & SNAPDRV_VERITY))
		return 0;
	pthread_mutex_init(&sealing.lock, NULL);
	ret = run_threads(PARTS, work, &sealing, err);
	pthread_mutex_destroy(&sealing.lock);
	if (ret)
		return ret;
	return sealing.ret
		       ? fail(err, sealing.err.code, sealing.err.errnum, "%s", sealing.err.message)
		       : 0;
}
