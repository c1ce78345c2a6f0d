/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of a gRPC server on a Unix socket: one message or many, either way. Each waits for its answer. */
#ifndef WIRE_RPC_CLIENT_H
#define WIRE_RPC_CLIENT_H

#include <stddef.h>

#include "base/text.h"
#include "snapdrv.h"

struct rpc_client;
struct rpc_stream;

/** struct rpc_pair - what is sent along with a call: a name and a value. */
struct rpc_pair {
	const char *name;
	const char *value;
};

/**
 * rpc_client_new() - connects with the first call.
 * @is_unwanted: asked with @arg while a call waits, a few times a second: 1 cancels it. Or NULL.
 *
 * Return: for rpc_client_free(), or NULL with @err filled.
 */
struct rpc_client *rpc_client_new(const char *path, int (*is_unwanted)(const void *arg),
				  const void *arg, struct snapdrv_error *err);

/** rpc_client_free() - takes NULL; its streams are closed. */
void rpc_client_free(struct rpc_client *client);

/**
 * rpc_stream_open() - begin a call. Used by one thread at a time.
 * @method: "/package.Service/Method". Borrowed for this call alone, like @pairs, @n_pairs of them.
 * Return: for rpc_stream_close(), or NULL with @err filled.
 */
struct rpc_stream *rpc_stream_open(struct rpc_client *client, const char *method,
				   const struct rpc_pair *pairs, size_t n_pairs,
				   struct snapdrv_error *err);

/** rpc_stream_send() - send a message. Return: 0, or a negative errno value: the call is over. */
int rpc_stream_send(struct rpc_stream *stream, const void *data, size_t size,
		    struct snapdrv_error *err);

/** rpc_stream_send_end() - say that no more messages come. */
int rpc_stream_send_end(struct rpc_stream *stream, struct snapdrv_error *err);

/**
 * rpc_stream_receive() - wait for a message.
 * @bytes: takes it; what was there is gone.
 * Return: 1, 0 at the good end of the call, or a negative errno value: as rpc_stream_status() has it, with
 * the code and number that rpc_status() would make that status of.
 */
int rpc_stream_receive(struct rpc_stream *stream, struct bytes *bytes, struct snapdrv_error *err);

/** rpc_stream_status() - gRPC's status, once the call is over; -1 before. */
int rpc_stream_status(const struct rpc_stream *stream);

/** rpc_stream_close() - takes NULL. A call that is not over is cancelled. */
void rpc_stream_close(struct rpc_stream *stream);

#endif
