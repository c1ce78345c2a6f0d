/* SPDX-License-Identifier: Apache-2.0 */
/* What the images of the store tell about which blob is which layer. */
#include <errno.h>

#include "base/error.h"
#include "image/units.h"
#include "store/content.h"

static int says_so(const struct image_detail *detail, const struct layer_plan *layer)
{
	for (size_t i = 0; i < detail->n_layers; i++) {
		const struct image_layer *known = &detail->layers[i];

		if (known->blob_size == layer->size && digest_equal(&known->blob, &layer->blob) &&
		    digest_equal(&known->diff, &layer->diff))
			return 1;
	}
	return 0;
}

/* An image that cannot be read says nothing. 1 it says so, 0 it does not, or -ENOMEM. */
static int ask_image(struct units *units, int64_t id, const struct layer_plan *layer,
		     struct snapdrv_error *err)
{
	struct graph *graph = units->intake->graph;
	struct image image = {.id = id};
	struct image_detail detail = {0};
	int ret = db_get_int(graph->store.db, &image.top, err, "SELECT top FROM image WHERE id = ?",
			     "i", id);

	if (ret != 1)
		return ret;
	ret = detail_read(graph, &image, &detail, NULL);
	if (ret)
		return ret == -ENOMEM ? fail_memory(err) : 0;
	detail_done(&units->known);
	units->known = detail;
	return says_so(&detail, layer);
}

static int is_plain(struct units *units, const struct layer_plan *layer, struct snapdrv_error *err)
{
	int64_t one;

	if (!digest_equal(&layer->blob, &layer->diff))
		return 0;
	return db_get_int(units->intake->graph->store.db, &one, err,
			  "SELECT 1 FROM blob WHERE digest = ? AND size = ?", "si",
			  digest_format(&layer->blob).text, (int64_t)layer->size);
}

int units_know(struct units *units, const struct layer_plan *layer, struct snapdrv_error *err)
{
	struct digest_text blob = digest_format(&layer->blob);
	int64_t image = 0;
	int known = says_so(&units->known, layer), found = 1;

	if (!known)
		known = is_plain(units, layer, err);
	while (!known && (found = db_get_int(units->intake->graph->store.db, &image, err,
					     "SELECT image FROM image_blob WHERE digest = ?1"
					     " AND image > ?2 ORDER BY image LIMIT 1",
					     "si", blob.text, image)) == 1)
		known = ask_image(units, image, layer, err);
	return found < 0 ? found : known;
}
