/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the server, each a chain of events.
 *
 *   accepted   a call is there   -> another place for one is offered; the message is asked for
 *   received   its message too   -> serve; the first reply goes out
 *   sent       a reply is gone   -> the next one, the status with the last
 *   closed     the client knows, or has gone
 */
#include "wire/rpc_calls.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/alloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/rpc_tsan.h"

struct reply {
	struct reply *next;
	grpc_byte_buffer *message;
};

struct rpc_call {
	struct rpc_call *next; /* of those that wait */
	struct rpc_server *server;
	const struct rpc_method *method;
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *request;
	struct event accepted, received, sent, closed;
	struct reply *replies; /* that have not been sent */
	struct reply **last;
	uint64_t reply_bytes;
	int was_cancelled;	 /* gRPC's answer, once closed */
	atomic_int is_cancelled; /* that, for others */
	atomic_int users;	 /* chains of events that still run */
	int is_begun;		 /* the initial metadata has been sent */
	grpc_status_code status;
	char message[sizeof(((struct snapdrv_error *)NULL)->message)];
};

static void reply_free(struct reply *reply)
{
	if (reply)
		grpc_byte_buffer_destroy(reply->message);
	free(reply);
}

static struct reply *take_reply(struct rpc_call *call)
{
	struct reply *reply = call->replies;

	if (reply)
		call->replies = reply->next;
	return reply;
}

static void drop_replies(struct rpc_call *call)
{
	while (call->replies)
		reply_free(take_reply(call));
	call->last = &call->replies;
	call->reply_bytes = 0;
}

static void call_free(struct rpc_call *call)
{
	drop_replies(call);
	if (call->request)
		grpc_byte_buffer_destroy(call->request);
	grpc_metadata_array_destroy(&call->metadata);
	grpc_call_details_destroy(&call->details);
	if (call->call)
		grpc_call_unref(call->call);
	free(call);
}

static void call_leave(struct rpc_call *call)
{
	if (atomic_fetch_sub(&call->users, 1) == 1)
		call_free(call);
}

/* Whatever can be wrong with a batch is our own mistake: then there will be no completion. */
static void call_ask(struct rpc_call *call, const grpc_op *ops, size_t count, struct event *event)
{
	atomic_fetch_add(&call->users, 1);
	__tsan_release(event);
	if (grpc_call_start_batch(call->call, ops, count, event, NULL) != GRPC_CALL_OK)
		call_leave(call);
}

static void send_next(struct rpc_call *call)
{
	struct reply *reply = take_reply(call);
	grpc_slice message = grpc_slice_from_copied_string(call->message);
	grpc_op ops[3] = {0};
	size_t count = 0;

	if (!call->is_begun)
		ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
	call->is_begun = 1;
	if (reply) {
		ops[count].op = GRPC_OP_SEND_MESSAGE;
		ops[count++].data.send_message.send_message = reply->message;
	}
	if (!call->replies) {
		ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
		ops[count].data.send_status_from_server.status = call->status;
		ops[count++].data.send_status_from_server.status_details =
			*call->message ? &message : NULL;
	}
	/* From here on the call is another thread's, or gone. */
	call_ask(call, ops, count, &call->sent);
	grpc_slice_unref(message);
	reply_free(reply);
}

static void call_sent(struct event *event, int is_done)
{
	if (is_done && event->call->replies)
		send_next(event->call);
	call_leave(event->call);
}

