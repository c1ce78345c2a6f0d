/* SPDX-License-Identifier: Apache-2.0 */
/* A registry, by the OCI distribution spec: requests with the rights that they need. */
#ifndef IMAGE_REGISTRY_H
#define IMAGE_REGISTRY_H

#include <pthread.h>

#include "base/digest.h"
#include "image/credentials.h"
#include "image/reference.h"
#include "wire/http.h"
#include "wire/retry.h"

struct grant;

/** struct registry - a client of one; used by any number of threads at once. */
struct registry {
	struct http *http;
	struct http_options tls;
	char *name; /* "docker.io" */
	char *base; /* "https://registry-1.docker.io" */
	char *tls_files[3];
	struct credentials credentials;
	pthread_mutex_t lock;
	struct grant *grants; /* authorizations so far, by scope */
	size_t n_grants;
};

/**
 * registry_open() - a client for the registry of a name; nothing is sent yet.
 * @options: or NULL. Borrowed during the call.
 * @ret_registry: for registry_close().
 *
 * Return: 0, or a negative errno value: USAGE (options that make no sense), MISSING (no such directory
 * of certificates), REFUSED (an authentication file that cannot be read), FAILED.
 */
int registry_open(const struct reference *reference, const struct snapdrv_registry_options *options,
		  struct registry **ret_registry, struct snapdrv_error *err);

/** registry_close() - takes NULL. */
void registry_close(struct registry *registry);

/** registry_scope() - what pulling from (or pushing to) a repository needs; for free(3), or NULL. */
char *registry_scope(const char *repository, int can_push, struct snapdrv_error *err);

/** registry_url() - a URL below /v2/REPOSITORY/; for free(3), or NULL with @err filled. */
char *registry_url(const struct registry *registry, const char *repository, const char *kind,
		   const char *name, struct snapdrv_error *err);

/**
 * registry_try() - http_perform() of a request, with the authorization for @scope if it is for this
 * registry; a 401 is answered once, by a token or by name and password.
 */
int registry_try(struct registry *registry, const char *scope, const struct http_request *request,
		 struct http_response *ret_response, struct snapdrv_error *err);

/** registry_send() - registry_try(), and again where that may help. */
int registry_send(struct registry *registry, const char *scope, const struct http_request *request,
		  struct http_response *ret_response, struct snapdrv_error *err);

/**
 * registry_failed() - turn an answer that is no success into an error, in the registry's own words.
 * Return: a negative errno value: MISSING for 404, FAILED otherwise.
 */
int registry_failed(const struct http_response *response, struct snapdrv_error *err);

/**
 * registry_manifest() - get a manifest or index.
 * @what: a tag or a digest.
 * @ret_data: for free(3), @ret_size bytes and a NUL. @ret_digest: of them; it is the one that was asked for.
 *
 * Return: 0, or a negative errno value: MISSING, REFUSED (no JSON, too long, another digest), FAILED.
 */
int registry_manifest(struct registry *registry, const char *repository, const char *what,
		      char **ret_data, size_t *ret_size, struct digest *ret_digest,
		      struct snapdrv_error *err);

/** registry_config() - get a blob of at most JSON_DOCUMENT_MAX bytes. Nothing is verified. */
int registry_config(struct registry *registry, const char *repository, const struct digest *digest,
		    char **ret_data, size_t *ret_size, struct snapdrv_error *err);

#endif
