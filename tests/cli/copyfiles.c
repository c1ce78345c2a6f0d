/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a build does with files, alone:
 *
 *	copyfiles [OPTION...] put CONTEXT ROOT TARGET SOURCE...		copy_into()
 *	copyfiles [OPTION...] digest CONTEXT TARGET SOURCE...		copy_digest()
 *	copyfiles --store STORE [OPTION...] open CONTEXT		context_open(): name and text of the Dockerfile
 *
 * CONTEXT is a directory with its .dockerignore, "-" for a tar on the input (with --store), or "none".
 *	--add --image --chown U:G --chmod OCTAL --exclude PATTERN --clamp SECONDS --inline NAME=TEXT
 *	--file DOCKERFILE --times N (digests, and the processor time of all but the first) --between COMMAND (then the
 *	digest afterwards) --rounds N (copies, each to a number below the
 *	target, or digests; each may fail)
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "build/copy.h"
#include "kernel/file.h"
#include "kernel/resolve.h"

struct program {
	struct copy copy;
	struct context context;
	struct ignore excludes;
	struct copy_inline inlines[8];
	struct store store;
	const char *store_root, *dockerfile, *between;
	char *text, *file;
	size_t size;
	unsigned times, rounds;
};

static int read_ignore(struct program *program, struct snapdrv_error *err)
{
	cleanup_fd int fd = resolve_open(program->context.fd, ".dockerignore", O_RDONLY);
	cleanup_free char *text = NULL;
	size_t size;
	int ret;

	if (fd < 0)
		return 0;
	ret = file_slurp(fd, 1 << 20, &text, &size, err);
	return ret ? ret : ignore_parse(".dockerignore", text, size, &program->context.ignore, err);
}

static int open_context(struct program *program, const char *path, struct snapdrv_error *err)
{
	int ret;

	if (program->store_root) {
		ret = store_open(program->store_root, &program->store, err);
		return ret ? ret
			   : context_open(&program->store, path, 0, -1, program->dockerfile,
					  &program->context, &program->text, &program->size,
					  &program->file, err);
	}
	program->context.fd = strcmp(path, "none") ? open(path, O_RDONLY | O_DIRECTORY) : -1;
	if (program->context.fd < 0)
		return 0;
	program->context.known = known_new(err);
	return program->context.is_image ? 0 : read_ignore(program, err);
}

static int put(struct program *program, const char *root, struct snapdrv_error *err)
{
	cleanup_fd int root_fd = open(root, O_RDONLY | O_DIRECTORY);
	const char *target = program->copy.target;

	if (program->rounds == 1)
		return copy_into(&program->copy, root_fd, err);
	/* Whoever changes the context meanwhile may make single rounds fail. */
	for (unsigned i = 0; i < program->rounds; i++) {
		cleanup_free char *path = text_format(err, "%s%u/", target, i);

		if (!path)
			return -ENOMEM;
		program->copy.target = path;
		copy_into(&program->copy, root_fd, err);
	}
	program->copy.target = target;
	return 0;
}

static int print_digests(struct program *program, struct snapdrv_error *err)
{
	struct timespec start, end;
	struct digest digest;
	int ret = 0;

	for (unsigned i = 1; i < program->rounds; i++)
		copy_digest(&program->copy, &digest, err);
	if (program->rounds > 1)
		return 0;
	for (unsigned i = 0; i < program->times && !ret; i++) {
		ret = copy_digest(&program->copy, &digest, err);
		if (!i)
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	}
	if (!ret && program->between)
		ret = system(program->between) ? -EINVAL
					       : copy_digest(&program->copy, &digest, err);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	if (!ret)
		puts(digest_format(&digest).text);
	if (!ret && program->times > 1)
		printf("%ld us\n", (end.tv_sec - start.tv_sec) * 1000000 +
					   (end.tv_nsec - start.tv_nsec) / 1000);
	return ret;
}

static void set_copy(struct program *program, const char *target, char **sources, int n)
{
	program->copy.target = target;
	program->copy.sources = (const char *const *)sources;
	program->copy.n_sources = (size_t)n;
	program->copy.from = &program->context;
	program->copy.excludes = &program->excludes;
	program->copy.inlines = program->inlines;
}

static int run(struct program *program, char **args, int n, struct snapdrv_error *err)
{
	int ret = n >= 2 ? open_context(program, args[1], err) : -EINVAL;

	if (ret)
		return ret;
	if (!strcmp(args[0], "open")) {
		printf("%s\n", program->file);
		fwrite(program->text, 1, program->size, stdout);
		return 0;
	}
	if (!strcmp(args[0], "put") && n >= 4) {
		set_copy(program, args[3], args + 4, n - 4);
		return put(program, args[2], err);
	}
	if (!strcmp(args[0], "digest") && n >= 3) {
		set_copy(program, args[2], args + 3, n - 3);
		return print_digests(program, err);
	}
	return -EINVAL;
}

static void add_inline(struct program *program, char *text)
{
	char *equals = strchr(text, '=');

	*equals++ = '\0';
	program->inlines[program->copy.n_inlines++] =
		(struct copy_inline){text, equals, strlen(equals)};
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"add", 0, NULL, 'a'},	  {"image", 0, NULL, 'i'},   {"chown", 1, NULL, 'o'},
		{"chmod", 1, NULL, 'm'},  {"exclude", 1, NULL, 'e'}, {"clamp", 1, NULL, 'c'},
		{"inline", 1, NULL, 'l'}, {"store", 1, NULL, 's'},   {"file", 1, NULL, 'f'},
		{"times", 1, NULL, 't'},  {"between", 1, NULL, 'b'}, {"rounds", 1, NULL, 'r'},
		{NULL, 0, NULL, 0},
	};
	struct program program = {
		.copy = {.uid = -1, .gid = -1, .mode = -1, .clamp_ns = INT64_MAX},
		.context = {.fd = -1},
		.times = 1,
		.rounds = 1,
	};
	struct snapdrv_error err = {0};
	int option, ret = 0;
	char *end;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
		switch (option) {
		case 'a':
			program.copy.is_add = 1;
			break;
		case 'i':
			program.context.is_image = 1;
			break;
		case 'o':
			program.copy.uid = strtoll(optarg, &end, 10);
			program.copy.gid = strtoll(end + 1, NULL, 10);
			break;
		case 'm':
			program.copy.mode = strtoll(optarg, NULL, 8);
			break;
		case 'e':
			ret = ret ? ret : ignore_add(&program.excludes, optarg, &err);
			break;
		case 'c':
			program.copy.clamp_ns = strtoll(optarg, NULL, 10) * 1000000000;
			break;
		case 'l':
			add_inline(&program, optarg);
			break;
		case 's':
			program.store_root = optarg;
			break;
		case 'f':
			program.dockerfile = optarg;
			break;
		case 'b':
			program.between = optarg;
			break;
		case 't':
			program.times = (unsigned)atoi(optarg);
			break;
		case 'r':
			program.rounds = (unsigned)atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!ret)
		ret = run(&program, argv + optind, argc - optind, &err);
	if (ret)
		fprintf(stderr, "copyfiles: %s\n", err.code ? err.message : strerror(-ret));
	context_done(&program.context);
	ignore_done(&program.excludes);
	free(program.text);
	free(program.file);
	if (program.store_root && program.store.root)
		store_close(&program.store);
	return ret ? (err.code ? err.code : 2) : 0;
}
