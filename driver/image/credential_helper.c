/* SPDX-License-Identifier: Apache-2.0 */
/* The one program that is started for a registry: docker-credential-NAME get. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/credentials.h"

#define OUTPUT_MAX 65536

static int is_name(const char *name)
{
	return *name && *name != '.' && *name != '-' &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789._-")];
}

/* In the child: nothing that may take a lock. What is ours closes by itself at the exec. */
static void become(const char *const *argv, int stream, pid_t parent)
{
	struct sigaction normal = {.sa_handler = SIG_DFL};

	if (!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent &&
	    !sigaction(SIGPIPE, &normal, NULL) && dup2(stream, STDIN_FILENO) >= 0 &&
	    dup2(stream, STDOUT_FILENO) >= 0)
		execvp(argv[0], (char *const *)argv);
	_exit(errno == ENOENT ? 127 : 126);
}

/* A socket pair does for both directions: the helper reads the server's name up to its end. */
static int talk(int stream, const char *server, struct bytes *output, struct snapdrv_error *err)
{
	char block[4096];
	ssize_t got;

	/* A helper that reads nothing is no failure of ours. */
	if (send(stream, server, strlen(server), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return fail_errno(err, "write to it");
	shutdown(stream, SHUT_WR);
	while ((got = read(stream, block, sizeof(block))) != 0) {
		int ret;

		if (got < 0 && errno == EINTR)
			continue;
		/* It may have left without reading all. */
		if (got < 0 && errno == ECONNRESET)
			return 0;
		if (got < 0)
			return fail_errno(err, "read its answer");
		if (output->size + (size_t)got > OUTPUT_MAX)
			return refuse(err, "its answer has more than %d bytes", OUTPUT_MAX);
		ret = bytes_add(output, block, (size_t)got, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int run(const char *program, const char *server, struct bytes *output, int *ret_status,
	       struct snapdrv_error *err)
{
	const char *const argv[] = {program, "get", NULL};
	cleanup_fd int ours = -1, theirs = -1;
	pid_t parent = getpid(), child;
	int ends[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return fail_errno(err, "make a pipe");
	ours = ends[0];
	theirs = ends[1];
	child = fork();
	if (child < 0)
		return fail_errno(err, "start it");
	if (!child)
		become(argv, theirs, parent);
	close(steal_fd(&theirs));
	ret = talk(ours, server, output, err);
	close(steal_fd(&ours));
	if (TEMP_FAILURE_RETRY(waitpid(child, ret_status, 0)) < 0)
		*ret_status = -1;
	return ret;
}

/* What the helpers of docker print for a server that they do not know. */
static int is_not_found(const struct bytes *output)
{
	return output->size && strstr(output->data, "credentials not found");
}

int credential_helper(const char *name, const char *server, char **ret_output, size_t *ret_size,
		      struct snapdrv_error *err)
{
	cleanup_free char *program = text_format(err, "docker-credential-%s", name);
	cleanup_bytes struct bytes output = {0};
	int status = 0, ret;

	if (!program)
		return -ENOMEM;
	if (!is_name(name))
		return refuse(err, "%s is no name of a credential helper", quote(name).text);
	ret = run(program, server, &output, &status, err);
	if (!ret)
		ret = bytes_add(&output, "", 1, err);
	if (ret)
		return fail_within(err, ret, "%s", program);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(err, SNAPDRV_MISSING, ENOENT, "%s is not in PATH", program);
	if (status && is_not_found(&output))
		return 0;
	if (status)
		return fail(err, SNAPDRV_FAILED, EIO, "%s: %s", program,
			    output.size > 1 ? quote(output.data).text : "failed");
	*ret_output = steal_ptr(&output.data);
	*ret_size = output.size - 1;
	return 1;
}
