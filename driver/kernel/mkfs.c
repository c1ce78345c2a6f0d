/* SPDX-License-Identifier: Apache-2.0 */
/* Running mkfs: fork, execvp, and what it printed when it failed. */
#include "kernel/mkfs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"

#define OUTPUT_MAX 400

/*
 * In the child: nothing that may take a lock. All our descriptors close by themselves at the exec;
 * @report_fd then too, and otherwise it says why there was none.
 */
static void become(const char *const *argv, int output_fd, int report_fd, pid_t parent)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), why;

	if (!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent &&
	    dup2(null_fd, STDIN_FILENO) >= 0 && dup2(output_fd, STDOUT_FILENO) >= 0 &&
	    dup2(output_fd, STDERR_FILENO) >= 0)
		execvp(argv[0], (char *const *)argv);
	why = errno;
	if (write(report_fd, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

/* All that comes, so that the writer never waits; the first OUTPUT_MAX bytes of it, on one line. */
static void read_output(int fd, char *ret_text)
{
	char block[512];
	size_t size = 0;
	ssize_t got;

	while ((got = file_read_some(fd, block, sizeof(block), "output", NULL)) > 0) {
		for (ssize_t i = 0; i < got && size < OUTPUT_MAX; i++) {
			int is_break = block[i] == '\n' || block[i] == '\t';

			if (is_break && (!size || ret_text[size - 1] == ' '))
				continue;
			ret_text[size++] = is_break				 ? ' '
					   : block[i] >= 0x20 && block[i] < 0x7f ? block[i]
										 : '?';
		}
	}
	while (size && ret_text[size - 1] == ' ')
		size--;
	ret_text[size] = '\0';
}

int mkfs_run(const char *const *argv, struct snapdrv_error *err)
{
	cleanup_fd int output_read = -1, output_write = -1, report_read = -1, report_write = -1;
	char output[OUTPUT_MAX + 1];
	int pipes[2], why = 0, status;
	pid_t parent = getpid(), child;

	if (pipe2(pipes, O_CLOEXEC))
		return fail_errno(err, "%s: make a pipe", argv[0]);
	output_read = pipes[0];
	output_write = pipes[1];
	if (pipe2(pipes, O_CLOEXEC))
		return fail_errno(err, "%s: make a pipe", argv[0]);
	report_read = pipes[0];
	report_write = pipes[1];
	child = fork();
	if (child < 0)
		return fail_errno(err, "%s: start it", argv[0]);
	if (!child)
		become(argv, output_write, report_write, parent);
	close(steal_fd(&output_write));
	close(steal_fd(&report_write));
	read_output(output_read, output);
	if (file_read_some(report_read, &why, sizeof(why), "report", NULL) != sizeof(why))
		why = 0;
	if (TEMP_FAILURE_RETRY(waitpid(child, &status, 0)) < 0)
		status = -1;
	if (why == ENOENT)
		return fail(err, SNAPDRV_MISSING, ENOENT, "%s is not in PATH", argv[0]);
	if (why)
		return fail(err, SNAPDRV_FAILED, why, "%s: start it: %s", argv[0], strerror(why));
	if (!status)
		return 0;
	return fail(err, SNAPDRV_FAILED, EIO, "%s: %s", argv[0], *output ? output : "failed");
}
