/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a program in namespaces of its own.
 *
 *   unshare(CLONE_NEWNS)			the thread's mounts are its own, and those of what it starts
 *   clone(CLONE_NEWPID | CLONE_NEWNS)		whoever kills the first process kills all
 *   PR_SET_PDEATHSIG				the kernel does so when we die
 */
#include "kernel/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"

#define CGROUPS "/sys/fs/cgroup"

int sandbox_enter(struct snapdrv_error *err)
{
	if (unshare(CLONE_NEWNS))
		return fail_errno(err, "make a mount namespace");
	/* Not private: a disk that is unmounted outside must not stay in use here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return fail_errno(err, "keep mounts apart");
	return 0;
}

int sandbox_tmpfs(const char *path, struct snapdrv_error *err)
{
	if (mount("snapdrv", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700"))
		return fail_errno(err, "mount a tmpfs");
	return 0;
}

void sandbox_unmount(const char *path)
{
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* The ends of the pipes that the child has, and those that it shares with nobody. */
struct pipes {
	int output_read, output_write;
	int report_read, report_write; /* why there was no exec */
	int life_read, life_write;     /* hung up when the parent is dead */
};

static void pipes_done(struct pipes *pipes)
{
	int *const ends[] = {&pipes->output_read,  &pipes->output_write, &pipes->report_read,
			     &pipes->report_write, &pipes->life_read,	 &pipes->life_write};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (*ends[i] >= 0)
			close(*ends[i]);
	}
}

#define cleanup_pipes __attribute__((cleanup(pipes_done)))

static int make_pipe(int *ret_read, int *ret_write, struct snapdrv_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return fail_errno(err, "make a pipe");
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

/* PR_SET_PDEATHSIG says nothing of a parent that died before it, and getppid(2) is 0 in the namespace. */
static int is_orphan(const struct pipes *pipes)
{
	struct pollfd life = {.fd = pipes->life_read};

	close(pipes->life_write);
	return poll(&life, 1, 0) != 0;
}

/* In the child: nothing that may take a lock. */
static void become(const char *const *argv, const struct pipes *pipes)
{
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t none;
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC), why;

	sigemptyset(&none);
	if (!prctl(PR_SET_PDEATHSIG, SIGKILL) && !is_orphan(pipes) && setsid() >= 0 &&
	    !mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) &&
	    dup2(null_fd, STDIN_FILENO) >= 0 && dup2(pipes->output_write, STDOUT_FILENO) >= 0 &&
	    dup2(pipes->output_write, STDERR_FILENO) >= 0 && !sigaction(SIGPIPE, &normal, NULL) &&
	    !sigprocmask(SIG_SETMASK, &none, NULL))
		execvp(argv[0], (char *const *)argv);
	why = errno;
	if (write(pipes->report_write, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

/* Return: 0 at the end of the output, or a negative errno value. */
static int pass_output(const struct sandbox_run *run, int output_fd, struct snapdrv_error *err)
{
	struct pollfd polled[] = {{.fd = output_fd, .events = POLLIN},
				  {.fd = run->cancel_fds[0], .events = POLLIN},
				  {.fd = run->cancel_fds[1], .events = POLLIN}};
	char block[16384];

	for (;;) {
		ssize_t got;
		int ret;

		if (poll(polled, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail_errno(err, "wait for its output");
		}
		if (polled[1].revents || polled[2].revents)
			return fail(err, SNAPDRV_FAILED, ECANCELED, "cancelled");
		if (!polled[0].revents)
			continue;
		got = read(output_fd, block, sizeof(block));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? fail_errno(err, "read its output") : 0;
		ret = run->output(run->arg, block, (size_t)got, err);
		if (ret)
			return ret;
	}
}

static int wait_for(pid_t child)
{
	int status;

	if (TEMP_FAILURE_RETRY(waitpid(child, &status, __WALL)) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* As fork(2), without the handlers that another thread's locks may stop. */
static pid_t start(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL,
			      NULL);
}

int sandbox_run(const struct sandbox_run *run, int *ret_status, struct snapdrv_error *err)
{
	cleanup_pipes struct pipes pipes = {-1, -1, -1, -1, -1, -1};
	int ret = make_pipe(&pipes.output_read, &pipes.output_write, err), why = 0, status;
	pid_t child;

	if (!ret)
		ret = make_pipe(&pipes.report_read, &pipes.report_write, err);
	if (!ret)
		ret = make_pipe(&pipes.life_read, &pipes.life_write, err);
	if (ret)
		return ret;
	child = start();
	if (child < 0)
		return fail_errno(err, "%s: start it", run->argv[0]);
	if (!child)
		become(run->argv, &pipes);
	close(steal_fd(&pipes.output_write));
	close(steal_fd(&pipes.report_write));
	ret = pass_output(run, pipes.output_read, err);
	if (ret)
		kill(child, SIGKILL);
	status = wait_for(child);
	if (ret)
		return ret;
	if (read(pipes.report_read, &why, sizeof(why)) != sizeof(why))
		why = 0;
	if (why == ENOENT)
		return fail(err, SNAPDRV_MISSING, ENOENT, "%s is not in PATH", run->argv[0]);
	if (why)
		return fail(err, SNAPDRV_FAILED, why, "%s: start it: %s", run->argv[0],
			    strerror(why));
	*ret_status = status;
	return 0;
}

static void drop_in(int top_fd, const char *prefix)
{
	cleanup_dir DIR *dir = file_list(top_fd, ".");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (!strncmp(entry->d_name, prefix, strlen(prefix)))
			unlinkat(top_fd, entry->d_name, AT_REMOVEDIR);
	}
}

/* The one hierarchy of version 2, or those of version 1 beside each other. */
void sandbox_drop_cgroups(const char *prefix)
{
	cleanup_dir DIR *dir = opendir(CGROUPS);
	struct dirent *entry;

	if (!dir)
		return;
	drop_in(dirfd(dir), prefix);
	while ((entry = readdir(dir))) {
		cleanup_fd int fd = -1;

		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		fd = openat(dirfd(dir), entry->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			drop_in(fd, prefix);
	}
}
