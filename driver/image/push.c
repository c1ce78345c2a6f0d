/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing: what the registry lacks of an image, byte for byte as it is kept, and the manifest last. */
#include "image/push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "image/images.h"
#include "image/reference.h"
#include "image/registry.h"
#include "image/stage.h"
#include "image/upload.h"
#include "store/content.h"

#define THREADS 3  /* blobs at once */
#define FROM_MAX 3 /* repositories that are tried for a blob */
#define PROGRESS_STEP (1u << 20)
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"

struct push;

struct push_blob {
	struct push *push;
	struct upload upload;
	int is_kept; /* the store has it */
	uint64_t told;
};

struct push {
	struct graph *graph;
	const struct snapdrv_push_options *options;
	struct image image;
	struct reference reference;
	char *name; /* in full */
	struct registry *registry;
	char *manifest;
	size_t manifest_size;
	char *config;
	size_t config_size;
	char *type; /* of the manifest */
	struct push_blob *blobs;
	size_t n_blobs;
	size_t next; /* that nobody has taken */
	pthread_mutex_t lock;
	int ret; /* the first failure; everybody gives up */
	struct snapdrv_error err;
};

static void push_done(struct push *push)
{
	for (size_t i = 0; i < push->n_blobs; i++)
		strings_done(&push->blobs[i].upload.from);
	free(push->blobs);
	free(push->type);
	free(push->manifest);
	free(push->config);
	registry_close(push->registry);
	reference_done(&push->reference);
	free(push->name);
	image_done(&push->image);
	pthread_mutex_destroy(&push->lock);
}

/* Repositories of the registry, other than the target, by which images with this blob are known here. */
static int find_mounts(struct push *push, const struct digest *digest, struct strings *from,
		       struct snapdrv_error *err)
{
	cleanup_free char *prefix = text_format(err, "%s/", push->reference.registry);
	cleanup_query struct query *query = NULL;
	int ret;

	if (!prefix)
		return -ENOMEM;
	query = db_query(push->graph->store.db, err,
			 "SELECT DISTINCT name FROM reference"
			 " JOIN image_blob ON image_blob.image = reference.image"
			 " WHERE digest = ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY name",
			 "ss", digest_format(digest).text, prefix);
	ret = query ? 0 : -EIO;
	while (!ret && from->count < FROM_MAX && (ret = query_next(query, err)) == 1) {
		cleanup_reference struct reference other = {0};

		ret = reference_parse(query_text(query, 0), &other, err);
		if (!ret && strcmp(other.repository, push->reference.repository) &&
		    !strings_has(from, other.repository))
			ret = strings_add(from, other.repository, err);
	}
	return ret < 0 ? ret : 0;
}

static int add_blob(struct push *push, const json_t *json, struct snapdrv_error *err)
{
	struct push_blob *blob = &push->blobs[push->n_blobs];
	const char *text = "";
	int ret;

	*blob = (struct push_blob){.push = push, .upload = {.fd = -1}};
	ret = json_need(json_member_string(json, "digest", &text, err), "digest", err);
	if (ret > 0)
		ret = json_need(json_member_size(json, "size", &blob->upload.size, err), "size",
				err);
	ret = ret < 0 ? ret : digest_parse(text, &blob->upload.digest, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < push->n_blobs; i++) {
		if (digest_equal(&push->blobs[i].upload.digest, &blob->upload.digest))
			return 0;
	}
	push->n_blobs++;
	ret = content_has(&push->graph->store, &blob->upload.digest, err);
	if (ret < 0)
		return ret;
	blob->is_kept = ret;
	return find_mounts(push, &blob->upload.digest, &blob->upload.from, err);
}

static int find_type(struct push *push, const json_t *manifest, const json_t *config,
		     struct snapdrv_error *err)
{
	const char *type = NULL, *config_type = NULL;

