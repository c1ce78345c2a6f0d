/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP client on libcurl: requests, answers, redirects. What the bytes mean is not known here.
 *
 * Each request runs in the thread that makes it. Connections are kept for the requests that follow;
 * HTTP/2 is spoken where the server offers it over TLS. $https_proxy and the like are honoured.
 */
#ifndef WIRE_HTTP_H
#define WIRE_HTTP_H

#include <stdint.h>

#include "base/text.h"
#include "snapdrv.h"

struct http;

/** struct http_options - TLS; each is a path of a PEM file, or NULL. Borrowed for the client's life. */
struct http_options {
	const char *ca_file; /* trusted besides the system's */
	const char *client_cert;
	const char *client_key;
};

/** http_new() - a client, for http_free(). Return: 0, or a negative errno value: FAILED. */
int http_new(const struct http_options *options, struct http **ret_http, struct snapdrv_error *err);

/** http_free() - close all connections. No request may be under way. Takes NULL. */
void http_free(struct http *http);

/**
 * struct http_response - an answer, for http_response_done(). All zero is none.
 * @status: 200, ... @url: where the answer came from, after redirects.
 * @headers: "name: value", names in lower case.
 * @body: at most body_max bytes of it; none of what went to @take.
 */
struct http_response {
	int status;
	char *url;
	struct strings headers;
	struct bytes body;
};

void http_response_done(struct http_response *response);
#define cleanup_response __attribute__((cleanup(http_response_done)))

/** http_header() - the value of a header, or NULL; @name in lower case. Borrowed. */
const char *http_header(const struct http_response *response, const char *name);

/** http_header_number() - a header that is a whole number. Return: 1 found, 0 none or no number. */
int http_header_number(const struct http_response *response, const char *name,
		       uint64_t *ret_number);

/**
 * struct http_request - a request; everything is borrowed.
 * @method: "GET", ... @url: http or https.
 * @headers: "Name: value", ended by NULL; or NULL.
 * @authorization: value of that header; it goes to the origin of @url and nowhere else.
 * @body: @body_size bytes to send, or NULL: from @body_fd, which is read from its start; both absent
 *        (NULL, -1) for none.
 * @is_secret: the body is for the origin of @url and nowhere else: a redirect that leads to another is REFUSED.
 * @body_max: a successful answer that is kept in memory may have so many bytes.
 * @take: gets the body of an answer of status 2xx; it returns 0, or a negative errno value that ends the
 *        request. NULL: it is kept in memory.
 * @sent: told how many bytes of the body are sent; or NULL.
 * @is_cancelled: asked some times a second; or NULL.
 * @arg: for these.
 */
struct http_request {
	const char *method;
	const char *url;
	const char *const *headers;
	const char *authorization;
	const void *body;
	int body_fd;
	uint64_t body_size;
	int is_secret;
	size_t body_max;
	int (*take)(void *arg, const struct http_response *response, const void *data, size_t size,
		    struct snapdrv_error *err);
	void (*sent)(void *arg, uint64_t done);
	int (*is_cancelled)(void *arg);
	void *arg;
};

/**
 * http_perform() - make a request and follow redirects (for GET and HEAD; others where 307 or 308 asks
 * for it). An answer of any status is a success here.
 * @ret_response: for http_response_done(); also filled, as far as it came, when it returns -EAGAIN.
 *
 * Return: 0, or a negative errno value: -EAGAIN with FAILED when the connection was lost or timed out,
 * and another try may do better; FAILED; REFUSED (a body that is too long, redirects that go in circles,
 * from https to http, to what is no URL, or elsewhere with a secret); -ECANCELED; what @take returned.
 */
int http_perform(struct http *http, const struct http_request *request,
		 struct http_response *ret_response, struct snapdrv_error *err);

#endif
