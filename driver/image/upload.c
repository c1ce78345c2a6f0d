/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs and manifests to a registry: POST for a place, PUT there. */
#include "image/upload.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "wire/url.h"

int registry_has_blob(struct registry *registry, const char *repository,
		      const struct digest *digest, struct snapdrv_error *err)
{
	cleanup_free char *url =
		registry_url(registry, repository, "blobs", digest_format(digest).text, err);
	cleanup_free char *scope = registry_scope(repository, 1, err);
	cleanup_response struct http_response response = {0};
	struct http_request request = {
		.method = "HEAD", .url = url, .body_fd = -1, .body_max = JSON_DOCUMENT_MAX};
	int ret = url && scope ? registry_send(registry, scope, &request, &response, err) : -ENOMEM;

	if (ret || response.status == 200 || response.status == 404)
		return ret ? ret : response.status == 200;
	/* An answer to HEAD has no words in it. */
	request.method = "GET";
	ret = registry_send(registry, scope, &request, &response, err);
	return ret ? ret : registry_failed(&response, err);
}

/* An empty POST to the uploads of a repository. */
static int post(struct registry *registry, const char *url, const char *scope,
		struct http_response *response, struct snapdrv_error *err)
{
	const struct http_request request = {.method = "POST",
					     .url = url,
					     .body = "",
					     .body_fd = -1,
					     .body_max = JSON_DOCUMENT_MAX};

	return registry_send(registry, scope, &request, response, err);
}

static int mount_from(struct registry *registry, const char *repository,
		      const struct upload *upload, const char *from, struct snapdrv_error *err)
{
	cleanup_free char *start = registry_url(registry, repository, "blobs", "uploads/", err);
	cleanup_free char *scope =
		text_format(err, "repository:%s:pull,push repository:%s:pull", repository, from);
	cleanup_free char *with_digest = NULL, *url = NULL;
	cleanup_response struct http_response response = {0};
	int ret = start && scope ? 0 : -ENOMEM;

	if (!ret)
		ret = url_add_query(start, "mount", digest_format(&upload->digest).text,
				    &with_digest, err);
	if (!ret)
		ret = url_add_query(with_digest, "from", from, &url, err);
	if (!ret)
		ret = post(registry, url, scope, &response, err);
	/* Whatever else it says, the blob can still be sent. */
	return ret ? ret : response.status == 201;
}

int registry_mount_blob(struct registry *registry, const char *repository,
			const struct upload *upload, struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < upload->from.count && !ret; i++)
		ret = mount_from(registry, repository, upload, upload->from.items[i], err);
	return ret;
}

/* Where the registry wants a blob: the Location of its answer, with the digest added. */
static int find_place(struct registry *registry, const char *repository, const char *scope,
		      const struct upload *upload, char **ret_url, struct snapdrv_error *err)
{
	cleanup_free char *start = registry_url(registry, repository, "blobs", "uploads/", err);
	cleanup_free char *place = NULL;
	cleanup_response struct http_response response = {0};
	const char *location;
	int ret = start ? post(registry, start, scope, &response, err) : -ENOMEM;

	if (ret)
		return ret;
	if (response.status != 202)
		return registry_failed(&response, err);
	location = http_header(&response, "location");
	if (!location)
		return refuse(err, "the registry names no place to send it to");
	ret = url_join(response.url, location, &place, err);
	if (!ret && url_is_secure(response.url) && !url_is_secure(place))
		ret = refuse(err, "the registry wants it in the clear, by http: %s",
			     quote(place).text);
	return ret ? ret
		   : url_add_query(place, "digest", digest_format(&upload->digest).text, ret_url,
				   err);
}

static int put_once(struct registry *registry, const char *repository, const char *scope,
		    const struct upload *upload, struct http_response *response,
		    struct snapdrv_error *err)
{
	static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
	cleanup_free char *url = NULL;
	struct http_request request = {
		.method = "PUT",
		.headers = headers,
		.body = upload->data,
		.body_fd = upload->fd,
		.body_size = upload->size,
		.body_max = JSON_DOCUMENT_MAX,
		.sent = upload->sent,
		.is_cancelled = upload->is_cancelled,
		.arg = upload->arg,
	};
	int ret = find_place(registry, repository, scope, upload, &url, err);

	request.url = url;
	return ret ? ret : registry_try(registry, scope, &request, response, err);
}

int registry_put_blob(struct registry *registry, const char *repository,
		      const struct upload *upload, struct snapdrv_error *err)
{
	cleanup_free char *scope = registry_scope(repository, 1, err);
	cleanup_response struct http_response response = {0};
	struct retry retry = {0};
	int ret;

	if (!scope)
		return -ENOMEM;
	do {
		ret = put_once(registry, repository, scope, upload, &response, err);
	} while (retry_again(&retry, ret, &response, upload->is_cancelled, upload->arg));
	if (ret)
		return ret;
	return response.status == 201 ? 0 : registry_failed(&response, err);
}

int registry_put_manifest(struct registry *registry, const char *repository, const char *what,
			  const char *type, const void *data, size_t size,
			  const struct digest *digest, struct snapdrv_error *err)
{
	cleanup_free char *url = registry_url(registry, repository, "manifests", what, err);
	cleanup_free char *scope = registry_scope(repository, 1, err);
	cleanup_free char *header = text_format(err, "Content-Type: %s", type);
	cleanup_response struct http_response response = {0};
	const char *headers[] = {header, NULL}, *said;
	const struct http_request request = {
		.method = "PUT",
		.url = url,
		.headers = headers,
		.body = data,
		.body_fd = -1,
		.body_size = size,
		.body_max = JSON_DOCUMENT_MAX,
	};
	struct digest kept;
	int ret = url && scope && header ? registry_send(registry, scope, &request, &response, err)
					 : -ENOMEM;

	if (ret)
		return ret;
	if (response.status / 100 != 2)
		return registry_failed(&response, err);
	said = http_header(&response, "docker-content-digest");
	if (said && !digest_parse(said, &kept, NULL) && !digest_equal(&kept, digest))
		return refuse(err, "the registry has made manifest %s of it",
			      digest_format(&kept).text);
	return 0;
}
