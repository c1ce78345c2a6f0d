/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to tell of a store and the machine it is on. */
#include "snapshot/info.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/probe.h"
#include "snapshot/seal.h"

static int count(struct graph *graph, const char *sql, size_t *ret_count, struct snapdrv_error *err)
{
	int64_t number = 0;
	int found = db_get_int(graph->store.db, &number, err, sql, "");

	*ret_count = (size_t)number;
	return found < 0 ? found : 0;
}

static int answer_with(struct snapdrv_driver_info *driver, const struct backend_ops *ops,
		       const char *answer, struct snapdrv_error *err)
{
	driver->name = text_dup(ops->name, err);
	driver->answer = text_dup(answer, err);
	return driver->name && driver->answer ? 0 : -ENOMEM;
}

static int ask(struct graph *graph, const struct backend_ops *ops,
	       struct snapdrv_driver_info *driver, struct snapdrv_error *err)
{
	struct store_name name = store_name(&graph->store);
	cleanup_fd int scratch_fd = -1;
	struct snapdrv_error answer;
	int session_fd;

	if (graph->store.is_read_only)
		return answer_with(driver, ops, "not tried: the filesystem is read-only", err);
	session_fd = store_session(&graph->store, &answer);
	if (session_fd < 0)
		return answer_with(driver, ops, answer.message, err);
	if (mkdirat(session_fd, name.text, 0700))
		return fail_errno(err, "make a directory");
	scratch_fd = file_open_dir(session_fd, name.text, err);
	if (scratch_fd < 0)
		return scratch_fd;
	driver->usable = !ops->probe(scratch_fd, &answer);
	unlinkat(session_fd, name.text, AT_REMOVEDIR);
	return answer_with(driver, ops, driver->usable ? "works here" : answer.message, err);
}

static int ask_all(struct graph *graph, struct snapdrv_info *info, struct snapdrv_error *err)
{
	size_t n = 0;
	int ret = 0;

	while (backends[n])
		n++;
	info->drivers = calloc(n, sizeof(*info->drivers));
	if (!info->drivers)
		return fail_memory(err);
	info->n_drivers = n;
	for (size_t i = 0; i < n && !ret; i++)
		ret = ask(graph, backends[i], &info->drivers[i], err);
	return ret;
}

static int ask_verity(struct graph *graph, struct snapdrv_info *info, struct snapdrv_error *err)
{
	struct snapdrv_error answer;

	info->verity = !graph_can_seal(graph, &answer);
	info->verity_answer = text_dup(info->verity ? "works here" : answer.message, err);
	return info->verity_answer ? 0 : -ENOMEM;
}

static int fill(struct graph *graph, struct snapdrv_info *info, struct snapdrv_error *err)
{
	struct utsname system;
	int ret;

	if (uname(&system))
		return fail_errno(err, "uname");
	info->root = text_dup(graph->store.root, err);
	info->driver = text_dup(graph->backend.ops->name, err);
	info->filesystem = text_dup(probe_filesystem(graph->store.root_fd).text, err);
	info->kernel = text_dup(system.release, err);
	if (!info->root || !info->driver || !info->filesystem || !info->kernel)
		return -ENOMEM;
	info->max_layers = graph->backend.ops->limit(&graph->backend);
	ret = count(graph, "SELECT count(*) FROM image", &info->n_images, err);
	if (!ret)
		ret = count(graph, "SELECT count(*) FROM live_container", &info->n_containers, err);
	if (!ret)
		ret = count(graph, "SELECT count(*) FROM tree WHERE key IS NOT NULL",
			    &info->n_layers, err);
	if (!ret)
		ret = ask_all(graph, info, err);
	return ret ? ret : ask_verity(graph, info, err);
}

int graph_info(struct graph *graph, struct snapdrv_info *ret_info, struct snapdrv_error *err)
{
	struct snapdrv_info info = {0};
	int ret = fill(graph, &info, err);

	if (ret) {
		graph_info_done(&info);
		return ret;
	}
	*ret_info = info;
	return 0;
}

void graph_info_done(struct snapdrv_info *info)
{
	for (size_t i = 0; i < info->n_drivers; i++) {
		free(info->drivers[i].name);
		free(info->drivers[i].answer);
	}
	free(info->drivers);
	free(info->root);
	free(info->driver);
	free(info->filesystem);
	free(info->kernel);
	free(info->verity_answer);
	*info = (struct snapdrv_info){0};
}
