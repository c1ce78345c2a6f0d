/* SPDX-License-Identifier: Apache-2.0 */
/* Containers: create, mount, umount, ls, rm. */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "output.h"

#define AT(member) offsetof(struct snapdrv_create_options, member)

static const struct option_row create_options[] = {
	{.name = "name",
	 .type = OPTION_TEXT,
	 .value = "NAME",
	 .help = "the container's name (a made-up one)",
	 .offset = AT(name)},
	{.name = "read-only",
	 .type = OPTION_FLAG,
	 .help = "without a writable layer",
	 .offset = AT(flags),
	 .bit = SNAPDRV_READ_ONLY},
	{.name = "userns",
	 .type = OPTION_TEXT,
	 .value = "UID:GID:SIZE",
	 .help = "shift owners for a user namespace, copying nothing",
	 .offset = AT(userns)},
	{.name = "bundle",
	 .type = OPTION_TEXT,
	 .value = "DIR",
	 .help = "write an OCI runtime bundle there",
	 .offset = AT(bundle)},
	{.name = "no-mount",
	 .type = OPTION_FLAG,
	 .help = "leave the mounting to 'snapdrv mount'",
	 .offset = AT(flags),
	 .bit = SNAPDRV_NO_MOUNT},
	{.name = "tty",
	 .letter = 't',
	 .type = OPTION_FLAG,
	 .help = "the bundle's process gets a terminal",
	 .offset = AT(flags),
	 .bit = SNAPDRV_TERMINAL},
	{0},
};

struct rm_values {
	unsigned all;
};

static const struct option_row rm_options[] = {
	{.name = "all",
	 .letter = 'a',
	 .type = OPTION_FLAG,
	 .help = "remove all containers",
	 .offset = offsetof(struct rm_values, all),
	 .bit = 1},
	{0},
};

static const struct option_row ls_options[] = {
	{.name = "quiet",
	 .letter = 'q',
	 .type = OPTION_FLAG,
	 .help = "print names only",
	 .offset = offsetof(struct cli, quiet),
	 .bit = 1},
	{0},
};

struct rootfs_row {
	const char *name;
	const char *rootfs;
};

static const struct field rootfs_fields[] = {
	{.key = "name", .offset = offsetof(struct rootfs_row, name)},
	{.key = "rootfs", .offset = offsetof(struct rootfs_row, rootfs)},
	{0},
};

static void print_rootfs(struct cli *cli, const char *name, const char *rootfs)
{
	struct rootfs_row row = {name, rootfs};

	if (!cli->json)
		puts(rootfs);
	else if (output_json_row("container", rootfs_fields, &row))
		cli_memory(cli);
}

/* The name stands in the path, ROOT/containers/NAME/rootfs. For free(3). */
static char *name_of(const char *rootfs)
{
	const char *end = strrchr(rootfs, '/');
	const char *start = end ? memrchr(rootfs, '/', (size_t)(end - rootfs)) : NULL;

	return start ? strndup(start + 1, (size_t)(end - start - 1)) : strdup("");
}

void cmd_create(struct cli *cli)
{
	struct snapdrv_create_options options = {0};
	cleanup_free char *rootfs = NULL, *name = NULL;
	struct snapdrv_error err;

	if (cli_parse(cli, create_options, &options, WORDS_APART, 1, 1))
		return;
	if (!options.bundle && (cli->n_rest || options.flags & SNAPDRV_TERMINAL)) {
		cli_usage(cli, "%s is for a bundle; --bundle is missing",
			  cli->n_rest ? "a command" : "--tty");
		return;
	}
	options.args = (const char *const *)cli->rest;
	options.n_args = cli->n_rest;
	if (cli_open(cli))
		return;
	if (snapdrv_create(cli->store, cli->words[0], &options, &rootfs, &err)) {
		cli_report(cli, &err);
		return;
	}
	name = name_of(rootfs);
	if (!name) {
		cli_memory(cli);
		return;
	}
	print_rootfs(cli, name, rootfs);
	cli_note(cli, "container '%s' made", name);
}

void cmd_mount(struct cli *cli)
{
	cleanup_free char *rootfs = NULL;
	struct snapdrv_error err;

	if (cli_begin(cli, NULL, NULL, 1, 1))
		return;
	if (snapdrv_mount(cli->store, cli->words[0], &rootfs, &err))
		cli_report(cli, &err);
	else
		print_rootfs(cli, cli->words[0], rootfs);
}

void cmd_umount(struct cli *cli)
{
	if (cli_begin(cli, NULL, NULL, 1, SIZE_MAX))
		return;
	for (size_t i = 0; i < cli->n_words; i++) {
		struct snapdrv_error err;

		if (snapdrv_umount(cli->store, cli->words[i], &err))
			cli_report(cli, &err);
		else
			cli_note(cli, "container '%s' unmounted", cli->words[i]);
	}
}

