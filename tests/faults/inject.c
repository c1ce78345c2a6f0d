/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run a program, count its system calls of some kinds, and at the Nth kill it or make the call fail.
 *
 *	inject [OPTION]... REPORT PROGRAM [ARGUMENT]...
 *
 *	--calls KIND[,KIND]...	which to count: change space input open memory wait locks (calls.h)
 *	--at N			the one at which something happens; none when it is not given
 *	--kill before|after	SIGKILL to the program: the call is not begun, or it has been made; what it has
 *				started has to end by itself
 *	--error NUMBER		the call is not made and gives this errno value
 *	--onward		all later ones fail too
 *	--hold IN,OUT		when the Nth is there: write a byte to descriptor OUT, wait for one from IN
 *	--limit SECONDS		then everything is killed (default 30); while it all stood still, none go by
 *	--list			each call that counts, a line on stderr
 *
 * All threads and children count. The order among threads is the kernel's, so N is not quite the same call
 * in each run. What happens before main() does not count where the program's main() begins with
 * fcntl(0, F_GETFD), as snapdrv's does; --whole counts everything.
 *
 * REPORT gets lines `seen KIND N`, `hit CALL PATH` and `end exit N`, `end signal N`, `end limit` or `end left`. The exit status
 * is the program's, or 128 + its signal.
 *
 * How: a seccomp filter stops the calls of interest alone (SECCOMP_RET_TRACE), so the others cost nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

#define TRACEES_MAX 4096
#define LEFT_SECONDS 3 /* until what a killed program has started is ended too */

enum action { ACTION_NONE, ACTION_KILL_BEFORE, ACTION_KILL_AFTER, ACTION_ERROR };

struct injector {
	unsigned kinds;
	unsigned long at, seen, seen_of[KINDS_MAX];
	enum action action;
	int error, onward, list, whole, hold_in, hold_out;
	unsigned limit;
	const char *report;
	pid_t first, tracees[TRACEES_MAX], leaving; /* the one whose call is to be made first */
	size_t n_tracees;
	int is_started, is_killing, is_dead;
	char hit[PATH_MAX + 64];
};

static volatile sig_atomic_t seconds_left, is_late;

static void on_second(int signal)
{
	(void)signal;
	if (!--seconds_left)
		is_late = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* ---- the program ----------------------------------------------------------------------------- */

static void stop_calls(void)
{
	struct sock_filter filter[2 * CALLS_MAX + 4];
	struct sock_fprog program = {.filter = filter};
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	for (const struct call *call = calls; call->name; call++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (unsigned)call->number, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		die("seccomp");
}

static pid_t start(char **argv)
{
	int gate[2];
	char byte;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(gate[1]);
		/* The end of the file is the sign that the tracer is there. */
		if (read(gate[0], &byte, 1))
			die("wait for the tracer");
		stop_calls();
		execv(argv[0], argv);
		die(argv[0]);
	}
	close(gate[0]);
	if (ptrace(PTRACE_SEIZE, pid, 0,
		   PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP |
			   PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			   PTRACE_O_TRACEEXEC))
		die("ptrace");
	close(gate[1]);
	return pid;
}

/* ---- its calls ------------------------------------------------------------------------------- */

static void read_memory(pid_t pid, unsigned long address, void *data, size_t size)
{
	struct iovec here = {data, size}, there = {(void *)address, size};

	memset(data, 0, size);
	process_vm_readv(pid, &here, 1, &there, 1, 0);
}

/* A string may end right before a page that is not there. */
static void read_string(pid_t pid, unsigned long address, char *text, size_t size)
{
	size_t first = 4096 - address % 4096;

	memset(text, 0, size);
	if (!address)
		return;
	read_memory(pid, address, text, first < size ? first : size - 1);
	if (first < size - 1 && strnlen(text, first) == first)
		read_memory(pid, address + first, text + first, size - 1 - first);
}

static unsigned kinds_of(struct injector *injector, pid_t pid, const struct call *call,
			 const struct user_regs_struct *regs)
{
	struct call_arguments arguments = {
		.values = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9}};

	if (call->number == SYS_openat2)
		read_memory(pid, regs->rdx, &arguments.pointed, sizeof(arguments.pointed));
	if (call->number == SYS_fcntl && call_is_lock(&arguments))
		read_memory(pid, regs->rdx, &arguments.lock_type, sizeof(arguments.lock_type));
	if (!injector->is_started) {
		if (call->number == SYS_fcntl && regs->rdi == 0 && regs->rsi == F_GETFD)
			injector->is_started = 1;
		return 0;
	}
	return call_kinds(call, &arguments);
}

