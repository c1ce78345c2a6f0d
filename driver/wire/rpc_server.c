/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: a thread that accepts connections, a completion queue, and threads that take from it.
 *
 * One thread more than calls are served at once: it sees who has gone while all others serve, and lets calls wait.
 */
#include "wire/rpc_server.h"

#include <errno.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "wire/rpc_accept.h"
#include "wire/rpc_calls.h"
#include "wire/rpc_tsan.h"

#define CALLS_OFFERED 64 /* places for calls that no thread has looked at yet */
#define STREAMS_MAX 1024 /* calls on one connection at once */

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
		rpc_calls_offer(server);
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