static void call_closed(struct event *event, int is_done)
{
	(void)is_done;
	if (event->call->was_cancelled)
		atomic_store(&event->call->is_cancelled, 1);
	call_leave(event->call);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int serve(struct rpc_call *call, size_t *ret_size, struct snapdrv_error *err)
{
	grpc_byte_buffer_reader reader;
	grpc_slice data;
	int ret;

	if (!call->method)
		return fail(err, SNAPDRV_FAILED, ENOSYS, "no such method");
	if (!call->request || !grpc_byte_buffer_reader_init(&reader, call->request))
		return fail(err, SNAPDRV_USAGE, EINVAL, "the call has no message");
	data = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	*ret_size = GRPC_SLICE_LENGTH(data);
	ret = call->method->serve(call, GRPC_SLICE_START_PTR(data), *ret_size,
				  call->server->service->arg, err);
	grpc_slice_unref(data);
	return ret;
}

static void answer(struct rpc_call *call)
{
	const struct rpc_service *service = call->server->service;
	struct snapdrv_error err = {0};
	char *path = grpc_slice_to_c_string(call->details.method);
	struct rpc_outcome outcome = {.method = call->method, .path = path};
	uint64_t began = now_ns();
	size_t size = 0;

	if (serve(call, &size, &err)) {
		drop_replies(call);
		outcome.err = &err;
		call->status = (grpc_status_code)rpc_status(&err);
		strcpy(call->message, err.message);
	}
	outcome.status = (int)call->status;
	outcome.time_ns = now_ns() - began;
	outcome.received = size;
	outcome.sent = call->reply_bytes;
	service->over(service->arg, &outcome);
	gpr_free(path);
	send_next(call);
}

/* Return: whether this thread may serve it; otherwise it waits for one that does. */
static int begin_serving(struct rpc_call *call)
{
	struct rpc_server *server = call->server;
	int may;

	pthread_mutex_lock(&server->lock);
	may = server->n_serving < server->service->n_threads;
	if (may) {
		server->n_serving++;
	} else {
		*server->last_waiting = call;
		server->last_waiting = &call->next;
	}
	pthread_mutex_unlock(&server->lock);
	return may;
}

/* The next one to be served by this thread, or NULL. */
static struct rpc_call *go_on_serving(struct rpc_server *server)
{
	struct rpc_call *call;

	pthread_mutex_lock(&server->lock);
	call = server->waiting;
	if (call)
		server->waiting = call->next;
	else
		server->n_serving--;
	if (!server->waiting)
		server->last_waiting = &server->waiting;
	pthread_mutex_unlock(&server->lock);
	return call;
}

static void call_received(struct event *event, int is_done)
{
	struct rpc_call *call = event->call;
	struct rpc_server *server = call->server;

	if (!is_done) {
		call_leave(call);
		return;
	}
	if (!begin_serving(call))
		return;
	do {
		answer(call);
		call_leave(call);
	} while ((call = go_on_serving(server)));
}

static const struct rpc_method *find_method(const struct rpc_call *call)
{
	const struct rpc_method *method = call->server->service->methods;

	while (method->path && grpc_slice_str_cmp(call->details.method, method->path))
		method++;
	return method->path ? method : NULL;
}

static void call_accepted(struct event *event, int is_done)
{
	struct rpc_call *call = event->call;
	grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
	grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE};

	if (is_done) {
		rpc_calls_offer(call->server);
		close.data.recv_close_on_server.cancelled = &call->was_cancelled;
		receive.data.recv_message.recv_message = &call->request;
		call->method = find_method(call);
		call_ask(call, &close, 1, &call->closed);
		if (call->method)
			call_ask(call, &receive, 1, &call->received);
		else
			answer(call);
	}
	call_leave(call);
}

/* Without memory for one more place there is one less; the calls wait in gRPC. */
void rpc_calls_offer(struct rpc_server *server)
{
	struct rpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return;
	call->server = server;
	call->accepted = (struct event){call_accepted, call};
	call->received = (struct event){call_received, call};
	call->sent = (struct event){call_sent, call};
	call->closed = (struct event){call_closed, call};
	call->last = &call->replies;
	atomic_init(&call->users, 1);
	grpc_call_details_init(&call->details);
	grpc_metadata_array_init(&call->metadata);
	__tsan_release(&call->accepted);
	if (grpc_server_request_call(server->server, &call->call, &call->details, &call->metadata,
				     server->queue, server->queue, &call->accepted) != GRPC_CALL_OK)
		call_free(call);
}

int rpc_reply(struct rpc_call *call, const void *data, size_t size, struct snapdrv_error *err)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	grpc_slice slice;

	if (!reply)
		return fail_memory(err);
	slice = grpc_slice_from_copied_buffer(data, size);
	reply->message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	*call->last = reply;
	call->last = &reply->next;
	call->reply_bytes += size;
	return 0;
}

const void *rpc_detail(const struct rpc_call *call)
{
	return call->method->detail;
}

int rpc_is_cancelled(const struct rpc_call *call)
{
	return atomic_load(&call->is_cancelled);
}

char *rpc_metadata(const struct rpc_call *call, const char *name)
{
	for (size_t i = 0; i < call->metadata.count; i++) {
		const grpc_metadata *item = &call->metadata.metadata[i];

		if (!grpc_slice_str_cmp(item->key, name))
			return strndup((const char *)GRPC_SLICE_START_PTR(item->value),
				       GRPC_SLICE_LENGTH(item->value));
	}
	return NULL;
}
