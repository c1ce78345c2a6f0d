/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: a thread that accepts connections, a completion queue, and threads that take from it.
 *
 *   accepted   a call is there   -> another place for one is offered; the message is asked for
 *   received   its message too   -> serve; the first reply goes out
 *   sent       a reply is gone   -> the next one, the status with the last
 *   closed     the client knows, or has gone
 *
 * One thread more than calls are served at once: it sees who has gone while all others serve, and lets calls wait.
 */
#include "wire/rpc_server.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/rpc_accept.h"
#include "wire/rpc_tsan.h"

#define CALLS_OFFERED 64 /* places for calls that no thread has looked at yet */
#define STREAMS_MAX 1024 /* calls on one connection at once */

/* What a completion is for: its address is the tag. */
struct event {
	void (*happened)(struct event *event, int is_done);
	struct rpc_call *call;
};

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

struct rpc_server {
	const struct rpc_service *service;
	grpc_server *server;
	grpc_server_credentials *credentials;
	grpc_completion_queue *queue;
	pthread_t accepter;
	int is_accepting;
	pthread_t *threads;
	unsigned n_threads;
	int listen_fd;
	int stop_fd;
	struct event down;
	pthread_mutex_t lock;
	pthread_cond_t is_down_changed;
	int is_down;
	unsigned n_serving;
	struct rpc_call *waiting; /* the longest first */
	struct rpc_call **last_waiting;
};

/* ---- calls --------------------------------------------------------------------------------- */

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

static void offer(struct rpc_server *server);

static void call_accepted(struct event *event, int is_done)
{
	struct rpc_call *call = event->call;
	grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
	grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE};

	if (is_done) {
		offer(call->server);
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
static void offer(struct rpc_server *server)
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

/* ---- the server ---------------------------------------------------------------------------- */

static void *take_events(void *arg)
{
	struct rpc_server *server = arg;

	for (;;) {
		grpc_event event = grpc_completion_queue_next(
			server->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
		struct event *what = event.tag;

		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		__tsan_acquire(what);
		if (event.type == GRPC_OP_COMPLETE)
			what->happened(what, event.success);
	}
}

static void take_connection(void *arg, int fd)
{
	const struct rpc_server *server = arg;

	grpc_server_add_channel_from_fd(server->server, fd, server->credentials);
}

static void *take_connections(void *arg)
{
	const struct rpc_server *server = arg;

	accept_each(server->listen_fd, server->stop_fd, SOCK_NONBLOCK | SOCK_CLOEXEC,
		    take_connection, arg);
	return NULL;
}

static void server_is_down(struct event *event, int is_done)
{
	struct rpc_server *server =
		(struct rpc_server *)((char *)event - offsetof(struct rpc_server, down));

	(void)is_done;
	pthread_mutex_lock(&server->lock);
	server->is_down = 1;
	pthread_cond_broadcast(&server->is_down_changed);
	pthread_mutex_unlock(&server->lock);
}

static int start_threads(struct rpc_server *server)
{
	int ret = 0;

	while (server->n_threads < server->service->n_threads + 1 && !ret) {
		ret = pthread_create(&server->threads[server->n_threads], NULL, take_events,
				     server);
		server->n_threads += !ret;
	}
	if (!ret)
		ret = pthread_create(&server->accepter, NULL, take_connections, server);
	server->is_accepting = !ret;
	return ret;
}

static grpc_server *make_grpc_server(void)
{
	grpc_arg values[] = {{.type = GRPC_ARG_INTEGER,
			      .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
			      .value.integer = RPC_MESSAGE_MAX},
			     {.type = GRPC_ARG_INTEGER,
			      .key = (char *)GRPC_ARG_MAX_CONCURRENT_STREAMS,
			      .value.integer = STREAMS_MAX}};
	grpc_channel_args args = {sizeof(values) / sizeof(values[0]), values};

	return grpc_server_create(&args, NULL);
}

int rpc_server_start(const struct rpc_service *service, int listen_fd,
		     struct rpc_server **ret_server, struct snapdrv_error *err)
{
	struct rpc_server *server = calloc(1, sizeof(*server));
	int ret;

	if (server)
		server->threads = calloc(service->n_threads + 1, sizeof(*server->threads));
	if (!server || !server->threads) {
		free(server);
		return fail_memory(err);
	}
	server->service = service;
	server->listen_fd = listen_fd;
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (server->stop_fd < 0) {
		ret = fail_errno(err, "eventfd");
		free(server->threads);
		free(server);
		return ret;
	}
	server->last_waiting = &server->waiting;
	server->down.happened = server_is_down;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->is_down_changed, NULL);
	grpc_init();
	server->server = make_grpc_server();
	server->credentials = grpc_insecure_server_credentials_create();
	server->queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(server->server, server->queue, NULL);
	grpc_server_start(server->server);
	for (unsigned i = 0; i < CALLS_OFFERED; i++)
		offer(server);
	ret = start_threads(server);
	if (ret) {
		rpc_server_stop(server, 0);
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	}
	*ret_server = server;
	return 0;
}

/* Return: whether all calls were over in time. */
static int wait_until_down(struct rpc_server *server, unsigned grace_ms)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += grace_ms / 1000 + 1;
	pthread_mutex_lock(&server->lock);
	while (!server->is_down && !ret)
		ret = grace_ms ? pthread_cond_timedwait(&server->is_down_changed, &server->lock,
							&until)
			       : ETIMEDOUT;
	ret = server->is_down;
	pthread_mutex_unlock(&server->lock);
	return ret;
}

void rpc_server_stop(struct rpc_server *server, unsigned grace_ms)
{
	uint64_t one = 1;

	if (!server)
		return;
	while (write(server->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	if (server->is_accepting)
		pthread_join(server->accepter, NULL);
	__tsan_release(&server->down);
	grpc_server_shutdown_and_notify(server->server, server->queue, &server->down);
	if (!wait_until_down(server, grace_ms))
		grpc_server_cancel_all_calls(server->server);
	/* Without a thread there is nobody to take the last events. */
	if (server->n_threads) {
		pthread_mutex_lock(&server->lock);
		while (!server->is_down)
			pthread_cond_wait(&server->is_down_changed, &server->lock);
		pthread_mutex_unlock(&server->lock);
	}
	grpc_completion_queue_shutdown(server->queue);
	for (unsigned i = 0; i < server->n_threads; i++)
		pthread_join(server->threads[i], NULL);
	take_events(server);
	grpc_server_destroy(server->server);
	grpc_completion_queue_destroy(server->queue);
	grpc_server_credentials_release(server->credentials);
	grpc_shutdown_blocking();
	close(server->stop_fd);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->is_down_changed);
	free(server->threads);
	free(server);
}
