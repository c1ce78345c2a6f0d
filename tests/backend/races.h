/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of contract.c that are about many threads at once, and about processes that are killed. */
#ifndef RACES_H
#define RACES_H

#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "trees.h"

#define THREADS 8
#define TREES 20

struct worker {
	pthread_t thread;
	int number;
	const char *failed; /* which step, NULL: none */
};

#define STEP(condition)                    \
	do {                               \
		if (!(condition)) {        \
			return #condition; \
		}                          \
	} while (0)

static const char *one_of_many(int number)
{
	cleanup_fd int fd = -1;
	char layer[16], active[16], text[32];

	snprintf(layer, sizeof(layer), "%d", 1000 + number);
	snprintf(active, sizeof(active), "%d", 2000 + number);
	snprintf(text, sizeof(text), "text of %d", number);
	STEP(!put_layer(layer, ON("2", "1"), "own", text));
	STEP(!put_active(active, TREE_ACTIVE, ON(layer, "2", "1")));
	fd = mount_active(active, TREE_ACTIVE, ON(layer, "2", "1"));
	STEP(fd >= 0);
	STEP(has_text(fd, "own", text));
	STEP(has_text(fd, "common", "two"));
	STEP(!write_file(fd, "common", text));
	STEP(!unlinkat(fd, "own", 0));
	STEP(has_text(fd, "common", text));
	STEP(!unmount(active, steal_fd(&fd)));
	STEP(!drop(active_fd, active));
	STEP(!drop(layers_fd, layer));
	return NULL;
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < TREES && !worker->failed; i++)
		worker->failed = one_of_many(worker->number * TREES + i);
	return NULL;
}

static void many_at_once(void)
{
	struct worker workers[THREADS] = {0};
	char *one, *two;

	two_layers();
	one = picture("1");
	two = picture("2");
	for (int i = 0; i < THREADS; i++) {
		workers[i].number = i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		if (!CHECK(!workers[i].failed))
			printf("# thread %d: %s\n", i, workers[i].failed);
	}
	CHECK(still("1", one));
	CHECK(still("2", two));
	drop_two_layers();
}

/* ---- killed ------------------------------------------------------------------------------- */

#define N_STEPS 8

/* A layer and a container over it, a step at a time; 0, or what went wrong. */
static int do_step(int step, int *fd)
{
	switch (step) {
	case 1:
		return make(staging_fd, "3", TREE_LAYER, ON("2", "1"));
	case 2:
		return write_tree(staging_fd, "3", "third", "3");
	case 3:
		return freeze(staging_fd, "3");
	case 4:
		return renameat(staging_fd, "3", layers_fd, "3");
	case 5:
		return put_active("4", TREE_ACTIVE, ON("3", "2", "1"));
	case 6:
		*fd = mount_active("4", TREE_ACTIVE, ON("3", "2", "1"));
		return *fd < 0;
	case 7:
		return !has_text(*fd, "third", "3") || write_file(*fd, "common", "container");
	default:
		return unmount("4", *fd);
	}
}

static int do_steps(int last)
{
	int fd = -1;

	for (int step = 1; step <= last; step++) {
		if (do_step(step, &fd)) {
			printf("# step %d\n", step);
			return step;
		}
	}
	return 0;
}

static void killed_between(void)
{
	char *two;

	two_layers();
	two = picture("2");
	for (int last = 1; last <= N_STEPS; last++) {
		int status = 0;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (!pid) {
			if (do_steps(last))
				_exit(1);
			kill(getpid(), SIGKILL);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		/* The mount outlives the process. */
		CHECK(!unmount("4", -1) == (last == 6 || last == 7));
		for (int again = 0; again < 2; again++) {
			CHECK(!drop(staging_fd, "3"));
			CHECK(!drop(staging_fd, "4"));
			CHECK(!drop(active_fd, "4"));
			CHECK(!drop(layers_fd, "3"));
			CHECK(is_empty(staging_fd) && is_empty(active_fd));
			if (!again)
				CHECK(!do_steps(N_STEPS));
		}
	}
	CHECK(still("2", two));
	drop_two_layers();
}

static void do_make_layer(void)
{
	make(staging_fd, "3", TREE_LAYER, ON("2", "1"));
}

static void do_make_active(void)
{
	make(staging_fd, "3", TREE_ACTIVE, ON("2", "1"));
}

static void do_make_view(void)
{
	make(staging_fd, "3", TREE_VIEW, ON("2", "1"));
}

static void do_freeze(void)
{
	ops->freeze(&backend, staging_fd, "3", NULL);
}

static void do_drop(void)
{
	ops->drop(&backend, staging_fd, "3", NULL);
}

/* Run it in a process that is killed at the Nth beginning or end of a system call. 0: it ended before. */
static int killed_at(long n, void (*operation)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		operation();
		_exit(0);
	}
	if (!CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)))
		return 0;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (n > 0) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		if (!CHECK(waitpid(pid, &status, 0) == pid))
			return 0;
		if (!WIFSTOPPED(status))
			return 0;
		n -= WSTOPSIG(status) == (SIGTRAP | 0x80);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return 1;
}

static void killed_within(void)
{
	static const struct {
		void (*operation)(void);
		int is_made; /* the tree is there before */
	} table[] = {
		{do_make_layer, 0}, {do_make_active, 0}, {do_make_view, 0},
		{do_freeze, 1},	    {do_drop, 1},
	};
	char *two;

	two_layers();
	two = picture("2");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		long n = 1;

		for (int killed = 1; killed && !unit_failed_checks; n++) {
			if (table[i].is_made) {
				CHECK(!make(staging_fd, "3", TREE_ACTIVE, ON("2", "1")));
				CHECK(!write_tree(staging_fd, "3", "third", "3"));
			}
			killed = killed_at(n, table[i].operation);
			CHECK(!drop(staging_fd, "3"));
			CHECK(is_empty(staging_fd));
		}
		printf("# operation %zu: killed %ld times\n", i, n - 2);
		CHECK(n > 5);
	}
	CHECK(still("2", two));
	drop_two_layers();
}

#endif
