/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts in words, for who mounts by mount(2) what a backend has made. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/error.h"

void mounts_done(struct snapdrv_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		struct snapdrv_mount *mount = &mounts->mounts[i];

		for (size_t j = 0; j < mount->n_options; j++)
			free(mount->options[j]);
		free(mount->options);
		free(mount->type);
		free(mount->source);
	}
	free(mounts->mounts);
	*mounts = (struct snapdrv_mounts){0};
}

int describe_mount(const char *type, const char *source, const struct strings *options,
		   struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	struct snapdrv_mounts mounts = {calloc(1, sizeof(*mounts.mounts)), 1};
	struct strings copy = {0};
	int ret = mounts.mounts ? 0 : fail_memory(err);

	if (ret)
		return ret;
	for (size_t i = 0; i < options->count && !ret; i++)
		ret = strings_add(&copy, options->items[i], err);
	mounts.mounts[0] = (struct snapdrv_mount){.type = text_dup(type, err),
						  .source = text_dup(source, err),
						  .options = copy.items,
						  .n_options = copy.count};
	if (ret || !mounts.mounts[0].type || !mounts.mounts[0].source) {
		mounts_done(&mounts);
		return -ENOMEM;
	}
	*ret_mounts = mounts;
	return 0;
}

int describe_path(struct bytes *text, const char *layers, const char *name,
		  struct snapdrv_error *err)
{
	size_t length = strlen(layers);
	int ret;

	if (text_starts(name, "../")) {
		length = (size_t)(strrchr(layers, '/') - layers);
		name += strlen("../");
	}
	ret = bytes_add(text, layers, length, err);
	if (!ret)
		ret = bytes_add(text, "/", 1, err);
	return ret ? ret : bytes_add(text, name, strlen(name), err);
}

int describe_bind(const char *layers, const char *name, int is_read_only,
		  struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	cleanup_bytes struct bytes source = {0};
	cleanup_strings struct strings options = {0};
	int ret = describe_path(&source, layers, name, err);

	if (!ret)
		ret = bytes_add(&source, "/fs", sizeof("/fs"), err);
	if (!ret)
		ret = strings_add(&options, is_read_only ? "ro" : "rw", err);
	if (!ret)
		ret = strings_add(&options, "rbind", err);
	return ret ? ret : describe_mount("bind", source.data, &options, ret_mounts, err);
}
