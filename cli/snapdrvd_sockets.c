/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that listen, new ones and those of a service manager, and telling that one how it goes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "snapdrvd.h"

#define HANDED_FIRST 3 /* sd_listen_fds(3) */

static int set_address(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
	size_t length = strlen(path);

	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!length || length >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret_address->sun_path, path, length);
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	return 0;
}

/* Number of the descriptor that was handed over under a name; without names the first one is "address". */
static int find_handed(const char *name)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int n = count ? atoi(count) : 0;

	if (!pid || atol(pid) != getpid())
		return -1;
	for (int i = 0; i < n; i++) {
		size_t length = names ? strcspn(names, ":") : 0;
		int is_it = names && length == strlen(name) && !strncmp(names, name, length);

		if (is_it || (!i && !strcmp(name, "address") && (!names || n == 1)))
			return HANDED_FIRST + i;
		if (names)
			names += length + (names[length] == ':');
	}
	return -1;
}

/* Return: 0, or a negative errno value; EADDRINUSE when somebody answers there. */
static int bind_socket(int fd, const char *path)
{
	struct sockaddr_un address;
	socklen_t size;
	struct stat st;
	mode_t mask;
	int ret = set_address(path, &address, &size);

	if (ret)
		return ret;
	if (!connect(fd, (struct sockaddr *)&address, size))
		return -EADDRINUSE;
	/* A socket that nobody answers at was left by one that was killed. */
	if (errno == ECONNREFUSED && !lstat(path, &st)) {
		if (!S_ISSOCK(st.st_mode))
			return -ENOTSOCK;
		unlink(path);
	}
	mask = umask(0177);
	ret = bind(fd, (struct sockaddr *)&address, size);
	ret = ret ? -errno : 0;
	umask(mask);
	if (ret)
		return ret;
	return listen(fd, SOMAXCONN) ? -errno : 0;
}

static int listen_at(const char *path, struct snapdrv_error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = fd < 0 ? -errno : bind_socket(fd, path);

	if (!ret)
		return fd;
	if (fd >= 0)
		close(fd);
	if (ret == -EADDRINUSE)
		return daemon_fail(err, SNAPDRV_BUSY, EADDRINUSE,
				   "socket %s: another process answers there", path);
	return daemon_fail(err, SNAPDRV_FAILED, -ret, "socket %s: %s", path, strerror(-ret));
}

int sockets_find(const char *name, const char *path, int *ret_is_made, struct snapdrv_error *err)
{
	int fd = find_handed(name);

	*ret_is_made = fd < 0;
	if (fd < 0 && path)
		return listen_at(path, err);
	if (fd < 0)
		return daemon_fail(err, SNAPDRV_USAGE, EINVAL,
				   "no --address, and no socket was handed over");
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		return daemon_fail(err, SNAPDRV_FAILED, errno, "descriptor %d: %s", fd,
				   strerror(errno));
	return fd;
}

void sockets_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	cleanup_fd int fd = path ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	struct sockaddr_un address;
	socklen_t size;

	if (fd < 0 || set_address(path, &address, &size))
		return;
	/* A name that is no path: without the zero at the end. */
	if (*path == '@') {
		address.sun_path[0] = '\0';
		size--;
	}
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
		daemon_log("notify %s: %s", path, strerror(errno));
}
