/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the daemon share. */
#ifndef CLI_SNAPDRVD_H
#define CLI_SNAPDRVD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

/**
 * struct settings - the command line.
 * @address: path of the socket, or NULL where the caller gave one that listens.
 * @root, @driver: as snapdrv_open() takes them. @metrics: path of the socket for counts, or NULL.
 * @containerd: containerd's socket. @content: directory of its content store.
 */
struct settings {
	const char *address;
	const char *root;
	const char *driver;
	const char *metrics;
	const char *containerd;
	const char *content;
};

/* ---- stores -------------------------------------------------------------------------------- */

/** enum dirt - what a handle's flush is waited for by. */
enum dirt {
	CLEAN,
	DIRTY_LATER, /* files of what was removed */
	DIRTY_NOW    /* the disk: a snapshot that was just prepared */
};

/** struct handle - an open store, used by one thread at a time. */
struct handle {
	struct handle *next;
	struct snapdrv_store *store;
	enum dirt dirt;
	int is_owing; /* it was dirty when it was taken */
};

/** handle_is_dirty() - say so, of one that was taken. */
static inline void handle_is_dirty(struct handle *handle, enum dirt dirt)
{
	if (handle->dirt < dirt)
		handle->dirt = dirt;
}

/** struct stores - open stores that nobody uses now, and a thread that flushes them. */
struct stores {
	const struct settings *settings;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t flusher;
	pthread_cond_t settled;
	struct handle *idle; /* the last one used first */
	size_t n_owing;	     /* handles that are used, and were dirty when they were taken */
	int is_stopping;
};

/** stores_start() - open the first one. Return: 0, or a negative errno value. */
int stores_start(struct stores *stores, const struct settings *settings, struct snapdrv_error *err);

/** stores_stop() - flush and close all; none is in use any more. */
void stores_stop(struct stores *stores);

/**
 * stores_take() - an idle store, a clean one if there is one; or one more.
 * @most: how dirty it may be. A long call takes a clean one, or what others are waiting for waits for its end.
 *
 * Return: for stores_give(), or NULL with @err filled.
 */
struct handle *stores_take(struct stores *stores, enum dirt most, struct snapdrv_error *err);

/** stores_give() - give it back; takes NULL. A dirty one is flushed, at once or a moment later. */
void stores_give(struct stores *stores, struct handle *handle);

/**
 * stores_cleanup() - flush a handle that was taken, and all that were dirty before; and remove what dead processes left.
 */
int stores_cleanup(struct stores *stores, struct handle *handle, struct snapdrv_error *err);

/* ---- metrics ------------------------------------------------------------------------------- */

struct metrics;

/** metrics_start() - answer on a socket. @listen_fd: owned from here on, or -1 to count for nobody. */
int metrics_start(struct stores *stores, int listen_fd, struct metrics **ret_metrics,
		  struct snapdrv_error *err);

/** metrics_stop() - takes NULL. */
void metrics_stop(struct metrics *metrics);

/** struct count - a call that is over. @method: without the service. @status: its name. */
struct count {
	const char *service;
	const char *method;
	const char *status;
	uint64_t time_ns;
	uint64_t received;
	uint64_t sent;
};

void metrics_count(struct metrics *metrics, const struct count *count);

/** metrics_count_layer() - bytes of a layer that was unpacked: of the blob, and plain. */
void metrics_count_layer(struct metrics *metrics, uint64_t blob, uint64_t plain);

/* ---- the rest ------------------------------------------------------------------------------ */

/** struct daemon - all of it; the argument of what serves. */
struct daemon {
	struct settings settings;
	struct stores stores;
	struct metrics *metrics;
};

/** settings_read() - the command line. Return: 0, 1 when --help or --version was answered, or negative. */
int settings_read(struct settings *settings, int argc, char **argv, struct snapdrv_error *err);

/**
 * sockets_find() - a socket that listens: what the service manager handed over under the name (sd_listen_fds(3)),
 * or a new one, of mode 0600.
 * @path: or NULL, when it has to be handed over.
 * @ret_is_made: whether the path is ours to remove.
 *
 * Return: a descriptor, or a negative errno value; BUSY when another process answers there.
 */
int sockets_find(const char *name, const char *path, int *ret_is_made, struct snapdrv_error *err);

/** sockets_notify() - tell the service manager (sd_notify(3)); does nothing where there is none. */
void sockets_notify(const char *state);

/** daemon_log() - a line on standard error. */
void daemon_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** daemon_fail() - fill an error. Return: -@errnum. */
int daemon_fail(struct snapdrv_error *err, int code, int errnum, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/** daemon_no_memory() - likewise, for want of memory. Return: -ENOMEM. */
int daemon_no_memory(struct snapdrv_error *err);

#endif
