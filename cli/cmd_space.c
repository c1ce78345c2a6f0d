/* SPDX-License-Identifier: Apache-2.0 */
/* The space that the store takes: df, gc. */
#include <stdio.h>

#include "cli.h"
#include "output.h"
#include "show.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- df ----------------------------------------------------------------------------------- */

struct space_row {
	const char *title; /* in the table */
	const char *kind;  /* in JSON */
	struct snapdrv_space space;
	uint64_t own;
};

#define SPACE(member) offsetof(struct space_row, member)

static const struct field space_fields[] = {
	{.column = "TYPE", .offset = SPACE(title)},
	{.key = "type", .offset = SPACE(kind)},
	{.column = "COUNT", .key = "count", .type = FIELD_COUNT, .offset = SPACE(space.count)},
	{.column = "IN USE", .key = "in_use", .type = FIELD_COUNT, .offset = SPACE(space.in_use)},
	{.column = "SIZE", .key = "size", .type = FIELD_SIZE, .offset = SPACE(space.bytes)},
	{.column = "SHARED", .key = "shared", .type = FIELD_SIZE, .offset = SPACE(space.shared)},
	{.column = "OWN", .key = "own", .type = FIELD_SIZE, .offset = SPACE(own)},
	{.column = "RECLAIMABLE",
	 .key = "reclaimable",
	 .type = FIELD_SIZE,
	 .offset = SPACE(space.reclaimable)},
	{0},
};

struct image_line {
	struct snapdrv_image_space image;
	uint64_t own;
};

#define IMAGE(member) offsetof(struct image_line, member)

static const struct field image_fields[] = {
	{.column = "IMAGE",
	 .key = "reference",
	 .type = FIELD_IMAGE,
	 .offset = IMAGE(image.reference)},
	{.column = "IMAGE ID", .key = "id", .type = FIELD_ID, .offset = IMAGE(image.id)},
	{.column = "CREATED",
	 .key = "created",
	 .type = FIELD_TIME,
	 .offset = IMAGE(image.created_ns)},
	{.column = "SIZE", .key = "size", .type = FIELD_SIZE, .offset = IMAGE(image.bytes)},
	{.column = "SHARED", .key = "shared", .type = FIELD_SIZE, .offset = IMAGE(image.shared)},
	{.column = "OWN", .key = "own", .type = FIELD_SIZE, .offset = IMAGE(own)},
	{.column = "CONTAINERS",
	 .key = "containers",
	 .type = FIELD_COUNT,
	 .offset = IMAGE(image.containers)},
	{0},
};

#define CONTAINER(member) offsetof(struct snapdrv_container_space, member)

static const struct field container_fields[] = {
	{.column = "CONTAINER", .key = "name", .offset = CONTAINER(name)},
	{.column = "IMAGE", .key = "image", .type = FIELD_IMAGE, .offset = CONTAINER(image)},
	{.column = "CREATED",
	 .key = "created",
	 .type = FIELD_TIME,
	 .offset = CONTAINER(created_ns)},
	{.column = "SIZE", .key = "size", .type = FIELD_SIZE, .offset = CONTAINER(bytes)},
	{0},
};

#define LAYER(member) offsetof(struct snapdrv_layer_space, member)

static const struct field layer_fields[] = {
	{.column = "LAYER", .key = "key", .type = FIELD_ID, .offset = LAYER(key)},
	{.column = "IMAGES", .key = "images", .type = FIELD_COUNT, .offset = LAYER(images)},
	{.column = "SIZE", .key = "size", .type = FIELD_SIZE, .offset = LAYER(bytes)},
	{0},
};

/* All that --json prints. */
struct df_document {
	struct space_row spaces[5];
	const struct space_row *first_space;
	size_t n_spaces;
	struct image_line *images;
	size_t n_images;
	struct snapdrv_df df;
};

#define DF(member) offsetof(struct df_document, member)

static const struct field df_fields[] = {
	{.key = "types",
	 .type = FIELD_ROWS,
	 .offset = DF(first_space),
	 .count = DF(n_spaces),
	 .fields = space_fields,
	 .size = sizeof(struct space_row)},
	{.key = "images",
	 .type = FIELD_ROWS,
	 .offset = DF(images),
	 .count = DF(n_images),
	 .fields = image_fields,
	 .size = sizeof(struct image_line)},
	{.key = "containers",
	 .type = FIELD_ROWS,
	 .offset = DF(df.container_rows),
	 .count = DF(df.n_container_rows),
	 .fields = container_fields,
	 .size = sizeof(struct snapdrv_container_space)},
	{.key = "layers",
	 .type = FIELD_ROWS,
	 .offset = DF(df.layer_rows),
	 .count = DF(df.n_layer_rows),
	 .fields = layer_fields,
	 .size = sizeof(struct snapdrv_layer_space)},
	{0},
};

static struct space_row space_row(const char *title, const char *kind,
				  const struct snapdrv_space *space)
{
	struct space_row row = {title, kind, *space, SNAPDRV_UNKNOWN};

	if (space->bytes != SNAPDRV_UNKNOWN)
		row.own = space->bytes - space->shared;
	return row;
}

static int document_fill(struct df_document *document)
{
	const struct snapdrv_df *df = &document->df;

	document->spaces[0] = space_row("Images", "images", &df->images);
	document->spaces[1] = space_row("Containers", "containers", &df->containers);
	document->spaces[2] = space_row("Layers", "layers", &df->layers);
	document->spaces[3] = space_row("Blobs", "blobs", &df->blobs);
	document->spaces[4] = space_row("Build caches", "caches", &df->caches);
	document->first_space = document->spaces;
	document->n_spaces = COUNT(document->spaces);
	document->images = calloc(df->n_image_rows + 1, sizeof(*document->images));
	if (!document->images)
		return -1;
	for (size_t i = 0; i < df->n_image_rows; i++) {
		document->images[i].image = df->image_rows[i];
		document->images[i].own = df->image_rows[i].bytes - df->image_rows[i].shared;
	}
	document->n_images = df->n_image_rows;
	return 0;
}

