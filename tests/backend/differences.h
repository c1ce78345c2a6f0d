/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of changes(): each backend finds the same. */
#ifndef DIFFERENCES_H
#define DIFFERENCES_H

#include "trees.h"

/* What was reported: "C dir,A dir/new,"; a `*` behind an opaque directory, a `-` behind what that covers. */
struct found {
	char text[2048];
	int fails_at; /* the report itself fails at this one, or 0 */
	int count;
};

static int find(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct found *found = arg;
	struct stat st;
	size_t used = strlen(found->text);
	int is_there = !fstatat(change->dir_fd, change->name, &st, AT_SYMLINK_NOFOLLOW);

	(void)err;
	if (++found->count == found->fails_at)
		return -ECANCELED;
	/* Whether its time is another one is a matter of milliseconds here. */
	if (!*change->path)
		return 0;
	CHECK(is_there == (change->kind != 'D') || ops->is_layered);
	snprintf(found->text + used, sizeof(found->text) - used, "%c%s %s%s%s%s,", change->kind,
		 change->is_parent ? "^" : "", change->path, change->is_opaque ? "*" : "",
		 change->is_covered ? "-" : "", change->link ? "=" : "");
	return 0;
}

static int changes(const char *path, enum tree_kind kind, struct tree_stack parents,
		   struct found *found)
{
	struct snapdrv_error err = {0};
	struct tree_ref ref = ref_of(path);
	int ret = ops->changes(&backend, &ref, kind, &parents, find, found, &err);

	if (ret && !found->fails_at)
		printf("# changes of %s: %s\n", path, err.message);
	return ret;
}

static int reports(const char *path, enum tree_kind kind, struct tree_stack parents,
		   const char *want)
{
	struct found found = {0};
	int ret = changes(path, kind, parents, &found);

	if (!ret && !strcmp(found.text, want))
		return 1;
	printf("# changes: %d, '%s', not '%s'\n", ret, found.text, want);
	return 0;
}

static void differences(void)
{
	struct found failing = {.fails_at = 2};
	cleanup_fd int fd = -1;

	two_layers();
	CHECK(reports("2", TREE_LAYER, ON("1"), "C common,"));
	CHECK(reports("1", TREE_LAYER, nothing,
		      "A common,A dir,A dir/file,A dir/sub,A dir/sub/hard=,A dir/sub/other,"
		      "A fifo,A first,A link,"));
	CHECK(!put_active("3", TREE_ACTIVE, ON("2", "1")));
	CHECK(reports("../active/3", TREE_ACTIVE, ON("2", "1"), ""));
	fd = mount_active("3", TREE_ACTIVE, ON("2", "1"));
	CHECK(!write_file(fd, "common", "three"));
	CHECK(!unlinkat(fd, "dir/sub/other", 0));
	CHECK(!unlinkat(fd, "dir/sub/hard", 0));
	CHECK(!unlinkat(fd, "link", 0));
	CHECK(!mkdirat(fd, "link", 0755));
	CHECK(!write_file(fd, "link/in", "x"));
	CHECK(!fchmodat(fd, "fifo", 0666, 0));
	CHECK(!write_file(fd, "new", "x") && !linkat(fd, "new", fd, "newer", 0));
	/* Mounted and not. */
	for (int round = 0; round < 2; round++) {
		CHECK(reports("../active/3", TREE_ACTIVE, ON("2", "1"),
			      "C common,C^ dir,C dir/sub*,D dir/sub/hard-,D dir/sub/other-,"
			      "C fifo,C link,A link/in,A new,A newer=,"));
		if (!round)
			CHECK(!unmount("3", steal_fd(&fd)));
	}
	CHECK(changes("../active/3", TREE_ACTIVE, ON("2", "1"), &failing) == -ECANCELED);
	CHECK(failing.count == 2);
	CHECK(!put_active("4", TREE_VIEW, ON("2", "1")));
	CHECK(reports("../active/4", TREE_VIEW, ON("2", "1"), ""));
	CHECK(!drop(active_fd, "4"));
	CHECK(!drop(active_fd, "3"));
	drop_two_layers();
}

/* Written, and written back; other bytes of the same length, at the same time. */
static void back_as_it_was(void)
{
	struct timespec times[2];
	struct stat st, root;
	cleanup_fd int fd = -1;

	two_layers();
	CHECK(!put_active("3", TREE_ACTIVE, ON("2", "1")));
	fd = mount_active("3", TREE_ACTIVE, ON("2", "1"));
	CHECK(!fstatat(fd, "first", &st, 0) && !fstat(fd, &root));
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	CHECK(!write_file(fd, "first", "2"));
	CHECK(!utimensat(fd, "first", times, 0));
	CHECK(!write_file(fd, "temporary", "x") && !unlinkat(fd, "temporary", 0));
	times[1] = root.st_mtim;
	CHECK(!futimens(fd, times));
	CHECK(reports("../active/3", TREE_ACTIVE, ON("2", "1"), "C first,"));
	CHECK(!write_file(fd, "first", "1"));
	times[1] = st.st_mtim;
	CHECK(!utimensat(fd, "first", times, 0));
	CHECK(!fchmodat(fd, "dir/sub", 0700, 0) && !fchmodat(fd, "dir/sub", 0711, 0));
	CHECK(reports("../active/3", TREE_ACTIVE, ON("2", "1"), ""));
	CHECK(!unmount("3", steal_fd(&fd)));
	CHECK(!drop(active_fd, "3"));
	drop_two_layers();
}

#endif
