/* SPDX-License-Identifier: Apache-2.0 */
/* Making good what a container has of a layer that was damaged. */
#include "snapshot/heal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/resolve.h"
#include "kernel/subvolume.h"

static int is_same_time(const struct timespec *one, const struct timespec *other)
{
	return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

static int is_untouched(const struct stat *active, const struct stat *layer)
{
	return S_ISREG(active->st_mode) && active->st_ino == layer->st_ino &&
	       active->st_size == layer->st_size &&
	       is_same_time(&active->st_mtim, &layer->st_mtim) &&
	       is_same_time(&active->st_ctim, &layer->st_ctim);
}

/* In a directory that is @active_fd, which can be written to. */
static int heal_file(int active_fd, int damaged_fd, int right_fd, const char *path,
		     struct heal_count *count, struct snapdrv_error *err)
{
	cleanup_fd int old =
		resolve_open_beneath(damaged_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int new = resolve_open_beneath(right_fd, path,
						  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	cleanup_fd int file =
		resolve_open_beneath(active_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st, layer;
	struct timespec times[2];

	/* It is its own, or gone. */
	if (old < 0 || new < 0 || file < 0 || fstat(file, &st) || fstat(old, &layer) ||
	    !is_untouched(&st, &layer))
		return 0;
	close(file);
	file = resolve_open_beneath(active_fd, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file < 0) {
		count->left += !resolve_is_absent(file);
		return 0;
	}
	if (fstat(file, &layer) || layer.st_ino != st.st_ino)
		return 0;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (!file_clone(new, file) || futimens(file, times))
		return fail_errno(err, "make %s good", quote(path).text);
	count->files++;
	return 0;
}

static int heal_files(int active_fd, int damaged_fd, int right_fd, const struct strings *files,
		      struct heal_count *count, struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < files->count && !ret; i++)
		ret = heal_file(active_fd, damaged_fd, right_fd, files->items[i], count, err);
	return ret;
}

int tree_heal(struct graph *graph, const struct tree_ref *active, const struct tree_ref *damaged,
	      const struct tree_ref *right, const struct strings *files, struct heal_count *count,
	      struct snapdrv_error *err)
{
	const struct backend *backend = &graph->backend;
	cleanup_fd int active_fd =
		backend->ops->open(backend, backend->layers_fd, active->path, err);
	cleanup_fd int damaged_fd =
		active_fd < 0 ? active_fd
			      : backend->ops->open(backend, backend->layers_fd, damaged->path, err);
	cleanup_fd int right_fd =
		damaged_fd < 0 ? damaged_fd
			       : backend->ops->open(backend, backend->layers_fd, right->path, err);
	int is_frozen = right_fd < 0 ? right_fd : subvolume_is_frozen(active_fd, err), ret, frozen;

	if (is_frozen < 0)
		return is_frozen;
	if (is_frozen && subvolume_thaw(active_fd))
		return fail_errno(err, "make a snapshot writable");
	ret = heal_files(active_fd, damaged_fd, right_fd, files, count, err);
	frozen = is_frozen ? subvolume_freeze(active_fd, ret ? NULL : err) : 0;
	return ret ? ret : frozen;
}