	if (json_member_string(manifest, "mediaType", &type, err) < 0 ||
	    json_member_string(config, "mediaType", &config_type, err) < 0)
		return -EBADMSG;
	if (!type)
		type = config_type && !strcmp(config_type, DOCKER_CONFIG) ? DOCKER_MANIFEST
									  : OCI_MANIFEST;
	for (const char *at = type; *at; at++) {
		if (*at <= ' ' || *at > '~')
			return refuse(err, "mediaType %s", quote(type).text);
	}
	push->type = text_dup(type, err);
	return push->type ? 0 : -ENOMEM;
}

/* The layers, and the config, which the database has even where blobs were discarded. */
static int list_blobs(struct push *push, struct snapdrv_error *err)
{
	cleanup_json json_t *manifest = NULL;
	json_t *layers = NULL, *config = NULL, *item;
	struct upload *upload;
	size_t i;
	int ret = json_parse(push->manifest, push->manifest_size, &manifest, err);

	if (!ret)
		ret = json_need(json_member_object(manifest, "config", &config, err), "config",
				err);
	if (ret > 0)
		ret = json_need(json_member_array(manifest, "layers", &layers, err), "layers", err);
	if (ret < 0)
		return ret;
	push->blobs = calloc(json_array_size(layers) + 1, sizeof(*push->blobs));
	if (!push->blobs)
		return fail_memory(err);
	ret = add_blob(push, config, err);
	if (ret)
		return ret;
	upload = &push->blobs[0].upload;
	upload->data = push->config;
	upload->size = push->config_size;
	push->blobs[0].is_kept = 1;
	json_array_foreach(layers, i, item) {
		ret = add_blob(push, item, err);
		if (ret)
			return ret;
	}
	return find_type(push, manifest, config, err);
}

static int read_manifest(struct push *push, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(push->graph->store.db, err, "SELECT manifest FROM image WHERE id = ?", "i",
			 push->image.id);
	int found = query ? query_next(query, err) : -EIO;
	const void *data;

	if (found != 1)
		return found ? found
			     : fail(err, SNAPDRV_MISSING, ENOENT, "image: it has been removed");
	data = query_bytes(query, 0, &push->manifest_size);
	push->manifest = malloc(push->manifest_size + 1);
	if (!push->manifest)
		return fail_memory(err);
	memcpy(push->manifest, data, push->manifest_size);
	return 0;
}

/*
 * A layer whose blob was discarded, and that the registry lacks. This is the place for writing it anew
 * from its tree, which gives other digests and so another manifest.
 */
static int put_discarded(const struct push_blob *blob, struct snapdrv_error *err)
{
	(void)blob;
	return fail(err, SNAPDRV_FAILED, ENOENT,
		    "its blob was discarded when the image came in, and the registry has it not");
}

static void tell(void *arg, uint64_t done)
{
	struct push_blob *blob = arg;
	struct push *push = blob->push;
	struct digest_text text = digest_format(&blob->upload.digest);
	struct snapdrv_progress news = {text.text, done, blob->upload.size};

	if (!push->options || !push->options->progress ||
	    (done - blob->told < PROGRESS_STEP && done != blob->upload.size))
		return;
	blob->told = done;
	pthread_mutex_lock(&push->lock);
	push->options->progress(push->options->progress_arg, &news);
	pthread_mutex_unlock(&push->lock);
}

static int is_cancelled(void *arg)
{
	struct push *push = ((struct push_blob *)arg)->push;
	int answer;

	pthread_mutex_lock(&push->lock);
	answer = push->ret;
	pthread_mutex_unlock(&push->lock);
	return answer;
}

static int put_blob(struct push_blob *blob, struct snapdrv_error *err)
{
	struct push *push = blob->push;
	struct upload *upload = &blob->upload;
	const char *repository = push->reference.repository;
	cleanup_fd int fd = -1;
	int ret = registry_has_blob(push->registry, repository, &upload->digest, err);

	if (!ret)
		ret = registry_mount_blob(push->registry, repository, upload, err);
	if (ret)
		return ret < 0 ? ret : 0;
	if (!blob->is_kept)
		return put_discarded(blob, err);
	if (!upload->data) {
		fd = content_open(&push->graph->store, &upload->digest, err);
		if (fd < 0)
			return fd;
		upload->fd = fd;
	}
	upload->sent = tell;
	upload->is_cancelled = is_cancelled;
	upload->arg = blob;
	return registry_put_blob(push->registry, repository, upload, err);
}

