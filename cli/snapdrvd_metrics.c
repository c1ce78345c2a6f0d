/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts, and a socket on which they are told in the text format of Prometheus (version 0.0.4), one request
 * for each connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "snapdrvd.h"
#include "wire/rpc_accept.h"

#define CALLS_MAX 64   /* methods times statuses that are counted apart */
#define N_BOUNDS 9     /* of the histogram */
#define CLIENT_MS 2000 /* that a client may take for its request, and for the answer */

static const uint64_t bounds_ns[N_BOUNDS] = {250000,	 1000000,    4000000,
					     16000000,	 64000000,   256000000,
					     1000000000, 4000000000, 16000000000};

struct call_counts {
	const char *service;
	const char *method;
	const char *status;
	uint64_t count;
	uint64_t time_ns;
	uint64_t received;
	uint64_t sent;
	uint64_t within[N_BOUNDS]; /* of the bound's time or less */
};

struct metrics {
	struct stores *stores;
	int listen_fd;
	int stop_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	struct call_counts calls[CALLS_MAX];
	size_t n_calls;
	uint64_t layers;
	uint64_t blob_bytes;
	uint64_t plain_bytes;
};

static struct call_counts *find_counts(struct metrics *metrics, const struct count *count)
{
	struct call_counts *counts;

	for (size_t i = 0; i < metrics->n_calls; i++) {
		counts = &metrics->calls[i];
		if (!strcmp(counts->service, count->service) &&
		    !strcmp(counts->method, count->method) &&
		    !strcmp(counts->status, count->status))
			return counts;
	}
	if (metrics->n_calls == CALLS_MAX)
		return NULL;
	counts = &metrics->calls[metrics->n_calls++];
	*counts = (struct call_counts){
		.service = count->service, .method = count->method, .status = count->status};
	return counts;
}

void metrics_count(struct metrics *metrics, const struct count *count)
{
	struct call_counts *counts;

	pthread_mutex_lock(&metrics->lock);
	counts = find_counts(metrics, count);
	if (counts) {
		counts->count++;
		counts->time_ns += count->time_ns;
		counts->received += count->received;
		counts->sent += count->sent;
		for (size_t i = 0; i < N_BOUNDS; i++)
			counts->within[i] += count->time_ns <= bounds_ns[i];
	}
	pthread_mutex_unlock(&metrics->lock);
}

void metrics_count_layer(struct metrics *metrics, uint64_t blob, uint64_t plain)
{
	pthread_mutex_lock(&metrics->lock);
	metrics->layers++;
	metrics->blob_bytes += blob;
	metrics->plain_bytes += plain;
	pthread_mutex_unlock(&metrics->lock);
}

/* ---- telling them -------------------------------------------------------------------------- */

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP snapdrvd_%s %s\n# TYPE snapdrvd_%s %s\n", name, help, name, type);
}

static void print_labels(FILE *out, const struct call_counts *counts, const char *name)
{
	fprintf(out, "snapdrvd_%s{service=\"%s\",method=\"%s\",code=\"%s\"", name, counts->service,
		counts->method, counts->status);
}

static void print_sums(FILE *out, const struct metrics *metrics)
{
	head(out, "calls_total", "counter", "Calls that have been answered.");
	for (size_t i = 0; i < metrics->n_calls; i++) {
		print_labels(out, &metrics->calls[i], "calls_total");
		fprintf(out, "} %llu\n", (unsigned long long)metrics->calls[i].count);
	}
	head(out, "received_bytes_total", "counter", "Bytes of requests.");
	for (size_t i = 0; i < metrics->n_calls; i++) {
		print_labels(out, &metrics->calls[i], "received_bytes_total");
		fprintf(out, "} %llu\n", (unsigned long long)metrics->calls[i].received);
	}
	head(out, "sent_bytes_total", "counter", "Bytes of replies.");
	for (size_t i = 0; i < metrics->n_calls; i++) {
		print_labels(out, &metrics->calls[i], "sent_bytes_total");
		fprintf(out, "} %llu\n", (unsigned long long)metrics->calls[i].sent);
	}
}

static void print_times(FILE *out, const struct metrics *metrics)
{
	head(out, "call_seconds", "histogram", "Time that answering a call took.");
	for (size_t i = 0; i < metrics->n_calls; i++) {
		const struct call_counts *counts = &metrics->calls[i];

		for (size_t bound = 0; bound < N_BOUNDS; bound++) {
			print_labels(out, counts, "call_seconds_bucket");
			fprintf(out, ",le=\"%g\"} %llu\n", (double)bounds_ns[bound] / 1e9,
				(unsigned long long)counts->within[bound]);
		}
		print_labels(out, counts, "call_seconds_bucket");
		fprintf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)counts->count);
		print_labels(out, counts, "call_seconds_sum");
		fprintf(out, "} %.9f\n", (double)counts->time_ns / 1e9);
		print_labels(out, counts, "call_seconds_count");
		fprintf(out, "} %llu\n", (unsigned long long)counts->count);
	}
}

static int count_kind(void *arg, const struct snapdrv_snapshot *snapshot)
{
	((uint64_t *)arg)[snapshot->kind]++;
	return 0;
}

