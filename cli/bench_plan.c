/* SPDX-License-Identifier: Apache-2.0 */
/* Which filesystems bench makes, and which drivers it measures on each. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "cleanup.h"

/* @filesystem: the only one that the driver works on, or NULL. @is_usual: measured without being named. */
static const struct backend {
	const char *name;
	const char *filesystem;
	int is_usual;
} backends[] = {
	{"overlay", NULL, 1},
	{"btrfs", "btrfs", 1},
	{"vfs", NULL, 0},
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))
#define NAMES_MAX 16

struct names {
	const char *items[NAMES_MAX];
	size_t count;
};

static int has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (!strcmp(names->items[i], name))
			return 1;
	}
	return 0;
}

static const struct backend *find_backend(const char *name)
{
	for (size_t i = 0; i < N_BACKENDS; i++) {
		if (!strcmp(backends[i].name, name))
			return &backends[i];
	}
	return NULL;
}

static int is_filesystem(const char *name)
{
	for (const char *const *known = snapdrv_scratch_filesystems(); *known; known++) {
		if (!strcmp(*known, name))
			return 1;
	}
	return 0;
}

static int is_backend(const char *name)
{
	return !!find_backend(name);
}

/* Cut a list at its commas; @list is changed and has to stay. */
static int cut_list(struct cli *cli, char *list, const char *what, int (*is_known)(const char *),
		    struct names *names)
{
	for (char *rest = list, *name; (name = strsep(&rest, ","));) {
		if (!is_known(name)) {
			cli_usage(cli, "'%s': no such %s", name, what);
			return 1;
		}
		if (!has_name(names, name))
			names->items[names->count++] = name;
	}
	return 0;
}

static struct bench_pair *add_pair(struct bench *bench, const char *filesystem, const char *backend)
{
	struct bench_pair *pairs =
		reallocarray(bench->pairs, bench->n_pairs + 1, sizeof(*bench->pairs));

	if (!pairs)
		return NULL;
	bench->pairs = pairs;
	pairs[bench->n_pairs] = (struct bench_pair){.filesystem = filesystem, .backend = backend};
	return &pairs[bench->n_pairs++];
}

static int add_pairs(struct cli *cli, struct bench *bench, const struct names *filesystems,
		     const struct names *wanted)
{
	for (size_t i = 0; i < filesystems->count; i++) {
		for (size_t j = 0; j < wanted->count; j++) {
			const char *filesystem = filesystems->items[i];
			const char *only = find_backend(wanted->items[j])->filesystem;

			if (only && strcmp(only, filesystem))
				continue;
			if (!add_pair(bench, filesystem, wanted->items[j])) {
				cli_memory(cli);
				return 1;
			}
		}
	}
	if (bench->n_pairs)
		return 0;
	cli_usage(cli, "no driver of the list works on a filesystem of the list");
	return 1;
}

static int add_args(struct bench_pair *pair, char *words)
{
	for (char *rest = words, *word; (word = strsep(&rest, " "));) {
		const char **args;

		if (!*word)
			continue;
		args = reallocarray(pair->mkfs_args, pair->n_mkfs_args + 1, sizeof(*args));
		if (!args)
			return -1;
		args[pair->n_mkfs_args++] = word;
		pair->mkfs_args = args;
	}
	return 0;
}

/* FS=OPTIONS, for each pair on FS. @text: @bench->words has room for a copy for each. */
static int add_mkfs(struct cli *cli, struct bench *bench, const char *text, char **room)
{
	const char *equals = strchr(text, '=');
	int found = 0;

	for (size_t i = 0; equals && i < bench->n_pairs; i++) {
		struct bench_pair *pair = &bench->pairs[i];

		if (strlen(pair->filesystem) != (size_t)(equals - text) ||
		    strncmp(pair->filesystem, text, (size_t)(equals - text)))
			continue;
		found = 1;
		strcpy(*room, equals + 1);
		if (add_args(pair, *room)) {
			cli_memory(cli);
			return 1;
		}
		*room += strlen(equals + 1) + 1;
	}
	if (found)
		return 0;
	cli_usage(cli, "--mkfs-options: '%s' is not FS=OPTIONS of a filesystem that is made", text);
	return 1;
}

static int add_all_mkfs(struct cli *cli, const struct word_list *list, struct bench *bench,
			char *room)
{
	for (size_t i = 0; i < list->count; i++) {
		if (add_mkfs(cli, bench, list->items[i], &room))
			return 1;
	}
	return 0;
}

/* Room for the lists and for the words of mkfs of each pair. */
static char *make_room(const struct bench_options *options)
{
	size_t room = 2;

	room += options->filesystems ? strlen(options->filesystems) : 0;
	room += options->backends ? strlen(options->backends) : 0;
	for (size_t i = 0; i < options->mkfs.count; i++)
		room += NAMES_MAX * (strlen(options->mkfs.items[i]) + 1);
	return calloc(room, 1);
}

/* What is at --dir: asked as it will be used. */
static int look_at_dir(struct cli *cli, struct bench *bench, struct names *filesystems)
{
	const struct snapdrv_scratch_options options = {.dir = bench->dir};
	struct snapdrv_scratch *scratch;
	struct snapdrv_error err;

	if (snapdrv_scratch_make(&options, &scratch, &err)) {
		cli_report(cli, &err);
		return 1;
	}
	bench->dir_filesystem = strdup(snapdrv_scratch_filesystem(scratch));
	if (snapdrv_scratch_drop(scratch, &err)) {
		cli_report(cli, &err);
		return 1;
	}
	if (!bench->dir_filesystem) {
		cli_memory(cli);
		return 1;
	}
	filesystems->items[filesystems->count++] = bench->dir_filesystem;
	return 0;
}

int bench_plan(struct cli *cli, const struct bench_options *options, struct bench *bench)
{
	struct names filesystems = {0}, wanted = {0};
	char *room = bench->words = make_room(options);

	if (!room) {
		cli_memory(cli);
		return 1;
	}
	if (bench->dir && (options->filesystems || options->size || options->mkfs.count)) {
		cli_usage(cli, "--dir takes the filesystem that is there, without --fs, --size "
			       "and --mkfs-options");
		return 1;
	}
	if (options->filesystems) {
		strcpy(room, options->filesystems);
		if (cut_list(cli, room, "filesystem", is_filesystem, &filesystems))
			return 1;
		room += strlen(options->filesystems) + 1;
	}
	if (options->backends) {
		strcpy(room, options->backends);
		if (cut_list(cli, room, "driver", is_backend, &wanted))
			return 1;
		room += strlen(options->backends) + 1;
	}
	for (const char *const *known = snapdrv_scratch_filesystems();
	     !options->filesystems && !bench->dir && *known; known++)
		filesystems.items[filesystems.count++] = *known;
	for (size_t i = 0; i < N_BACKENDS && !options->backends; i++) {
		if (backends[i].is_usual)
			wanted.items[wanted.count++] = backends[i].name;
	}
	if (bench->dir && look_at_dir(cli, bench, &filesystems))
		return 1;
	return add_pairs(cli, bench, &filesystems, &wanted) ||
	       add_all_mkfs(cli, &options->mkfs, bench, room);
}
