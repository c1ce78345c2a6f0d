/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start programs and tell what each took: a small process, so that its own size and start do not show.
 *
 *   spawn-bench ROUNDS COMMAND... [-- COMMAND...]...
 *
 * A round runs the commands one after the other; `%d` in a word is the number of the round, from 0. What
 * they print on standard output is thrown away. For each run a line of
 *
 *   COMMAND-NUMBER ELAPSED-US CPU-US PEAK-KB
 *
 * is printed at the end. A command that fails ends it all, with exit status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 32
#define MAX_WORDS 4096

extern char **environ;

struct command {
	char **words; /* within argv, ends in NULL */
};

struct run {
	int command;
	long elapsed_us;
	long cpu_us;
	long peak_kb;
};

static void die(const char *what, int number)
{
	fprintf(stderr, "spawn-bench: %s: %s\n", what, strerror(number));
	exit(1);
}

static long now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static long time_us(struct timeval time)
{
	return time.tv_sec * 1000000L + time.tv_usec;
}

/* The words of a round: those with `%d` are new, the others the command line's own. */
static void fill_words(char *const *words, int round, char **ret_words)
{
	for (; *words; words++, ret_words++) {
		const char *mark = strstr(*words, "%d");

		*ret_words = *words;
		if (mark && asprintf(ret_words, "%.*s%d%s", (int)(mark - *words), *words, round,
				     mark + 2) < 0)
			die("memory", ENOMEM);
	}
	*ret_words = NULL;
}

static void free_words(char *const *words, char **filled)
{
	for (; *words; words++, filled++)
		if (*filled != *words)
			free(*filled);
}

static struct run run_command(const struct command *commands, int number, int round,
			      const posix_spawn_file_actions_t *actions)
{
	static char *words[MAX_WORDS];
	struct rusage usage;
	struct run run = {.command = number};
	int status, ret;
	long start;
	pid_t pid;

	fill_words(commands[number].words, round, words);
	start = now_us();
	ret = posix_spawnp(&pid, words[0], actions, NULL, words, environ);
	if (ret)
		die(words[0], ret);
	if (wait4(pid, &status, 0, &usage) != pid)
		die("wait", errno);
	run.elapsed_us = now_us() - start;
	run.cpu_us = time_us(usage.ru_utime) + time_us(usage.ru_stime);
	run.peak_kb = usage.ru_maxrss;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "spawn-bench: command %d (%s), round %d: status %#x\n", number,
			words[0], round, status);
		exit(1);
	}
	free_words(commands[number].words, words);
	return run;
}

static int split_commands(char **argv, struct command *ret_commands)
{
	int count = 0;

	for (ret_commands[count++].words = argv; *argv; argv++) {
		if (strcmp(*argv, "--"))
			continue;
		*argv = NULL;
		if (count == MAX_COMMANDS)
			die("commands", E2BIG);
		ret_commands[count++].words = argv + 1;
	}
	return count;
}

int main(int argc, char **argv)
{
	struct command commands[MAX_COMMANDS];
	posix_spawn_file_actions_t actions;
	struct run *runs;
	int rounds, count, done = 0;

	if (argc < 3 || argc > MAX_WORDS || (rounds = atoi(argv[1])) < 1) {
		fprintf(stderr, "usage: spawn-bench ROUNDS COMMAND... [-- COMMAND...]...\n");
		return 2;
	}
	count = split_commands(argv + 2, commands);
	runs = calloc((size_t)count * (size_t)rounds, sizeof(*runs));
	if (!runs)
		die("memory", ENOMEM);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	for (int round = 0; round < rounds; round++)
		for (int number = 0; number < count; number++)
			runs[done++] = run_command(commands, number, round, &actions);
	for (int run = 0; run < done; run++)
		printf("%d %ld %ld %ld\n", runs[run].command, runs[run].elapsed_us,
		       runs[run].cpu_us, runs[run].peak_kb);
	posix_spawn_file_actions_destroy(&actions);
	free(runs);
	return 0;
}
