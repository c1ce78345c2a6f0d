/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by libcurl's easy interface; idle handles are kept with their connections. */
#include "wire/http.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "wire/curl.h"
#include "wire/url.h"

#define REDIRECTS_MAX 10
#define HEADERS_MAX 200
#define HEADER_SIZE_MAX 8192
#define COMPLAINT_MAX 65536 /* bytes of the body of an answer that is no success */
#define CONNECT_SECONDS 30L
#define STALL_SECONDS 60L   /* without a byte */
#define DIGEST_SECONDS 600L /* while a server looks through what it was sent */
#define HANDLES_MAX 8

struct http {
	const struct curl_api *curl;
	struct http_options options;
	pthread_mutex_t lock;
	CURL *idle[HANDLES_MAX];
	unsigned n_idle;
	int has_answered; /* a server was there: it may be there again */
};

/* One request on its way, without redirects. */
struct exchange {
	const struct http_request *request;
	struct http_response *response;
	const struct curl_api *curl;
	CURL *handle;
	uint64_t sent;
	int is_enough; /* of a body that nobody needs the rest of */
	int lack;      /* why there is no socket, an errno value that is this process's own */
	int ret;
	struct snapdrv_error err;
};

int http_new(const struct http_options *options, struct http **ret_http, struct snapdrv_error *err)
{
	struct http *http = calloc(1, sizeof(*http));
	int ret = http ? curl_load(&http->curl, err) : fail_memory(err);

	if (ret) {
		free(http);
		return ret;
	}
	http->options = *options;
	pthread_mutex_init(&http->lock, NULL);
	*ret_http = http;
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	while (http->n_idle)
		http->curl->easy_cleanup(http->idle[--http->n_idle]);
	pthread_mutex_destroy(&http->lock);
	free(http);
}

void http_response_done(struct http_response *response)
{
	free(response->url);
	strings_done(&response->headers);
	bytes_done(&response->body);
	*response = (struct http_response){0};
}

const char *http_header(const struct http_response *response, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < response->headers.count; i++) {
		const char *line = response->headers.items[i];

		if (text_starts(line, name) && line[length] == ':')
			return line + length + 2;
	}
	return NULL;
}

int http_header_number(const struct http_response *response, const char *name, uint64_t *ret_number)
{
	const char *text = http_header(response, name);
	char *end;

	if (!text || !isdigit((unsigned char)*text))
		return 0;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return !errno && !*end;
}

static CURL *take_handle(struct http *http)
{
	CURL *handle = NULL;

	pthread_mutex_lock(&http->lock);
	if (http->n_idle)
		handle = http->idle[--http->n_idle];
	pthread_mutex_unlock(&http->lock);
	return handle ? handle : http->curl->easy_init();
}

static void give_handle(struct http *http, CURL *handle)
{
	http->curl->easy_reset(handle);
	pthread_mutex_lock(&http->lock);
	if (http->n_idle < HANDLES_MAX) {
		http->idle[http->n_idle++] = handle;
		handle = NULL;
	}
	pthread_mutex_unlock(&http->lock);
	if (handle)
		http->curl->easy_cleanup(handle);
}

/* A line as "name: value"; the first line of an answer begins the list anew. */
static size_t on_header(char *data, size_t one, size_t size, void *arg)
{
	struct exchange *exchange = arg;
	struct strings *headers = &exchange->response->headers;
	const char *colon = memchr(data, ':', size), *value, *end = data + size;
	char line[HEADER_SIZE_MAX];
	size_t length = 0;

	(void)one;
	if (size >= 5 && !memcmp(data, "HTTP/", 5)) {
		strings_done(headers);
		return size;
	}
	if (!colon || size + 3 > sizeof(line) || headers->count == HEADERS_MAX)
		return size;
	for (const char *at = data; at < colon; at++)
		line[length++] = (char)tolower((unsigned char)*at);
	line[length++] = ':';
	line[length++] = ' ';
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	while (end > value && isspace((unsigned char)end[-1]))
		end--;
	memcpy(line + length, value, (size_t)(end - value));
	line[length + (size_t)(end - value)] = '\0';
	exchange->ret = strings_add(headers, line, &exchange->err);
	return exchange->ret ? 0 : size;
}

