/* SPDX-License-Identifier: Apache-2.0 */
/* Image config to runtime config (OCI image spec, conversion.md), with docker's defaults. */
#include "image/bundle.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/annotations.h"
#include "image/bundle_defaults.h"
#include "image/user.h"

#define USER_FILE_MAX (1u << 20)
#define HOSTNAME_MAX 63

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int append(json_t *array, json_t *value, struct snapdrv_error *err)
{
	return json_array_append_new(array, value) < 0 ? fail_memory(err) : 0;
}

/* A string that did not come out of JSON, and so may hold any bytes. */
static int make_string(const char *text, int code, json_t **ret_json, struct snapdrv_error *err)
{
	json_t *json = json_string(text);

	if (!json)
		return fail(err, code, EILSEQ, "%s: not UTF-8, as JSON must be", quote(text).text);
	*ret_json = json;
	return 0;
}

/* The strings of an array member, added to @to; how many. */
static int add_strings(const json_t *config, const char *key, json_t *to, struct snapdrv_error *err)
{
	json_t *array, *item;
	size_t i;
	int ret = json_member_array(config, key, &array, err);

	if (ret != 1)
		return ret;
	json_array_foreach(array, i, item) {
		if (!json_is_string(item))
			return refuse(err, "'%s' holds other than strings", key);
		ret = append(to, json_incref(item), err);
		if (ret < 0)
			return ret;
	}
	return (int)json_array_size(array);
}

/* docker takes an Entrypoint of one empty word for none. */
static int add_image_args(const json_t *config, json_t *args, struct snapdrv_error *err)
{
	int ret = add_strings(config, "Entrypoint", args, err);

	if (ret == 1 && !*json_string_value(json_array_get(args, 0)))
		json_array_clear(args);
	return ret < 0 ? ret : add_strings(config, "Cmd", args, err);
}

static int make_args(const struct bundle_spec *spec, const json_t *config, json_t **ret_args,
		     struct snapdrv_error *err)
{
	cleanup_json json_t *args = json_array();
	int ret = 0;

	if (!spec->args || !spec->n_args)
		ret = add_image_args(config, args, err);
	for (size_t i = 0; spec->args && i < spec->n_args && ret >= 0; i++) {
		json_t *word = NULL;

		ret = make_string(spec->args[i], SNAPDRV_USAGE, &word, err);
		if (!ret)
			ret = append(args, word, err);
	}
	if (ret < 0)
		return ret;
	if (!json_array_size(args))
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "no command, neither here nor in the image");
	*ret_args = steal_ptr(&args);
	return 0;
}

/* Adds NAME=@value, unless the image's entries name it. */
static int add_default_env(json_t *env, const json_t *entries, const char *name, const char *value,
			   struct snapdrv_error *err)
{
	cleanup_free char *text = NULL;
	size_t i, length = strlen(name);
	json_t *entry, *json = NULL;
	int ret;

	json_array_foreach(entries, i, entry) {
		const char *at = json_string_value(entry);

		if (!strncmp(at, name, length) && (at[length] == '=' || !at[length]))
			return 0;
	}
	text = text_format(err, "%s=%s", name, value);
	if (!text)
		return -ENOMEM;
	ret = make_string(text, SNAPDRV_REFUSED, &json, err);
	return ret < 0 ? ret : append(env, json, err);
}

/*
 * An entry without `=` is no variable (config.md: NAME=VALUE), and runtimes fail on it. docker takes
 * it for "not even the default", and so do we; with an empty name there is nothing to go by.
 */
