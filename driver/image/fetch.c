/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching blobs: threads that take the next one, and the files that they write. */
#include "image/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/fetch_parts.h"
#include "store/partial.h"

int fetcher_new(struct intake *intake, struct registry *registry, const char *repository,
		struct fetcher **ret_fetcher, struct snapdrv_error *err)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (!fetcher)
		return fail_memory(err);
	*fetcher =
		(struct fetcher){.intake = intake, .registry = registry, .repository = repository};
	fetcher->scope = registry_scope(repository, 0, err);
	if (!fetcher->scope) {
		free(fetcher);
		return -ENOMEM;
	}
	pthread_mutex_init(&fetcher->lock, NULL);
	pthread_cond_init(&fetcher->changed, NULL);
	*ret_fetcher = fetcher;
	return 0;
}

void fetcher_stop(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	pthread_mutex_lock(&fetcher->lock);
	fetcher->is_stopped = 1;
	pthread_cond_broadcast(&fetcher->changed);
	pthread_mutex_unlock(&fetcher->lock);
}

static void join_threads(struct fetcher *fetcher)
{
	while (fetcher->n_threads)
		pthread_join(fetcher->threads[--fetcher->n_threads], NULL);
}

static void close_file(struct fetch *fetch)
{
	if (fetch->is_open)
		close(fetch->fd);
	fetch->is_open = 0;
}

void fetcher_end(struct fetcher *fetcher, int keep)
{
	fetcher_stop(fetcher);
	join_threads(fetcher);
	for (size_t i = 0; i < fetcher->count; i++) {
		struct fetch *fetch = fetcher->items[i];

		if (fetch->is_open && !fetch->is_kept && !fetch->is_loose &&
		    (!keep || !fetch->have))
			partial_drop(&fetcher->intake->graph->store, &fetch->digest);
		close_file(fetch);
	}
}

void fetcher_let_go(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	fetcher_stop(fetcher);
	join_threads(fetcher);
	for (size_t i = 0; i < fetcher->count; i++) {
		struct fetch *fetch = fetcher->items[i];

		if (fetch->is_kept)
			continue;
		fetch->is_loose = 1;
		fetch->state = fetch->have == fetch->size ? FETCH_DONE : FETCH_FAILED;
		if (fetch->state == FETCH_DONE)
			continue;
		close_file(fetch);
		fail(&fetch->err, SNAPDRV_FAILED, ECANCELED, "given up");
	}
	fetcher->is_stopped = 0;
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	for (size_t i = 0; i < fetcher->count; i++)
		free(fetcher->items[i]);
	free(fetcher->items);
	free(fetcher->scope);
	pthread_cond_destroy(&fetcher->changed);
	pthread_mutex_destroy(&fetcher->lock);
	free(fetcher);
}

static struct fetch *next_fetch(struct fetcher *fetcher)
{
	for (size_t i = 0; i < fetcher->count; i++) {
		if (fetcher->items[i]->state == FETCH_WAITS)
			return fetcher->items[i];
	}
	return NULL;
}

static void *work(void *arg)
{
	struct fetcher *fetcher = arg;

	pthread_mutex_lock(&fetcher->lock);
	while (!fetcher->is_stopped) {
		struct fetch *fetch = next_fetch(fetcher);
		struct snapdrv_error err;
		int ret;

		if (!fetch) {
			pthread_cond_wait(&fetcher->changed, &fetcher->lock);
			continue;
		}
		fetch->state = FETCH_RUNS;
		pthread_mutex_unlock(&fetcher->lock);
		ret = fetch_download(fetch, &err);
		pthread_mutex_lock(&fetcher->lock);
		fetch->state = ret ? FETCH_FAILED : FETCH_DONE;
		if (ret)
			fetch->err = err;
		pthread_cond_broadcast(&fetcher->changed);
	}
	pthread_mutex_unlock(&fetcher->lock);
	return NULL;
}

/* With the layer's lock: what has its name is what there is of it. */
static int open_file(struct fetch *fetch, struct snapdrv_error *err)
{
	struct store *store = &fetch->fetcher->intake->graph->store;
	uint64_t have;

	close_file(fetch);
	fetch->fd = partial_open(store, &fetch->digest, &have, err);
	if (fetch->fd < 0)
		return fetch->fd;
	fetch->is_open = 1;
	if (have > fetch->size)
		have = 0;
	if (ftruncate(fetch->fd, (off_t)have) || lseek(fetch->fd, (off_t)have, SEEK_SET) < 0)
		return fail_errno(err, "go on with a blob");
	fetch->have = fetch->resumed = have;
	fetch->told = 0;
	fetch->is_loose = 0;
	fetch->state = FETCH_WAITS;
	return 0;
}

/* With the lock. A thread for each blob, as far as there are threads. */
static int start_thread(struct fetcher *fetcher, struct snapdrv_error *err)
{
	int ret;

	if (fetcher->n_threads == FETCH_THREADS || fetcher->n_threads >= fetcher->count)
		return 0;
	ret = pthread_create(&fetcher->threads[fetcher->n_threads], NULL, work, fetcher);
	if (!ret)
		fetcher->n_threads++;
	return ret && !fetcher->n_threads
		       ? fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret))
		       : 0;
}

static struct fetch *find_fetch(const struct fetcher *fetcher, const struct digest *digest)
{
	for (size_t i = 0; i < fetcher->count; i++) {
		if (digest_equal(&fetcher->items[i]->digest, digest))
			return fetcher->items[i];
	}
	return NULL;
}

