/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image config: as a plan, and as the runtime config of a container. Its passwd and group follow, with a
 * byte 0xff before each.
 */
#include "base/json.h"
#include "fuzz.h"
#include "image/bundle.h"
#include "image/plan.h"

static struct fuzz_rest passwd, group;

static int read_file(int rootfs_fd, const char *path, size_t max, char **ret_data, size_t *ret_size,
		     struct snapdrv_error *err)
{
	const struct fuzz_rest *file = strcmp(path, "/etc/passwd") ? &group : &passwd;

	(void)rootfs_fd;
	(void)err;
	if (!file->data || file->size > max)
		return 0;
	*ret_data = fuzz_text(file->data, file->size);
	*ret_size = file->size;
	return 1;
}

static void make_bundle(const json_t *config)
{
	const struct bundle_spec spec = {.config = config,
					 .name = "fuzz",
					 .rootfs = "/x",
					 .rootfs_fd = -1,
					 .read_file = read_file};
	struct snapdrv_error err = {0};
	json_t *bundle = NULL;
	int ret = bundle_make(&spec, &bundle, &err);
	const json_t *process;
	char *text;

	fuzz_check(ret, &err);
	if (ret)
		return;
	text = json_text(bundle, JSON_COMPACT, NULL);
	process = json_object_get(bundle, "process");
	HOLDS(text && json_array_size(json_object_get(process, "args")));
	/* An image gives no orders to the host (see image/annotations.h), whatever its labels are. */
	HOLDS(!json_object_get(bundle, "hooks"));
	HOLDS(*json_string_value(json_object_get(process, "cwd")) == '/');
	HOLDS(json_is_true(json_object_get(process, "noNewPrivileges")) ||
	      json_object_get(process, "capabilities"));
	free(text);
	json_decref(bundle);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size}, part = {0};
	struct plans plans = {0};
	struct snapdrv_error err = {0};
	struct image_plan *image = plans_add(&plans, NULL);
	json_t *config = NULL;
	int ret;

	passwd = group = (struct fuzz_rest){0};
	fuzz_part(&rest, "\xff", &part);
	fuzz_part(&rest, "\xff", &passwd);
	fuzz_part(&rest, "\xff", &group);
	ret = plan_config(image, fuzz_text(part.data, part.size), part.size, &err);
	fuzz_check(ret, &err);
	HOLDS(!ret || err.code == SNAPDRV_REFUSED);
	HOLDS(ret || (image->n_layers && image->platform));
	plans_done(&plans);
	if (!json_parse(part.data, part.size, &config, NULL) && json_is_object(config))
		make_bundle(config);
	json_decref(config);
}