static void describe(struct injector *injector, pid_t pid, const struct call *call,
		     const struct user_regs_struct *regs)
{
	unsigned long path = call->path == 1   ? regs->rdi
			     : call->path == 2 ? regs->rsi
			     : call->path == 3 ? regs->rdx
					       : 0;
	char text[PATH_MAX] = "", link[64];

	if (path) {
		read_string(pid, path, text, sizeof(text));
	} else if (call->path == 0) {
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, (int)regs->rdi);
		if (readlink(link, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
	}
	snprintf(injector->hit, sizeof(injector->hit), "%s %s", call->name, text);
	for (char *c = injector->hit; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

static void kill_all(const struct injector *injector)
{
	for (size_t i = 0; i < injector->n_tracees; i++)
		kill(injector->tracees[i], SIGKILL);
}

static void kill_first(struct injector *injector)
{
	injector->is_killing = 1;
	kill(injector->first, SIGKILL);
}

static void hold(const struct injector *injector)
{
	char byte = '!';
	ssize_t got = write(injector->hold_out, &byte, 1);

	if (got == 1) {
		while ((got = read(injector->hold_in, &byte, 1)) < 0 && errno == EINTR && !is_late)
			;
	}
	if (got != 1)
		fprintf(stderr, "inject: nobody is there to hold for\n");
}

static void give_error(const struct injector *injector, pid_t pid, const struct call *call,
		       struct user_regs_struct *regs)
{
	/* brk(2) says that it failed by a break below the one that was asked for. */
	regs->orig_rax = ~0ull;
	regs->rax = call->number == SYS_brk ? 0 : (unsigned long long)-injector->error;
	ptrace(PTRACE_SETREGS, pid, 0, regs);
}

static void on_call(struct injector *injector, pid_t pid)
{
	struct user_regs_struct regs;
	const struct call *call;
	unsigned kinds;
	int is_now;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs))
		return;
	call = call_find((long)regs.orig_rax);
	kinds = call ? kinds_of(injector, pid, call, &regs) : 0;
	for (unsigned i = 0; i < KINDS_MAX; i++)
		injector->seen_of[i] += kinds >> i & 1;
	if (!(kinds & injector->kinds)) {
		ptrace(PTRACE_CONT, pid, 0, 0);
		return;
	}
	injector->seen++;
	if (injector->list) {
		describe(injector, pid, call, &regs);
		fprintf(stderr, "%lu %s\n", injector->seen, injector->hit);
	}
	is_now = injector->at && !injector->is_killing &&
		 (injector->seen == injector->at ||
		  (injector->onward && injector->seen > injector->at));
	if (!is_now) {
		ptrace(PTRACE_CONT, pid, 0, 0);
		return;
	}
	if (injector->seen == injector->at)
		describe(injector, pid, call, &regs);
	if (injector->action == ACTION_ERROR) {
		give_error(injector, pid, call, &regs);
		ptrace(PTRACE_CONT, pid, 0, 0);
	} else if (injector->action == ACTION_KILL_AFTER) {
		injector->leaving = pid;
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	} else {
		if (injector->hold_out >= 0)
			hold(injector);
		kill_first(injector);
	}
}

/* ---- the whole of it ------------------------------------------------------------------------- */

static void on_stop(struct injector *injector, pid_t pid, int status)
{
	int event = status >> 16, signal = WSTOPSIG(status);

	if (is_late) {
		kill(pid, SIGKILL);
	} else if (event == PTRACE_EVENT_SECCOMP) {
		on_call(injector, pid);
	} else if (event) {
		ptrace(PTRACE_CONT, pid, 0, 0);
	} else if (signal == (SIGTRAP | 0x80)) {
		if (pid == injector->leaving)
			kill_first(injector);
		else
			ptrace(PTRACE_CONT, pid, 0, 0);
	} else {
		ptrace(PTRACE_CONT, pid, 0, signal);
	}
}

static void remember(struct injector *injector, pid_t pid)
{
	for (size_t i = 0; i < injector->n_tracees; i++) {
		if (injector->tracees[i] == pid)
			return;
	}
	if (injector->n_tracees < TRACEES_MAX)
		injector->tracees[injector->n_tracees++] = pid;
}

static void forget(struct injector *injector, pid_t pid)
{
	for (size_t i = 0; i < injector->n_tracees; i++) {
		if (injector->tracees[i] == pid)
			injector->tracees[i] = injector->tracees[--injector->n_tracees];
	}
}

/* Return: the first process's wait status. */
static int follow(struct injector *injector)
{
	int status, result = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (is_late)
			kill_all(injector);
		if (pid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			remember(injector, pid);
			on_stop(injector, pid, status);
			continue;
		}
		forget(injector, pid);
		if (pid == injector->first) {
			result = status;
			injector->is_dead = 1;
			seconds_left = LEFT_SECONDS;
		}
	}
	return result;
}

