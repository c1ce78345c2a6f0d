/* SPDX-License-Identifier: Apache-2.0 */
/* bench: layer set-up time on different filesystems. */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "cleanup.h"
#include "progress.h"
#include "show.h"

#define RUNS_DEFAULT 3
#define SIZE_LEAST (8ull << 30)
#define SIZE_FACTOR 8 /* an image takes less than so many times its compressed size, mostly */

#define AT(member) offsetof(struct bench_options, member)

static const struct option_row bench_rows[] = {
	{.name = "fs",
	 .type = OPTION_TEXT,
	 .value = "LIST",
	 .help = "filesystems to make (ext4,xfs,btrfs,tmpfs,f2fs)",
	 .choices = "ext4 xfs btrfs tmpfs f2fs",
	 .offset = AT(filesystems)},
	{.name = "backend",
	 .type = OPTION_TEXT,
	 .value = "LIST",
	 .help = "drivers (overlay,btrfs); vfs when it is named",
	 .choices = "overlay btrfs vfs",
	 .offset = AT(backends)},
	{.name = "runs",
	 .type = OPTION_NUMBER,
	 .value = "N",
	 .help = "how often each is measured (3)",
	 .offset = AT(runs)},
	{.name = "size",
	 .type = OPTION_SIZE,
	 .value = "SIZE",
	 .help = "of each filesystem, as a sparse file (8G or more)",
	 .offset = AT(size)},
	{.name = "dir",
	 .type = OPTION_TEXT,
	 .value = "DIR",
	 .help = "measure there, and make no filesystem",
	 .offset = AT(dir)},
	{.name = "mkfs-options",
	 .type = OPTION_LIST,
	 .value = "FS=...",
	 .help = "more options for the mkfs of FS; may be repeated",
	 .offset = AT(mkfs)},
	{.name = "plot",
	 .type = OPTION_TEXT,
	 .value = "FILE.svg",
	 .help = "draw the results there",
	 .offset = AT(plot)},
	{0},
};

/*
 * A filesystem that bench made needs no clean-up: it goes with the process. In a directory of somebody's
 * the run has to come to the end of its step, and to remove what it made; a second signal does not wait.
 */
static volatile sig_atomic_t stop_signal, must_clean_up, has_progress;

int bench_stopped(void)
{
	return stop_signal;
}

static void on_signal(int number)
{
	static const char clear[] = "\r\033[K";

	if (must_clean_up && !stop_signal) {
		stop_signal = number;
		return;
	}
	if (has_progress && write(STDERR_FILENO, clear, sizeof(clear) - 1) < 0)
		has_progress = 0;
	signal(number, SIG_DFL);
	raise(number);
}

static void catch_signals(const struct bench *bench)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	must_clean_up = !!bench->dir;
	has_progress = bench->shows_progress;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction before;

		/* What is ignored, as by nohup(1), stays so. */
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

/* End as the signal would have ended it. */
static void stop_if_asked(void)
{
	if (!stop_signal)
		return;
	signal(stop_signal, SIG_DFL);
	raise(stop_signal);
}

static void clear_progress(const struct bench *bench)
{
	if (bench->shows_progress)
		fputs("\r\033[K", stderr);
}

static void say_skipped(const struct bench_pair *pair)
{
	fprintf(stderr, "snapdrv: bench: %s skipped: ", pair->filesystem);
	show_text(stderr, pair->why);
	fputc('\n', stderr);
}

/* All pairs of a filesystem that cannot be made. */
static void skip(struct bench *bench, const struct bench_pair *first,
		 const struct snapdrv_error *err)
{
	for (size_t i = 0; i < bench->n_pairs; i++) {
		struct bench_pair *pair = &bench->pairs[i];

		if (strcmp(pair->filesystem, first->filesystem))
			continue;
		pair->status = BENCH_SKIPPED;
		snprintf(pair->why, sizeof(pair->why), "%s", err->message);
	}
	clear_progress(bench);
	say_skipped(first);
}

/* Return: 0 to go on, 1 when what failed would fail everywhere. */
static int failed(struct cli *cli, struct bench *bench, struct bench_pair *pair,
		  const struct snapdrv_error *err)
{
	if (pair->status == BENCH_SKIPPED) {
		skip(bench, pair, err);
		return 0;
	}
	clear_progress(bench);
	stop_if_asked();
	if (err->code != SNAPDRV_FAILED) {
		cli_report(cli, err);
		return 1;
	}
	pair->status = BENCH_FAILED;
	snprintf(pair->why, sizeof(pair->why), "%s", err->message);
	cli_fail(cli, err->code, "bench: %s, %s: %s", pair->filesystem, pair->backend,
		 err->message);
	return 0;
}

