/* SPDX-License-Identifier: Apache-2.0 */
/* The store as a whole: info. */
#include <stdio.h>

#include "cli.h"
#include "output.h"
#include "show.h"

static const struct field driver_fields[] = {
	{.key = "name", .offset = offsetof(struct snapdrv_driver_info, name)},
	{.key = "usable",
	 .type = FIELD_BOOL,
	 .offset = offsetof(struct snapdrv_driver_info, usable)},
	{.key = "answer", .offset = offsetof(struct snapdrv_driver_info, answer)},
	{0},
};

struct info_row {
	const char *version;
	struct snapdrv_info info;
};

#define ROW(member) offsetof(struct info_row, member)

static const struct field info_fields[] = {
	{.column = "Version", .key = "version", .offset = ROW(version)},
	{.column = "Root", .key = "root", .offset = ROW(info.root)},
	{.column = "Driver", .key = "driver", .offset = ROW(info.driver)},
	{.column = "Filesystem", .key = "filesystem", .offset = ROW(info.filesystem)},
	{.column = "Kernel", .key = "kernel", .offset = ROW(info.kernel)},
	{.column = "Max layers",
	 .key = "max_layers",
	 .type = FIELD_COUNT,
	 .offset = ROW(info.max_layers)},
	{.column = "Images", .key = "images", .type = FIELD_COUNT, .offset = ROW(info.n_images)},
	{.column = "Containers",
	 .key = "containers",
	 .type = FIELD_COUNT,
	 .offset = ROW(info.n_containers)},
	{.column = "Layers", .key = "layers", .type = FIELD_COUNT, .offset = ROW(info.n_layers)},
	{.key = "drivers",
	 .type = FIELD_ROWS,
	 .offset = ROW(info.drivers),
	 .count = ROW(info.n_drivers),
	 .fields = driver_fields,
	 .size = sizeof(struct snapdrv_driver_info)},
	{.key = "verity", .type = FIELD_BOOL, .offset = ROW(info.verity)},
	{.key = "verity_answer", .offset = ROW(info.verity_answer)},
	{0},
};

static void print_answer(const char *what, int usable, const char *answer)
{
	printf("%s: %s: ", what, usable ? "usable" : "not usable");
	show_text(stdout, answer ? answer : "");
	putchar('\n');
}

static void print_answers(const struct snapdrv_info *info)
{
	for (size_t i = 0; i < info->n_drivers; i++) {
		const struct snapdrv_driver_info *driver = &info->drivers[i];

		fputs("Driver ", stdout);
		print_answer(driver->name, driver->usable, driver->answer);
	}
	print_answer("fs-verity", info->verity, info->verity_answer);
}

void cmd_info(struct cli *cli)
{
	struct info_row row = {.version = SNAPDRV_VERSION};
	struct snapdrv_error err;

	if (cli_begin(cli, NULL, NULL, 0, 0))
		return;
	if (snapdrv_info(cli->store, &row.info, &err)) {
		cli_report(cli, &err);
		return;
	}
	if (cli->json ? output_json_row("info", info_fields, &row)
		      : output_pairs(info_fields, &row))
		cli_memory(cli);
	if (!cli->json)
		print_answers(&row.info);
	snapdrv_info_done(&row.info);
}
