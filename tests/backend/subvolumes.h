/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the contract for subvolumes that a container made inside its tree: all of them go with it. */
#ifndef BACKEND_SUBVOLUMES_H
#define BACKEND_SUBVOLUMES_H

#include "kernel/subvolume.h"
#include "trees.h"

/* What a container engine inside of a container makes. */
static void make_nested(int fd)
{
	cleanup_fd int sub_fd = -1, deep_fd = -1, dir_fd = -1;

	CHECK(!subvolume_create(fd, "sub", NULL));
	sub_fd = file_open_dir(fd, "sub", NULL);
	CHECK(!write_file(sub_fd, "file", "x"));
	CHECK(!subvolume_create(sub_fd, "deep", NULL));
	deep_fd = file_open_dir(sub_fd, "deep", NULL);
	CHECK(!subvolume_snapshot(sub_fd, deep_fd, "read-only", 1, NULL));
	dir_fd = file_open_dir(fd, "dir", NULL);
	CHECK(!subvolume_create(dir_fd, "other", NULL));
	CHECK(!subvolume_snapshot(deep_fd, dir_fd, "copy", 0, NULL));
	/* From inside out, and then the container's own. */
	CHECK(!subvolume_freeze(deep_fd, NULL));
	CHECK(!subvolume_freeze(sub_fd, NULL));
	CHECK(!subvolume_freeze(fd, NULL));
}

static void nested_subvolumes(void)
{
	int before = count_subvolumes();
	cleanup_fd int fd = -1;

	CHECK(before >= 0);
	two_layers();
	CHECK(!put_active("3", TREE_ACTIVE, ON("2", "1")));
	fd = mount_active("3", TREE_ACTIVE, ON("2", "1"));
	make_nested(fd);
	CHECK(count_subvolumes() == before + 3 + 5);
	CHECK(!unmount("3", steal_fd(&fd)));
	CHECK(!drop(active_fd, "3"));
	CHECK(count_subvolumes() == before + 2);
	drop_two_layers();
	CHECK(count_subvolumes() == before);
}

/* Deeper than the 4,080 bytes that the kernel tells names of. */
static void make_deep(int levels_between)
{
	int before = count_subvolumes();
	char name[251];
	cleanup_fd int fd = -1;

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK(!put_active("3", TREE_ACTIVE, nothing));
	fd = ops->open(&backend, active_fd, "3", NULL);
	for (int i = 0; i < 40 && fd >= 0; i++) {
		int next;

		CHECK((i + 1) % levels_between ? !mkdirat(fd, name, 0755)
					       : !subvolume_create(fd, name, NULL));
		next = file_open_dir(fd, name, NULL);
		if (!((i + 1) % levels_between) && CHECK(next >= 0))
			CHECK(!write_file(next, "file", "x"));
		close(fd);
		fd = next;
	}
	CHECK(fd >= 0 && !subvolume_snapshot(fd, fd, "read-only", 1, NULL));
	close(steal_fd(&fd));
	CHECK(!drop(active_fd, "3"));
	CHECK(count_subvolumes() == before);
}

static void nested_deep(void)
{
	make_deep(40);
}

static void nested_deep_twice(void)
{
	make_deep(20);
}

#endif
