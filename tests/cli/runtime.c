/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's calls for runtimes, from the command line, for the tests:
 *
 *   runtime ROOT COMMAND [ARGUMENT...] [, COMMAND ...]
 *
 *   prepare KEY PARENT [LABEL=VALUE...]    view likewise    mounts KEY    usage KEY
 *   commit NAME KEY [LABEL=VALUE...]    rebase NAME KEY PARENT    remove KEY    stat KEY
 *   set KEY [LABEL=VALUE...]    replace KEY [LABEL=VALUE...]    list    cleanup
 *
 * "-" is no parent. A failure is `CODE ERRNO: MESSAGE` on stdout and the exit status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapdrv.h"

static struct snapdrv_label labels[64];
static size_t n_labels;

static void read_labels(char **words, int count)
{
	n_labels = 0;
	for (int i = 0; i < count; i++) {
		char *value = strchr(words[i], '=');

		*value = '\0';
		labels[n_labels++] = (struct snapdrv_label){words[i], value + 1};
	}
}

static int print_snapshot(void *arg, const struct snapdrv_snapshot *snapshot)
{
	static const char *const kinds[] = {"?", "view", "active", "committed"};

	(void)arg;
	printf("%s %s %s", snapshot->name, kinds[snapshot->kind],
	       snapshot->parent ? snapshot->parent : "-");
	for (size_t i = 0; i < snapshot->n_labels; i++)
		printf(" %s=%s", snapshot->labels[i].key, snapshot->labels[i].value);
	puts(snapshot->created_ns <= snapshot->updated_ns ? "" : " TIMES");
	return 0;
}

static void print_mounts(struct snapdrv_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		struct snapdrv_mount *mount = &mounts->mounts[i];

		printf("%s %s ", mount->type, mount->source);
		for (size_t j = 0; j < mount->n_options; j++)
			printf("%s%s", j ? "," : "", mount->options[j]);
		puts("");
	}
	snapdrv_mounts_done(mounts);
}

static const char *or_null(const char *word)
{
	return strcmp(word, "-") ? word : NULL;
}

static int run(struct snapdrv_store *store, char **words, int count, struct snapdrv_error *err)
{
	const char *command = words[0], *key = count > 1 ? words[1] : "";
	struct snapdrv_snapshot snapshot;
	struct snapdrv_mounts mounts;
	uint64_t bytes, inodes;
	int ret;

	if (!strcmp(command, "prepare") || !strcmp(command, "view")) {
		read_labels(words + 3, count - 3);
		ret = snapdrv_snapshot_prepare(store, key, or_null(words[2]),
					       *command == 'v' ? SNAPDRV_VIEW : SNAPDRV_ACTIVE,
					       labels, n_labels, &mounts, err);
		if (!ret)
			print_mounts(&mounts);
	} else if (!strcmp(command, "mounts")) {
		ret = snapdrv_snapshot_mounts(store, key, &mounts, err);
		if (!ret)
			print_mounts(&mounts);
	} else if (!strcmp(command, "commit")) {
		read_labels(words + 3, count - 3);
		ret = snapdrv_snapshot_commit(store, key, words[2], NULL, labels, n_labels, err);
	} else if (!strcmp(command, "rebase")) {
		ret = snapdrv_snapshot_commit(store, key, words[2], words[3], NULL, 0, err);
	} else if (!strcmp(command, "remove")) {
		ret = snapdrv_snapshot_remove(store, key, err);
	} else if (!strcmp(command, "stat")) {
		ret = snapdrv_snapshot_stat(store, key, &snapshot, err);
		if (!ret) {
			print_snapshot(NULL, &snapshot);
			snapdrv_snapshot_done(&snapshot);
		}
	} else if (!strcmp(command, "set") || !strcmp(command, "replace")) {
		read_labels(words + 2, count - 2);
		ret = snapdrv_snapshot_update(store, key, labels, n_labels, *command == 'r',
					      &snapshot, err);
		if (!ret) {
			print_snapshot(NULL, &snapshot);
			snapdrv_snapshot_done(&snapshot);
		}
	} else if (!strcmp(command, "usage")) {
		ret = snapdrv_snapshot_usage(store, key, &bytes, &inodes, err);
		if (!ret)
			printf("%llu %llu\n", (unsigned long long)bytes,
			       (unsigned long long)inodes);
	} else if (!strcmp(command, "list")) {
		ret = snapdrv_snapshot_list(store, print_snapshot, NULL, err);
	} else if (!strcmp(command, "cleanup")) {
		ret = snapdrv_cleanup(store, err);
	} else {
		fprintf(stderr, "%s: no such command\n", command);
		exit(99);
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct snapdrv_store *store;
	struct snapdrv_error err;
	int at = 2, ret = snapdrv_open(argv[1], NULL, &store, &err);

	while (!ret && at < argc) {
		int count = 0;

		while (at + count < argc && strcmp(argv[at + count], ","))
			count++;
		ret = run(store, argv + at, count, &err);
		if (ret)
			printf("%d %d: %s\n", err.code, err.errnum, err.message);
		at += count + 1;
	}
	if (at == 2)
		printf("%d %d: %s\n", err.code, err.errnum, err.message);
	else
		snapdrv_close(store);
	return ret ? err.code : 0;
}
