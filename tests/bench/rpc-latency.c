/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long Prepare, Mounts and Remove of a snapshot take through snapdrvd's socket, with more and more snapshots
 * in the store.
 *
 *	rpc-latency SOCKET ROUNDS COUNT...	prints, for each COUNT: snapshots, median ms of the three, largest
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "must.h"
#include "wire/rpc_client.h"

#define SNAPSHOTS "/containerd.services.snapshots.v1.Snapshots/"

struct request {
	unsigned char data[512];
	size_t size;
};

/* A string field of a message (protobuf, encoding): its number, its length, its bytes. */
static void add_text(struct request *request, unsigned field, const char *text)
{
	size_t length = strlen(text);

	must(length >= 128, "a short text");
	request->data[request->size++] = (unsigned char)(field << 3 | 2);
	request->data[request->size++] = (unsigned char)length;
	memcpy(request->data + request->size, text, length);
	request->size += length;
}

static void call(struct rpc_client *client, const char *method, const struct request *request)
{
	struct snapdrv_error err = {0};
	struct bytes answer = {0};
	struct rpc_stream *stream = rpc_stream_open(client, method, NULL, 0, &err);
	int ret = stream ? rpc_stream_send(stream, request->data, request->size, &err) : -1;

	if (!ret)
		ret = rpc_stream_send_end(stream, &err);
	if (!ret)
		ret = rpc_stream_receive(stream, &answer, &err);
	must(ret != 1, err.message);
	ret = rpc_stream_receive(stream, &answer, &err);
	must(ret, err.message);
	rpc_stream_close(stream);
	free(answer.data);
}

static void prepare(struct rpc_client *client, const char *key, const char *parent)
{
	struct request request = {0};

	add_text(&request, 2, key);
	if (*parent)
		add_text(&request, 3, parent);
	call(client, SNAPSHOTS "Prepare", &request);
}

static void one_key(struct rpc_client *client, const char *method, const char *key)
{
	struct request request = {0};

	add_text(&request, 2, key);
	call(client, method, &request);
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void measure(struct rpc_client *client, unsigned rounds, unsigned count)
{
	double *times = calloc(rounds, sizeof(*times));

	must(!times || !rounds, "memory");
	for (unsigned i = 0; i < rounds; i++) {
		double began = now_ms();

		prepare(client, "measured", "base");
		one_key(client, SNAPSHOTS "Mounts", "measured");
		one_key(client, SNAPSHOTS "Remove", "measured");
		times[i] = now_ms() - began;
	}
	qsort(times, rounds, sizeof(*times), by_size);
	printf("%u %.3f %.3f\n", count, times[rounds / 2], times[rounds - 1]);
	fflush(stdout);
	free(times);
}

int main(int argc, char **argv)
{
	struct rpc_client *client;
	struct request commit = {0};
	unsigned there = 0;

	must(argc < 4, "usage: rpc-latency SOCKET ROUNDS COUNT...");
	client = rpc_client_new(argv[1], NULL);
	must(!client, "memory");
	prepare(client, "base-key", "");
	add_text(&commit, 2, "base");
	add_text(&commit, 3, "base-key");
	call(client, SNAPSHOTS "Commit", &commit);
	for (int i = 3; i < argc; i++) {
		unsigned count = (unsigned)atoi(argv[i]);
		char key[32];

		for (; there < count; there++) {
			snprintf(key, sizeof(key), "snapshot-%u", there);
			prepare(client, key, "base");
		}
		measure(client, (unsigned)atoi(argv[2]), count);
	}
	rpc_client_free(client);
	return 0;
}
