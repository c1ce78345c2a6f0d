/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership by scope for the command line: cleanup attributes. */
#ifndef CLI_CLEANUP_H
#define CLI_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_at(void *at)
{
	free(*(void **)at);
}

static inline void cleanup_fd_at(const int *at)
{
	if (*at > STDERR_FILENO)
		close(*at);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_at)))

/* Standard input, output and error are never ours to close. */
#define cleanup_fd __attribute__((cleanup(cleanup_fd_at)))

#endif