static void print_snapshots(FILE *out, struct metrics *metrics)
{
	uint64_t kinds[SNAPDRV_COMMITTED + 1] = {0};
	struct snapdrv_error err;
	struct handle *handle = stores_take(metrics->stores, DIRTY_NOW, &err);

	if (!handle || snapdrv_snapshot_list(handle->store, count_kind, kinds, &err)) {
		daemon_log("metrics: %s", err.message);
	} else {
		head(out, "snapshots", "gauge", "Snapshots that containerd has here.");
		fprintf(out,
			"snapdrvd_snapshots{kind=\"view\"} %llu\n"
			"snapdrvd_snapshots{kind=\"active\"} %llu\n"
			"snapdrvd_snapshots{kind=\"committed\"} %llu\n",
			(unsigned long long)kinds[SNAPDRV_VIEW],
			(unsigned long long)kinds[SNAPDRV_ACTIVE],
			(unsigned long long)kinds[SNAPDRV_COMMITTED]);
	}
	stores_give(metrics->stores, handle);
}

static void print_all(FILE *out, struct metrics *metrics)
{
	print_snapshots(out, metrics);
	pthread_mutex_lock(&metrics->lock);
	print_sums(out, metrics);
	print_times(out, metrics);
	head(out, "layers_total", "counter", "Layers that were unpacked.");
	fprintf(out, "snapdrvd_layers_total %llu\n", (unsigned long long)metrics->layers);
	head(out, "layer_bytes_total", "counter", "Bytes of those layers.");
	fprintf(out,
		"snapdrvd_layer_bytes_total{form=\"blob\"} %llu\n"
		"snapdrvd_layer_bytes_total{form=\"plain\"} %llu\n",
		(unsigned long long)metrics->blob_bytes, (unsigned long long)metrics->plain_bytes);
	pthread_mutex_unlock(&metrics->lock);
}

/* ---- the socket ---------------------------------------------------------------------------- */

/* A client, which has so long for all of its request and as long for all of the answer. */
struct scrape {
	int fd;
	int stop_fd;
	int64_t until_ms;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Return: whether the client is ready; not when its time is over, or the daemon's. */
static int wait_for(const struct scrape *scrape, short events)
{
	struct pollfd fds[] = {{.fd = scrape->fd, .events = events},
			       {.fd = scrape->stop_fd, .events = POLLIN}};
	int64_t left = scrape->until_ms - now_ms();

	return left > 0 && poll(fds, 2, (int)left) > 0 && !fds[1].revents;
}

/* Read until the empty line that ends a request; what it asks for, in the first line, is all that counts. */
static int read_request(const struct scrape *scrape, char *request, size_t size)
{
	size_t got = 0;

	while (got + 1 < size && wait_for(scrape, POLLIN)) {
		ssize_t more = recv(scrape->fd, request + got, size - 1 - got, MSG_DONTWAIT);

		if (more <= 0)
			return 0;
		got += (size_t)more;
		request[got] = '\0';
		if (strstr(request, "\r\n\r\n"))
			return 1;
	}
	return 0;
}

static void send_all(const struct scrape *scrape, const char *data, size_t size)
{
	while (size && wait_for(scrape, POLLOUT)) {
		ssize_t sent = send(scrape->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent <= 0)
			return;
		data += sent;
		size -= (size_t)sent;
	}
}

static void reply(struct scrape *scrape, const char *status, const char *body, size_t size)
{
	char top[160];
	int length = snprintf(top, sizeof(top),
			      "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
			      "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			      status, size);

	scrape->until_ms = now_ms() + CLIENT_MS;
	send_all(scrape, top, (size_t)length);
	send_all(scrape, body, size);
}

static void answer(struct metrics *metrics, int fd)
{
	struct scrape scrape = {fd, metrics->stop_fd, now_ms() + CLIENT_MS};
	char request[4096], *body = NULL;
	size_t size;
	FILE *out;

	if (!read_request(&scrape, request, sizeof(request)))
		return;
	if (strncmp(request, "GET /metrics ", strlen("GET /metrics "))) {
		reply(&scrape, "404 Not Found", "", 0);
		return;
	}
	out = open_memstream(&body, &size);
	if (out) {
		print_all(out, metrics);
		if (!fclose(out))
			reply(&scrape, "200 OK", body, size);
	}
	free(body);
}

static void answer_and_close(void *arg, int fd)
{
	answer(arg, fd);
	close(fd);
}

static void *answer_all(void *arg)
{
	const struct metrics *metrics = arg;

	accept_each(metrics->listen_fd, metrics->stop_fd, SOCK_CLOEXEC, answer_and_close, arg);
	return NULL;
}

int metrics_start(struct stores *stores, int listen_fd, struct metrics **ret_metrics,
		  struct snapdrv_error *err)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	int ret = 0;

	if (!metrics) {
		if (listen_fd >= 0)
			close(listen_fd);
		return daemon_no_memory(err);
	}
	pthread_mutex_init(&metrics->lock, NULL);
	metrics->stores = stores;
	metrics->listen_fd = listen_fd;
	metrics->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (metrics->stop_fd < 0)
		ret = errno;
	else if (listen_fd >= 0)
		ret = pthread_create(&metrics->thread, NULL, answer_all, metrics);
	*ret_metrics = metrics;
	if (!ret)
		return 0;
	if (listen_fd >= 0)
		close(listen_fd);
	metrics->listen_fd = -1;
	metrics_stop(metrics);
	*ret_metrics = NULL;
	return daemon_fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
}

void metrics_stop(struct metrics *metrics)
{
	uint64_t one = 1;

	if (!metrics)
		return;
	if (metrics->listen_fd >= 0) {
		while (write(metrics->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		pthread_join(metrics->thread, NULL);
		close(metrics->listen_fd);
	}
	if (metrics->stop_fd >= 0)
		close(metrics->stop_fd);
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}
