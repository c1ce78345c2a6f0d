/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching blobs: threads that take the next one, ranges that go on where a connection broke. */
#include "image/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/content.h"
#include "store/partial.h"

#define THREADS 3 /* blobs at once */
#define PROGRESS_STEP (256u << 10)
#define PROGRESS_MADE (64u << 10) /* bytes after which a broken connection is the first one again */

enum fetch_state { FETCH_WAITS, FETCH_RUNS, FETCH_DONE, FETCH_FAILED };

struct fetch {
	struct fetcher *fetcher;
	struct digest digest;
	uint64_t size;
	enum fetch_state state;
	int fd;
	int is_open;
	int is_kept;
	uint64_t have;	  /* bytes in the file */
	uint64_t resumed; /* of which an earlier run left so many */
	uint64_t skip;	  /* bytes of this answer that are in the file already */
	uint64_t told;
	int has_begun; /* this answer's status and headers are checked */
	struct snapdrv_error err;
};

struct fetcher {
	struct intake *intake;
	struct registry *registry;
	const char *repository;
	char *scope;
	struct fetch **items;
	size_t count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[THREADS];
	unsigned n_threads;
	int is_stopped;
};

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

void fetcher_end(struct fetcher *fetcher, int keep)
{
	fetcher_stop(fetcher);
	join_threads(fetcher);
	for (size_t i = 0; i < fetcher->count; i++) {
		struct fetch *fetch = fetcher->items[i];

		if (fetch->is_open)
			close(fetch->fd);
		if (fetch->is_open && !fetch->is_kept && (!keep || !fetch->have))
			partial_drop(&fetcher->intake->graph->store, &fetch->digest);
		fetch->is_open = 0;
	}
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

/* Not what the user asked for is missing, but what the manifest promises. */
static int broken_promise(struct snapdrv_error *err)
{
	struct snapdrv_error missing = *err;

	return refuse(err, "%s", missing.message);
}

int fetcher_document(struct fetcher *fetcher, const struct digest *digest, int is_manifest,
		     char **ret_data, size_t *ret_size, struct snapdrv_error *err)
{
	struct digest ignored;
	int ret;

	if (!is_manifest) {
		ret = registry_config(fetcher->registry, fetcher->repository, digest, ret_data,
				      ret_size, err);
		return ret && err->code == SNAPDRV_MISSING ? broken_promise(err) : ret;
	}
	return registry_manifest(fetcher->registry, fetcher->repository, digest_format(digest).text,
				 ret_data, ret_size, &ignored, err);
}

static int is_cancelled(void *arg)
{
	struct fetcher *fetcher = ((struct fetch *)arg)->fetcher;
	int answer;

	pthread_mutex_lock(&fetcher->lock);
	answer = fetcher->is_stopped;
	pthread_mutex_unlock(&fetcher->lock);
	return answer;
}

static void tell(struct fetch *fetch)
{
	struct intake *intake = fetch->fetcher->intake;
	struct digest_text text = digest_format(&fetch->digest);
	struct snapdrv_progress news = {text.text, fetch->have, fetch->size};

	fetch->told = fetch->have;
	if (!intake->options->progress)
		return;
	pthread_mutex_lock(&intake->progress_lock);
	intake->options->progress(intake->options->progress_arg, &news);
	pthread_mutex_unlock(&intake->progress_lock);
}

/* Where an answer starts, and whether its length fits what is wanted. */
static int begin_answer(struct fetch *fetch, const struct http_response *response,
			struct snapdrv_error *err)
{
	const char *range = http_header(response, "content-range");
	uint64_t length, wanted = fetch->size;
	unsigned long long first;

	fetch->has_begun = 1;
	fetch->skip = fetch->have;
	if (response->status == 206) {
		if (!range || sscanf(range, "bytes %llu-", &first) != 1 || first != fetch->have)
			return refuse(err, "another range than the one that was asked for");
		fetch->skip = 0;
		wanted -= fetch->have;
	}
	if (http_header_number(response, "content-length", &length) && length != wanted)
		return refuse(err, "%llu bytes where its descriptor says %llu",
			      (unsigned long long)(length + fetch->size - wanted),
			      (unsigned long long)fetch->size);
	return 0;
}

static int take(void *arg, const struct http_response *response, const void *data, size_t size,
		struct snapdrv_error *err)
{
	struct fetch *fetch = arg;
	const char *bytes = data;
	int ret = fetch->has_begun ? 0 : begin_answer(fetch, response, err);

	if (ret)
		return ret;
	if (fetch->skip) {
		size_t skipped = fetch->skip < size ? (size_t)fetch->skip : size;

		fetch->skip -= skipped;
		bytes += skipped;
		size -= skipped;
	}
	if (size > fetch->size - fetch->have)
		return refuse(err, "more bytes than the %llu that its descriptor says",
			      (unsigned long long)fetch->size);
	ret = content_append(fetch->fd, bytes, size, err);
	if (ret)
		return ret;
	pthread_mutex_lock(&fetch->fetcher->lock);
	fetch->have += size;
	pthread_cond_broadcast(&fetch->fetcher->changed);
	pthread_mutex_unlock(&fetch->fetcher->lock);
	if (fetch->have - fetch->told >= PROGRESS_STEP || fetch->have == fetch->size)
		tell(fetch);
	return 0;
}

/* An answer that came to its end. */
static int judge(const struct fetch *fetch, const struct http_response *response,
		 struct snapdrv_error *err)
{
	if (response->status != 200 && response->status != 206) {
		int ret = registry_failed(response, err);

		return response->status == 404 ? broken_promise(err) : ret;
	}
	if (fetch->have != fetch->size)
		return refuse(err, "%llu bytes where its descriptor says %llu",
			      (unsigned long long)fetch->have, (unsigned long long)fetch->size);
	return 0;
}

static int ask(struct fetch *fetch, const char *url, struct http_response *response,
	       struct snapdrv_error *err)
{
	struct fetcher *fetcher = fetch->fetcher;
	char range[64];
	const char *headers[] = {range, NULL};
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.headers = fetch->have ? headers : NULL,
		.body_fd = -1,
		.take = take,
		.is_cancelled = is_cancelled,
		.arg = fetch,
	};

	snprintf(range, sizeof(range), "Range: bytes=%llu-", (unsigned long long)fetch->have);
	fetch->has_begun = 0;
	return registry_try(fetcher->registry, fetcher->scope, &request, response, err);
}