static int add_image_env(json_t *env, const json_t *entries, struct snapdrv_error *err)
{
	json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry) {
		const char *text = json_string_value(entry);
		int ret = 0;

		if (*text == '=')
			return refuse(err, "'Env' has an entry without a name: %s",
				      quote(text).text);
		if (strchr(text, '='))
			ret = append(env, json_incref(entry), err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int make_env(const struct bundle_spec *spec, const json_t *config, const char *hostname,
		    const char *home, json_t **ret_env, struct snapdrv_error *err)
{
	cleanup_json json_t *env = json_array(), *entries = json_array();
	int ret = add_strings(config, "Env", entries, err);

	if (ret >= 0)
		ret = add_default_env(env, entries, "PATH", default_path, err);
	if (!ret)
		ret = add_default_env(env, entries, "HOSTNAME", hostname, err);
	if (!ret && spec->terminal)
		ret = add_default_env(env, entries, "TERM", "xterm", err);
	if (!ret)
		ret = add_default_env(env, entries, "HOME", home, err);
	if (!ret)
		ret = add_image_env(env, entries, err);
	if (ret < 0)
		return ret;
	*ret_env = steal_ptr(&env);
	return 0;
}

static int find_user(const struct bundle_spec *spec, const json_t *config,
		     struct image_user *ret_user, struct snapdrv_error *err)
{
	cleanup_free char *passwd = NULL, *group = NULL;
	struct user_files files = {0};
	const char *user = "";
	int ret = json_member_string(config, "User", &user, err);

	if (ret < 0)
		return ret;
	ret = spec->read_file(spec->rootfs_fd, "/etc/passwd", USER_FILE_MAX, &passwd,
			      &files.passwd_size, err);
	if (ret < 0)
		return fail_within(err, ret, "/etc/passwd");
	ret = spec->read_file(spec->rootfs_fd, "/etc/group", USER_FILE_MAX, &group,
			      &files.group_size, err);
	if (ret < 0)
		return fail_within(err, ret, "/etc/group");
	files.passwd = passwd;
	files.group = group;
	return image_user_lookup(user, &files, ret_user, err);
}

static int make_user(const struct image_user *user, json_t **ret_json, struct snapdrv_error *err)
{
	cleanup_json json_t *groups = json_array();
	json_t *json;

	for (size_t i = 0; i < user->n_groups; i++) {
		int ret = append(groups, json_integer(user->groups[i]), err);

		if (ret < 0)
			return ret;
	}
	json = json_pack("{s:I, s:I, s:O}", "uid", (json_int_t)user->uid, "gid",
			 (json_int_t)user->gid, "additionalGids", groups);
	if (!json)
		return fail_memory(err);
	*ret_json = json;
	return 0;
}

static int make_process(const struct bundle_spec *spec, const json_t *config, const char *hostname,
			json_t **ret_process, struct snapdrv_error *err)
{
	cleanup_json json_t *args = NULL, *env = NULL, *user = NULL;
	cleanup_image_user struct image_user found = {0};
	const char *cwd = "";
	json_t *process;
	int ret = json_member_string(config, "WorkingDir", &cwd, err);

	if (ret >= 0 && *cwd && *cwd != '/')
		return refuse(err, "'WorkingDir' is %s, not an absolute path", quote(cwd).text);
	if (ret >= 0)
		ret = make_args(spec, config, &args, err);
	if (!ret)
		ret = find_user(spec, config, &found, err);
	if (!ret)
		ret = make_env(spec, config, hostname, found.home, &env, err);
	if (!ret)
		ret = make_user(&found, &user, err);
	if (ret < 0)
		return ret;
	process = json_pack("{s:b, s:O, s:O, s:O, s:s, s:o, s:b, s:i}", "terminal", spec->terminal,
			    "user", user, "args", args, "env", env, "cwd", *cwd ? cwd : "/",
			    "capabilities", bundle_default_capabilities(found.uid == 0),
			    "noNewPrivileges", 0, "oomScoreAdj", 0);
	if (!process)
		return fail_memory(err);
	*ret_process = process;
	return 0;
}

static int make_root(const struct bundle_spec *spec, json_t **ret_root, struct snapdrv_error *err)
{
	json_t *path = NULL, *root;
	int ret = make_string(spec->rootfs, SNAPDRV_FAILED, &path, err);

	if (ret < 0)
		return ret;
	root = json_pack("{s:o, s:b}", "path", path, "readonly", spec->read_only);
	if (!root)
		return fail_memory(err);
	*ret_root = root;
	return 0;
}

static json_t *id_mappings(uint32_t first, uint32_t size)
{
	return json_pack("[{s:i, s:I, s:I}]", "containerID", 0, "hostID", (json_int_t)first, "size",
			 (json_int_t)size);
}

/* The `linux` object of the config; in a user namespace the ids are mapped as the rootfs is shifted. */
static int make_linux(const struct bundle_spec *spec, json_t **ret_linux, struct snapdrv_error *err)
{
	cleanup_json json_t *object = bundle_default_linux();

	if (!object)
		return fail_memory(err);
	/* Its range reaches past any namespace's ids, and the kernel refuses it there; docker leaves it out. */
	if (spec->shift_size)
		json_object_del(json_object_get(object, "sysctl"), "net.ipv4.ping_group_range");
	if (spec->shift_size &&
	    (json_array_append_new(json_object_get(object, "namespaces"),
				   json_pack("{s:s}", "type", "user")) ||
	     json_object_set_new(object, "uidMappings",
				 id_mappings(spec->shift_uid, spec->shift_size)) ||
	     json_object_set_new(object, "gidMappings",
				 id_mappings(spec->shift_gid, spec->shift_size))))
		return fail_memory(err);
	*ret_linux = steal_ptr(&object);
	return 0;
}

static int make_document(const struct bundle_spec *spec, const json_t *config, json_t **ret_json,
			 struct snapdrv_error *err)
{
	cleanup_json json_t *process = NULL, *root = NULL, *annotations = NULL, *linux_part = NULL;
	cleanup_free char *hostname = strndup(spec->name, HOSTNAME_MAX);
	json_t *json;
	int ret = hostname ? 0 : fail_memory(err);

	if (!ret)
		ret = make_process(spec, config, hostname, &process, err);
	if (!ret)
		ret = make_root(spec, &root, err);
	if (!ret)
		ret = annotations_make(spec->config, config, &annotations, err);
	if (!ret)
		ret = make_linux(spec, &linux_part, err);
	if (ret < 0)
		return ret;
	json = json_pack("{s:s, s:O, s:O, s:s, s:o, s:O, s:O}", "ociVersion", "1.0.2", "process",
			 process, "root", root, "hostname", hostname, "mounts",
			 bundle_default_mounts(), "annotations", annotations, "linux", linux_part);
	if (!json)
		return fail_memory(err);
	*ret_json = json;
	return 0;
}

int bundle_make(const struct bundle_spec *spec, json_t **ret_json, struct snapdrv_error *err)
{
	cleanup_json json_t *empty = json_object();
	json_t *config = empty;
	int ret = json_member_object(spec->config, "config", &config, err);

	if (ret >= 0)
		ret = make_document(spec, config, ret_json, err);
	return ret < 0 ? fail_within(err, ret, "image config") : 0;
}
