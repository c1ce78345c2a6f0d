/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of buffers between threads. */
#include "layer/ring.h"

#include <stdlib.h>

#include "base/error.h"

int ring_init(struct ring *ring, int n_readers, unsigned n_buffers, size_t buffer_size,
	      struct snapdrv_error *err)
{
	*ring = (struct ring){
		.n_readers = n_readers, .n_buffers = n_buffers, .buffer_size = buffer_size};
	ring->memory = malloc(n_buffers * buffer_size);
	if (!ring->memory)
		return fail_memory(err);
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->changed, NULL);
	return 0;
}

void ring_done(struct ring *ring)
{
	if (!ring->memory)
		return;
	pthread_cond_destroy(&ring->changed);
	pthread_mutex_destroy(&ring->lock);
	free(ring->memory);
	ring->memory = NULL;
}

static unsigned long slowest(const struct ring *ring)
{
	unsigned long least = ring->passed[0];

	for (int i = 1; i < ring->n_readers; i++) {
		if (ring->passed[i] < least)
			least = ring->passed[i];
	}
	return least;
}

unsigned char *ring_room(struct ring *ring)
{
	unsigned char *room = NULL;

	pthread_mutex_lock(&ring->lock);
	while (!ring->stopped && ring->filled - slowest(ring) >= ring->n_buffers)
		pthread_cond_wait(&ring->changed, &ring->lock);
	if (!ring->stopped)
		room = ring->memory + ring->filled % ring->n_buffers * ring->buffer_size;
	pthread_mutex_unlock(&ring->lock);
	return room;
}

void ring_put(struct ring *ring, size_t size)
{
	pthread_mutex_lock(&ring->lock);
	ring->sizes[ring->filled % ring->n_buffers] = size;
	ring->filled++;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

static void set_and_wake(struct ring *ring, int *flag)
{
	pthread_mutex_lock(&ring->lock);
	*flag = 1;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

void ring_end(struct ring *ring)
{
	set_and_wake(ring, &ring->ended);
}

void ring_stop(struct ring *ring)
{
	set_and_wake(ring, &ring->stopped);
}

const unsigned char *ring_next(struct ring *ring, int reader, size_t *ret_size)
{
	const unsigned char *data = NULL;
	unsigned long at;

	pthread_mutex_lock(&ring->lock);
	at = ring->taken[reader];
	while (!ring->stopped && !ring->ended && ring->filled == at)
		pthread_cond_wait(&ring->changed, &ring->lock);
	if (!ring->stopped && ring->filled > at) {
		*ret_size = ring->sizes[at % ring->n_buffers];
		data = ring->memory + at % ring->n_buffers * ring->buffer_size;
		ring->taken[reader]++;
	}
	pthread_mutex_unlock(&ring->lock);
	return data;
}

void ring_pass(struct ring *ring, int reader)
{
	pthread_mutex_lock(&ring->lock);
	ring->passed[reader]++;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

int ring_holds(const struct ring *ring, const void *data)
{
	const unsigned char *at = data;

	return at >= ring->memory && at < ring->memory + ring->n_buffers * ring->buffer_size;
}
