/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of files that were read already: a table with open addressing. */
#include "build/known.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"

#define RECENT_NS 50000000 /* several steps of the clock that ctimes are taken from */

struct entry {
	dev_t dev;
	ino_t ino; /* 0: the place is free */
	struct timespec ctime;
	off_t size;
	struct digest digest;
};

struct known {
	pthread_mutex_t lock;
	struct entry *entries;
	size_t count;
	size_t places; /* a power of two, or 0 */
};

struct known *known_new(struct snapdrv_error *err)
{
	struct known *known = calloc(1, sizeof(*known));

	if (!known) {
		fail_memory(err);
		return NULL;
	}
	pthread_mutex_init(&known->lock, NULL);
	return known;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	pthread_mutex_destroy(&known->lock);
	free(known->entries);
	free(known);
}

/* The place of a file, or a free one. */
static struct entry *place_of(struct entry *entries, size_t places, dev_t dev, ino_t ino)
{
	uint64_t hash = ((uint64_t)ino + ((uint64_t)dev << 40)) * 0x9e3779b97f4a7c15u;
	size_t at = (size_t)(hash >> 20) & (places - 1);

	while (entries[at].ino && (entries[at].ino != ino || entries[at].dev != dev))
		at = (at + 1) & (places - 1);
	return &entries[at];
}

static int grow(struct known *known)
{
	size_t places = known->places ? 2 * known->places : 256;
	struct entry *entries = calloc(places, sizeof(*entries));

	if (!entries)
		return 0;
	for (size_t i = 0; i < known->places; i++) {
		const struct entry *old = &known->entries[i];

		if (old->ino)
			*place_of(entries, places, old->dev, old->ino) = *old;
	}
	free(known->entries);
	known->entries = entries;
	known->places = places;
	return 1;
}

int known_find(struct known *known, const struct stat *st, struct digest *ret_digest)
{
	int found = 0;

	if (!known)
		return 0;
	pthread_mutex_lock(&known->lock);
	if (known->places) {
		const struct entry *entry =
			place_of(known->entries, known->places, st->st_dev, st->st_ino);

		found = entry->ino && entry->size == st->st_size &&
			entry->ctime.tv_sec == st->st_ctim.tv_sec &&
			entry->ctime.tv_nsec == st->st_ctim.tv_nsec;
		if (found)
			*ret_digest = entry->digest;
	}
	pthread_mutex_unlock(&known->lock);
	return found;
}

static int is_recent(const struct timespec *time)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	/* A ctime of the future says nothing: the clock was set back. */
	return now.tv_sec < time->tv_sec || now.tv_sec - time->tv_sec > 1
		       ? now.tv_sec < time->tv_sec
		       : (now.tv_sec - time->tv_sec) * 1000000000 + now.tv_nsec - time->tv_nsec <
				 RECENT_NS;
}

void known_add(struct known *known, const struct stat *st, const struct digest *digest)
{
	if (!known || !st->st_ino || is_recent(&st->st_ctim))
		return;
	pthread_mutex_lock(&known->lock);
	if (2 * known->count < known->places || grow(known)) {
		struct entry *entry =
			place_of(known->entries, known->places, st->st_dev, st->st_ino);

		known->count += !entry->ino;
		*entry = (struct entry){st->st_dev, st->st_ino, st->st_ctim, st->st_size, *digest};
	}
	pthread_mutex_unlock(&known->lock);
}
