// SPDX-License-Identifier: Apache-2.0
// Python by a fork of one that is started already (pythond), or where that one cannot, Python itself. Compiled by
// tests/run, with PYTHON, the program, and PYTHOND, the socket.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* @answer: whether it was refused, and the exit status. */
static int ask(unsigned char answer[2])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} control = {0};
	const int standard[] = {0, 1, 2};
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = PYTHOND};
	struct iovec byte = {.iov_base = "", .iov_len = 1};
	struct msghdr message = {.msg_iov = &byte,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof control};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof standard),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), standard, sizeof standard);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
	       sendmsg(fd, &message, MSG_NOSIGNAL) == 1 && recv(fd, answer, 2, MSG_WAITALL) == 2;
}

int main(int argc, char **argv)
{
	unsigned char answer[2];

	(void)argc;
	if (ask(answer) && !answer[0]) {
		return answer[1];
	}
	execv(PYTHON, argv);
	perror(PYTHON);
	return 127;
}
