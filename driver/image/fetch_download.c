/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a registry for blobs: ranges that go on where a connection broke. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/fetch_parts.h"
#include "store/content.h"

#define PROGRESS_STEP (256u << 10)
#define PROGRESS_MADE (64u << 10) /* bytes after which a broken connection is the first one again */

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

int fetch_download(struct fetch *fetch, struct snapdrv_error *err)
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