static void *work(void *arg)
{
	struct push *push = arg;

	pthread_mutex_lock(&push->lock);
	while (!push->ret && push->next < push->n_blobs) {
		struct push_blob *blob = &push->blobs[push->next++];
		struct snapdrv_error err;
		int ret;

		pthread_mutex_unlock(&push->lock);
		ret = put_blob(blob, &err);
		if (ret)
			fail_within(&err, ret, "blob %s", digest_format(&blob->upload.digest).text);
		pthread_mutex_lock(&push->lock);
		if (ret && !push->ret) {
			push->ret = ret;
			push->err = err;
		}
	}
	pthread_mutex_unlock(&push->lock);
	return NULL;
}

static int put_all(struct push *push, struct snapdrv_error *err)
{
	const struct reference *reference = &push->reference;
	struct digest digest;
	int ret = run_threads(push->n_blobs < THREADS ? (unsigned)push->n_blobs : THREADS, work,
			      push, err);

	if (!ret && push->ret)
		ret = fail(err, push->err.code, push->err.errnum, "%s", push->err.message);
	if (!ret)
		ret = digest_parse(push->image.digest.text, &digest, err);
	return ret ? ret
		   : registry_put_manifest(push->registry, reference->repository,
					   reference->tag ? reference->tag : reference->digest,
					   push->type, push->manifest, push->manifest_size, &digest,
					   err);
}

/* Where to: @ref, or the name by which the image was found. */
static int find_target(struct push *push, const char *image, const char *ref,
		       struct snapdrv_error *err)
{
	int ret;

	if (!ref)
		ref = push->image.name;
	if (!ref)
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "image %s: an ID says no registry: say where to push it",
			    quote(image).text);
	ret = reference_parse(ref, &push->reference, err);
	if (ret)
		return ret;
	if (push->reference.digest && strcmp(push->reference.digest, push->image.digest.text))
		return fail(err, SNAPDRV_USAGE, EINVAL, "%s: the image's digest is %s",
			    quote(ref).text, push->image.digest.text);
	push->name = reference_format(&push->reference, err);
	return push->name ? 0 : -ENOMEM;
}

static int tell_pushed(const struct push *push, struct snapdrv_loaded **ret_pushed,
		       struct snapdrv_error *err)
{
	struct snapdrv_loaded *pushed = calloc(1, sizeof(*pushed));

	if (!pushed)
		return fail_memory(err);
	pushed->reference = text_dup(push->name, err);
	pushed->id = text_dup(push->image.config_digest.text, err);
	pushed->digest = text_dup(push->image.digest.text, err);
	*ret_pushed = pushed;
	return pushed->reference && pushed->id && pushed->digest ? 0 : -ENOMEM;
}

int image_push(struct graph *graph, const char *image, const char *ref,
	       const struct snapdrv_registry_options *registry_options,
	       const struct snapdrv_push_options *options, struct snapdrv_loaded **ret_pushed,
	       struct snapdrv_error *err)
{
	__attribute__((cleanup(push_done))) struct push push = {.graph = graph, .options = options};
	int ret;

	pthread_mutex_init(&push.lock, NULL);
	ret = image_find(graph, image, &push.image, err);
	if (!ret)
		ret = find_target(&push, image, ref, err);
	if (ret)
		return ret;
	ret = read_manifest(&push, err);
	if (!ret)
		ret = image_config(graph, push.image.id, &push.config, &push.config_size, err);
	if (!ret)
		ret = list_blobs(&push, err);
	if (!ret)
		ret = registry_open(&push.reference, registry_options, &push.registry, err);
	if (!ret)
		ret = put_all(&push, err);
	if (!ret)
		ret = tell_pushed(&push, ret_pushed, err);
	return ret ? fail_within(err, ret, "image %s", quote(push.name).text) : 0;
}
