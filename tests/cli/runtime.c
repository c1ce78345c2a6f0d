/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's calls for runtimes, from the command line, for the tests:
 *
 *   runtime ROOT COMMAND [ARGUMENT...] [, COMMAND ...]
 *
 *   prepare KEY PARENT [LABEL=VALUE...]    view, later likewise    flush    mounts KEY    usage KEY
 *   commit NAME KEY [LABEL=VALUE...]    rebase NAME KEY PARENT    remove KEY    stat KEY
 *   set KEY [LABEL=VALUE...]    replace KEY [LABEL=VALUE...]    list    cleanup
 *   apply KEY FILE [MEDIA-TYPE]    apply-to FILE [TYPE SOURCE OPTION,OPTION...]...    apply-broken KEY
 *   diff LEFT RIGHT plain|gzip|zstd FILE    diff-broken LEFT RIGHT
 *
 * "-" is no parent. A failure is `CODE ERRNO: MESSAGE` on stdout and the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- the differ ------------------------------------------------------------------------------ */

static ssize_t read_fd(void *arg, void *data, size_t size)
{
	ssize_t got = read(*(int *)arg, data, size < 70000 ? size : 70000);

	return got < 0 ? -errno : got;
}

static ssize_t read_broken(void *arg, void *data, size_t size)
{
	int *calls = arg;

	memset(data, 0, size);
	return ++*calls > 1 ? -EREMOTEIO : 512;
}

static int write_fd(void *arg, const void *data, size_t size)
{
	return write(*(int *)arg, data, size) == (ssize_t)size ? 0 : -EIO;
}

static int write_broken(void *arg, const void *data, size_t size)
{
	(void)arg, (void)data, (void)size;
	return -EREMOTEIO;
}

static void print_applied(struct snapdrv_applied *applied)
{
	printf("%s %llu %s %llu\n", applied->diff_id, (unsigned long long)applied->size,
	       applied->digest, (unsigned long long)applied->input_size);
	snapdrv_applied_done(applied);
}

static int apply(struct snapdrv_store *store, const struct snapdrv_mounts *mounts, const char *file,
		 const char *type, struct snapdrv_error *err)
{
	struct snapdrv_applied applied;
	int calls = 0, fd = file ? open(file, O_RDONLY) : -1, ret;

	ret = file ? snapdrv_apply(store, mounts->mounts, mounts->count, read_fd, &fd, type,
				   SNAPDRV_SYNC, &applied, err)
		   : snapdrv_apply(store, mounts->mounts, mounts->count, read_broken, &calls, type,
				   0, &applied, err);
	if (!ret)
		print_applied(&applied);
	if (file)
		close(fd);
	return ret;
}

/* The words are cut up. */
static int apply_to(struct snapdrv_store *store, char **words, int count, struct snapdrv_error *err)
{
	struct snapdrv_mount mounts[4];
	struct snapdrv_mounts all = {mounts, 0};
	char *options[4][64];

	for (int i = 2; i + 2 < count; i += 3) {
		struct snapdrv_mount *mount = &mounts[all.count];
		char **list = options[all.count++], *at = words[i + 2];

		*mount = (struct snapdrv_mount){words[i], words[i + 1], list, 0};
		while ((list[mount->n_options] = strsep(&at, ",")))
			mount->n_options++;
	}
	return apply(store, &all, words[1], NULL, err);
}

static int diff(struct snapdrv_store *store, char **words, struct snapdrv_error *err)
{
	int is_broken = !strcmp(words[0], "diff-broken");
	const char *how = is_broken ? "plain" : words[3];
	int compression = !strcmp(how, "gzip")	 ? SNAPDRV_GZIP
			  : !strcmp(how, "zstd") ? SNAPDRV_ZSTD
			  : !strcmp(how, "what") ? 77
						 : SNAPDRV_PLAIN;
	struct snapdrv_mounts left = {NULL, 0}, right = {NULL, 0};
	struct snapdrv_applied applied;
	int fd = -1, ret = 0;

	if (strcmp(words[1], "-") != 0)
		ret = snapdrv_snapshot_mounts(store, words[1], &left, err);
	if (!ret)
		ret = snapdrv_snapshot_mounts(store, words[2], &right, err);
	if (!is_broken)
		fd = open(words[4], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!ret)
		ret = snapdrv_diff_mounts(store, left.mounts, left.count, right.mounts, right.count,
					  compression, is_broken ? write_broken : write_fd, &fd,
					  &applied, err);
	if (!ret)
		print_applied(&applied);
	if (fd >= 0)
		close(fd);
	snapdrv_mounts_done(&left);
	snapdrv_mounts_done(&right);
	return ret;
}

static int run(struct snapdrv_store *store, char **words, int count, struct snapdrv_error *err)
{
	const char *command = words[0], *key = count > 1 ? words[1] : "";
	struct snapdrv_snapshot snapshot;
	struct snapdrv_mounts mounts;
	uint64_t bytes, inodes;
	int ret;

	if (!strcmp(command, "prepare") || !strcmp(command, "view") || !strcmp(command, "later")) {
		int kind = *command == 'v' ? SNAPDRV_VIEW : SNAPDRV_ACTIVE;

		read_labels(words + 3, count - 3);
		if (*command == 'l')
			kind |= SNAPDRV_SYNC_LATER;
		ret = snapdrv_snapshot_prepare(store, key, or_null(words[2]), kind, labels,
					       n_labels, &mounts, err);
		if (!ret)
			print_mounts(&mounts);
		fflush(stdout);
	} else if (!strcmp(command, "flush")) {
		ret = snapdrv_flush(store, err);
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
	} else if (!strcmp(command, "apply") || !strcmp(command, "apply-broken")) {
		ret = snapdrv_snapshot_mounts(store, key, &mounts, err);
		if (!ret) {
			ret = apply(store, &mounts, count > 2 ? words[2] : NULL,
				    count > 3 ? words[3] : NULL, err);
			snapdrv_mounts_done(&mounts);
		}
	} else if (!strcmp(command, "apply-to")) {
		ret = apply_to(store, words, count, err);
	} else if (!strcmp(command, "diff") || !strcmp(command, "diff-broken")) {
		ret = diff(store, words, err);
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
