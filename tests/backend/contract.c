/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of backend/backend.h turned into cases. One case at a time, in an empty directory:
 *
 *	contract backends              the table of backends, a name a line
 *	contract cases BACKEND         the cases that are about it, a line each: KEY SENTENCE
 *	contract probe BACKEND DIR     0; or 3, and the error on stdout
 *	contract run BACKEND KEY DIR   0; or 1, and what does not hold on stdout
 *
 * After each case DIR/layers, active and staging are empty again, through drop() alone, and nothing is
 * mounted below DIR.
 */
#include <signal.h>
#include <sys/resource.h>

#include "differences.h"
#include "drops.h"
#include "kernel/file.h"
#include "races.h"
#include "subvolumes.h"
#include "trees.h"

/* ---- cases -------------------------------------------------------------------------------- */

static void make_twice(void)
{
	static const enum tree_kind kinds[] = {TREE_LAYER, TREE_ACTIVE, TREE_VIEW};
	struct snapdrv_error err = {0};

	for (size_t i = 0; i < 3; i++) {
		CHECK(!make(staging_fd, "a", kinds[i], nothing));
		if (kinds[i] != TREE_VIEW)
			CHECK(!write_tree(staging_fd, "a", "file", "first"));
		for (size_t j = 0; j < 3; j++) {
			int ret = ops->make(&backend, staging_fd, "a", kinds[j], &nothing, &err);

			CHECK(says(ret, EEXIST, &err));
			CHECK(ops->make(&backend, staging_fd, "a", kinds[j], &nothing, NULL) ==
			      -EEXIST);
		}
		if (kinds[i] != TREE_VIEW) {
			cleanup_fd int fd = ops->open(&backend, staging_fd, "a", NULL);

			CHECK(has_text(fd, "file", "first"));
		}
		CHECK(!drop(staging_fd, "a"));
	}
	CHECK(!write_file(staging_fd, "b", "a file"));
	CHECK(ops->make(&backend, staging_fd, "b", TREE_LAYER, &nothing, &err) == -EEXIST);
	CHECK(has_text(staging_fd, "b", "a file"));
	unlinkat(staging_fd, "b", 0);
}

static void freeze_twice(void)
{
	cleanup_fd int fd = -1;

	CHECK(!make(layers_fd, "1", TREE_LAYER, nothing));
	CHECK(!write_tree(layers_fd, "1", "file", "text"));
	CHECK(!freeze(layers_fd, "1"));
	CHECK(!freeze(layers_fd, "1"));
	CHECK(!put_active("2", TREE_ACTIVE, ON("1")));
	CHECK(!freeze(layers_fd, "1"));
	fd = mount_active("2", TREE_ACTIVE, ON("1"));
	CHECK(has_text(fd, "file", "text"));
	CHECK(!unmount("2", steal_fd(&fd)));
	/* A container's tree becomes a layer when it is committed. */
	CHECK(!write_tree(active_fd, "2", "more", "x"));
	CHECK(!freeze(active_fd, "2"));
	CHECK(!freeze(active_fd, "2"));
	CHECK(!put_active("3", TREE_VIEW, ON("../active/2", "1")));
	fd = mount_active("3", TREE_VIEW, ON("../active/2", "1"));
	CHECK(has_text(fd, "file", "text"));
	CHECK(has_text(fd, "more", "x"));
	CHECK(!unmount("3", steal_fd(&fd)));
	CHECK(!drop(active_fd, "3"));
	CHECK(!drop(active_fd, "2"));
	CHECK(!drop(layers_fd, "1"));
}