static int download(struct fetch *fetch, struct snapdrv_error *err)
{
	struct fetcher *fetcher = fetch->fetcher;
	cleanup_free char *url = registry_url(fetcher->registry, fetcher->repository, "blobs",
					      digest_format(&fetch->digest).text, err);
	cleanup_response struct http_response response = {0};
	struct retry retry = {0};
	int ret = url ? 0 : -ENOMEM, again = !ret && fetch->have < fetch->size;

	while (again) {
		uint64_t before = fetch->have;

		ret = ask(fetch, url, &response, err);
		if (fetch->have - before >= PROGRESS_MADE)
			retry = (struct retry){0};
		again = retry_again(&retry, ret, &response, is_cancelled, fetch);
		if (!again && !ret)
			ret = judge(fetch, &response, err);
	}
	return ret;
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
		ret = download(fetch, &err);
		pthread_mutex_lock(&fetcher->lock);
		fetch->state = ret ? FETCH_FAILED : FETCH_DONE;
		if (ret)
			fetch->err = err;
		pthread_cond_broadcast(&fetcher->changed);
	}
	pthread_mutex_unlock(&fetcher->lock);
	return NULL;
}

static int open_file(struct fetch *fetch, struct snapdrv_error *err)
{
	struct store *store = &fetch->fetcher->intake->graph->store;
	uint64_t have;
	int fd = partial_open(store, &fetch->digest, &have, err);

	if (fd < 0)
		return fd;
	if (have > fetch->size)
		have = 0;
	fetch->fd = fd;
	fetch->is_open = 1;
	fetch->have = fetch->resumed = have;
	if (ftruncate(fd, (off_t)have) || lseek(fd, (off_t)have, SEEK_SET) < 0)
		return fail_errno(err, "go on with a blob");
	return 0;
}

/* With the lock. A thread for each blob, as far as there are threads. */
static int start_thread(struct fetcher *fetcher, struct snapdrv_error *err)
{
	int ret;

	if (fetcher->n_threads == THREADS || fetcher->n_threads >= fetcher->count)
		return 0;
	ret = pthread_create(&fetcher->threads[fetcher->n_threads], NULL, work, fetcher);
	if (!ret)
		fetcher->n_threads++;
	return ret && !fetcher->n_threads
		       ? fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret))
		       : 0;
}

static int add(struct fetcher *fetcher, const struct digest *digest, uint64_t size,
	       struct fetch **ret_fetch, struct snapdrv_error *err)
{
	struct fetch **items, *fetch;
	int ret;

	for (size_t i = 0; i < fetcher->count; i++) {
		*ret_fetch = fetcher->items[i];
		if (digest_equal(&(*ret_fetch)->digest, digest))
			return (*ret_fetch)->size == size
				       ? 0
				       : refuse(err, "one digest, and two sizes of it");
	}
	items = reallocarray(fetcher->items, fetcher->count + 1, sizeof(struct fetch *));
	if (!items)
		return fail_memory(err);
	fetcher->items = items;
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return fail_memory(err);
	*fetch = (struct fetch){.fetcher = fetcher, .digest = *digest, .size = size};
	items[fetcher->count++] = fetch;
	ret = open_file(fetch, err);
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

int fetcher_go_on(struct fetcher *fetcher, struct snapdrv_error *err)
{
	int ret = 0;

	if (!fetcher || !fetcher->is_stopped)
		return 0;
	join_threads(fetcher);
	fetcher->is_stopped = 0;
	pthread_mutex_lock(&fetcher->lock);
	for (size_t i = 0; i < fetcher->count && !ret; i++) {
		if (fetcher->items[i]->state != FETCH_DONE)
			fetcher->items[i]->state = FETCH_WAITS;
		ret = start_thread(fetcher, err);
	}
	pthread_mutex_unlock(&fetcher->lock);
	return ret;
}

/* Wait for bytes behind @offset. Return: where they end, or negative. */
static int wait_for(struct fetch *fetch, uint64_t offset, uint64_t *ret_end,
		    struct snapdrv_error *err)
{
	struct fetcher *fetcher = fetch->fetcher;
	int ret = 0;

	pthread_mutex_lock(&fetcher->lock);
	while (fetch->have <= offset && fetch->state < FETCH_DONE && !fetcher->is_stopped)
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
	int ret = wait_for(reader->fetch, reader->offset, &end, err);

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

struct layer_input fetch_input(struct fetch_reader *reader)
{
	return (struct layer_input){.read = read_fetch, .context = reader};
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
