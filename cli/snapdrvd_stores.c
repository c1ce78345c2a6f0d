/* SPDX-License-Identifier: Apache-2.0 */
/* Open stores, as many as calls are served at once, and the thread that flushes what was removed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "snapdrvd.h"

#define FLUSH_PAUSE_MS 100 /* many removals come together */

static struct handle *take_idle(struct stores *stores, int only_dirty)
{
	struct handle **at = &stores->idle, *handle;

	while (*at && only_dirty && !(*at)->is_dirty)
		at = &(*at)->next;
	handle = *at;
	if (handle)
		*at = handle->next;
	return handle;
}

struct handle *stores_take(struct stores *stores, struct snapdrv_error *err)
{
	struct handle *handle;

	pthread_mutex_lock(&stores->lock);
	handle = take_idle(stores, 0);
	pthread_mutex_unlock(&stores->lock);
	if (handle)
		return handle;
	handle = calloc(1, sizeof(*handle));
	if (!handle) {
		daemon_fail(err, SNAPDRV_FAILED, ENOMEM, "out of memory");
		return NULL;
	}
	if (snapdrv_open(stores->settings->root, stores->settings->driver, &handle->store, err)) {
		free(handle);
		return NULL;
	}
	return handle;
}

void stores_give(struct stores *stores, struct handle *handle)
{
	if (!handle)
		return;
	pthread_mutex_lock(&stores->lock);
	handle->next = stores->idle;
	stores->idle = handle;
	if (handle->is_dirty)
		pthread_cond_signal(&stores->changed);
	pthread_mutex_unlock(&stores->lock);
}

static void flush(struct handle *handle)
{
	struct snapdrv_error err;

	handle->is_dirty = 0;
	if (snapdrv_flush(handle->store, &err))
		daemon_log("flush: %s", err.message);
}

static struct handle *take_dirty(struct stores *stores)
{
	struct handle *handle;

	pthread_mutex_lock(&stores->lock);
	handle = take_idle(stores, 1);
	pthread_mutex_unlock(&stores->lock);
	return handle;
}

static void flush_dirty(struct stores *stores)
{
	struct handle *handle;

	while ((handle = take_dirty(stores))) {
		flush(handle);
		stores_give(stores, handle);
	}
}

static int has_dirty(const struct stores *stores)
{
	for (const struct handle *handle = stores->idle; handle; handle = handle->next) {
		if (handle->is_dirty)
			return 1;
	}
	return 0;
}

static void *flush_stores(void *arg)
{
	const struct timespec pause = {.tv_nsec = FLUSH_PAUSE_MS * 1000000L};
	struct stores *stores = arg;
	int is_stopping;

	do {
		pthread_mutex_lock(&stores->lock);
		while (!stores->is_stopping && !has_dirty(stores))
			pthread_cond_wait(&stores->changed, &stores->lock);
		is_stopping = stores->is_stopping;
		pthread_mutex_unlock(&stores->lock);
		if (!is_stopping)
			nanosleep(&pause, NULL);
		flush_dirty(stores);
	} while (!is_stopping);
	return NULL;
}

int stores_cleanup(struct stores *stores, struct snapdrv_error *err)
{
	struct handle *handle;
	int ret;

	flush_dirty(stores);
	handle = stores_take(stores, err);
	ret = handle ? snapdrv_cleanup(handle->store, err) : -EIO;
	stores_give(stores, handle);
	return ret;
}

int stores_start(struct stores *stores, const struct settings *settings, struct snapdrv_error *err)
{
	struct handle *handle;
	int ret;

	*stores = (struct stores){.settings = settings,
				  .lock = PTHREAD_MUTEX_INITIALIZER,
				  .changed = PTHREAD_COND_INITIALIZER};
	handle = stores_take(stores, err);
	if (!handle)
		return -EIO;
	ret = pthread_create(&stores->flusher, NULL, flush_stores, stores);
	stores_give(stores, handle);
	if (!ret)
		return 0;
	snapdrv_close(handle->store);
	free(handle);
	return daemon_fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
}

void stores_stop(struct stores *stores)
{
	struct handle *handle;

	pthread_mutex_lock(&stores->lock);
	stores->is_stopping = 1;
	pthread_cond_signal(&stores->changed);
	pthread_mutex_unlock(&stores->lock);
	pthread_join(stores->flusher, NULL);
	while ((handle = take_idle(stores, 0))) {
		snapdrv_close(handle->store);
		free(handle);
	}
}
