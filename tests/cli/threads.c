/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads, each with a handle of its own, at one store: what snapdrv.h says may be done at once.
 *
 *	threads ROOT DRIVER THREADS ROUNDS LAYOUT...
 *
 * Each round of a thread loads one of the layouts, makes a container of it, writes into that, lists,
 * compares, commits, and removes what it made; every other thread collects garbage between. It prints
 * how many containers were made, and exits 1 at the first failure that is not another thread's doing.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapdrv.h"

struct worker {
	pthread_t thread;
	const char *root;
	const char *driver;
	char **layouts;
	size_t n_layouts;
	unsigned number;
	unsigned rounds;
	unsigned made;
	unsigned failures;
};

/* A failed call ends the round; the image may be gone, because another thread has removed it. */
static int bad(struct worker *worker, const char *what, int ret, const struct snapdrv_error *err,
	       unsigned allowed)
{
	if (ret >= 0)
		return 0;
	if (allowed & 1u << err->code)
		return 1;
	fprintf(stderr, "thread %u: %s: %s\n", worker->number, what, err->message);
	worker->failures++;
	return 1;
}

#define OR(code) (1u << (code))

static int write_file(const char *rootfs, unsigned number)
{
	char path[4096];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/written-%u", rootfs, number);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return -1;
	ret = write(fd, path, strlen(path)) == (ssize_t)strlen(path) ? 0 : -1;
	return close(fd) ? -1 : ret;
}

/* The container has what was written and nothing else, and becomes an image. */
static void use(struct worker *worker, struct snapdrv_store *store, const char *name,
		const char *rootfs)
{
	struct snapdrv_container *containers;
	struct snapdrv_removed removed;
	struct snapdrv_change *changes;
	struct snapdrv_error err;
	char path[64], *id;
	size_t count;

	snprintf(path, sizeof(path), "/written-%u", worker->number);
	if (write_file(rootfs, worker->number)) {
		fprintf(stderr, "thread %u: cannot write to %s\n", worker->number, rootfs);
		worker->failures++;
	}
	if (!bad(worker, "containers", snapdrv_containers(store, &containers, &count, &err), &err,
		 0))
		snapdrv_containers_free(containers, count);
	if (!bad(worker, "diff", snapdrv_diff(store, name, &changes, &count, &err), &err, 0)) {
		if (count != 1 || changes[0].kind != 'A' || strcmp(changes[0].path, path)) {
			fprintf(stderr, "thread %u: %zu changes, not one\n", worker->number, count);
			worker->failures++;
		}
		snapdrv_changes_free(changes, count);
	}
	if (bad(worker, "commit", snapdrv_commit(store, name, name, NULL, &id, &err), &err, 0))
		return;
	free(id);
	if (!bad(worker, "rmi", snapdrv_rmi(store, name, 0, &removed, &err), &err, 0))
		snapdrv_removed_done(&removed);
}

static void one_round(struct worker *worker, struct snapdrv_store *store, unsigned round)
{
	const char *layout = worker->layouts[(worker->number + round) % worker->n_layouts];
	struct snapdrv_create_options options = {0};
	struct snapdrv_loaded *loaded;
	struct snapdrv_removed removed;
	struct snapdrv_error err;
	struct snapdrv_gc gc;
	char name[64], *rootfs;
	size_t count;

	snprintf(name, sizeof(name), "t%u-%u", worker->number, round);
	options.name = name;
	if (bad(worker, "load", snapdrv_load(store, layout, NULL, &loaded, &count, &err), &err, 0))
		return;
	if (!bad(worker, "create", snapdrv_create(store, loaded[0].id, &options, &rootfs, &err),
		 &err, OR(SNAPDRV_MISSING))) {
		worker->made++;
		use(worker, store, name, rootfs);
		free(rootfs);
		bad(worker, "remove", snapdrv_remove(store, name, &err), &err, 0);
	}
	if (worker->number % 2 &&
	    !bad(worker, "rmi", snapdrv_rmi(store, loaded[0].id, SNAPDRV_FORCE, &removed, &err),
		 &err, OR(SNAPDRV_MISSING) | OR(SNAPDRV_BUSY)))
		snapdrv_removed_done(&removed);
	snapdrv_loaded_free(loaded, count);
	if (worker->number % 2)
		bad(worker, "gc", snapdrv_gc(store, NULL, &gc, &err), &err, 0);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned round = 0; round < worker->rounds && !worker->failures; round++) {
		struct snapdrv_store *store;
		struct snapdrv_error err;

		/* Opened anew each time: opening is what sweeps, makes tables and probes. */
		if (bad(worker, "open", snapdrv_open(worker->root, worker->driver, &store, &err),
			&err, 0))
			return NULL;
		one_round(worker, store, round);
		snapdrv_close(store);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned n_threads = argc > 5 ? (unsigned)atoi(argv[3]) : 0;
	struct worker *workers = calloc(n_threads + 1, sizeof(*workers));
	unsigned made = 0, failures = 0;

	if (!n_threads || !workers)
		return 2;
	for (unsigned i = 0; i < n_threads; i++) {
		workers[i] = (struct worker){.root = argv[1],
					     .driver = argv[2],
					     .layouts = argv + 5,
					     .n_layouts = (size_t)argc - 5,
					     .number = i,
					     .rounds = (unsigned)atoi(argv[4])};
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 2;
	}
	for (unsigned i = 0; i < n_threads; i++) {
		pthread_join(workers[i].thread, NULL);
		made += workers[i].made;
		failures += workers[i].failures;
	}
	free(workers);
	printf("%u containers\n", made);
	return failures ? 1 : 0;
}
