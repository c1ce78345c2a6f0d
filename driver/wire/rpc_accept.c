/* SPDX-License-Identifier: Apache-2.0 */
/* The loop that takes connections. */
#include "wire/rpc_accept.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

#define PAUSE_MS 50 /* when there are no descriptors left */

void accept_each(int listen_fd, int stop_fd, int flags, void (*take)(void *arg, int fd), void *arg)
{
	struct pollfd polls[] = {{.fd = stop_fd, .events = POLLIN},
				 {.fd = listen_fd, .events = POLLIN}};

	for (;;) {
		int fd;

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return;
		if (polls[0].revents)
			return;
		/* cppcheck-suppress nullPointer ; accept4(2) takes two NULLs */
		fd = accept4(listen_fd, NULL, NULL, flags);
		if (fd >= 0)
			take(arg, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			poll(polls, 1, PAUSE_MS);
	}
}