static void make_fails(void)
{
	static const enum tree_kind kinds[] = {TREE_LAYER, TREE_ACTIVE, TREE_VIEW};
	struct rlimit limit, small;
	struct snapdrv_error err = {0};
	struct tree_stack missing = ON("7", "6");
	char long_name[300], *one;
	int ret;

	memset(long_name, 'n', sizeof(long_name));
	long_name[256] = '\0';
	for (size_t i = 0; i < 3; i++) {
		ret = ops->make(&backend, staging_fd, long_name, kinds[i], &nothing, &err);
		CHECK(says(ret, ENAMETOOLONG, &err));
		ret = ops->make(&backend, staging_fd, "no/such", kinds[i], &nothing, &err);
		CHECK(says(ret, ENOENT, &err));
		if (kinds[i] == TREE_LAYER && ops->is_layered)
			continue;
		ret = ops->make(&backend, staging_fd, "a", kinds[i], &missing, &err);
		/* A view may find out when it is mounted. */
		if (kinds[i] == TREE_VIEW && !ret)
			CHECK(!drop(staging_fd, "a"));
		else
			CHECK(says(ret, ENOENT, &err));
		CHECK(is_empty(staging_fd));
	}

	/* In the middle of it: no file may be as long as the parent's. */
	two_layers();
	CHECK(!make(layers_fd, "3", TREE_LAYER, ON("2", "1")));
	CHECK(!write_tree(layers_fd, "3", "dir.z", "much longer than the others are"));
	CHECK(!freeze(layers_fd, "3"));
	one = picture("3");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = (struct rlimit){8, limit.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	missing = ON("3", "2", "1");
	ret = ops->make(&backend, staging_fd, "a", TREE_ACTIVE, &missing, &err);
	setrlimit(RLIMIT_FSIZE, &limit);
	if (!ret)
		CHECK(!drop(staging_fd, "a"));
	CHECK(is_empty(staging_fd));
	CHECK(still("3", one));
	CHECK(!drop(layers_fd, "3"));
	drop_two_layers();
}

static void layer_over_layer(void)
{
	cleanup_fd int fd = -1;
	char *one;

	two_layers();
	one = picture("1");
	CHECK(!put_layer("3", ON("2", "1"), "third", "3"));
	fd = ops->open(&backend, layers_fd, "1", NULL);
	CHECK(has_text(fd, "common", "one"));
	CHECK(!exists(fd, "third"));
	close(steal_fd(&fd));
	CHECK(!put_active("4", TREE_VIEW, ON("3", "2", "1")));
	fd = mount_active("4", TREE_VIEW, ON("3", "2", "1"));
	CHECK(has_text(fd, "common", "two"));
	CHECK(has_text(fd, "first", "1"));
	CHECK(has_text(fd, "third", "3"));
	CHECK(has_text(fd, "dir/sub/hard", "file"));
	CHECK(!unmount("4", steal_fd(&fd)));
	CHECK(still("1", one));
	CHECK(!drop(active_fd, "4"));
	CHECK(!drop(layers_fd, "3"));
	drop_two_layers();
}

static int append(int dir_fd, const char *path)
{
	cleanup_fd int fd = openat(dir_fd, path, O_WRONLY | O_APPEND | O_CLOEXEC);

	return fd < 0 || write(fd, "+", 1) != 1;
}

static void container_writes(void)
{
	cleanup_fd int fd = -1;
	char *one, *two;

	two_layers();
	one = picture("1");
	two = picture("2");
	CHECK(!put_active("3", TREE_ACTIVE, ON("2", "1")));
	fd = mount_active("3", TREE_ACTIVE, ON("2", "1"));
	CHECK(fd >= 0);
	CHECK(!write_file(fd, "common", "container"));
	CHECK(!append(fd, "dir/file"));
	CHECK(!unlinkat(fd, "first", 0));
	CHECK(!unlinkat(fd, "link", 0));
	CHECK(!fchmodat(fd, "dir", 0500, 0));
	CHECK(!fchmod(fd, 0700));
	CHECK(!fchownat(fd, "dir/sub/other", 5, 6, 0));
	CHECK(!write_file(fd, "dir/new", "new"));
	CHECK(!renameat(fd, "dir/sub/other", fd, "moved"));
	CHECK(!fsetxattr(fd, "trusted.mark", "x", 1, 0));
	CHECK(still("1", one));
	CHECK(still("2", two));
	one = picture("1");
	two = picture("2");
	CHECK(!unmount("3", steal_fd(&fd)));
	CHECK(!drop(active_fd, "3"));
	CHECK(still("1", one));
	CHECK(still("2", two));
	drop_two_layers();
}

static void mounted_again(void)
{
	cleanup_fd int fd = -1;

	two_layers();
	CHECK(!put_active("3", TREE_ACTIVE, ON("2", "1")));
	for (int round = 0; round < 3; round++) {
		fd = mount_active("3", TREE_ACTIVE, ON("2", "1"));
		CHECK(fd >= 0);
		CHECK(has_text(fd, "common", round ? "written" : "two"));
		CHECK(exists(fd, "first") == !round);
		CHECK(exists(fd, "new/file") == !!round);
		if (!round) {
			CHECK(!write_file(fd, "common", "written"));
			CHECK(!unlinkat(fd, "first", 0));
			CHECK(!mkdirat(fd, "new", 0755));
			CHECK(!write_file(fd, "new/file", "x"));
		}
		CHECK(!unmount("3", steal_fd(&fd)));
	}
	CHECK(!drop(active_fd, "3"));
	drop_two_layers();
}

static void view_refuses(void)
{
	cleanup_fd int fd = -1;

	two_layers();
	CHECK(!put_active("3", TREE_VIEW, ON("2", "1")));
	fd = mount_active("3", TREE_VIEW, ON("2", "1"));
	CHECK(has_text(fd, "common", "two"));
	CHECK(has_text(fd, "first", "1"));
	CHECK(write_file(fd, "new", "x") == EROFS);
	CHECK(write_file(fd, "common", "x") == EROFS);
	CHECK(unlinkat(fd, "first", 0) && errno == EROFS);
	CHECK(fchmod(fd, 0700) && errno == EROFS);
	CHECK(fsetxattr(fd, "trusted.mark", "x", 1, 0) && errno == EROFS);
	CHECK(mkdirat(fd, "dir/new", 0700) && errno == EROFS);
	CHECK(!unmount("3", steal_fd(&fd)));
	CHECK(!drop(active_fd, "3"));
	drop_two_layers();
}

static void peek_merged(void)
{
	struct tree_stack both = ON("2", "1"), one = ON("1"), all = ON("../active/3", "2", "1");
	int before = count_mounts();
	cleanup_fd int fd = -1;

	two_layers();
	fd = ops->peek(&backend, &both, NULL);
	CHECK(has_text(fd, "common", "two"));
	CHECK(has_text(fd, "first", "1"));
	CHECK(has_text(fd, "dir/sub/other", "other"));
	CHECK(count_mounts() == before);
	close(steal_fd(&fd));
	CHECK(count_mounts() == before);
	fd = ops->peek(&backend, &one, NULL);
	CHECK(has_text(fd, "common", "one"));
	close(steal_fd(&fd));
	for (int kind = TREE_ACTIVE; kind <= TREE_VIEW; kind++) {
		CHECK(!put_active("3", kind, both));
		fd = mount_active("3", kind, both);
		if (kind == TREE_ACTIVE)
			CHECK(!write_file(fd, "common", "three") && !unlinkat(fd, "first", 0));
		CHECK(!unmount("3", steal_fd(&fd)));
		fd = ops->peek(&backend, &all, NULL);
		CHECK(has_text(fd, "common", kind == TREE_ACTIVE ? "three" : "two"));
		CHECK(exists(fd, "first") == (kind == TREE_VIEW));
		CHECK(count_mounts() == before);
		close(steal_fd(&fd));
		CHECK(!drop(active_fd, "3"));
	}
	drop_two_layers();
}

static void frozen_refuses(void)
{
	cleanup_fd int fd = -1;

	two_layers();
	fd = ops->open(&backend, layers_fd, "2", NULL);
	CHECK(write_file(fd, "new", "x") == EROFS);
	CHECK(write_file(fd, "common", "x") == EROFS);
	CHECK(unlinkat(fd, "common", 0) && errno == EROFS);
	CHECK(fchmod(fd, 0700) && errno == EROFS);
	close(steal_fd(&fd));
	CHECK(!make(staging_fd, "a", TREE_VIEW, ON("2", "1")));
	fd = ops->open(&backend, staging_fd, "a", NULL);
	CHECK(fd >= 0 && write_file(fd, "new", "x") == EROFS);
	CHECK(!drop(staging_fd, "a"));
	drop_two_layers();
}

static void drop_beside(void)
{
	cleanup_fd int fd = -1;
	char *one, *two;

	two_layers();
	one = picture("1");
	two = picture("2");
	CHECK(!put_active("3", TREE_ACTIVE, ON("2", "1")));
	CHECK(!put_active("4", TREE_ACTIVE, ON("2", "1")));
	fd = mount_active("4", TREE_ACTIVE, ON("2", "1"));
	CHECK(!write_file(fd, "new", "x"));
	CHECK(!drop(active_fd, "3"));
	CHECK(has_text(fd, "common", "two"));
	CHECK(has_text(fd, "new", "x"));
	CHECK(!unmount("4", steal_fd(&fd)));
	CHECK(still("1", one));
	CHECK(still("2", two));
	if (!ops->is_layered) {
		/* Each tree is whole: it needs its parents no longer. */
		two = picture("2");
		CHECK(!drop(layers_fd, "1"));
		CHECK(still("2", two));
		CHECK(!drop(layers_fd, "2"));
		fd = mount_active("4", TREE_ACTIVE, ON("2", "1"));
		CHECK(has_text(fd, "common", "two"));
		CHECK(has_text(fd, "dir/sub/hard", "file"));
		CHECK(has_text(fd, "new", "x"));
		CHECK(!unmount("4", steal_fd(&fd)));
	}
	CHECK(!drop(active_fd, "4"));
	drop_two_layers();
}

/* The bottom of the highest stack is in sight. */
static void highest_stack(void)
{
	size_t limit = ops->limit(&backend), n = ops->is_layered ? limit : 2;
	struct tree_stack stack = {calloc(n, sizeof(*stack.trees)), n};
	cleanup_fd int fd = -1;

	CHECK(limit >= 30);
	for (size_t i = 1; i <= n; i++) {
		struct tree_ref *ref = &stack.trees[n - i];
		char file[16];

		snprintf(ref->path, sizeof(ref->path), "%zu", i);
		snprintf(file, sizeof(file), "file%zu", i);
		CHECK(!put_layer(ref->path, (struct tree_stack){ref + 1, i - 1}, file, "x"));
	}
	for (int kind = TREE_ACTIVE; kind <= TREE_VIEW; kind++) {
		CHECK(!put_active("a", kind, stack));
		fd = mount_active("a", kind, stack);
		if (CHECK(fd >= 0)) {
			CHECK(has_text(fd, "file1", "x"));
			CHECK(has_text(fd, "file2", "x"));
			CHECK(!unmount("a", steal_fd(&fd)));
		}
		CHECK(!drop(active_fd, "a"));
	}
	fd = ops->peek(&backend, &stack, NULL);
	CHECK(has_text(fd, "file1", "x"));
	for (size_t i = 0; i < n; i++)
		CHECK(!drop(layers_fd, stack.trees[i].path));
	free(stack.trees);
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct {
	const char *key;
	void (*run)(void);
	const char *only; /* of this backend; NULL: of all */
	const char *sentence;
} cases[] = {
	{"make-twice", make_twice, NULL, "a taken name is EEXIST, and the first tree untouched"},
	{"freeze-twice", freeze_twice, NULL, "freezing twice is no error"},
	{"drop-nothing", drop_nothing, NULL, "dropping nothing is no error"},
	{"drop-half", drop_half_made, NULL, "a half-made tree is dropped"},
	{"drop-symlink", drop_symlinks, NULL, "drop follows no symlink"},
	{"make-fails", make_fails, NULL, "make leaves nothing when it fails"},
	{"layers", layer_over_layer, NULL, "a layer over a layer shows both"},
	{"container", container_writes, NULL, "writing in a container changes no layer"},
	{"again", mounted_again, NULL, "a container mounted again shows what was written"},
	{"view", view_refuses, NULL, "a view is read-only"},
	{"peek", peek_merged, NULL, "peek shows the merged tree, and no mount to anybody"},
	{"changes", differences, NULL, "changes are the difference of the trees"},
	{"undone", back_as_it_was, NULL, "what is back as it was is no change"},
	{"frozen", frozen_refuses, "btrfs", "a frozen tree refuses writes"},
	{"beside", drop_beside, NULL, "dropping a tree leaves those around it whole"},
	{"nested", nested_subvolumes, "btrfs", "subvolumes made inside a container go with it"},
	{"nested-deep", nested_deep, "btrfs", "subvolumes below a name of 10,000 bytes go too"},
	{"nested-deep-twice", nested_deep_twice, "btrfs",
	 "subvolumes 5,000 bytes below each other go too"},
	{"many", many_at_once, NULL, "8 threads with 20 trees each do not disturb each other"},
	{"killed", killed_between, NULL, "killed after each step: dropped and made again"},
	{"killed-within", killed_within, NULL, "killed at each system call: dropped"},
	{"limit", highest_stack, NULL, "as many trees as it says can be mounted"},
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static int subdir(const char *name)
{
	if (mkdirat(top_fd, name, 0700))
		perror(name);
	return openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_top(const char *dir)
{
	top = dir;
	top_fd = *dir == '/' ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (top_fd >= 0 && is_empty(top_fd))
		return 0;
	printf("'%s' is not the absolute path of an empty directory\n", dir);
	return -1;
}

static int probe(void)
{
	struct snapdrv_error err = {0};
	int ret = ops->probe(top_fd, &err);

	if (!is_empty(top_fd))
		return 1;
	if (ret)
		printf("%s\n", err.message);
	return ret && says(ret, err.errnum, &err) ? 3 : !!ret;
}

static int run(const char *key)
{
	size_t i = 0;

	while (i < N_CASES && strcmp(cases[i].key, key))
		i++;
	if (i == N_CASES)
		return 2;
	layers_fd = subdir("layers");
	active_fd = subdir("active");
	staging_fd = subdir("staging");
	mnt_fd = subdir("mnt");
	backend = (struct backend){ops, layers_fd};
	cases[i].run();
	CHECK(is_empty(layers_fd));
	CHECK(is_empty(active_fd));
	CHECK(is_empty(staging_fd));
	CHECK(mounts_below() == 0);
	return !!unit_failed_checks;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(argv[1], "backends")) {
		for (size_t i = 0; backends[i]; i++)
			printf("%s\n", backends[i]->name);
		return 0;
	}
	ops = argc > 2 ? backend_find(argv[2]) : NULL;
	if (!ops)
		return 2;
	if (argc == 3 && !strcmp(argv[1], "cases")) {
		for (size_t i = 0; i < N_CASES; i++) {
			if (!cases[i].only || !strcmp(cases[i].only, ops->name))
				printf("%s %s\n", cases[i].key, cases[i].sentence);
		}
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "probe"))
		return open_top(argv[3]) ? 2 : probe();
	if (argc == 5 && !strcmp(argv[1], "run"))
		return open_top(argv[4]) ? 2 : run(argv[3]);
	return 2;
}
