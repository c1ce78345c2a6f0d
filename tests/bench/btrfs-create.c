/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `create` and `rm` cost on btrfs, next to the bare calls they come down to.
 *
 *   btrfs-create STORE IMAGE SUBVOLUME SCRATCH ROUNDS
 *
 * SUBVOLUME is the image's tree in the store, SCRATCH an empty directory on the same filesystem. Each round
 * makes and removes one container in each of these ways, one after the other, so that all of them see the
 * same disk:
 *
 *   bare       the ioctls alone: a snapshot of SUBVOLUME, the deletion of it
 *   minimum    what any store does besides, without its database: mkdir for the tree and for the
 *              container, snapshot, rename into place; rename out of the way, delete, rmdir
 *   durable    the minimum and one 4 KB write with fdatasync(2): one commit of any database
 *   no-mount   snapdrv_create() with SNAPDRV_NO_MOUNT, snapdrv_remove()
 *   bare-mount the bare ioctls and the mount(2) calls: open_tree, move_mount; umount2
 *   mounted    snapdrv_create(), snapdrv_remove() of the mounted container
 *
 * Printed are the medians, and what they are of the bare ones. snapdrv_remove() leaves the files, and the
 * waiting for the disk, to snapdrv_flush(); that is not in these times, but in those of a batch: each
 * round then makes BATCH containers, removes them and flushes, and likewise by the bare ioctls.
 */
#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "must.h"
#include "snapdrv.h"

#define MAX_ROUNDS 1000
#define BATCH 50

enum way { BARE, MINIMUM, DURABLE, NO_MOUNT, BARE_MOUNT, MOUNTED, WAYS };

static const char *const way_names[WAYS] = {"bare",	"minimum",    "durable",
					    "no-mount", "bare-mount", "mounted"};

struct bench {
	struct snapdrv_store *store;
	const char *image;
	int source_fd;
	int scratch_fd;
	int log_fd;
	double create[WAYS][MAX_ROUNDS];
	double remove[WAYS][MAX_ROUNDS];
	double batch_create[WAYS][MAX_ROUNDS];
	double batch_remove[WAYS][MAX_ROUNDS];
};

static double now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void snapshot(struct bench *bench, const char *path)
{
	if (btrfs_util_create_snapshot_fd2(bench->source_fd, bench->scratch_fd, path, 0, NULL,
					   NULL))
		die("snapshot");
}

static void delete_bare(struct bench *bench, const char *path)
{
	if (btrfs_util_delete_subvolume_fd(bench->scratch_fd, path, 0))
		die("delete");
}