static int write_report(const struct injector *injector, int status)
{
	FILE *report = fopen(injector->report, "we");

	if (!report)
		die(injector->report);
	for (unsigned i = 0; i < KINDS_MAX; i++)
		fprintf(report, "seen %s %lu\n", kind_names[i], injector->seen_of[i]);
	if (injector->at && injector->seen >= injector->at)
		fprintf(report, "hit %s\n", injector->hit);
	if (is_late)
		fprintf(report, injector->is_dead ? "end left\n" : "end limit\n");
	else if (WIFSIGNALED(status))
		fprintf(report, "end signal %d\n", WTERMSIG(status));
	else
		fprintf(report, "end exit %d\n", WEXITSTATUS(status));
	if (fclose(report))
		die(injector->report);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static unsigned read_kinds(char *text)
{
	unsigned kinds = 0;
	char *rest = text, *name;

	while ((name = strsep(&rest, ","))) {
		unsigned kind = call_kind(name);

		if (!kind) {
			errno = EINVAL;
			die(name);
		}
		kinds |= kind;
	}
	return kinds;
}

/* Return: the number of words that were options. */
static int read_options(struct injector *injector, int argc, char **argv)
{
	int at = 1;

	for (; at < argc && !strncmp(argv[at], "--", 2); at++) {
		const char *name = argv[at] + 2;
		char *value;

		if (!strcmp(name, "onward") || !strcmp(name, "list") || !strcmp(name, "whole")) {
			injector->onward |= !strcmp(name, "onward");
			injector->list |= !strcmp(name, "list");
			injector->whole |= !strcmp(name, "whole");
			continue;
		}
		if (++at >= argc)
			break;
		value = argv[at];
		if (!strcmp(name, "calls"))
			injector->kinds = read_kinds(value);
		else if (!strcmp(name, "at"))
			injector->at = strtoul(value, NULL, 10);
		else if (!strcmp(name, "kill"))
			injector->action =
				!strcmp(value, "after") ? ACTION_KILL_AFTER : ACTION_KILL_BEFORE;
		else if (!strcmp(name, "error"))
			injector->action = ACTION_ERROR, injector->error = atoi(value);
		else if (!strcmp(name, "limit"))
			injector->limit = (unsigned)atoi(value);
		else if (!strcmp(name, "hold") &&
			 sscanf(value, "%d,%d", &injector->hold_in, &injector->hold_out) == 2)
			continue;
		else
			break;
	}
	return at;
}

int main(int argc, char **argv)
{
	struct injector injector = {
		.kinds = KIND_CHANGE, .limit = 30, .hold_in = -1, .hold_out = -1};
	const struct sigaction each_second = {.sa_handler = on_second};
	const struct itimerval second = {.it_interval = {1, 0}, .it_value = {1, 0}};
	int at = read_options(&injector, argc, argv), status;

	if (argc - at < 2) {
		fprintf(stderr, "usage: inject [OPTION]... REPORT PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	injector.report = argv[at];
	injector.is_started = injector.whole;
	if (injector.hold_in >= 0)
		fcntl(injector.hold_in, F_SETFD, FD_CLOEXEC);
	if (injector.hold_out >= 0)
		fcntl(injector.hold_out, F_SETFD, FD_CLOEXEC);
	injector.first = start(argv + at + 1);
	remember(&injector, injector.first);
	/* One signal for however long the tracer did not run. */
	seconds_left = (sig_atomic_t)injector.limit;
	sigaction(SIGALRM, &each_second, NULL);
	setitimer(ITIMER_REAL, &second, NULL);
	status = follow(&injector);
	return write_report(&injector, status);
}
