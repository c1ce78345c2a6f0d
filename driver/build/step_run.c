/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUN: a container of the step's tree, made and started by runc.
 *
 *   bundle    as `create --bundle` makes it, with the mounts of the step, on the tmpfs of its work
 *   runc run  as the first process of a pid namespace (kernel/sandbox.h): whatever ends it ends all
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/run_mounts.h"
#include "image/bundle.h"
#include "kernel/file.h"
#include "kernel/resolve.h"
#include "kernel/sandbox.h"
#include "snapshot/rootfs.h"

#define HOSTNAME "build"
#define RESOLV_CONF_MAX (1u << 20)

/* Where the runtime mounts what every container has. */
static const char *const usual_targets[] = {"/proc", "/dev", "/sys"};

static const char hosts[] = "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t" HOSTNAME "\n";

struct running {
	struct stage *stage;
	const struct recipe_step *step;
	struct strings argv;
	struct strings args;		     /* ARGs in its environment */
	struct strings proxies;		     /* likewise */
	const struct recipe_heredoc *script; /* a here-document that is a program, or NULL */
	char *script_path;		     /* in the container */
	int has_network;
	struct run_mounts mounts;
};

static void running_done(struct running *running)
{
	strings_done(&running->argv);
	strings_done(&running->args);
	strings_done(&running->proxies);
	free(running->script_path);
	run_mounts_done(&running->mounts);
}

/* ---- what is run -------------------------------------------------------------------------- */

/* `<<EOF` alone: the text is the command, or a program when it says who runs it. */
static int is_lone_heredoc(const struct recipe_step *step)
{
	const char *line = step->args.count ? step->args.items[0] : "";

	return step->n_heredocs == 1 && text_starts(line, "<<") && !strpbrk(line + 2, " \t;|&<>()");
}

/* The line, and behind it the texts as the shell wants them. */
static char *shell_text(const struct recipe_step *step, struct snapdrv_error *err)
{
	struct bytes text = {0};
	int ret = bytes_add(&text, step->args.items[0], strlen(step->args.items[0]), err);

	for (size_t i = 0; i < step->n_heredocs && !ret; i++) {
		const struct recipe_heredoc *heredoc = &step->heredocs[i];

		ret = bytes_add(&text, "\n", 1, err);
		if (!ret)
			ret = bytes_add(&text, heredoc->text, heredoc->size, err);
		if (!ret && heredoc->size && heredoc->text[heredoc->size - 1] != '\n')
			ret = bytes_add(&text, "\n", 1, err);
		if (!ret)
			ret = bytes_add(&text, heredoc->name, strlen(heredoc->name), err);
	}
	if (!ret && step->n_heredocs)
		ret = bytes_add(&text, "\n", 1, err);
	if (!ret)
		ret = bytes_add(&text, "", 1, err);
	if (ret)
		bytes_done(&text);
	return ret ? NULL : text.data;
}

static int read_command(struct running *running, struct snapdrv_error *err)
{
	const struct recipe_step *step = running->step;
	cleanup_free char *text = NULL;
	int ret = 0;

	if (!step->args.count)
		return refuse(err, "nothing to run");
	for (size_t i = 0; i < step->args.count && step->is_exec && !ret; i++)
		ret = strings_add(&running->argv, step->args.items[i], err);
	if (ret || step->is_exec)
		return ret;
	if (is_lone_heredoc(step) && text_starts(step->heredocs[0].text, "#!")) {
		running->script = &step->heredocs[0];
		running->script_path = text_format(err, "/dev/pipes/%s", running->script->name);
		return running->script_path ? strings_add(&running->argv, running->script_path, err)
					    : -ENOMEM;
	}
	text = is_lone_heredoc(step) ? text_dup(step->heredocs[0].text, err)
				     : shell_text(step, err);
	ret = text ? config_shell(running->stage, &running->argv, err) : -ENOMEM;
	return ret ? ret : strings_add(&running->argv, text, err);
}

static int read_network(struct running *running)
{
	const char *network = running->step->network;

	return network && strcmp(network, "default")
		       ? !strcmp(network, "host")
		       : !!(running->stage->build->options->flags & SNAPDRV_BUILD_HOST_NETWORK);
}

static int add_key(struct running *running, struct strings *keys, struct snapdrv_error *err)
{
	const json_t *env = json_object_get(config_of(running->stage), "Env");
	cleanup_key struct key key = {0};
	json_t *entry;
	size_t i;
	int ret = key_begin(&key, running->stage, "run", err);

	if (ret)
		return ret;
	key_add_list(&key, &running->argv);
	key_add_list(&key, &running->args);
	json_array_foreach(env, i, entry) {
		key_add(&key, json_string_value(entry));
	}
	key_add(&key, config_text(running->stage, "User"));
	key_add(&key, config_text(running->stage, "WorkingDir"));
	key_add(&key, running->script ? running->script->text : NULL);
	key_add_number(&key, running->has_network);
	key_add_number(&key, (int64_t)running->mounts.count);
	ret = run_mounts_key(&running->mounts, &key, err);
	return ret ? ret : strings_add(keys, key_text(&key).text, err);
}