static struct fetch *new_fetch(struct fetcher *fetcher, const struct digest *digest, uint64_t size,
			       struct snapdrv_error *err)
{
	struct fetch **items =
		reallocarray(fetcher->items, fetcher->count + 1, sizeof(struct fetch *));
	struct fetch *fetch = items ? calloc(1, sizeof(*fetch)) : NULL;

	if (items)
		fetcher->items = items;
	if (!fetch) {
		fail_memory(err);
		return NULL;
	}
	*fetch = (struct fetch){.fetcher = fetcher,
				.digest = *digest,
				.size = size,
				.is_loose = 1,
				.state = FETCH_FAILED};
	items[fetcher->count++] = fetch;
	return fetch;
}

static int add(struct fetcher *fetcher, const struct digest *digest, uint64_t size,
	       struct fetch **ret_fetch, struct snapdrv_error *err)
{
	struct fetch *fetch = find_fetch(fetcher, digest);
	int ret;

	if (!fetch)
		fetch = new_fetch(fetcher, digest, size, err);
	if (!fetch)
		return -ENOMEM;
	if (fetch->size != size)
		return refuse(err, "one digest, and two sizes of it");
	ret = fetch->is_loose ? open_file(fetch, err) : 0;
	*ret_fetch = fetch;
	return ret ? ret : start_thread(fetcher, err);
}

int fetcher_add(struct fetcher *fetcher, const struct digest *digest, uint64_t size,
		struct fetch **ret_fetch, struct snapdrv_error *err)
{
	struct fetch *fetch = NULL;
	int ret;

	pthread_mutex_lock(&fetcher->lock);
	ret = add(fetcher, digest, size, &fetch, err);
	pthread_cond_broadcast(&fetcher->changed);
	pthread_mutex_unlock(&fetcher->lock);
	if (!ret)
		*ret_fetch = fetch;
	return ret;
}

/* Wait for bytes behind those that were read. Return: 0 and where they end, or negative. */
static int wait_for(const struct fetch_reader *reader, uint64_t *ret_end, struct snapdrv_error *err)
{
	const struct fetch *fetch = reader->fetch;
	struct fetcher *fetcher = fetch->fetcher;
	uint64_t offset = reader->offset;
	int ret = 0;

	pthread_mutex_lock(&fetcher->lock);
	while (fetch->have <= offset && fetch->state < FETCH_DONE && !fetcher->is_stopped &&
	       !reader->is_cancelled)
		pthread_cond_wait(&fetcher->changed, &fetcher->lock);
	*ret_end = fetch->have;
	if (fetch->have <= offset && fetch->state == FETCH_FAILED)
		ret = fail(err, fetch->err.code, fetch->err.errnum, "%s", fetch->err.message);
	else if (fetch->have <= offset && fetch->state != FETCH_DONE)
		ret = fail(err, SNAPDRV_FAILED, ECANCELED, "given up");
	pthread_mutex_unlock(&fetcher->lock);
	return ret;
}

static ssize_t read_fetch(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct fetch_reader *reader = context;
	uint64_t end;
	ssize_t got;
	int ret = wait_for(reader, &end, err);

	if (ret)
		return ret;
	if (size > end - reader->offset)
		size = (size_t)(end - reader->offset);
	if (!size)
		return 0;
	do {
		got = pread(reader->fetch->fd, data, size, (off_t)reader->offset);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got ? fail_errno(err, "read a blob")
			   : fail(err, SNAPDRV_FAILED, EIO, "a blob was cut off");
	reader->offset += (uint64_t)got;
	return got;
}

static void cancel_reader(void *context)
{
	struct fetch_reader *reader = context;
	struct fetcher *fetcher = reader->fetch->fetcher;

	pthread_mutex_lock(&fetcher->lock);
	reader->is_cancelled = 1;
	pthread_cond_broadcast(&fetcher->changed);
	pthread_mutex_unlock(&fetcher->lock);
}

struct layer_input fetch_input(struct fetch_reader *reader)
{
	return (struct layer_input){.read = read_fetch, .cancel = cancel_reader, .context = reader};
}

int fetch_keep(struct fetch *fetch, struct store_name *ret_blob, struct snapdrv_error *err)
{
	int ret;

	if (fetch->is_kept)
		return 0;
	ret = partial_take(&fetch->fetcher->intake->graph->store, &fetch->digest, ret_blob, err);
	if (ret)
		return ret;
	fetch->is_kept = 1;
	return 1;
}

int fetch_again(struct fetch *fetch)
{
	struct fetcher *fetcher = fetch->fetcher;
	int is_new;

	pthread_mutex_lock(&fetcher->lock);
	while (fetch->resumed && fetch->state < FETCH_DONE && !fetcher->is_stopped)
		pthread_cond_wait(&fetcher->changed, &fetcher->lock);
	is_new = fetch->resumed && !fetch->is_kept && fetch->state >= FETCH_DONE &&
		 !ftruncate(fetch->fd, 0) && !lseek(fetch->fd, 0, SEEK_SET);
	if (is_new) {
		fetch->have = fetch->resumed = fetch->told = 0;
		fetch->state = FETCH_WAITS;
		pthread_cond_broadcast(&fetcher->changed);
	}
	pthread_mutex_unlock(&fetcher->lock);
	return is_new;
}