static int read_status(const struct exchange *exchange)
{
	long status = 0;

	exchange->curl->easy_getinfo(exchange->handle, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static int keep_body(struct exchange *exchange, const void *data, size_t size)
{
	struct bytes *body = &exchange->response->body;
	int is_success = exchange->response->status / 100 == 2;
	size_t max = is_success ? exchange->request->body_max : COMPLAINT_MAX;

	if (size > max - body->size) {
		if (is_success)
			return refuse(&exchange->err, "the answer has more than %zu bytes", max);
		exchange->is_enough = 1;
		return -ENOBUFS;
	}
	return bytes_add(body, data, size, &exchange->err);
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
	struct exchange *exchange = arg;
	const struct http_request *request = exchange->request;

	(void)one;
	exchange->response->status = read_status(exchange);
	if (request->take && exchange->response->status / 100 == 2)
		exchange->ret =
			request->take(request->arg, exchange->response, data, size, &exchange->err);
	else
		exchange->ret = keep_body(exchange, data, size);
	return exchange->ret ? 0 : size;
}

static size_t on_send(char *data, size_t one, size_t size, void *arg)
{
	struct exchange *exchange = arg;
	const struct http_request *request = exchange->request;
	ssize_t got;

	if (size > (request->body_size - exchange->sent) / one)
		size = (size_t)(request->body_size - exchange->sent) / one;
	size *= one;
	if (request->body) {
		memcpy(data, (const char *)request->body + exchange->sent, size);
		got = (ssize_t)size;
	} else {
		got = pread(request->body_fd, data, size, (off_t)exchange->sent);
	}
	if (got < 0 || (!got && size)) {
		exchange->ret = got < 0 ? fail_errno(&exchange->err, "read what is to be sent")
					: fail(&exchange->err, SNAPDRV_FAILED, EIO,
					       "what is to be sent is too short");
		return CURL_READFUNC_ABORT;
	}
	exchange->sent += (uint64_t)got;
	if (request->sent)
		request->sent(request->arg, exchange->sent);
	return (size_t)got;
}

/* libcurl goes back when a connection that it kept turns out to be closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct exchange *exchange = arg;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	exchange->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* libcurl would do the same, and say that it could not connect. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct exchange *exchange = arg;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0 && errno_is_passing(errno))
		exchange->lack = errno;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_tick(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct exchange *exchange = arg;
	const struct http_request *request = exchange->request;

	(void)a, (void)b, (void)c, (void)d;
	return request->is_cancelled && request->is_cancelled(request->arg);
}

static void set_request(struct exchange *exchange, const char *url, struct curl_slist *headers)
{
	const struct http_request *request = exchange->request;
	__typeof__(curl_easy_setopt) *set = exchange->curl->easy_setopt;
	CURL *handle = exchange->handle;

	set(handle, CURLOPT_URL, url);
	if (!strcmp(request->method, "HEAD")) {
		set(handle, CURLOPT_NOBODY, 1L);
	} else if (request->body || request->body_fd >= 0) {
		set(handle, CURLOPT_UPLOAD, 1L);
		set(handle, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
	}
	if (strcmp(request->method, "HEAD"))
		set(handle, CURLOPT_CUSTOMREQUEST, request->method);
	set(handle, CURLOPT_HTTPHEADER, headers);
}

static void set_all(struct exchange *exchange, const struct http *http)
{
	__typeof__(curl_easy_setopt) *set = exchange->curl->easy_setopt;
	CURL *handle = exchange->handle;

	set(handle, CURLOPT_NOSIGNAL, 1L);
	set(handle, CURLOPT_USERAGENT, "snapdrv/" SNAPDRV_VERSION);
	set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
	set(handle, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	set(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	set(handle, CURLOPT_BUFFERSIZE, 256L * 1024);
	set(handle, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
	set(handle, CURLOPT_LOW_SPEED_TIME,
	    exchange->request->body_size ? DIGEST_SECONDS : STALL_SECONDS);
	set(handle, CURLOPT_HEADERFUNCTION, on_header);
	set(handle, CURLOPT_HEADERDATA, exchange);
	set(handle, CURLOPT_WRITEFUNCTION, on_body);
	set(handle, CURLOPT_WRITEDATA, exchange);
	set(handle, CURLOPT_READFUNCTION, on_send);
	set(handle, CURLOPT_READDATA, exchange);
	set(handle, CURLOPT_SEEKFUNCTION, on_seek);
	set(handle, CURLOPT_SEEKDATA, exchange);
	set(handle, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	set(handle, CURLOPT_OPENSOCKETDATA, exchange);
	set(handle, CURLOPT_NOPROGRESS, 0L);
	set(handle, CURLOPT_XFERINFOFUNCTION, on_tick);
	set(handle, CURLOPT_XFERINFODATA, exchange);
	if (http->options.ca_file)
		set(handle, CURLOPT_CAINFO, http->options.ca_file);
	if (http->options.client_cert)
		set(handle, CURLOPT_SSLCERT, http->options.client_cert);
	if (http->options.client_key)
		set(handle, CURLOPT_SSLKEY, http->options.client_key);
}

static int add_header(const struct curl_api *curl, struct curl_slist **list, const char *line,
		      struct snapdrv_error *err)
{
	struct curl_slist *longer = curl->slist_append(*list, line);

	if (!longer)
		return fail_memory(err);
	*list = longer;
	return 0;
}

static int make_headers(const struct curl_api *curl, const struct http_request *request,
			int with_credentials, struct curl_slist **ret_list,
			struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; request->headers && request->headers[i] && !ret; i++)
		ret = add_header(curl, ret_list, request->headers[i], err);
	/* No waiting for leave to send, and no type that nobody said. */
	if (!ret)
		ret = add_header(curl, ret_list, "Expect:", err);
	if (!ret && with_credentials && request->authorization) {
		cleanup_free char *line =
			text_format(err, "Authorization: %s", request->authorization);

		ret = line ? add_header(curl, ret_list, line, err) : -ENOMEM;
	}
	return ret;
}

/* Whether another try may do better. */
static int may_pass(const struct http *http, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return __atomic_load_n(&http->has_answered, __ATOMIC_RELAXED);
	case CURLE_PARTIAL_FILE:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return 1;
	default:
		return 0;
	}
}

