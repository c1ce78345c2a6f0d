/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store with a damaged database. $FUZZ_STORE is a store that was closed; the input is written over its
 * database: two bytes of place (in units of 16 bytes from the start, so that strings can be met), one of shift, one of length, and the
 * bytes. What is done then may fail, but nothing outside of the store is touched.
 */
#include "place.h"
#include "store/db.h"

static const char *const trees[] = {
	"layers",	  "layers/1", "layers/2", "layers/3",	    "active",
	"active/3",	  "active/4", "content",  "content/sha256", "containers",
	"containers/box", "staging",  NULL};
static struct fuzz_rest good; /* the database */

static void read_good(void)
{
	const char *dir = getenv("FUZZ_STORE");
	struct snapdrv_error err = {0};
	char path[4096], *text;
	int fd;

	HOLDS(dir);
	snprintf(path, sizeof(path), "%s/snapdrv.db", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	HOLDS(fd >= 0 && !file_slurp(fd, 16 << 20, &text, &good.size, &err));
	good.data = (const uint8_t *)text;
	close(fd);
}

static void damage(uint8_t *data, struct fuzz_rest rest)
{
	while (rest.size > 4) {
		size_t at = (size_t)fuzz_take(&rest) << 12 | (size_t)fuzz_take(&rest) << 4;
		size_t length;

		at += fuzz_take(&rest);
		length = fuzz_take(&rest);
		for (size_t i = 0; i < length && rest.size; i++)
			data[(at + i) % good.size] = fuzz_take(&rest);
	}
}

static void make_store(const uint8_t *data, size_t size)
{
	uint8_t *database = malloc(good.size);
	int root_fd, fd;

	HOLDS(database);
	memcpy(database, good.data, good.size);
	damage(database, (struct fuzz_rest){data, size});
	place_dir("root");
	root_fd = openat(place_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; trees[i]; i++)
		HOLDS(!mkdirat(root_fd, trees[i], 0700));
	fd = openat(root_fd, "snapdrv.db", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	HOLDS(fd >= 0 && write(fd, database, good.size) == (ssize_t)good.size);
	close(fd);
	close(root_fd);
	free(database);
}

static void use_images(struct snapdrv_store *store)
{
	struct snapdrv_error err = {0};
	struct snapdrv_image *images = NULL;
	struct snapdrv_removed removed = {0};
	size_t count = 0;
	int ret = snapdrv_images(store, &images, &count, &err);

	fuzz_check(ret, &err);
	for (size_t i = 0; !ret && i < count && i < 4; i++) {
		struct snapdrv_history *rows = NULL;
		const struct snapdrv_create_options options = {.flags = SNAPDRV_NO_MOUNT};
		char *json = NULL, *rootfs = NULL;
		size_t n_rows = 0;

		HOLDS(images[i].id && images[i].digest);
		if (!snapdrv_inspect(store, images[i].id, &json, NULL))
			free(json);
		if (!snapdrv_history(store, images[i].id, &rows, &n_rows, NULL))
			snapdrv_history_free(rows, n_rows);
		if (!snapdrv_create(store, images[i].id, &options, &rootfs, NULL))
			free(rootfs);
		if (!snapdrv_rmi(store, images[i].id, SNAPDRV_FORCE, &removed, NULL))
			snapdrv_removed_done(&removed);
	}
	if (!ret)
		snapdrv_images_free(images, count);
}

static void use_containers(struct snapdrv_store *store)
{
	struct snapdrv_error err = {0};
	struct snapdrv_container *containers = NULL;
	size_t count = 0;
	int ret = snapdrv_containers(store, &containers, &count, &err);

	fuzz_check(ret, &err);
	for (size_t i = 0; !ret && i < count && i < 4; i++) {
		char *json = NULL;

		HOLDS(containers[i].name && containers[i].rootfs);
		if (!snapdrv_inspect(store, containers[i].name, &json, NULL))
			free(json);
		snapdrv_remove(store, containers[i].name, NULL);
	}
	if (!ret)
		snapdrv_containers_free(containers, count);
}

static void use(struct snapdrv_store *store)
{
	struct snapdrv_error err = {0};
	struct snapdrv_gc collected;
	struct snapdrv_df df;
	struct snapdrv_info info;

	if (!snapdrv_df(store, 0, &df, NULL))
		snapdrv_df_done(&df);
	if (!snapdrv_info(store, &info, NULL))
		snapdrv_info_done(&info);
	use_containers(store);
	use_images(store);
	fuzz_check(snapdrv_gc(store, NULL, &collected, &err), &err);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct snapdrv_error err = {0};
	struct snapdrv_store *store = NULL;
	int ret;

	if (place_fd < 0) {
		read_good();
		place_make();
	}
	make_store(data, size);
	ret = snapdrv_open("/mnt/root", "auto", &store, &err);
	fuzz_check(ret, &err);
	if (!ret)
		use(store);
	snapdrv_close(store);
	place_unchanged();
	place_clear();
}
