/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask first: a thread waits for them. */
#include "stopping.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define GRACE_MS 10000

static struct {
	int signal_fd;
	int cancel_fd; /* readable once it is to stop */
	int over_fd;   /* once it has */
	int signal;    /* that came, or 0 */
	pthread_t thread;
} stopping;

/* One that is ignored stays so (nohup(1), what a shell runs in the background). */
static sigset_t stopping_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, signals[i]);
	}
	return set;
}

static void die(int signal)
{
	sigset_t set = stopping_signals();

	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(signal);
}

static void *watch(void *arg)
{
	struct pollfd fds[] = {{.fd = stopping.signal_fd, .events = POLLIN},
			       {.fd = stopping.over_fd, .events = POLLIN}};
	struct signalfd_siginfo info = {0};

	(void)arg;
	for (;;) {
		int n = poll(fds, 2, stopping.signal ? GRACE_MS : -1);

		if (n < 0)
			continue;
		if (fds[1].revents)
			return NULL;
		if (n && read(stopping.signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		if (stopping.signal)
			die(n ? (int)info.ssi_signo : stopping.signal);
		stopping.signal = (int)info.ssi_signo;
		/* Where that fails the second signal ends it, or the end of the grace. */
		eventfd_write(stopping.cancel_fd, 1);
	}
}

static void close_all(void)
{
	const int fds[] = {stopping.signal_fd, stopping.cancel_fd, stopping.over_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

int stopping_begin(void)
{
	sigset_t set = stopping_signals();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	stopping.signal = 0;
	stopping.signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	stopping.cancel_fd = eventfd(0, EFD_CLOEXEC);
	stopping.over_fd = eventfd(0, EFD_CLOEXEC);
	if (stopping.signal_fd >= 0 && stopping.cancel_fd >= 0 && stopping.over_fd >= 0 &&
	    !pthread_create(&stopping.thread, NULL, watch, NULL))
		return stopping.cancel_fd;
	close_all();
	stopping.cancel_fd = -1;
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return -1;
}

void stopping_end(struct cli *cli)
{
	if (stopping.cancel_fd < 0)
		return;
	/* A thread that cannot be told goes with the process. */
	if (!eventfd_write(stopping.over_fd, 1)) {
		pthread_join(stopping.thread, NULL);
		close_all();
	}
	if (stopping.signal) {
		snapdrv_close(cli->store);
		cli->store = NULL;
		fflush(stdout);
		die(stopping.signal);
	} else {
		sigset_t set = stopping_signals();

		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	}
}