static int judge(struct http *http, struct exchange *exchange, CURLcode code, const char *complaint,
		 struct snapdrv_error *err)
{
	if (exchange->response->status)
		__atomic_store_n(&http->has_answered, 1, __ATOMIC_RELAXED);
	if (code == CURLE_OK || exchange->is_enough)
		return 0;
	if (exchange->ret)
		return fail(err, exchange->err.code, exchange->err.errnum, "%s",
			    exchange->err.message);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return fail(err, SNAPDRV_FAILED, ECANCELED, "given up");
	errno = exchange->lack;
	if (code == CURLE_COULDNT_CONNECT && exchange->lack)
		return fail_errno(err, "open a socket");
	return fail(err, SNAPDRV_FAILED, may_pass(http, code) ? EAGAIN : EIO, "%s",
		    *complaint ? complaint : exchange->curl->easy_strerror(code));
}

/* One request to one URL. @ret_next: where it leads on, or NULL. */
static int perform_one(struct http *http, const struct http_request *request, const char *url,
		       int with_credentials, struct http_response *response, char **ret_next,
		       struct snapdrv_error *err)
{
	struct exchange exchange = {.request = request, .response = response, .curl = http->curl};
	struct curl_slist *headers = NULL;
	char complaint[CURL_ERROR_SIZE] = "", *next = NULL;
	int ret;

	exchange.handle = take_handle(http);
	if (!exchange.handle)
		return fail_memory(err);
	ret = make_headers(http->curl, request, with_credentials, &headers, err);
	if (!ret) {
		CURLcode code;

		set_all(&exchange, http);
		set_request(&exchange, url, headers);
		http->curl->easy_setopt(exchange.handle, CURLOPT_ERRORBUFFER, complaint);
		code = http->curl->easy_perform(exchange.handle);
		response->status = read_status(&exchange);
		http->curl->easy_getinfo(exchange.handle, CURLINFO_REDIRECT_URL, &next);
		ret = judge(http, &exchange, code, complaint, err);
	}
	*ret_next = !ret && next ? text_dup(next, err) : NULL;
	if (!ret && next && !*ret_next)
		ret = -ENOMEM;
	http->curl->slist_free_all(headers);
	give_handle(http, exchange.handle);
	return ret;
}

static int is_redirect(const struct http_request *request, int status)
{
	if (status == 307 || status == 308)
		return 1;
	return (status == 301 || status == 302 || status == 303) &&
	       (!strcmp(request->method, "GET") || !strcmp(request->method, "HEAD"));
}

static int check_redirect(const struct http_request *request, const char *from, const char *to,
			  struct snapdrv_error *err)
{
	cleanup_free char *joined = NULL;
	int ret = url_join(from, to, &joined, err);

	if (ret)
		return fail_within(err, ret, "redirect");
	if (url_is_secure(from) && !url_is_secure(to))
		return refuse(err, "redirect from https to http");
	if (request->is_secret && !url_same_origin(request->url, to))
		return refuse(err, "redirect to another server, of what is secret");
	return 0;
}

int http_perform(struct http *http, const struct http_request *request,
		 struct http_response *ret_response, struct snapdrv_error *err)
{
	cleanup_free char *url = text_dup(request->url, err);

	if (!url)
		return -ENOMEM;
	for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
		cleanup_free char *next = NULL;
		int ret;

		http_response_done(ret_response);
		ret = perform_one(http, request, url, url_same_origin(request->url, url),
				  ret_response, &next, err);
		if (ret)
			return ret;
		if (!next || !is_redirect(request, ret_response->status)) {
			ret_response->url = steal_ptr(&url);
			return 0;
		}
		ret = check_redirect(request, url, next, err);
		if (ret)
			return ret;
		free(url);
		url = steal_ptr(&next);
	}
	return refuse(err, "more than %d redirects", REDIRECTS_MAX);
}
