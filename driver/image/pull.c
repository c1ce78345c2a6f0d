/* SPDX-License-Identifier: Apache-2.0 */
/* Pulling: the manifest first, then what of its layers is not here, unpacked as it arrives. */
#include "image/pull.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/bring.h"
#include "image/fetch.h"
#include "image/layout.h"
#include "image/load.h"
#include "image/reference.h"
#include "image/registry.h"
#include "image/times.h"

DEFINE_CLEANUP(source, struct source, source_close)
#define cleanup_source __attribute__((cleanup(cleanup_source_at)))
#define cleanup_plans __attribute__((cleanup(plans_done)))
#define cleanup_units __attribute__((cleanup(units_done)))

struct pull {
	struct reference reference;
	int is_plain; /* HTTP was asked for */
	char *name;   /* in full */
	struct registry *registry;
	struct platform platform;
	struct intake intake;
};

static int plan(const struct pull *pull, struct source *source, struct plans *plans,
		struct snapdrv_error *err)
{
	const struct reference *reference = &pull->reference;
	struct digest digest;
	char *data;
	size_t size;
	int ret = registry_manifest(pull->registry, reference->repository,
				    reference->digest ? reference->digest : reference->tag, &data,
				    &size, &digest, err);

	if (!ret)
		ret = plan_fetched(source, data, size, &digest, pull->name, &pull->platform, plans,
				   err);
	if (ret)
		return fail_within(err, ret, "image %s", quote(pull->name).text);
	for (size_t i = 0; i < plans->count; i++) {
		plans->images[i].origin =
			text_format(err, "%s://%s/%s", pull->is_plain ? "http" : "https",
				    reference->registry, reference->repository);
		if (!plans->images[i].origin)
			return -ENOMEM;
	}
	return 0;
}

static int bring_in(struct pull *pull, struct fetcher *fetcher, struct snapdrv_loaded **ret_loaded,
		    struct snapdrv_error *err)
{
	cleanup_source struct source *source = NULL;
	cleanup_plans struct plans plans = {0};
	cleanup_units struct units units = {0};
	size_t count;
	int ret = source_fetched(&pull->intake, fetcher, &source, err);

	if (!ret)
		ret = plan(pull, source, &plans, err);
	if (!ret)
		ret = units_make(&pull->intake, &plans, &units, err);
	if (!ret)
		ret = bring_in_images(&units, source, err);
	/* The partial files go while the locks of their layers are held. */
	fetcher_end(fetcher, ret && err->code == SNAPDRV_FAILED);
	if (!ret && pull->intake.options->times)
		ret = load_times_list(&units, pull->intake.options->times, err);
	if (ret)
		return ret;
	ret = loaded_list(&plans, ret_loaded, &count, err);
	if (ret && pull->intake.options->times)
		load_times_done(pull->intake.options->times);
	return ret;
}

static int run(struct pull *pull, struct snapdrv_loaded **ret_loaded, struct snapdrv_error *err)
{
	cleanup_writeback struct writeback writeback = {0};
	struct fetcher *fetcher;
	int ret = intake_begin(&pull->intake, &writeback, err);

	if (ret)
		return ret;
	ret = fetcher_new(&pull->intake, pull->registry, pull->reference.repository, &fetcher, err);
	if (ret)
		return ret;
	ret = bring_in(pull, fetcher, ret_loaded, err);
	fetcher_free(fetcher);
	return ret;
}

static void pull_done(struct pull *pull)
{
	reference_done(&pull->reference);
	free(pull->name);
	registry_close(pull->registry);
}

int image_pull(struct graph *graph, const char *ref,
	       const struct snapdrv_registry_options *registry_options,
	       const struct snapdrv_load_options *options, struct snapdrv_loaded **ret_loaded,
	       struct snapdrv_error *err)
{
	__attribute__((cleanup(pull_done))) struct pull pull = {0};
	int ret = reference_parse(ref, &pull.reference, err);

	if (ret)
		return ret;
	pull.is_plain = registry_options && registry_options->flags & SNAPDRV_PLAIN_HTTP;
	pull.name = reference_format(&pull.reference, err);
	if (!pull.name)
		return -ENOMEM;
	intake_init(&pull.intake, graph, options);
	if (pull.intake.options->platform)
		ret = platform_parse(pull.intake.options->platform, &pull.platform, err);
	else
		platform_host(&pull.platform);
	if (!ret)
		ret = registry_open(&pull.reference, registry_options, &pull.registry, err);
	return ret ? ret : run(&pull, ret_loaded, err);
}
