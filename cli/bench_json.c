/* SPDX-License-Identifier: Apache-2.0 */
/* What bench measured, all of it, as JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "bench.h"
#include "cleanup.h"
#include "output.h"

static void json_unref_at(json_t **json)
{
	json_decref(*json);
}

#define cleanup_json __attribute__((cleanup(json_unref_at)))

static json_t *number(double value)
{
	return json_integer((json_int_t)(value < 0 ? value - 0.5 : value + 0.5));
}

/* Nothing for what was not measured. */
static json_t *series_json(const struct series *series)
{
	struct spread spread;
	json_t *samples, *object;

	if (!series_spread(series, &spread))
		return json_null();
	samples = json_array();
	for (size_t i = 0; i < series->count; i++)
		json_array_append_new(samples, number(series->samples[i]));
	object = json_pack("{s:o, s:o, s:o, s:o}", "min", number(spread.min), "median",
			   number(spread.median), "max", number(spread.max), "samples", samples);
	return object;
}

static json_t *steps_json(const struct bench_pair *pair)
{
	json_t *steps = json_object();

	for (size_t i = 0; i < BENCH_TIMES; i++) {
		json_object_set_new(steps, bench_about[i].key,
				    json_pack("{s:o, s:o}", "wall_ns",
					      series_json(&pair->values[i]), "cpu_ns",
					      series_json(&pair->cpu[i])));
	}
	return steps;
}

static json_t *layers_json(const struct bench_pair *pair)
{
	json_t *layers = json_array();

	for (size_t i = 0; i < pair->n_layers; i++) {
		const struct bench_layer *layer = &pair->layers[i];

		json_array_append_new(layers,
				      json_pack("{s:s, s:I, s:I, s:o}", "diff_id", layer->diff_id,
						"entries", (json_int_t)layer->entries, "bytes",
						(json_int_t)layer->bytes, "unpack_ns",
						series_json(&layer->unpack)));
	}
	return layers;
}

/* A name that is no UTF-8 cannot be said. */
static json_t *name_json(const char *name)
{
	json_t *json = json_string(name);

	return json ? json : json_null();
}

static void add_figures(const struct bench *bench, const struct bench_pair *pair, json_t *object)
{
	json_object_set_new(object, "image", name_json(bench->image));
	json_object_set_new(object, "entries", json_integer((json_int_t)pair->entries));
	json_object_set_new(object, "written_file", name_json(bench->file));
	json_object_set_new(object, "written_file_size",
			    json_integer((json_int_t)bench->file_size));
	json_object_set_new(object, "steps", steps_json(pair));
	json_object_set_new(object, "layers", layers_json(pair));
	for (size_t i = BENCH_TIMES; i < BENCH_VALUES; i++) {
		if (i != BENCH_CPU) /* it is a step's */
			json_object_set_new(object, bench_about[i].key,
					    series_json(&pair->values[i]));
	}
}

/* For free(3), or NULL when memory is out. */
static char *pair_text(const struct bench *bench, const struct bench_pair *pair)
{
	static const char *const states[] = {"measured", "skipped", "failed"};
	cleanup_json json_t *object = json_pack(
		"{s:s, s:s, s:s, s:s?, s:I}", "filesystem", pair->filesystem, "driver",
		pair->backend, "status", states[pair->status], "reason",
		pair->status == BENCH_MEASURED ? NULL : pair->why, "runs", (json_int_t)bench->runs);

	if (!object)
		return NULL;
	if (pair->status == BENCH_MEASURED)
		add_figures(bench, pair, object);
	return json_dumps(object, JSON_COMPACT);
}

int bench_json(const struct bench *bench)
{
	char **texts = calloc(bench->n_pairs + 1, sizeof(*texts));
	int ret = texts ? 0 : -1;

	for (size_t i = 0; i < bench->n_pairs && !ret; i++) {
		texts[i] = pair_text(bench, &bench->pairs[i]);
		ret = texts[i] ? 0 : -1;
	}
	if (!ret)
		ret = output_json_texts("bench", texts, bench->n_pairs);
	for (size_t i = 0; texts && i < bench->n_pairs; i++)
		free(texts[i]);
	free(texts);
	return ret;
}
