/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership by scope: cleanup attributes that keep errno, and steal_*() as the only way out. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/**
 * DEFINE_CLEANUP() - define a cleanup function for a pointer type from its destructor.
 * @name: cleanup_@name will be the attribute. @type: the pointed-to type. @destroy: takes NULL.
 */
#define DEFINE_CLEANUP(name, type, destroy)               \
	static inline void cleanup_##name##_at(type **at) \
	{                                                 \
		int saved = errno;                        \
		destroy(*at);                             \
		errno = saved;                            \
	}

static inline void cleanup_free_at(void *at)
{
	int saved = errno;

	free(*(void **)at);
	errno = saved;
}

static inline void cleanup_fd_at(const int *at)
{
	int saved = errno;

	if (*at >= 0)
		close(*at);
	errno = saved;
}

static inline void cleanup_dir_at(DIR **at)
{
	int saved = errno;

	if (*at)
		closedir(*at);
	errno = saved;
}

#define cleanup_free __attribute__((cleanup(cleanup_free_at)))
#define cleanup_fd __attribute__((cleanup(cleanup_fd_at)))
#define cleanup_dir __attribute__((cleanup(cleanup_dir_at)))

/** steal_fd() - take a descriptor out of its scope: the variable becomes -1. */
static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static inline void *steal_ptr_at(void *at)
{
	void *stolen = *(void **)at;

	*(void **)at = NULL;
	return stolen;
}

/** steal_ptr() - take a pointer out of its scope: the variable becomes NULL. */
#define steal_ptr(variable) ((__typeof__(*(variable)))steal_ptr_at(variable))

#endif
