/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authentication at a registry (distribution's "token authentication specification"): a 401 names a
 * server that gives tokens for a scope, or asks for name and password.
 */
#include "image/registry_auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "wire/challenge.h"
#include "wire/url.h"

#define TOKEN_ANSWER_MAX (1u << 20)

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void grants_done(struct registry *registry)
{
	for (size_t i = 0; i < registry->n_grants; i++) {
		free(registry->grants[i].scope);
		wipe(registry->grants[i].authorization);
	}
	free(registry->grants);
	registry->grants = NULL;
	registry->n_grants = 0;
}

/* A copy for free(3) of what did for a scope before; NULL where there is none. */
static char *find_grant(struct registry *registry, const char *scope)
{
	char *authorization = NULL;

	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->n_grants; i++) {
		if (!strcmp(registry->grants[i].scope, scope))
			authorization = text_dup(registry->grants[i].authorization, NULL);
	}
	pthread_mutex_unlock(&registry->lock);
	return authorization;
}

static int set_grant(struct registry *registry, const char *scope, const char *authorization,
		     struct snapdrv_error *err)
{
	struct grant *grants;

	for (size_t i = 0; i < registry->n_grants; i++) {
		char *copy;

		if (strcmp(registry->grants[i].scope, scope))
			continue;
		copy = text_dup(authorization, err);
		if (!copy)
			return -ENOMEM;
		wipe(registry->grants[i].authorization);
		registry->grants[i].authorization = copy;
		return 0;
	}
	grants = reallocarray(registry->grants, registry->n_grants + 1, sizeof(*grants));
	if (!grants)
		return fail_memory(err);
	registry->grants = grants;
	grants[registry->n_grants] = (struct grant){.scope = text_dup(scope, err),
						    .authorization = text_dup(authorization, err)};
	registry->n_grants++;
	return grants[registry->n_grants - 1].scope && grants[registry->n_grants - 1].authorization
		       ? 0
		       : -ENOMEM;
}

static int keep_grant(struct registry *registry, const char *scope, const char *authorization,
		      struct snapdrv_error *err)
{
	int ret;

	pthread_mutex_lock(&registry->lock);
	ret = set_grant(registry, scope, authorization, err);
	pthread_mutex_unlock(&registry->lock);
	return ret;
}

/* A token goes into a header: nothing that would end the line. */
static int read_token(const struct http_response *response, char **ret_authorization,
		      struct snapdrv_error *err)
{
	cleanup_json json_t *json = NULL;
	const char *token = "";
	int ret = json_parse(response->body.data, response->body.size, &json, err);

	if (!ret && !json_is_object(json))
		ret = refuse(err, "not an object");
	if (!ret)
		ret = json_member_string(json, "token", &token, err);
	if (!ret)
		ret = json_need(json_member_string(json, "access_token", &token, err), "token",
				err);
	if (ret < 0)
		return ret;
	if (!*token)
		return refuse(err, "an empty token");
	for (const char *at = token; *at; at++) {
		if (*at <= ' ' || *at > '~')
			return refuse(err, "a token that cannot be sent");
	}
	*ret_authorization = text_format(err, "Bearer %s", token);
	return *ret_authorization ? 0 : -ENOMEM;
}

/* REALM?service=...&scope=...; a scope for each repository. */
static int token_query(const struct challenge *challenge, const char *scope, char **ret_url,
		       struct snapdrv_error *err)
{
	cleanup_free char *url = NULL, *scopes = text_dup(scope, err);
	char *rest = scopes, *one;
	int ret = scopes ? url_join(challenge->realm, challenge->realm, &url, err) : -ENOMEM;

	if (!ret && challenge->service) {
		cleanup_free char *before = steal_ptr(&url);

		ret = url_add_query(before, "service", challenge->service, &url, err);
	}
	while (!ret && (one = strsep(&rest, " "))) {
		cleanup_free char *before = steal_ptr(&url);

		ret = url_add_query(before, "scope", one, &url, err);
	}
	if (ret)
		return ret;
	*ret_url = steal_ptr(&url);
	return 0;
}

