/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: its start, its end, and what becomes of a call that is over. */
#include "snapdrvd.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "snapdrvd_service.h"
#include "wire/rpc_server.h"

#define N_THREADS 16
#define GRACE_MS 30000

/* Counted always; a line in the log for what failed. */
static void call_over(void *arg, const struct rpc_outcome *outcome)
{
	struct daemon *daemon = arg;
	struct count count = {.service = "",
			      .method = "unknown",
			      .status = rpc_status_name(outcome->status),
			      .time_ns = outcome->time_ns,
			      .received = outcome->received,
			      .sent = outcome->sent};

	if (outcome->method) {
		const struct service_method *method = outcome->method->detail;

		count.service = method->service;
		count.method = method->name;
	}
	metrics_count(daemon->metrics, &count);
	if (outcome->err)
		daemon_log("%s: %s: %s", outcome->method ? count.method : outcome->path,
			   count.status, outcome->err->message);
}

/* The threads that come inherit it: the signals are for sigwait(3) alone. */
static void block_signals(sigset_t *ret_ends)
{
	sigemptyset(ret_ends);
	sigaddset(ret_ends, SIGTERM);
	sigaddset(ret_ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, ret_ends, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int serve(struct daemon *daemon, int listen_fd, int metrics_fd, struct snapdrv_error *err)
{
	const struct rpc_service service = {.methods = service_methods(),
					    .arg = daemon,
					    .n_threads = N_THREADS,
					    .over = call_over};
	struct rpc_server *server;
	sigset_t ends;
	int ret, which;

	block_signals(&ends);
	ret = stores_start(&daemon->stores, &daemon->settings, err);
	if (ret)
		return ret;
	ret = metrics_start(&daemon->stores, metrics_fd, &daemon->metrics, err);
	if (!ret)
		ret = rpc_server_start(&service, listen_fd, &server, err);
	if (!ret) {
		sockets_notify("READY=1");
		sigwait(&ends, &which);
		sockets_notify("STOPPING=1");
		rpc_server_stop(server, GRACE_MS);
	}
	metrics_stop(daemon->metrics);
	stores_stop(&daemon->stores);
	return ret;
}

static int run(struct daemon *daemon, struct snapdrv_error *err)
{
	const struct settings *settings = &daemon->settings;
	int is_made = 0, is_metrics_made = 0, metrics_fd = -1;
	int fd = sockets_find("address", settings->address, &is_made, err), ret = fd;

	if (fd >= 0 && settings->metrics)
		ret = metrics_fd =
			sockets_find("metrics", settings->metrics, &is_metrics_made, err);
	if (ret >= 0)
		ret = serve(daemon, fd, metrics_fd, err);
	if (metrics_fd >= 0 && is_metrics_made)
		unlink(settings->metrics);
	if (fd >= 0 && is_made)
		unlink(settings->address);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Each client is a descriptor, and 1,024, the usual limit where none is set, are few; select(2) is used nowhere. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	struct daemon daemon = {0};
	struct snapdrv_error err;
	int ret;

	/* One heap for all threads: what they free others can use, and an idle daemon is small. */
	mallopt(M_ARENA_MAX, 2);
	raise_limit();
	ret = settings_read(&daemon.settings, argc, argv, &err);
	if (!ret)
		ret = run(&daemon, &err);
	if (ret >= 0)
		return 0;
	daemon_log("%s", err.message);
	return err.code;
}
