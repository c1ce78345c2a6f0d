/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server on a Unix socket: messages in, messages out, whatever they mean.
 *
 * The threads that serve never wait for a client: a call reaches one of them when its message is there
 * whole, and what is answered goes out on its own. So a client that sends half a call, or does not read,
 * holds memory and nothing else.
 */
#ifndef WIRE_RPC_SERVER_H
#define WIRE_RPC_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

#define RPC_MESSAGE_MAX (16 << 20) /* bytes; what containerd's own servers take */

struct rpc_server;
struct rpc_call;

/**
 * struct rpc_method - what answers a method.
 * @path:  "/package.Service/Method". NULL ends a table.
 * @detail: whatever the caller wants to find again, see rpc_detail().
 * @serve: answers a call with rpc_reply(), once, or as often as it likes where the method is a stream.
 *         @data: @size bytes, the request. Called by many threads at once.
 *         Return: 0, or a negative errno value: the client gets @err, and none of the replies.
 */
struct rpc_method {
	const char *path;
	int (*serve)(struct rpc_call *call, const unsigned char *data, size_t size, void *arg,
		     struct snapdrv_error *err);
	const void *detail;
};

/**
 * struct rpc_outcome - a call that is over, as far as serving it goes.
 * @method: its row, or NULL for a method that there is not. @path: as the client named it.
 * @err: why it failed, or NULL. @status: of gRPC. @time_ns: that serving took.
 * @received, @sent: bytes of messages.
 */
struct rpc_outcome {
	const struct rpc_method *method;
	const char *path;
	const struct snapdrv_error *err;
	int status;
	uint64_t time_ns;
	uint64_t received;
	uint64_t sent;
};

/**
 * struct rpc_service - what a server offers; borrowed while it is there.
 * @methods: a table. @arg: for all that is called. @n_threads: that serve.
 * @over: called when a call has been served, by many threads at once.
 */
struct rpc_service {
	const struct rpc_method *methods;
	void *arg;
	unsigned n_threads;
	void (*over)(void *arg, const struct rpc_outcome *outcome);
};

/**
 * rpc_server_start() - serve.
 * @listen_fd: a listening Unix socket; borrowed until rpc_server_stop().
 *
 * Return: 0 and what is to be given to rpc_server_stop(), or a negative errno value.
 */
int rpc_server_start(const struct rpc_service *service, int listen_fd,
		     struct rpc_server **ret_server, struct snapdrv_error *err);

/**
 * rpc_server_stop() - take no new calls, end those that are being served, and free the server.
 * @grace_ms: calls that are not over then, for the sake of their clients, are cut off.
 */
void rpc_server_stop(struct rpc_server *server, unsigned grace_ms);

/** rpc_reply() - a message to the client. @data: copied. Return: 0, or -ENOMEM. */
int rpc_reply(struct rpc_call *call, const void *data, size_t size, struct snapdrv_error *err);

/** rpc_detail() - that of the method. */
const void *rpc_detail(const struct rpc_call *call);

/** rpc_is_cancelled() - whether the client has gone, or does not want the answer any more. */
int rpc_is_cancelled(const struct rpc_call *call);

/** rpc_metadata() - what the client sent along under a name. Return: for free(3), or NULL. */
char *rpc_metadata(const struct rpc_call *call, const char *name);

/** rpc_status() - gRPC's status for a failure. */
int rpc_status(const struct snapdrv_error *err);

/** rpc_status_name() - "NOT_FOUND" and so on. */
const char *rpc_status_name(int status);

#endif