/* Round by round, so that a machine that gets slower does so for all of them. */
static int measure(struct cli *cli, struct bench *bench)
{
	size_t n_measured = 0;

	for (uint64_t run = 1; run <= bench->runs; run++) {
		n_measured = 0;
		for (size_t i = 0; i < bench->n_pairs; i++) {
			struct bench_pair *pair = &bench->pairs[i];
			struct snapdrv_error err;

			if (pair->status != BENCH_MEASURED)
				continue;
			if (!bench_run(bench, pair, run, &err))
				n_measured++;
			else if (failed(cli, bench, pair, &err))
				return 1;
		}
	}
	clear_progress(bench);
	stop_if_asked();
	if (!n_measured && !cli->status)
		cli_fail(cli, SNAPDRV_FAILED, "bench: nothing could be measured");
	return 0;
}

static void report(struct cli *cli, const struct bench *bench, FILE *plot, const char *plot_path)
{
	if (cli->json ? bench_json(bench) : bench_table(bench))
		cli_memory(cli);
	if (!plot)
		return;
	bench_plot(bench, plot);
	if (fflush(plot) || ferror(plot))
		cli_fail(cli, SNAPDRV_FAILED, "'%s': %s", plot_path, strerror(errno));
}

/* Return: 0, or 1 when the source cannot be read; that is reported. */
static int look_at_source(struct cli *cli, const struct bench_options *options, struct bench *bench)
{
	struct snapdrv_error err;
	uint64_t bytes;

	if (access(bench->source, R_OK)) {
		cli_fail(cli,
			 errno == ENOENT || errno == ENOTDIR ? SNAPDRV_MISSING : SNAPDRV_FAILED,
			 "'%s': %s", bench->source, strerror(errno));
		return 1;
	}
	if (bench_read(bench->source, &bytes, &err)) {
		cli_report(cli, &err);
		return 1;
	}
	for (size_t i = 0; i < bench->n_pairs; i++) {
		struct bench_pair *pair = &bench->pairs[i];

		pair->size = options->size;
		/* In memory there is not more room for being asked. */
		if (!pair->size && bytes > SIZE_LEAST / SIZE_FACTOR &&
		    strcmp(pair->filesystem, "tmpfs"))
			pair->size = bytes * SIZE_FACTOR;
	}
	return 0;
}

/* Before all the work. Return: 0, or 1 when the plot cannot be written; that is reported. */
static int look_at_plot(struct cli *cli, const char *path)
{
	cleanup_free char *copy = path ? strdup(path) : NULL;

	if (!path || !access(path, W_OK) ||
	    (errno == ENOENT && copy && !access(dirname(copy), W_OK)))
		return 0;
	cli_fail(cli, SNAPDRV_FAILED, "'%s': %s", path, strerror(errno));
	return 1;
}

static void run_bench(struct cli *cli, const struct bench_options *options, struct bench *bench)
{
	FILE *plot = NULL;

	*bench = (struct bench){
		.source = cli->words[0],
		.dir = options->dir,
		.runs = options->runs ? options->runs : RUNS_DEFAULT,
		.shows_progress = !cli->quiet && progress_line_wanted(),
	};
	catch_signals(bench);
	if (bench_plan(cli, options, bench) || look_at_source(cli, options, bench) ||
	    look_at_plot(cli, options->plot))
		return;
	if (measure(cli, bench))
		return;
	if (options->plot) {
		plot = fopen(options->plot, "we");
		if (!plot)
			cli_fail(cli, SNAPDRV_FAILED, "'%s': %s", options->plot, strerror(errno));
	}
	report(cli, bench, plot, options->plot);
	if (plot)
		fclose(plot);
}

void cmd_bench(struct cli *cli)
{
	__attribute__((cleanup(bench_done))) struct bench bench = {0};
	struct bench_options options = {0};

	if (!cli_parse(cli, bench_rows, &options, WORDS_JOINED, 1, 1))
		run_bench(cli, &options, &bench);
	free(options.mkfs.items);
}