/* As docker has it: RUN |1 NAME=value /bin/sh -c make */
static char *history_of(const struct running *running, struct snapdrv_error *err)
{
	const struct strings *const lists[] = {&running->args, &running->argv};
	struct bytes text = {0};
	char count[32];
	int ret = bytes_add(&text, "RUN", 3, err);

	snprintf(count, sizeof(count), " |%zu", running->args.count);
	if (!ret && running->args.count)
		ret = bytes_add(&text, count, strlen(count), err);
	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < lists[i]->count && !ret; j++) {
			ret = bytes_add(&text, " ", 1, err);
			if (!ret)
				ret = bytes_add(&text, lists[i]->items[j],
						strlen(lists[i]->items[j]), err);
		}
	}
	if (!ret)
		ret = bytes_add(&text, "", 1, err);
	if (ret)
		bytes_done(&text);
	return ret ? NULL : text.data;
}

/* ---- the bundle --------------------------------------------------------------------------- */

static int add_env(json_t *env, const struct strings *list, struct snapdrv_error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		if (json_array_append_new(env, json_string(list->items[i])))
			return refuse(err, "%s: not UTF-8", quote(list->items[i]).text);
	}
	return 0;
}

/* The image's config as the container's: its variables, and the ARGs. */
static int make_config(const struct running *running, json_t **ret_config,
		       struct snapdrv_error *err)
{
	cleanup_json json_t *document = json_deep_copy(running->stage->document);
	json_t *config = json_object_get(document, "config"), *env;
	int ret;

	if (!json_is_array(json_object_get(config, "Env")))
		json_object_set_new(config, "Env", json_array());
	env = json_object_get(config, "Env");
	if (!env)
		return fail_memory(err);
	ret = add_env(env, &running->args, err);
	if (!ret)
		ret = add_env(env, &running->proxies, err);
	if (!ret)
		*ret_config = steal_ptr(&document);
	return ret;
}

static int share_network(json_t *bundle)
{
	json_t *part = json_object_get(bundle, "linux"), *list, *item;
	size_t i;

	list = json_object_get(part, "namespaces");
	json_array_foreach(list, i, item) {
		const char *type = json_string_value(json_object_get(item, "type"));

		if (type && !strcmp(type, "network"))
			return json_array_remove(list, i) | json_object_del(part, "sysctl");
	}
	return 0;
}

/* Where a symlink leads nowhere, or a directory is in its place, the container goes without. */
static int add_file(struct work *work, json_t *array, struct stubs *stubs, const char *source,
		    const char *target, struct snapdrv_error *err)
{
	size_t count = json_array_size(array);
	struct snapdrv_error why;
	int ret = run_mounts_add(work, array, stubs, source, target, 1, 0, &why);

	if (!ret)
		return 0;
	json_array_remove(array, count);
	return why.code == SNAPDRV_REFUSED ? 0 : fail_as(err, &why);
}

