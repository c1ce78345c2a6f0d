/* SPDX-License-Identifier: Apache-2.0 */
/* What the server and its calls share. */
#ifndef WIRE_RPC_CALLS_H
#define WIRE_RPC_CALLS_H

#include <grpc/grpc.h>
#include <pthread.h>

#include "wire/rpc_server.h"

/* A completion: its address is the tag. */
struct event {
	void (*happened)(struct event *event, int is_done);
	struct rpc_call *call;
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

/** rpc_calls_offer() - a place for one more call: it is accepted, received, served and sent in it, by events. */
void rpc_calls_offer(struct rpc_server *server);

#endif
