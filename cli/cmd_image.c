/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the store: images, inspect, tag, rmi. */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "output.h"
#include "show.h"

struct images_values {
	unsigned shown; /* enum output_flags */
	unsigned quiet;
};

static const struct option_row images_options[] = {
	{.name = "digests",
	 .type = OPTION_FLAG,
	 .help = "show the manifests' digests",
	 .offset = offsetof(struct images_values, shown),
	 .bit = OUTPUT_DIGESTS},
	{.name = "no-trunc",
	 .type = OPTION_FLAG,
	 .help = "show whole image IDs",
	 .offset = offsetof(struct images_values, shown),
	 .bit = OUTPUT_FULL_IDS},
	{.name = "quiet",
	 .letter = 'q',
	 .type = OPTION_FLAG,
	 .help = "print image IDs only",
	 .offset = offsetof(struct images_values, quiet),
	 .bit = 1},
	{0},
};

struct rmi_values {
	unsigned flags; /* enum snapdrv_rmi_flags */
	unsigned all;
};

static const struct option_row rmi_options[] = {
	{.name = "force",
	 .letter = 'f',
	 .type = OPTION_FLAG,
	 .help = "used images too; all names of an image given by its ID",
	 .offset = offsetof(struct rmi_values, flags),
	 .bit = SNAPDRV_FORCE},
	{.name = "all",
	 .letter = 'a',
	 .type = OPTION_FLAG,
	 .help = "all images that no container uses; with --force all",
	 .offset = offsetof(struct rmi_values, all),
	 .bit = 1},
	{0},
};

/* A line of the table: an image by one of its names. The JSON has one for each image. */
struct image_row {
	struct snapdrv_image image;
	char *repository; /* owned, or NULL */
	const char *tag;  /* within repository, or NULL */
};

#define ROW(member) offsetof(struct image_row, member)

static const struct field image_fields[] = {
	{.key = "id", .offset = ROW(image.id)},
	{.column = "REPOSITORY", .offset = ROW(repository)},
	{.column = "TAG", .offset = ROW(tag)},
	{.column = "DIGEST",
	 .key = "digest",
	 .offset = ROW(image.digest),
	 .only_with = OUTPUT_DIGESTS},
	{.column = "IMAGE ID", .type = FIELD_ID, .offset = ROW(image.id)},
	{.key = "references",
	 .type = FIELD_LIST,
	 .offset = ROW(image.references),
	 .count = ROW(image.n_references)},
	{.key = "platform", .offset = ROW(image.platform)},
	{.column = "CREATED",
	 .key = "created",
	 .type = FIELD_TIME,
	 .offset = ROW(image.created_ns)},
	{.column = "SIZE", .key = "size", .type = FIELD_SIZE, .offset = ROW(image.size)},
	{.key = "layers", .type = FIELD_COUNT, .offset = ROW(image.n_layers)},
	{.key = "in_use", .type = FIELD_BOOL, .offset = ROW(image.in_use)},
	{0},
};

struct image_rows {
	struct image_row *items;
	size_t count;
};

static void image_rows_done(struct image_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->items[i].repository);
	free(rows->items);
}

static int image_rows_add(struct image_rows *rows, const struct snapdrv_image *image,
			  const char *reference)
{
	struct image_row *row = &rows->items[rows->count];
	char *end;

	*row = (struct image_row){.image = *image};
	if (reference) {
		row->repository = strdup(show_reference(reference));
		if (!row->repository)
			return -1;
		row->repository[strcspn(row->repository, "@")] = '\0';
		end = strrchr(row->repository, ':');
		if (end && !strchr(end, '/')) {
			*end = '\0';
			row->tag = end + 1;
		}
	}
	rows->count++;
	return 0;
}

static int image_rows_fill(struct image_rows *rows, const struct snapdrv_image *images,
			   size_t count, int by_name)
{
	size_t room = count;

	for (size_t i = 0; i < count; i++)
		room += images[i].n_references;
	rows->items = calloc(room + 1, sizeof(*rows->items));
	if (!rows->items)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!by_name || !images[i].n_references) {
			if (image_rows_add(rows, &images[i], NULL))
				return -1;
			continue;
		}
		for (size_t name = 0; name < images[i].n_references; name++) {
			if (image_rows_add(rows, &images[i], images[i].references[name]))
				return -1;
		}
	}
	return 0;
}

static int list_images(struct cli *cli, const struct images_values *values,
		       const struct snapdrv_image *images, size_t count)
{
	__attribute__((cleanup(image_rows_done))) struct image_rows list = {0};
	int quiet = cli->quiet || values->quiet;
	struct rows rows;

	if (image_rows_fill(&list, images, count, !cli->json && !quiet))
		return -1;
	rows = (struct rows){image_fields, list.items, sizeof(*list.items), list.count};
	if (cli->json)
		return output_json_rows("images", &rows);
	if (!quiet)
		return output_table(&rows, values->shown);
	for (size_t i = 0; i < count; i++)
		puts(values->shown & OUTPUT_FULL_IDS ? images[i].id : show_id(images[i].id).text);
	return 0;
}