/* The form of OAuth 2.0 (RFC 6749, 6) that turns an identity token into one for the scope. */
static char *refresh_form(const struct registry *registry, const struct challenge *challenge,
			  const char *scope, struct snapdrv_error *err)
{
	cleanup_free char *service = url_escape(challenge->service ? challenge->service : "", err);
	cleanup_free char *scopes = url_escape(scope, err);
	cleanup_free char *token = url_escape(registry->credentials.identity, err);

	if (!service || !scopes || !token)
		return NULL;
	return text_format(err,
			   "grant_type=refresh_token&client_id=snapdrv&service=%s&scope=%s"
			   "&refresh_token=%s",
			   service, scopes, token);
}

static int request_token(struct registry *registry, const struct challenge *challenge,
			 const char *scope, struct http_response *response,
			 struct snapdrv_error *err)
{
	static const char *const form_headers[] = {
		"Content-Type: application/x-www-form-urlencoded", NULL};
	cleanup_free char *url = NULL, *form = NULL, *basic = NULL;
	struct http_request request = {
		.method = "GET", .body_fd = -1, .body_max = TOKEN_ANSWER_MAX};
	struct retry retry = {0};
	int ret = 0;

	if (registry->credentials.identity) {
		form = refresh_form(registry, challenge, scope, err);
		ret = form ? url_join(challenge->realm, challenge->realm, &url, err) : -ENOMEM;
		request.method = "POST";
		request.is_secret = 1;
		request.headers = form_headers;
		request.body = form;
		request.body_size = form ? strlen(form) : 0;
	} else {
		ret = token_query(challenge, scope, &url, err);
		if (!ret && registry->credentials.user) {
			basic = credentials_basic(&registry->credentials, err);
			ret = basic ? 0 : -ENOMEM;
		}
		request.authorization = basic;
	}
	request.url = url;
	if (ret)
		return ret;
	do {
		ret = http_perform(registry->http, &request, response, err);
	} while (retry_again(&retry, ret, response, NULL, NULL));
	return ret;
}

static int get_token(struct registry *registry, const struct challenge *challenge,
		     const char *scope, char **ret_authorization, struct snapdrv_error *err)
{
	cleanup_response struct http_response response = {0};
	int ret;

	/* Name and password must not leave in the clear because a registry says so. */
	if (url_is_secure(registry->base) && !url_is_secure(challenge->realm))
		return refuse(err, "token server %s: not https", quote(challenge->realm).text);
	ret = request_token(registry, challenge, scope, &response, err);
	if (!ret && response.status != 200)
		ret = registry_failed(&response, err);
	if (!ret)
		ret = read_token(&response, ret_authorization, err);
	return ret ? fail_within(err, ret, "token server %s", quote(challenge->realm).text) : 0;
}

/* What the registry asks for. 1 got it, 0 there is nothing (else) to offer, or negative. */
static int answer(struct registry *registry, const char *scope,
		  const struct http_response *response, const char *tried,
		  struct snapdrv_error *err)
{
	cleanup_challenge struct challenge challenge = {0};
	cleanup_free char *authorization = NULL;
	int ret = challenge_parse(response, &challenge, err);

	if (ret)
		return ret;
	if (challenge.has_bearer && challenge.realm) {
		/* What has a scope of ours asks for that; the registry knows about the rest. */
		ret = get_token(registry, &challenge,
				*scope		  ? scope
				: challenge.scope ? challenge.scope
						  : "",
				&authorization, err);
	} else if (challenge.has_basic && registry->credentials.user) {
		authorization = credentials_basic(&registry->credentials, err);
		ret = authorization ? 0 : -ENOMEM;
	} else {
		return 0;
	}
	if (!ret && tried && !strcmp(tried, authorization))
		return 0;
	if (!ret)
		ret = keep_grant(registry, scope, authorization, err);
	return ret ? ret : 1;
}

int registry_try(struct registry *registry, const char *scope, const struct http_request *request,
		 struct http_response *ret_response, struct snapdrv_error *err)
{
	int is_ours = url_same_origin(registry->base, request->url);

	for (int asked = 0;; asked++) {
		struct http_request with = *request;
		cleanup_free char *authorization = is_ours ? find_grant(registry, scope) : NULL;
		int ret;

		with.authorization = authorization;
		ret = http_perform(registry->http, &with, ret_response, err);
		if (ret || ret_response->status != 401 || asked)
			return ret;
		/* Who was asked by a redirect has no say in it. */
		if (!url_same_origin(registry->base, ret_response->url))
			return 0;
		ret = answer(registry, scope, ret_response, authorization, err);
		if (ret <= 0)
			return ret;
	}
}
