/* SPDX-License-Identifier: Apache-2.0 */
/* Images from registries and to them: pull, push. */
#include <stddef.h>
#include <stdio.h>

#include "cleanup.h"
#include "cli.h"
#include "intake.h"
#include "output.h"
#include "progress.h"

struct transfer {
	struct snapdrv_registry_options registry;
	struct snapdrv_load_options options;
	struct progress_line progress;
};

#define AT(member) offsetof(struct transfer, member)

static const struct option_row registry_options[] = {
	REGISTRY_ROWS(struct transfer),
	{0},
};

static const struct option_row pull_options[] = {
	INTAKE_ROWS(struct transfer),
	{.more = registry_options},
};

static const struct field pulled_fields[] = {
	{.key = "reference", .offset = offsetof(struct snapdrv_loaded, reference)},
	{.key = "id", .offset = offsetof(struct snapdrv_loaded, id)},
	{.key = "digest", .offset = offsetof(struct snapdrv_loaded, digest)},
	{0},
};

static void print_pulled(struct cli *cli, const struct snapdrv_loaded *loaded)
{
	struct rows rows = {pulled_fields, loaded, sizeof(*loaded), 1};

	if (!cli->json)
		printf("%s %s\n", loaded->reference, loaded->id);
	else if (output_json_rows("pulled", &rows))
		cli_memory(cli);
	cli_note(cli, "'%s': digest %s", cli->words[0], loaded->digest);
}

void cmd_pull(struct cli *cli)
{
	struct transfer transfer = {0};
	struct snapdrv_loaded *loaded;
	struct snapdrv_error err;
	int ret;

	if (cli_begin(cli, pull_options, &transfer, 1, 1))
		return;
	progress_line_begin(cli, &transfer.progress, &transfer.options.progress,
			    &transfer.options.progress_arg);
	ret = snapdrv_pull(cli->store, cli->words[0], &transfer.registry, &transfer.options,
			   &loaded, &err);
	progress_line_done(&transfer.progress);
	if (ret) {
		cli_report(cli, &err);
		return;
	}
	print_pulled(cli, loaded);
	snapdrv_loaded_free(loaded, 1);
}

void cmd_push(struct cli *cli)
{
	struct transfer transfer = {0};
	struct snapdrv_push_options options = {0};
	struct snapdrv_loaded *pushed;
	struct snapdrv_error err;
	int ret;

	if (cli_begin(cli, registry_options, &transfer, 1, 2))
		return;
	progress_line_begin(cli, &transfer.progress, &options.progress, &options.progress_arg);
	ret = snapdrv_push(cli->store, cli->words[0], cli->n_words > 1 ? cli->words[1] : NULL,
			   &transfer.registry, &options, &pushed, &err);
	progress_line_done(&transfer.progress);
	if (ret) {
		cli_report(cli, &err);
		return;
	}
	if (!cli->json)
		puts(pushed->digest);
	else if (output_json_rows("pushed",
				  &(struct rows){pulled_fields, pushed, sizeof(*pushed), 1}))
		cli_memory(cli);
	cli_note(cli, "pushed as '%s'", pushed->reference);
	snapdrv_loaded_free(pushed, 1);
}
