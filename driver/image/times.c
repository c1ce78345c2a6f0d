/* SPDX-License-Identifier: Apache-2.0 */
/* How long the parts of a load took. */
#include "image/times.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "image/units.h"

int64_t times_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void load_times_done(struct snapdrv_load_times *times)
{
	for (size_t i = 0; i < times->n_layers; i++)
		free(times->layers[i].diff_id);
	free(times->layers);
	*times = (struct snapdrv_load_times){0};
}

int load_times_list(const struct units *units, struct snapdrv_load_times *ret_times,
		    struct snapdrv_error *err)
{
	struct snapdrv_load_times times = {.sync_ns = units->intake->sync_ns};

	times.layers = calloc(units->count + 1, sizeof(*times.layers));
	if (!times.layers)
		return fail_memory(err);
	for (size_t i = 0; i < units->count; i++) {
		const struct unit *unit = units->items[i];
		struct snapdrv_layer_time *layer = &times.layers[i];

		*layer = (struct snapdrv_layer_time){
			.diff_id = text_dup(digest_format(&unit->layer->diff).text, err),
			.entries = unit->tree.entries,
			.bytes = unit->tree.bytes,
			.start_ns = unit->staged.start_ns,
			.end_ns = unit->staged.end_ns,
		};
		if (!layer->diff_id) {
			load_times_done(&times);
			return -ENOMEM;
		}
		times.n_layers++;
	}
	*ret_times = times;
	return 0;
}

int64_t times_creation_ns(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	char *end;
	long long seconds;

	if (!epoch || !*epoch)
		return store_now_ns();
	seconds = strtoll(epoch, &end, 10);
	return *end || seconds < 0 || seconds > INT64_MAX / 1000000000 ? store_now_ns()
								       : seconds * 1000000000;
}
