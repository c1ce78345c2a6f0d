/* SPDX-License-Identifier: Apache-2.0 */
/* The façade of the library: a store, opened and closed. The others are facade_*.c. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "facade.h"

#define DEFAULT_ROOT "/var/lib/snapdrv"

int facade_need_root(const char *what, struct snapdrv_error *err)
{
	return geteuid() ? fail(err, SNAPDRV_FAILED, EPERM,
				"%s: mounting needs root: run it as root or with sudo", what)
			 : 0;
}

static const char *setting(const char *given, const char *variable, const char *otherwise)
{
	const char *value = given ? given : getenv(variable);

	return value && *value ? value : otherwise;
}

PUBLIC int snapdrv_open(const char *root, const char *driver, struct snapdrv_store **ret_store,
			struct snapdrv_error *err)
{
	struct snapdrv_error own;
	struct snapdrv_store *store;
	int ret;

	err = or_own(err, &own);
	ret = facade_need_root("store", err);
	if (ret)
		return ret;
	store = calloc(1, sizeof(*store));
	if (!store)
		return fail_memory(err);
	ret = graph_open(setting(root, "SNAPDRV_ROOT", DEFAULT_ROOT),
			 setting(driver, "SNAPDRV_DRIVER", "auto"), &store->graph, err);
	if (ret) {
		free(store);
		return ret;
	}
	*ret_store = store;
	return 0;
}

PUBLIC void snapdrv_close(struct snapdrv_store *store)
{
	if (!store)
		return;
	graph_close(&store->graph);
	free(store);
}

PUBLIC int snapdrv_flush(struct snapdrv_store *store, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return graph_flush(&store->graph, or_own(err, &own));
}
