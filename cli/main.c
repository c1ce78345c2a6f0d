/* SPDX-License-Identifier: Apache-2.0 */
/* What surrounds each command: the options before it, the streams, the exit status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static void run(struct cli *cli, int argc, char **argv)
{
	struct snapdrv_error err;
	int at = options_before(cli, argc, argv, &err);
	const struct command *command;

	if (at < 0) {
		cli_report(cli, &err);
		return;
	}
	if (cli->version) {
		puts("snapdrv " SNAPDRV_VERSION);
		return;
	}
	if (at == argc) {
		if (cli->help)
			commands_print();
		else
			cli_usage(cli, "no command; 'snapdrv help' lists them");
		return;
	}
	command = command_find(argv[at]);
	if (!command) {
		cli_usage(cli, "'%s': no such command; 'snapdrv help' lists them", argv[at]);
		return;
	}
	cli->command = command;
	cli->argc = argc - at;
	cli->argv = argv + at;
	command->run(cli);
}

/*
 * Whoever closed a standard stream must not get the store's files under its number. What stands in
 * for it is open the other way round, so that using it still fails.
 */
static void keep_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

static void close_output(struct cli *cli)
{
	int lost = ferror(stdout);

	if (fclose(stdout))
		cli_fail(cli, SNAPDRV_FAILED, "standard output: %s", strerror(errno));
	else if (lost)
		cli_fail(cli, SNAPDRV_FAILED, "standard output: not all of it could be written");
}

int main(int argc, char **argv)
{
	struct cli cli = {0};

	keep_streams();
	signal(SIGPIPE, SIG_IGN); /* it would kill the program in the middle of its work */
	run(&cli, argc, argv);
	/* What was removed is gone for everybody: whoever reads need not wait until its files are too. */
	fflush(stdout);
	snapdrv_close(cli.store);
	free(cli.words);
	close_output(&cli);
	return cli.status;
}