struct container_row {
	struct snapdrv_container container;
	const char *status;
};

#define ROW(member) offsetof(struct container_row, member)

static const struct field container_fields[] = {
	{.column = "NAME", .key = "name", .offset = ROW(container.name)},
	{.column = "IMAGE", .key = "image", .type = FIELD_IMAGE, .offset = ROW(container.image)},
	{.key = "image_id", .offset = ROW(container.image_id)},
	{.key = "rootfs", .offset = ROW(container.rootfs)},
	{.column = "CREATED",
	 .key = "created",
	 .type = FIELD_TIME,
	 .offset = ROW(container.created_ns)},
	{.key = "mounted", .type = FIELD_BOOL, .offset = ROW(container.mounted)},
	{.key = "read_only", .type = FIELD_BOOL, .offset = ROW(container.read_only)},
	{.column = "STATUS", .offset = ROW(status)},
	{.column = "ROOTFS", .offset = ROW(container.rootfs)},
	{0},
};

static struct container_row container_row(const struct snapdrv_container *container)
{
	static const char *const states[2][2] = {{"unmounted", "unmounted, read-only"},
						 {"mounted", "mounted, read-only"}};

	return (struct container_row){.container = *container,

				      .status =
					      states[!!container->mounted][!!container->read_only]};
}

static void print_containers(struct cli *cli, const struct container_row *containers, size_t count)
{
	struct rows rows = {container_fields, containers, sizeof(*containers), count};

	if (cli->quiet && !cli->json) {
		for (size_t i = 0; i < count; i++)
			puts(containers[i].container.name);
	} else if (cli->json ? output_json_rows("containers", &rows) : output_table(&rows, 0)) {
		cli_memory(cli);
	}
}

static void list_all(struct cli *cli)
{
	cleanup_free struct container_row *rows = NULL;
	struct snapdrv_container *containers;
	struct snapdrv_error err;
	size_t count;

	if (snapdrv_containers(cli->store, &containers, &count, &err)) {
		cli_report(cli, &err);
		return;
	}
	rows = calloc(count + 1, sizeof(*rows));
	for (size_t i = 0; rows && i < count; i++)
		rows[i] = container_row(&containers[i]);
	if (rows)
		print_containers(cli, rows, count);
	else
		cli_memory(cli);
	snapdrv_containers_free(containers, count);
}

static void list_named(struct cli *cli)
{
	cleanup_free struct container_row *rows = calloc(cli->n_words, sizeof(*rows));
	cleanup_free struct snapdrv_container **found =
		calloc(cli->n_words, sizeof(struct snapdrv_container *));
	struct snapdrv_error err;
	size_t count = 0;

	if (!rows || !found) {
		cli_memory(cli);
		return;
	}
	for (size_t i = 0; i < cli->n_words; i++) {
		if (snapdrv_container(cli->store, cli->words[i], &found[count], &err)) {
			cli_report(cli, &err);
			continue;
		}
		rows[count] = container_row(found[count]);
		count++;
	}
	if (count || !cli->status)
		print_containers(cli, rows, count);
	for (size_t i = 0; i < count; i++)
		snapdrv_containers_free(found[i], 1);
}

void cmd_ls(struct cli *cli)
{
	if (cli_begin(cli, ls_options, cli, 0, SIZE_MAX))
		return;
	if (cli->n_words)
		list_named(cli);
	else
		list_all(cli);
}

static void remove_one(struct cli *cli, const char *name, int may_be_gone)
{
	struct snapdrv_error err;

	if (!snapdrv_remove(cli->store, name, &err))
		cli_note(cli, "container '%s' removed", name);
	else if (!may_be_gone || err.code != SNAPDRV_MISSING)
		cli_report(cli, &err);
}

static void remove_all(struct cli *cli)
{
	struct snapdrv_container *containers;
	struct snapdrv_error err;
	size_t count;

	if (snapdrv_containers(cli->store, &containers, &count, &err)) {
		cli_report(cli, &err);
		return;
	}
	for (size_t i = 0; i < count; i++)
		remove_one(cli, containers[i].name, 1);
	snapdrv_containers_free(containers, count);
}

void cmd_rm(struct cli *cli)
{
	struct rm_values values = {0};

	if (cli_parse(cli, rm_options, &values, WORDS_JOINED, 0, SIZE_MAX))
		return;
	if (!cli->n_words != !!values.all) {
		cli_usage(cli, "it needs either names or --all");
		return;
	}
	if (cli_open(cli))
		return;
	for (size_t i = 0; i < cli->n_words; i++)
		remove_one(cli, cli->words[i], 0);
	if (values.all)
		remove_all(cli);
}