static int print_df(struct cli *cli, const struct df_document *document)
{
	const struct snapdrv_df *df = &document->df;
	const struct rows tables[] = {
		{space_fields, document->spaces, sizeof(struct space_row), document->n_spaces},
		{image_fields, document->images, sizeof(struct image_line), document->n_images},
		{container_fields, df->container_rows, sizeof(*df->container_rows),
		 df->n_container_rows},
		{layer_fields, df->layer_rows, sizeof(*df->layer_rows), df->n_layer_rows},
	};

	if (cli->json)
		return output_json_row("df", df_fields, document);
	for (size_t i = 0; i < (cli->verbose ? COUNT(tables) : 1); i++) {
		if (i)
			putchar('\n');
		if (output_table(&tables[i], 0))
			return -1;
	}
	return 0;
}

static const struct option_row df_options[] = {
	{.name = "verbose",
	 .letter = 'v',
	 .type = OPTION_FLAG,
	 .help = "each image, container (its files are walked) and layer too",
	 .offset = offsetof(struct cli, verbose),
	 .bit = 1},
	{0},
};

void cmd_df(struct cli *cli)
{
	struct df_document document = {.n_images = 0};
	struct snapdrv_error err;

	if (cli_begin(cli, df_options, cli, 0, 0))
		return;
	if (snapdrv_df(cli->store, !!cli->verbose, &document.df, &err)) {
		cli_report(cli, &err);
		return;
	}
	if (document_fill(&document) || print_df(cli, &document))
		cli_memory(cli);
	free(document.images);
	snapdrv_df_done(&document.df);
}

/* ---- gc ----------------------------------------------------------------------------------- */

struct gc_values {
	unsigned dry_run;
	uint64_t keep_storage;
};

static const struct option_row gc_options[] = {
	{.name = "dry-run",
	 .letter = 'n',
	 .type = OPTION_FLAG,
	 .help = "only tell what would go",
	 .offset = offsetof(struct gc_values, dry_run),
	 .bit = 1},
	{.name = "keep-storage",
	 .type = OPTION_SIZE,
	 .value = "SIZE",
	 .help = "leave so much of what nothing needs; the oldest goes first",
	 .offset = offsetof(struct gc_values, keep_storage)},
	{0},
};

struct freed_row {
	const char *title;
	const char *kind;
	struct snapdrv_gc_count count;
};

#define FREED(member) offsetof(struct freed_row, member)

static const struct field freed_fields[] = {
	{.column = "TYPE", .offset = FREED(title)},
	{.key = "type", .offset = FREED(kind)},
	{.column = "COUNT", .key = "count", .type = FIELD_COUNT, .offset = FREED(count.count)},
	{.column = "SIZE", .key = "size", .type = FIELD_SIZE, .offset = FREED(count.bytes)},
	{0},
};

struct gc_document {
	int dry_run;
	uint64_t bytes, kept_bytes;
	struct freed_row rows[5];
	const struct freed_row *first_row;
	size_t n_rows;
};

#define GC(member) offsetof(struct gc_document, member)

static const struct field gc_fields[] = {
	{.key = "dry_run", .type = FIELD_BOOL, .offset = GC(dry_run)},
	{.key = "size", .type = FIELD_SIZE, .offset = GC(bytes)},
	{.key = "kept", .type = FIELD_SIZE, .offset = GC(kept_bytes)},
	{.key = "freed",
	 .type = FIELD_ROWS,
	 .offset = GC(first_row),
	 .count = GC(n_rows),
	 .fields = freed_fields,
	 .size = sizeof(struct freed_row)},
	{0},
};

static int print_gc(struct cli *cli, const struct gc_values *values, const struct snapdrv_gc *gc)
{
	struct gc_document document = {
		.dry_run = !!values->dry_run,
		.bytes = gc->layers.bytes + gc->blobs.bytes + gc->strays.bytes + gc->caches.bytes,
		.kept_bytes = gc->kept_bytes,
		.rows = {{"Layers", "layers", gc->layers},
			 {"Blobs", "blobs", gc->blobs},
			 {"Stray files", "strays", gc->strays},
			 {"Build caches", "caches", gc->caches}},
		.n_rows = 4,
	};
	struct rows rows = {freed_fields, document.rows, sizeof(*document.rows), 5};

	document.first_row = document.rows;
	document.rows[4] = (struct freed_row){
		values->dry_run ? "Would be freed" : "Freed",
		"total",
		{gc->layers.count + gc->blobs.count + gc->strays.count + gc->caches.count,
		 document.bytes}};
	return cli->json ? output_json_row("gc", gc_fields, &document) : output_table(&rows, 0);
}

void cmd_gc(struct cli *cli)
{
	struct gc_values values = {0};
	struct snapdrv_gc_options options;
	struct snapdrv_error err;
	struct snapdrv_gc gc;

	if (cli_begin(cli, gc_options, &values, 0, 0))
		return;
	options = (struct snapdrv_gc_options){!!values.dry_run, values.keep_storage};
	if (snapdrv_gc(cli->store, &options, &gc, &err))
		cli_report(cli, &err);
	else if (!cli->quiet && print_gc(cli, &values, &gc))
		cli_memory(cli);
}
