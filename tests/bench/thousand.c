/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COUNT containers made and removed again through the library in one process, next to the bare system
 * calls that any store of containers comes down to, on the same filesystem.
 *
 *   thousand STORE IMAGE SCRATCH COUNT ROUNDS
 *
 * SCRATCH is an empty directory beside the store. Each round does each of these:
 *
 *   library            snapdrv_create(), snapdrv_remove()
 *   bare               mkdir for the container, its upper, work and rootfs; fsopen(2) to move_mount(2) of an
 *                      overlay over the image's layers; a write of 4 KiB with fdatasync(2), which stands for
 *                      the record of what is there; then umount2(2), rmdir for all of it
 *   bare-two-records   the same with a second durable record when it is removed
 *   bare-no-record     the same without any
 *   library-no-mount, bare-no-mount   `library` and `bare` without the mount
 *
 * A line for each and each round: NAME SECONDS-OF-MAKING SECONDS-OF-REMOVING.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "must.h"
#include "snapdrv.h"

enum { LIBRARY = 1, MOUNT = 2, RECORD = 4, RECORD_REMOVAL = 8 };

static const struct way {
	const char *name;
	int flags;
} ways[] = {
	{"library", LIBRARY | MOUNT},
	{"bare", MOUNT | RECORD},
	{"bare-two-records", MOUNT | RECORD | RECORD_REMOVAL},
	{"bare-no-record", MOUNT},
	{"library-no-mount", LIBRARY},
	{"bare-no-mount", RECORD},
};

#define N_WAYS ((int)(sizeof(ways) / sizeof(ways[0])))

struct bench {
	struct snapdrv_store *store;
	const char *image;
	const char *scratch;
	glob_t lowers; /* the layers of the image */
	int scratch_fd;
	int record_fd;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void keep_record(struct bench *bench, int number)
{
	static char page[4096];

	memcpy(page, &number, sizeof(number));
	must(pwrite(bench->record_fd, page, sizeof(page), 0) != sizeof(page), "write");
	must(fdatasync(bench->record_fd), "fdatasync");
}

static void set(int fs_fd, const char *key, const char *value)
{
	must(fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0), key);
}

static void mount_overlay(struct bench *bench, const char *upper, const char *work,
			  const char *rootfs)
{
	int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC), mount_fd;

	must(fs_fd < 0, "fsopen");
	for (size_t at = 0; at < bench->lowers.gl_pathc; at++)
		set(fs_fd, "lowerdir+", bench->lowers.gl_pathv[at]);
	set(fs_fd, "upperdir", upper);
	set(fs_fd, "workdir", work);
	must(fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig");
	mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, 0);
	must(mount_fd < 0, "fsmount");
	must(move_mount(mount_fd, "", AT_FDCWD, rootfs, MOVE_MOUNT_F_EMPTY_PATH), rootfs);
	close(mount_fd);
	close(fs_fd);
}

/* What a container's directory holds, and the work directory of overlay's own in one of them. */
static const char *const parts[] = {"", "/upper", "/work", "/rootfs"};

static void make_bare(struct bench *bench, int number, int flags)
{
	char path[4][4096];

	for (int part = 0; part < 4; part++) {
		snprintf(path[part], sizeof(path[part]), "%s/%d%s", bench->scratch, number,
			 parts[part]);
		must(mkdir(path[part], 0755), path[part]);
	}
	if (flags & MOUNT)
		mount_overlay(bench, path[1], path[2], path[3]);
	if (flags & RECORD)
		keep_record(bench, number);
}

static void remove_bare(struct bench *bench, int number, int flags)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%d/rootfs", bench->scratch, number);
	if (flags & MOUNT)
		must(umount2(path, 0), path);
	snprintf(path, sizeof(path), "%d/work/work", number);
	if (flags & MOUNT)
		must(unlinkat(bench->scratch_fd, path, AT_REMOVEDIR), path);
	for (int part = 3; part >= 0; part--) {
		snprintf(path, sizeof(path), "%d%s", number, parts[part]);
		must(unlinkat(bench->scratch_fd, path, AT_REMOVEDIR), path);
	}
	if (flags & RECORD_REMOVAL)
		keep_record(bench, number);
}

static void make_library(struct bench *bench, int number, int flags)
{
	char name[32], *rootfs;
	const struct snapdrv_create_options options = {
		.name = name, .flags = flags & MOUNT ? 0 : SNAPDRV_NO_MOUNT};
	struct snapdrv_error err;

	snprintf(name, sizeof(name), "many%d", number);
	must_library(snapdrv_create(bench->store, bench->image, &options, &rootfs, &err), &err);
	free(rootfs);
}

static void remove_library(struct bench *bench, int number)
{
	struct snapdrv_error err;
	char name[32];

	snprintf(name, sizeof(name), "many%d", number);
	must_library(snapdrv_remove(bench->store, name, &err), &err);
}

static void run_way(struct bench *bench, const struct way *way, int count, int print)
{
	double start = now(), middle;

	for (int number = 0; number < count; number++) {
		if (way->flags & LIBRARY)
			make_library(bench, number, way->flags);
		else
			make_bare(bench, number, way->flags);
	}
	middle = now();
	for (int number = 0; number < count; number++) {
		if (way->flags & LIBRARY)
			remove_library(bench, number);
		else
			remove_bare(bench, number, way->flags);
	}
	if (print)
		printf("%s %.6f %.6f\n", way->name, middle - start, now() - middle);
}

static void find_lowers(struct bench *bench, const char *store)
{
	char pattern[4096];

	snprintf(pattern, sizeof(pattern), "%s/layers/*/fs", store);
	must(glob(pattern, GLOB_NOSORT, NULL, &bench->lowers), pattern);
}

int main(int argc, char **argv)
{
	struct bench bench = {0};
	struct snapdrv_error err;
	int count, rounds;

	if (argc != 6) {
		fprintf(stderr, "usage: thousand STORE IMAGE SCRATCH COUNT ROUNDS\n");
		return 2;
	}
	bench.image = argv[2];
	bench.scratch = argv[3];
	count = atoi(argv[4]);
	rounds = atoi(argv[5]);
	find_lowers(&bench, argv[1]);
	bench.scratch_fd = open(bench.scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(bench.scratch_fd < 0, bench.scratch);
	bench.record_fd = openat(bench.scratch_fd, "record", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(bench.record_fd < 0, "record");
	must_library(snapdrv_open(argv[1], "overlay", &bench.store, &err), &err);
	for (int way = 0; way < N_WAYS; way++)
		run_way(&bench, &ways[way], count < 10 ? count : 10, 0); /* to warm up */
	for (int round = 0; round < rounds; round++)
		for (int way = 0; way < N_WAYS; way++)
			run_way(&bench, &ways[(way + round) % N_WAYS], count, 1);
	snapdrv_close(bench.store);
	globfree(&bench.lowers);
	return 0;
}