void cmd_images(struct cli *cli)
{
	struct images_values values = {0};
	struct snapdrv_image *images;
	struct snapdrv_error err;
	size_t count;

	if (cli_begin(cli, images_options, &values, 0, 0))
		return;
	if (snapdrv_images(cli->store, &images, &count, &err)) {
		cli_report(cli, &err);
		return;
	}
	if (list_images(cli, &values, images, count))
		cli_memory(cli);
	snapdrv_images_free(images, count);
}

struct texts {
	char **items;
	size_t count;
};

static void texts_done(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
}

void cmd_inspect(struct cli *cli)
{
	__attribute__((cleanup(texts_done))) struct texts texts = {0};

	if (cli_begin(cli, NULL, NULL, 1, SIZE_MAX))
		return;
	texts.items = calloc(cli->n_words, sizeof(*texts.items));
	if (!texts.items) {
		cli_memory(cli);
		return;
	}
	for (size_t i = 0; i < cli->n_words; i++) {
		struct snapdrv_error err;

		if (snapdrv_inspect(cli->store, cli->words[i], &texts.items[texts.count], &err))
			cli_report(cli, &err);
		else
			texts.count++;
	}
	if (texts.count &&
	    output_json_texts(cli->json ? "inspected" : NULL, texts.items, texts.count))
		cli_fail(cli, SNAPDRV_FAILED, "inspect: the answer cannot be written as JSON");
}

void cmd_tag(struct cli *cli)
{
	struct snapdrv_error err;

	if (cli_begin(cli, NULL, NULL, 2, 2))
		return;
	if (snapdrv_tag(cli->store, cli->words[0], cli->words[1], &err))
		cli_report(cli, &err);
	else
		cli_note(cli, "image '%s' tagged '%s'", cli->words[0], cli->words[1]);
}

/* What was removed, for the one JSON document; people see each at once. */
struct removals {
	struct snapdrv_removed *items;
	size_t count;
};

static const struct field removed_fields[] = {
	{.key = "untagged",
	 .type = FIELD_LIST,
	 .offset = offsetof(struct snapdrv_removed, untagged),
	 .count = offsetof(struct snapdrv_removed, n_untagged)},
	{.key = "deleted", .offset = offsetof(struct snapdrv_removed, deleted)},
	{0},
};

static void removals_done(struct removals *removals)
{
	for (size_t i = 0; i < removals->count; i++)
		snapdrv_removed_done(&removals->items[i]);
	free(removals->items);
}

static void remove_image(struct cli *cli, const struct rmi_values *values, const char *image,
			 struct removals *removals)
{
	struct snapdrv_removed *removed, *items;
	struct snapdrv_error err;

	items = reallocarray(removals->items, removals->count + 1, sizeof(*items));
	if (!items) {
		cli_memory(cli);
		return;
	}
	removals->items = items;
	removed = &items[removals->count];
	if (snapdrv_rmi(cli->store, image, values->flags, removed, &err)) {
		/* Of --all, what others removed or began to use meanwhile is as it should be. */
		if (!values->all || (err.code != SNAPDRV_MISSING && err.code != SNAPDRV_BUSY))
			cli_report(cli, &err);
		return;
	}
	removals->count++;
	if (cli->json)
		return;
	for (size_t i = 0; i < removed->n_untagged; i++)
		printf("Untagged: %s\n", show_reference(removed->untagged[i]));
	if (removed->deleted)
		printf("Deleted: %s\n", removed->deleted);
}

static void remove_all_images(struct cli *cli, const struct rmi_values *values,
			      struct removals *removals)
{
	struct snapdrv_image *images;
	struct snapdrv_error err;
	size_t count;

	if (snapdrv_images(cli->store, &images, &count, &err)) {
		cli_report(cli, &err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (images[i].in_use && !(values->flags & SNAPDRV_FORCE)) {
			cli_note(cli, "image '%s' stays: a container uses it", images[i].id);
			continue;
		}
		for (size_t name = 0; name < images[i].n_references; name++)
			remove_image(cli, values, images[i].references[name], removals);
		if (!images[i].n_references)
			remove_image(cli, values, images[i].id, removals);
	}
	snapdrv_images_free(images, count);
}

void cmd_rmi(struct cli *cli)
{
	__attribute__((cleanup(removals_done))) struct removals removals = {0};
	struct rmi_values values = {0};
	struct rows rows = {.fields = removed_fields, .size = sizeof(*removals.items)};

	if (cli_parse(cli, rmi_options, &values, WORDS_JOINED, 0, SIZE_MAX))
		return;
	if (!cli->n_words != !!values.all) {
		cli_usage(cli, "it needs either images or --all");
		return;
	}
	if (cli_open(cli))
		return;
	for (size_t i = 0; i < cli->n_words; i++)
		remove_image(cli, &values, cli->words[i], &removals);
	if (values.all)
		remove_all_images(cli, &values, &removals);
	rows.first = removals.items;
	rows.count = removals.count;
	if (cli->json && (rows.count || !cli->status) && output_json_rows("removed", &rows))
		cli_memory(cli);
}
