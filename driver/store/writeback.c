/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel starts to write back when a tenth of the memory is dirty, or after 30 s; a load is over by
 * then, and would wait for all of its data at the end. sync_file_range(2) of each file costs more than it
 * gives: thousands of small writes that syncfs(2) puts together. On ext4 and xfs this takes a tenth to a
 * third off a load of 1 GB; on btrfs each sync commits a transaction, and it would take a third longer.
 */
#include "store/writeback.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "kernel/file.h"
#include "kernel/probe.h"

#define PAUSE_NS 100000000 /* short work is over before the first one ends */

static void *sync_again(void *arg)
{
	struct writeback *writeback = arg;
	/* A failure is told once to each open file: this one must not take it from the sync that counts. */
	cleanup_fd int fd =
		openat(writeback->store->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	pthread_mutex_lock(&writeback->lock);
	while (fd >= 0 && !writeback->is_over) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += PAUSE_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&writeback->changed, &writeback->lock, &until);
		if (writeback->is_over)
			break;
		if (!writeback->has_begun)
			continue;
		pthread_mutex_unlock(&writeback->lock);
		file_sync_all(fd, NULL);
		pthread_mutex_lock(&writeback->lock);
	}
	pthread_mutex_unlock(&writeback->lock);
	return NULL;
}

void writeback_start(struct store *store, struct writeback *ret_writeback)
{
	*ret_writeback = (struct writeback){.store = store};
	if (!strcmp(probe_filesystem(store->root_fd).text, "btrfs"))
		return;
	pthread_mutex_init(&ret_writeback->lock, NULL);
	pthread_cond_init(&ret_writeback->changed, NULL);
	ret_writeback->is_running =
		!pthread_create(&ret_writeback->thread, NULL, sync_again, ret_writeback);
}

void writeback_begin(struct writeback *writeback)
{
	if (!writeback || !writeback->is_running)
		return;
	pthread_mutex_lock(&writeback->lock);
	writeback->has_begun = 1;
	pthread_mutex_unlock(&writeback->lock);
}

void writeback_stop(struct writeback *writeback)
{
	if (!writeback->is_running)
		return;
	pthread_mutex_lock(&writeback->lock);
	writeback->is_over = 1;
	pthread_cond_signal(&writeback->changed);
	pthread_mutex_unlock(&writeback->lock);
	pthread_join(writeback->thread, NULL);
	pthread_cond_destroy(&writeback->changed);
	pthread_mutex_destroy(&writeback->lock);
	writeback->is_running = 0;
}
