/* SPDX-License-Identifier: Apache-2.0 */
/* A registry: where it is, how it is reached, and its manifests. */
#include "image/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "image/registry_auth.h"
#include "wire/url.h"

#define MANIFEST_TYPES                                                \
	"Accept: application/vnd.oci.image.index.v1+json, "           \
	"application/vnd.oci.image.manifest.v1+json, "                \
	"application/vnd.docker.distribution.manifest.list.v2+json, " \
	"application/vnd.docker.distribution.manifest.v2+json"
#define SCHEMA_1 "application/vnd.docker.distribution.manifest.v1"

static const char *const tls_names[] = {"ca.crt", "client.cert", "client.key"};

static int read_cert_dir(struct registry *registry, const char *dir, struct snapdrv_error *err)
{
	int found = 0;

	if (access(dir, R_OK | X_OK))
		return fail(err, SNAPDRV_MISSING, errno, "%s: %s", quote(dir).text,
			    strerror(errno));
	for (size_t i = 0; i < sizeof(tls_names) / sizeof(*tls_names); i++) {
		cleanup_free char *path = text_format(err, "%s/%s", dir, tls_names[i]);

		if (!path)
			return -ENOMEM;
		if (access(path, F_OK)) {
			if (errno == ENOENT)
				continue;
			return fail_errno(err, "%s", quote(path).text);
		}
		registry->tls_files[i] = steal_ptr(&path);
		found = 1;
	}
	if (!found)
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "%s: no ca.crt, client.cert or client.key in it", quote(dir).text);
	if (!registry->tls_files[1] != !registry->tls_files[2])
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "%s: client.cert and client.key need each other", quote(dir).text);
	registry->tls = (struct http_options){.ca_file = registry->tls_files[0],
					      .client_cert = registry->tls_files[1],
					      .client_key = registry->tls_files[2]};
	return 0;
}

static int fill(struct registry *registry, const struct reference *reference,
		const struct snapdrv_registry_options *options, struct snapdrv_error *err)
{
	static const struct snapdrv_registry_options no_options;
	const char *host = strcmp(reference->registry, "docker.io") ? reference->registry
								    : "registry-1.docker.io";
	int ret;

	if (!options)
		options = &no_options;
	registry->name = text_dup(reference->registry, err);
	registry->base = text_format(err, "%s://%s",
				     options->flags & SNAPDRV_PLAIN_HTTP ? "http" : "https", host);
	if (!registry->name || !registry->base)
		return -ENOMEM;
	ret = options->cert_dir ? read_cert_dir(registry, options->cert_dir, err) : 0;
	if (!ret)
		ret = credentials_find(reference, options->creds, &registry->credentials, err);
	if (!ret)
		ret = http_new(&registry->tls, &registry->http, err);
	return ret;
}

int registry_open(const struct reference *reference, const struct snapdrv_registry_options *options,
		  struct registry **ret_registry, struct snapdrv_error *err)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	int ret;

	if (!registry)
		return fail_memory(err);
	pthread_mutex_init(&registry->lock, NULL);
	ret = fill(registry, reference, options, err);
	if (ret) {
		registry_close(registry);
		return fail_within(err, ret, "registry %s", reference->registry);
	}
	*ret_registry = registry;
	return 0;
}