static void create_minimum(struct bench *bench)
{
	int fd = bench->scratch_fd;

	must(mkdirat(fd, "new", 0700), "mkdir");
	must(mkdirat(fd, "new/tree", 0700), "mkdir");
	/* A name with a slash is none of btrfs: into the directory itself. */
	int tree_fd = openat(fd, "new/tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(tree_fd < 0, "open");
	if (btrfs_util_create_snapshot_fd2(bench->source_fd, tree_fd, "fs", 0, NULL, NULL))
		die("snapshot");
	close(tree_fd);
	must(mkdirat(fd, "new/rootfs", 0700), "mkdir");
	must(renameat(fd, "new", fd, "container"), "rename");
}

static void remove_minimum(struct bench *bench)
{
	int fd = bench->scratch_fd;

	must(renameat(fd, "container", fd, "old"), "rename");
	int tree_fd = openat(fd, "old/tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(tree_fd < 0, "open");
	if (btrfs_util_delete_subvolume_fd(tree_fd, "fs", 0))
		die("delete");
	close(tree_fd);
	must(unlinkat(fd, "old/tree", AT_REMOVEDIR), "rmdir");
	must(unlinkat(fd, "old/rootfs", AT_REMOVEDIR), "rmdir");
	must(unlinkat(fd, "old", AT_REMOVEDIR), "rmdir");
}

static void mount_bare(struct bench *bench)
{
	int tree_fd = openat(bench->scratch_fd, "bare", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	must(tree_fd < 0, "open");
	fd = open_tree(tree_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	must(fd < 0, "open_tree");
	must(move_mount(fd, "", bench->scratch_fd, "mnt", MOVE_MOUNT_F_EMPTY_PATH), "move_mount");
	close(fd);
	close(tree_fd);
}

static void umount_bare(struct bench *bench)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/mnt", bench->scratch_fd);
	must(umount2(path, 0), "umount2");
}

static void create_library(struct bench *bench, const char *name, unsigned flags)
{
	struct snapdrv_create_options options = {.name = name, .flags = flags};
	struct snapdrv_error err;
	char *rootfs;

	must_library(snapdrv_create(bench->store, bench->image, &options, &rootfs, &err), &err);
	free(rootfs);
}

static void remove_library(struct bench *bench, const char *name)
{
	struct snapdrv_error err;

	must_library(snapdrv_remove(bench->store, name, &err), &err);
}

static void flush_library(struct bench *bench)
{
	struct snapdrv_error err;

	must_library(snapdrv_flush(bench->store, &err), &err);
}

static void log_one(struct bench *bench)
{
	static const char page[4096];

	must(pwrite(bench->log_fd, page, sizeof(page), 0) != sizeof(page), "write");
	must(fdatasync(bench->log_fd), "fdatasync");
}

static void make_one(struct bench *bench, enum way way)
{
	if (way == BARE || way == BARE_MOUNT)
		snapshot(bench, "bare");
	else if (way == MINIMUM || way == DURABLE)
		create_minimum(bench);
	else
		create_library(bench, "bench", way == NO_MOUNT ? SNAPDRV_NO_MOUNT : 0);
	if (way == BARE_MOUNT)
		mount_bare(bench);
	if (way == DURABLE)
		log_one(bench);
}

static void remove_one(struct bench *bench, enum way way)
{
	if (way == BARE_MOUNT)
		umount_bare(bench);
	if (way == BARE || way == BARE_MOUNT)
		delete_bare(bench, "bare");
	else if (way == MINIMUM || way == DURABLE)
		remove_minimum(bench);
	else
		remove_library(bench, "bench");
	if (way == DURABLE)
		log_one(bench);
}

/* Each way's turn within a round moves on, so that none is always the first. */
static void run_round(struct bench *bench, int round)
{
	for (int turn = 0; turn < WAYS; turn++) {
		enum way way = (enum way)((turn + round) % WAYS);
		double start = now_ms(), middle;

		make_one(bench, way);
		middle = now_ms();
		bench->create[way][round] = middle - start;
		remove_one(bench, way);
		bench->remove[way][round] = now_ms() - middle;
		flush_library(bench);
	}
}

/* A name for one of the batch: for a subvolume and for a container. */
struct batch_name {
	char text[16];
};

static struct batch_name batch_name(int number)
{
	struct batch_name name;

	snprintf(name.text, sizeof(name.text), "batch%d", number);
	return name;
}

static void run_batch(struct bench *bench, int round, enum way way)
{
	double start = now_ms(), middle;

	for (int i = 0; i < BATCH; i++) {
		if (way == BARE)
			snapshot(bench, batch_name(i).text);
		else
			create_library(bench, batch_name(i).text, SNAPDRV_NO_MOUNT);
	}
	middle = now_ms();
	bench->batch_create[way][round] = (middle - start) / BATCH;
	for (int i = 0; i < BATCH; i++) {
		if (way == BARE)
			delete_bare(bench, batch_name(i).text);
		else
			remove_library(bench, batch_name(i).text);
	}
	flush_library(bench);
	bench->batch_remove[way][round] = (now_ms() - middle) / BATCH;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, double times[WAYS][MAX_ROUNDS], int rounds)
{
	double bare = 0;

	for (int way = 0; way < WAYS; way++) {
		double median;

		if (!times[way][0])
			continue;
		qsort(times[way], (size_t)rounds, sizeof(double), compare);
		median = times[way][rounds / 2];
		if (way == BARE)
			bare = median;
		printf("%s %s: %.3f ms, %.2f of bare (fastest %.3f)\n", what, way_names[way],
		       median, median / bare, times[way][0]);
	}
}

int main(int argc, char **argv)
{
	static struct bench bench;
	struct snapdrv_error err;
	int rounds, all;

	if (argc != 6) {
		fprintf(stderr, "usage: btrfs-create STORE IMAGE SUBVOLUME SCRATCH ROUNDS\n");
		return 2;
	}
	rounds = atoi(argv[5]);
	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	all = rounds;
	bench.image = argv[2];
	bench.source_fd = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(bench.source_fd < 0, argv[3]);
	bench.scratch_fd = open(argv[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(bench.scratch_fd < 0, argv[4]);
	bench.log_fd = openat(bench.scratch_fd, "log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(bench.log_fd < 0, "log");
	must(mkdirat(bench.scratch_fd, "mnt", 0700), "mkdir");
	must_library(snapdrv_open(argv[1], "btrfs", &bench.store, &err), &err);
	run_round(&bench, 0); /* to warm up: the next round 0 writes over it */
	for (int round = 0; round < rounds; round++)
		run_round(&bench, round);
	rounds = all < 10 ? all : 10;
	for (int round = 0; round < rounds; round++) {
		run_batch(&bench, round, round % 2 ? BARE : NO_MOUNT);
		run_batch(&bench, round, round % 2 ? NO_MOUNT : BARE);
	}
	snapdrv_close(bench.store);
	print("create", bench.create, all);
	print("rm", bench.remove, all);
	print("create in a batch", bench.batch_create, rounds);
	print("rm in a batch, flush included", bench.batch_remove, rounds);
	return 0;
}
