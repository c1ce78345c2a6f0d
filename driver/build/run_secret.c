/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount=type=secret: reading them, and handing them in. */
#include "build/run_secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"

#define SECRET_MAX (1u << 20)

static struct build_secret *find_secret(const struct build *build, const char *id)
{
	for (size_t i = 0; i < build->n_secrets; i++) {
		if (!strcmp(build->secrets[i].id, id))
			return &build->secrets[i];
	}
	return NULL;
}

static int read_variable(struct build_secret *secret, struct snapdrv_error *err)
{
	const char *value = getenv(secret->env);

	if (!value)
		return fail(err, SNAPDRV_MISSING, ENOENT, "there is no variable %s",
			    quote(secret->env).text);
	secret->size = strlen(value);
	secret->data = text_dup(value, err);
	return secret->data ? 0 : -ENOMEM;
}

static int read_file(const struct build *build, struct build_secret *secret,
		     struct snapdrv_error *err)
{
	const int cancel_fds[] = {build->options->cancel_fd, build->stop_fd};
	cleanup_fd int fd = file_open_named(secret->file);

	if (fd < 0)
		return fail(err, SNAPDRV_MISSING, -fd, "%s cannot be opened",
			    quote(secret->file).text);
	return file_slurp_named(fd, SECRET_MAX, cancel_fds, &secret->data, &secret->size, err);
}

/* Stages that are worked on at once may ask for the same one. */
static int read_secret(struct build *build, struct build_secret *secret, struct snapdrv_error *err)
{
	int ret = 0;

	pthread_mutex_lock(&build->secret_lock);
	if (!secret->data)
		ret = secret->env ? read_variable(secret, err) : read_file(build, secret, err);
	pthread_mutex_unlock(&build->secret_lock);
	return ret;
}

static int add_variable(const struct build_secret *secret, const char *name, json_t *env,
			struct snapdrv_error *err)
{
	cleanup_free char *pair = text_format(err, "%s=%s", name, secret->data);

	if (!pair)
		return -ENOMEM;
	return json_array_append_new(env, json_string(pair)) ? refuse(err, "no text for a variable")
							     : 0;
}

static int add_file(const struct build_secret *secret, const struct run_mount *mount, size_t index,
		    struct work *work, json_t *array, struct stubs *stubs,
		    struct snapdrv_error *err)
{
	const struct recipe_mount *recipe = mount->recipe;
	cleanup_free char *path = NULL;
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "secret-%zu", index);
	ret = work_write(work, name, secret->data, secret->size,
			 recipe->mode < 0 ? 0400 : (mode_t)recipe->mode, &path, err);
	if (!ret && chown(path, recipe->uid < 0 ? 0 : (uid_t)recipe->uid,
			  recipe->gid < 0 ? 0 : (gid_t)recipe->gid))
		ret = fail_errno(err, "give it its owner");
	return ret ? ret : run_mounts_add(work, array, stubs, path, mount->target, 1, 1, err);
}

int run_secret_add(struct run_mounts *mounts, struct run_mount *mount, struct work *work,
		   json_t *array, json_t *env, struct stubs *stubs, struct snapdrv_error *err)
{
	struct build *build = mounts->stage->build;
	struct build_secret *secret = find_secret(build, mount->id);
	int ret;

	if (!secret)
		return mount->recipe->required
			       ? fail(err, SNAPDRV_MISSING, ENOENT, "secret %s: nobody gave it",
				      quote(mount->id).text)
			       : 0;
	ret = read_secret(build, secret, err);
	if (!ret && mount->env)
		ret = add_variable(secret, mount->env, env, err);
	if (!ret && mount->target)
		ret = add_file(secret, mount, (size_t)(mount - mounts->items), work, array, stubs,
			       err);
	return ret ? fail_within(err, ret, "secret %s", quote(mount->id).text) : 0;
}
