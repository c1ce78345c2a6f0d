/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fill a store through the library: many images, and many containers over them.
 *
 *   fill STORE TARS IMAGES CONTAINERS
 *
 * TARS/0, TARS/1, ... are imported as fill:0, fill:1, ...; the containers fill0, fill1, ... are not mounted.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "must.h"
#include "snapdrv.h"

static void add_image(struct snapdrv_store *store, const char *tars, int number)
{
	const struct snapdrv_load_options options = {.flags = SNAPDRV_NO_SYNC};
	struct snapdrv_error err;
	char path[4096], ref[32], *id;
	int fd;

	snprintf(path, sizeof(path), "%s/%d", tars, number);
	snprintf(ref, sizeof(ref), "fill:%d", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	must_library(snapdrv_import_fd(store, fd, ref, NULL, 0, NULL, &options, &id, &err), &err);
	free(id);
	close(fd);
}

static void add_container(struct snapdrv_store *store, int number, int images)
{
	char ref[32], name[32], *rootfs;
	const struct snapdrv_create_options options = {.name = name, .flags = SNAPDRV_NO_MOUNT};
	struct snapdrv_error err;

	snprintf(ref, sizeof(ref), "fill:%d", number % images);
	snprintf(name, sizeof(name), "fill%d", number);
	must_library(snapdrv_create(store, ref, &options, &rootfs, &err), &err);
	free(rootfs);
}

int main(int argc, char **argv)
{
	struct snapdrv_store *store;
	struct snapdrv_error err;

	if (argc != 5 || atoi(argv[3]) < 1) {
		fprintf(stderr, "usage: fill STORE TARS IMAGES CONTAINERS\n");
		return 2;
	}
	must_library(snapdrv_open(argv[1], "overlay", &store, &err), &err);
	for (int number = 0; number < atoi(argv[3]); number++)
		add_image(store, argv[2], number);
	for (int number = 0; number < atoi(argv[4]); number++)
		add_container(store, number, atoi(argv[3]));
	snapdrv_close(store);
	return 0;
}