/* Files that the container has, and its image does not. */
static int add_etc(const struct running *running, struct work *work, json_t *array,
		   struct stubs *stubs, struct snapdrv_error *err)
{
	cleanup_fd int etc_fd =
		resolve_open(work->root_fd, "/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = running->has_network
				    ? open("/etc/resolv.conf", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
				    : -1;
	cleanup_free char *hosts_path = NULL, *resolv_path = NULL, *resolv = NULL;
	size_t size = 0;
	int ret;

	if (etc_fd < 0)
		return 0;
	ret = fd < 0 ? 0 : file_slurp(fd, RESOLV_CONF_MAX, &resolv, &size, err);
	if (!ret)
		ret = work_write(work, "hosts", hosts, strlen(hosts), 0644, &hosts_path, err);
	if (!ret)
		ret = work_write(work, "resolv.conf", resolv ? resolv : "", size, 0644,
				 &resolv_path, err);
	if (ret)
		return ret;
	ret = add_file(work, array, stubs, hosts_path, "/etc/hosts", err);
	return ret ? ret : add_file(work, array, stubs, resolv_path, "/etc/resolv.conf", err);
}

static int add_script(const struct running *running, struct work *work, json_t *array,
		      struct stubs *stubs, struct snapdrv_error *err)
{
	cleanup_free char *path = NULL;
	int ret;

	if (!running->script)
		return 0;
	ret = work_write(work, "script", running->script->text, running->script->size, 0755, &path,
			 err);
	return ret ? ret
		   : run_mounts_add(work, array, stubs, path, running->script_path, 1, 1, err);
}

static int set_cgroup(json_t *bundle, const char *id, struct snapdrv_error *err)
{
	cleanup_free char *path = text_format(err, "/%s", id);

	if (!path)
		return -ENOMEM;
	return json_object_set_new(json_object_get(bundle, "linux"), "cgroupsPath",
				   json_string(path))
		       ? fail_memory(err)
		       : 0;
}

static int make_bundle(struct running *running, struct work *work, const char *id,
		       struct stubs *stubs, json_t **ret_bundle, struct snapdrv_error *err)
{
	cleanup_json json_t *config = NULL, *bundle = NULL;
	const struct bundle_spec spec = {
		.name = HOSTNAME,
		.rootfs = work->root,
		.rootfs_fd = work->root_fd,
		.args = (const char *const *)running->argv.items,
		.n_args = running->argv.count,
		.read_file = rootfs_read_file,
	};
	struct bundle_spec full = spec;
	json_t *array, *env;
	int ret = make_config(running, &config, err);

	full.config = config;
	if (!ret)
		ret = bundle_make(&full, &bundle, err);
	for (size_t i = 0; i < sizeof(usual_targets) / sizeof(usual_targets[0]) && !ret; i++)
		ret = stubs_make(stubs, work->root_fd, usual_targets[i], 0, err);
	if (ret)
		return ret;
	array = json_object_get(bundle, "mounts");
	env = json_object_get(json_object_get(bundle, "process"), "env");
	ret = set_cgroup(bundle, id, err);
	if (!ret && running->has_network && share_network(bundle))
		ret = fail_memory(err);
	if (!ret)
		ret = add_etc(running, work, array, stubs, err);
	if (!ret)
		ret = add_script(running, work, array, stubs, err);
	if (!ret)
		ret = run_mounts_prepare(&running->mounts, work, array, env, stubs, err);
	if (!ret)
		*ret_bundle = steal_ptr(&bundle);
	return ret;
}

/* ---- running it --------------------------------------------------------------------------- */

static int pass_output(void *arg, const char *data, size_t size, struct snapdrv_error *err)
{
	(void)err;
	report_output(arg, data, size);
	return 0;
}

static int start(struct running *running, struct work *work, const char *id, const json_t *bundle,
		 const struct report *report, int *ret_status, struct snapdrv_error *err)
{
	const struct build *build = running->stage->build;
	cleanup_free char *text = json_text(bundle, JSON_COMPACT, err), *path = NULL, *state = NULL;
	int ret = text ? work_write(work, "config.json", text, strlen(text), 0600, &path, err)
		       : -ENOMEM;

	if (ret)
		return ret;
	state = work_path(work, "state", err);
	if (!state)
		return -ENOMEM;
	const char *const argv[] = {"runc",	"--root",   state, "run",
				    "--bundle", work->path, id,	   NULL};
	const struct sandbox_run run = {.argv = argv,
					.output = pass_output,
					.arg = (void *)report,
					.cancel_fds = {build->options->cancel_fd, build->stop_fd}};

	ret = sandbox_run(&run, ret_status, err);
	/* A runtime that was killed leaves them; one that was not has removed them. */
	if (ret || *ret_status)
		sandbox_drop_cgroups(id);
	return ret;
}

static int fail_status(struct work *work, int status, struct snapdrv_error *err)
{
	cleanup_free char *name = NULL;
	struct snapdrv_error why;

	if (!(work->stage->build->options->flags & SNAPDRV_BUILD_KEEP))
		return fail(err, SNAPDRV_FAILED, EIO, "exit status %d", status);
	if (work_keep(work, &name, &why))
		return fail(err, SNAPDRV_FAILED, EIO,
			    "exit status %d; the container is not kept: %s", status, why.message);
	return fail(err, SNAPDRV_FAILED, EIO, "exit status %d; the container is kept as %s", status,
		    name);
}

static int run_in(struct running *running, struct work *work, const struct report *report,
		  int *ret_status, struct snapdrv_error *err)
{
	cleanup_json json_t *bundle = NULL;
	cleanup_stubs struct stubs stubs = {0};
	cleanup_free char *id = text_format(err, SANDBOX_CGROUP "%s-%s",
					    work->stage->graph->store.session, work->name.text);
	int ret = id ? make_bundle(running, work, id, &stubs, &bundle, err) : -ENOMEM;

	if (!ret)
		ret = start(running, work, id, bundle, report, ret_status, err);
	/* Of a step that failed nothing becomes a layer. */
	return ret ? ret : stubs_remove(&stubs, err);
}

static int change(void *arg, struct work *work, const struct report *report,
		  struct snapdrv_error *err)
{
	struct running *running = arg;
	int status = 0, ret = run_in(running, work, report, &status, err);

	run_mounts_end(&running->mounts);
	return ret || !status ? ret : fail_status(work, status, err);
}

int step_run(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	__attribute__((cleanup(running_done))) struct running running = {.stage = stage,
									 .step = step};
	cleanup_strings struct strings keys = {0};
	cleanup_free char *created_by = NULL;
	struct doing doing = {.step = step, .keys = &keys, .change = change, .arg = &running};
	int ret = read_command(&running, err);

	if (!ret)
		ret = scope_run_args(stage, &running.args, err);
	if (!ret)
		ret = scope_proxies(stage, &running.proxies, err);
	if (!ret)
		ret = run_mounts_read(stage, step, &running.mounts, err);
	if (ret)
		return ret;
	running.has_network = read_network(&running);
	created_by = history_of(&running, err);
	if (!created_by)
		return -ENOMEM;
	doing.created_by = created_by;
	ret = add_key(&running, &keys, err);
	return ret ? ret : step_do(stage, &doing, err);
}
