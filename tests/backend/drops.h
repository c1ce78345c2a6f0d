/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the contract for dropping trees: of nothing, half-made ones, and nothing through symlinks. */
#ifndef BACKEND_DROPS_H
#define BACKEND_DROPS_H

#include "kernel/file.h"
#include "kernel/subvolume.h"
#include "trees.h"

static void drop_nothing(void)
{
	CHECK(!drop(layers_fd, "1"));
	CHECK(!drop(layers_fd, "../active/1"));
	CHECK(!make(layers_fd, "1", TREE_LAYER, nothing));
	CHECK(!drop(layers_fd, "1"));
	CHECK(!drop(layers_fd, "1"));
	CHECK(!drop(staging_fd, "1"));
}

/* Remove the Nth thing inside a tree by hand. 0 when there are not that many. */
static int remove_part(int dir_fd, const char *tree, int n)
{
	cleanup_fd int fd = file_open_dir(dir_fd, tree, NULL);
	struct dirent **list = NULL;
	int count = scandirat(fd, ".", &list, NULL, alphasort), found = 0;

	for (int i = 0; i < count; i++) {
		const char *name = list[i]->d_name;

		if (strcmp(name, ".") && strcmp(name, "..") && !n--) {
			CHECK(!subvolume_remove(fd, name, NULL));
			CHECK(!file_remove_tree(fd, name, NULL));
			found = 1;
		}
	}
	while (count > 0)
		free(list[--count]);
	free(list);
	return found;
}

static void drop_half_made(void)
{
	static const char *const strays[] = {"fs", "work", "fs.links", "stray"};
	static const enum tree_kind kinds[] = {TREE_LAYER, TREE_ACTIVE, TREE_VIEW};

	two_layers();
	for (size_t i = 0; i < 3; i++) {
		for (int n = 0, found = 1; found; n++) {
			CHECK(!make(staging_fd, "a", kinds[i], ON("2", "1")));
			found = remove_part(staging_fd, "a", n);
			CHECK(!drop(staging_fd, "a"));
		}
	}
	CHECK(!mkdirat(staging_fd, "a", 0700));
	CHECK(!drop(staging_fd, "a"));
	for (size_t i = 0; i < sizeof(strays) / sizeof(strays[0]); i++) {
		char path[32];

		snprintf(path, sizeof(path), "a/%s", strays[i]);
		CHECK(!mkdirat(staging_fd, "a", 0));
		CHECK(!mkdirat(staging_fd, path, 0));
		CHECK(!drop(staging_fd, "a"));
		CHECK(!mkdirat(staging_fd, "a", 0700));
		CHECK(!write_file(staging_fd, path, "a file"));
		CHECK(!drop(staging_fd, "a"));
	}
	CHECK(!make(staging_fd, "a", TREE_ACTIVE, ON("2", "1")));
	CHECK(!drop(staging_fd, "a"));
	drop_two_layers();
}

static void drop_symlinks(void)
{
	char *one;

	two_layers();
	one = picture("1");
	CHECK(!symlinkat("../layers/1", staging_fd, "a"));
	CHECK(!drop(staging_fd, "a"));
	CHECK(!mkdirat(staging_fd, "a", 0700));
	CHECK(!symlinkat("../../layers/1/fs", staging_fd, "a/fs"));
	CHECK(!symlinkat("../../layers/1", staging_fd, "a/work"));
	CHECK(!drop(staging_fd, "a"));
	CHECK(!make(staging_fd, "a", TREE_ACTIVE, ON("2", "1")));
	{
		cleanup_fd int fd = ops->open(&backend, staging_fd, "a", NULL);

		CHECK(!symlinkat("../../../layers/1/fs/dir", fd, "out"));
	}
	CHECK(!drop(staging_fd, "a"));
	CHECK(still("1", one));
	drop_two_layers();
}

#endif
