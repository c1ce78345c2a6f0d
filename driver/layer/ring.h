/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of buffers between one thread that fills them and some that read each of them. Nothing is
 * copied and nothing is allocated on the way: a buffer is filled again when the last reader is past it.
 */
#ifndef LAYER_RING_H
#define LAYER_RING_H

#include <pthread.h>
#include <stddef.h>

#include "snapdrv.h"

#define RING_BUFFERS_MAX 6
#define RING_READERS_MAX 3

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned char *memory; /* n_buffers * buffer_size */
	unsigned n_buffers;
	size_t buffer_size;
	size_t sizes[RING_BUFFERS_MAX];
	unsigned long filled;			/* buffers filled so far */
	unsigned long taken[RING_READERS_MAX];	/* buffers that each reader was given */
	unsigned long passed[RING_READERS_MAX]; /* buffers that it is done with */
	int n_readers;
	int ended;   /* nothing more will be filled */
	int stopped; /* a reader or the writer failed: all give up */
};

/** ring_init() - @n_readers, @n_buffers: up to RING_READERS_MAX, RING_BUFFERS_MAX. For ring_done(). */
int ring_init(struct ring *ring, int n_readers, unsigned n_buffers, size_t buffer_size,
	      struct snapdrv_error *err);
void ring_done(struct ring *ring);

/** ring_room() - wait for a buffer to fill. Return: buffer_size bytes, or NULL when stopped. */
unsigned char *ring_room(struct ring *ring);

/** ring_put() - the buffer that ring_room() gave holds @size bytes. */
void ring_put(struct ring *ring, size_t size);

/** ring_end() - nothing more comes. */
void ring_end(struct ring *ring);

/**
 * ring_next() - wait for the next buffer.
 * Return: its bytes, which stay until ring_pass(), or NULL at the end or when stopped.
 */
const unsigned char *ring_next(struct ring *ring, int reader, size_t *ret_size);

/** ring_pass() - a reader is done with the oldest buffer that it was given. In any thread. */
void ring_pass(struct ring *ring, int reader);

/** ring_holds() - whether bytes lie in the ring. */
int ring_holds(const struct ring *ring, const void *data);

/** ring_stop() - something failed: let everybody go. */
void ring_stop(struct ring *ring);

#endif