void registry_close(struct registry *registry)
{
	if (!registry)
		return;
	http_free(registry->http);
	grants_done(registry);
	credentials_done(&registry->credentials);
	for (size_t i = 0; i < sizeof(registry->tls_files) / sizeof(*registry->tls_files); i++)
		free(registry->tls_files[i]);
	free(registry->name);
	free(registry->base);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

char *registry_scope(const char *repository, int can_push, struct snapdrv_error *err)
{
	return text_format(err, "repository:%s:pull%s", repository, can_push ? ",push" : "");
}

char *registry_url(const struct registry *registry, const char *repository, const char *kind,
		   const char *name, struct snapdrv_error *err)
{
	return text_format(err, "%s/v2/%s/%s/%s", registry->base, repository, kind, name);
}

int registry_send(struct registry *registry, const char *scope, const struct http_request *request,
		  struct http_response *ret_response, struct snapdrv_error *err)
{
	struct retry retry = {0};
	int ret;

	do {
		ret = registry_try(registry, scope, request, ret_response, err);
	} while (retry_again(&retry, ret, ret_response, request->is_cancelled, request->arg));
	return ret;
}

/* The registry's own words, if it says any: {"errors": [{"code": ..., "message": ...}]}. */
static int say_why(const struct http_response *response, int code, int errnum,
		   struct snapdrv_error *err)
{
	cleanup_json json_t *json = NULL;
	const json_t *first;
	const char *word, *message;

	if (!response->body.size ||
	    json_parse(response->body.data, response->body.size, &json, NULL))
		return 0;
	first = json_array_get(json_object_get(json, "errors"), 0);
	word = json_string_value(json_object_get(first, "code"));
	message = json_string_value(json_object_get(first, "message"));
	/* Token servers have words of their own (RFC 6749, 5.2). */
	if (!message || !*message)
		message = json_string_value(json_object_get(json, "details"));
	if (!message || !*message)
		message = word;
	if (!message)
		return 0;
	if (!word || message == word)
		return fail(err, code, errnum, "the registry says %s (HTTP %d)",
			    quote(message).text, response->status);
	return fail(err, code, errnum, "the registry says %s, %s (HTTP %d)", quote(word).text,
		    quote(message).text, response->status);
}

int registry_failed(const struct http_response *response, struct snapdrv_error *err)
{
	int is_missing = response->status == 404;
	int is_denied = response->status == 401 || response->status == 403;
	int code = is_missing ? SNAPDRV_MISSING : SNAPDRV_FAILED;
	int errnum = is_missing ? ENOENT : is_denied ? EACCES : EIO;
	int ret = say_why(response, code, errnum, err);

	if (ret)
		return ret;
	if (is_denied)
		return fail(err, code, errnum, "the registry wants other credentials (HTTP %d)",
			    response->status);
	return fail(err, code, errnum, "the registry answers with HTTP %d", response->status);
}

static int get_document(struct registry *registry, const char *repository, const char *url,
			const char *accept, struct http_response *response,
			struct snapdrv_error *err)
{
	cleanup_free char *scope = registry_scope(repository, 0, err);
	const char *headers[] = {accept, NULL}, *type;
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.headers = headers,
		.body_fd = -1,
		.body_max = JSON_DOCUMENT_MAX,
	};
	int ret = scope ? registry_send(registry, scope, &request, response, err) : -ENOMEM;

	if (ret)
		return ret;
	if (response->status != 200)
		return registry_failed(response, err);
	type = http_header(response, "content-type");
	if (type && !strncasecmp(type, "text/html", strlen("text/html")))
		return refuse(err, "a page of HTML where a document was to come");
	if (type && text_starts(type, SCHEMA_1))
		return refuse(err, "a manifest of Docker's schema 1, which names no config");
	/* A NUL behind it, as documents have. */
	return bytes_add(&response->body, "", 1, err);
}

int registry_manifest(struct registry *registry, const char *repository, const char *what,
		      char **ret_data, size_t *ret_size, struct digest *ret_digest,
		      struct snapdrv_error *err)
{
	cleanup_free char *url = registry_url(registry, repository, "manifests", what, err);
	cleanup_response struct http_response response = {0};
	struct digest actual, wanted;
	const char *said;
	int ret = url ? get_document(registry, repository, url, MANIFEST_TYPES, &response, err)
		      : -ENOMEM;

	if (ret)
		return ret;
	actual = digest_of(response.body.data, response.body.size - 1);
	said = strchr(what, ':') ? what : http_header(&response, "docker-content-digest");
	if (said && !digest_parse(said, &wanted, NULL) && !digest_equal(&wanted, &actual))
		return refuse(err, "manifest %s: its content is %s", said,
			      digest_format(&actual).text);
	*ret_size = response.body.size - 1;
	*ret_data = steal_ptr(&response.body.data);
	*ret_digest = actual;
	return 0;
}

int registry_config(struct registry *registry, const char *repository, const struct digest *digest,
		    char **ret_data, size_t *ret_size, struct snapdrv_error *err)
{
	cleanup_free char *url =
		registry_url(registry, repository, "blobs", digest_format(digest).text, err);
	cleanup_response struct http_response response = {0};
	int ret = url ? get_document(registry, repository, url, NULL, &response, err) : -ENOMEM;

	if (ret)
		return ret;
	*ret_size = response.body.size - 1;
	*ret_data = steal_ptr(&response.body.data);
	return 0;
}
