/* SPDX-License-Identifier: Apache-2.0 */
/* Open stores, as many as calls are served at once, and the thread that flushes what was removed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "snapdrvd.h"

#define FLUSH_PAUSE_MS 100 /* many removals come together */
#define ROUNDS_MAX 64	   /* of waiting for others' flushes; several times the threads */

/* The first one whose dirt is within that. */
static struct handle *take_idle(struct stores *stores, enum dirt least, enum dirt most)
{
	struct handle **at = &stores->idle, *handle;

	while (*at && ((*at)->dirt < least || (*at)->dirt > most))
		at = &(*at)->next;
	handle = *at;
	if (!handle)
		return NULL;
	*at = handle->next;
	handle->is_owing = handle->dirt != CLEAN;
	stores->n_owing += (size_t)handle->is_owing;
	return handle;
}

struct handle *stores_take(struct stores *stores, enum dirt most, struct snapdrv_error *err)
{
	struct handle *handle;

	pthread_mutex_lock(&stores->lock);
	/* What is to be flushed waits until the call is over. */
	handle = take_idle(stores, CLEAN, CLEAN);
	if (!handle)
		handle = take_idle(stores, CLEAN, most);
	pthread_mutex_unlock(&stores->lock);
	if (handle)
		return handle;
	handle = calloc(1, sizeof(*handle));
	if (!handle) {
		daemon_no_memory(err);
		return NULL;
	}
	if (snapdrv_open(stores->settings->root, stores->settings->driver, &handle->store, err)) {
		free(handle);
		return NULL;
	}
	return handle;
}

/* With the lock held. */
static void settle(struct stores *stores, struct handle *handle)
{
	if (!handle->is_owing)
		return;
	handle->is_owing = 0;
	stores->n_owing--;
	pthread_cond_broadcast(&stores->settled);
}

void stores_give(struct stores *stores, struct handle *handle)
{
	if (!handle)
		return;
	pthread_mutex_lock(&stores->lock);
	handle->next = stores->idle;
	stores->idle = handle;
	settle(stores, handle);
	if (handle->dirt)
		pthread_cond_signal(&stores->changed);
	pthread_mutex_unlock(&stores->lock);
}

static void flush(struct handle *handle)
{
	struct snapdrv_error err;

	handle->dirt = CLEAN;
	if (snapdrv_flush(handle->store, &err))
		daemon_log("flush: %s", err.message);
}

static struct handle *take_dirty(struct stores *stores, enum dirt dirt)
{
	struct handle *handle;

	pthread_mutex_lock(&stores->lock);
	handle = take_idle(stores, dirt, DIRTY_NOW);
	pthread_mutex_unlock(&stores->lock);
	return handle;
}

static void flush_dirty(struct stores *stores, enum dirt dirt)
{
	struct handle *handle;

	while ((handle = take_dirty(stores, dirt))) {
		flush(handle);
		stores_give(stores, handle);
	}
}

static enum dirt find_dirt(const struct stores *stores)
{
	enum dirt most = CLEAN;

	for (const struct handle *handle = stores->idle; handle; handle = handle->next) {
		if (most < handle->dirt)
			most = handle->dirt;
	}
	return most;
}

/* Wait for something to flush. Return: how urgent that is, or CLEAN at the end. */
static enum dirt wait_for_dirt(struct stores *stores)
{
	enum dirt dirt;

	pthread_mutex_lock(&stores->lock);
	while (!(dirt = find_dirt(stores)) && !stores->is_stopping)
		pthread_cond_wait(&stores->changed, &stores->lock);
	pthread_mutex_unlock(&stores->lock);
	return dirt;
}

/* What is urgent waits for no more than the pause of what is not. */
static void wait_a_moment(struct stores *stores)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += FLUSH_PAUSE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&stores->lock);
	while (!ret && !stores->is_stopping && find_dirt(stores) != DIRTY_NOW)
		ret = pthread_cond_timedwait(&stores->changed, &stores->lock, &until);
	pthread_mutex_unlock(&stores->lock);
}

static void *flush_stores(void *arg)
{
	struct stores *stores = arg;
	enum dirt dirt;

	while ((dirt = wait_for_dirt(stores))) {
		if (dirt == DIRTY_LATER)
			wait_a_moment(stores);
		flush_dirty(stores, dirt);
	}
	return NULL;
}

/* Flush all that are dirty, wait for those that others have, and flush these. */
static void flush_all(struct stores *stores)
{
	int is_left = 1;

	/* Others may go on removing: those that were dirty before are through by then. */
	for (int rounds = 0; is_left && rounds < ROUNDS_MAX; rounds++) {
		flush_dirty(stores, DIRTY_LATER);
		pthread_mutex_lock(&stores->lock);
		is_left = stores->n_owing != 0;
		if (is_left)
			pthread_cond_wait(&stores->settled, &stores->lock);
		pthread_mutex_unlock(&stores->lock);
	}
}

int stores_cleanup(struct stores *stores, struct handle *handle, struct snapdrv_error *err)
{
	int ret;

	/* Its own comes first: two of these would wait for each other's. */
	if (handle->is_owing)
		flush(handle);
	pthread_mutex_lock(&stores->lock);
	settle(stores, handle);
	pthread_mutex_unlock(&stores->lock);
	flush_all(stores);
	ret = snapdrv_cleanup(handle->store, err);
	if (!ret)
		handle->dirt = CLEAN;
	return ret;
}

int stores_start(struct stores *stores, const struct settings *settings, struct snapdrv_error *err)
{
	struct handle *handle;
	int ret;

	*stores = (struct stores){.settings = settings,
				  .lock = PTHREAD_MUTEX_INITIALIZER,
				  .changed = PTHREAD_COND_INITIALIZER,
				  .settled = PTHREAD_COND_INITIALIZER};
	handle = stores_take(stores, CLEAN, err);
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
	while ((handle = take_idle(stores, CLEAN, DIRTY_NOW))) {
		snapdrv_close(handle->store);
		free(handle);
	}
}
