/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place for fuzzers that write files: a tmpfs in a mount namespace of the program's own.
 *
 *   /mnt/root      made anew for each input
 *   /mnt/outside   what nothing may touch: a file, a directory with a file, a setuid program
 *   /mnt/lower     a tree that hostile layers lie over, with symlinks to /mnt/outside
 */
#ifndef FUZZ_PLACE_H
#define FUZZ_PLACE_H

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "kernel/file.h"
#include "layer/tree.h"

static int place_fd = -1; /* /mnt */

static inline void place_file(const char *name, mode_t mode)
{
	int fd = openat(place_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	HOLDS(fd >= 0 && write(fd, "the host's own\n", 15) == 15 && !fchmod(fd, mode));
	close(fd);
}

static inline void place_dir(const char *name)
{
	HOLDS(!mkdirat(place_fd, name, 0700));
}

static inline void place_link(const char *name, const char *target)
{
	HOLDS(!symlinkat(target, place_fd, name));
}

/** place_lower() - fill a directory with what a lower layer may hold, its hostile links too. */
static inline void place_lower(const char *top)
{
	static const char *const links[][2] = {{"out", "/mnt/outside"},
					       {"up", "../outside"},
					       {"far", "../../../../../.."},
					       {"file", "/mnt/outside/file"},
					       {"self", "self"},
					       {"proc", "/proc/self/root/mnt/outside"},
					       {"d/in", "../d"},
					       {"nowhere", "missing/x"}};
	char name[64];

	for (size_t i = 0; i < 3; i++) {
		static const char *const dirs[] = {"", "/d", "/d/e"};

		snprintf(name, sizeof(name), "%s%s", top, dirs[i]);
		place_dir(name);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		snprintf(name, sizeof(name), "%s/%s", top, links[i][0]);
		place_link(name, links[i][1]);
	}
	snprintf(name, sizeof(name), "%s/d/f", top);
	place_file(name, 04755);
	snprintf(name, sizeof(name), "%s/pipe", top);
	HOLDS(!mkfifoat(place_fd, name, 0600));
}

/* What a file is like; anything that is done to it changes its ctime at least. */
struct place_look {
	char name[64];
	struct stat st;
};

#define PLACE_LOOKS 24
static struct place_look place_before[PLACE_LOOKS];
static size_t place_looks;

static inline void place_remember(const char *name)
{
	struct place_look *look = &place_before[place_looks++];

	HOLDS(place_looks <= PLACE_LOOKS);
	snprintf(look->name, sizeof(look->name), "%s", name);
	HOLDS(!fstatat(place_fd, name, &look->st, AT_SYMLINK_NOFOLLOW));
}

/* The names in a directory of the place, and the directory itself. */
static inline void place_remember_all(const char *dir)
{
	int fd = openat(place_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fdopendir(fd);
	const struct dirent *entry;
	char name[64];

	HOLDS(stream);
	while ((entry = readdir(stream))) {
		if (!strcmp(entry->d_name, "."))
			snprintf(name, sizeof(name), "%s", dir);
		else
			snprintf(name, sizeof(name), "%.20s/%.40s", dir, entry->d_name);
		if (strcmp(entry->d_name, ".."))
			place_remember(name);
	}
	closedir(stream);
}

/** place_unchanged() - nothing outside of /mnt/root has been touched. */
static inline void place_unchanged(void)
{
	DIR *stream = fdopendir(openat(place_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t count = 0;

	HOLDS(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	HOLDS(count == 4 + !faccessat(place_fd, "root", F_OK, AT_SYMLINK_NOFOLLOW));
	for (size_t i = 0; i < place_looks; i++) {
		const struct stat *was = &place_before[i].st;
		struct stat st;

		HOLDS(!fstatat(place_fd, place_before[i].name, &st, AT_SYMLINK_NOFOLLOW));
		HOLDS(st.st_ino == was->st_ino && st.st_mode == was->st_mode);
		HOLDS(st.st_uid == was->st_uid && st.st_gid == was->st_gid);
		HOLDS(st.st_nlink == was->st_nlink && st.st_size == was->st_size);
		HOLDS(st.st_mtim.tv_sec == was->st_mtim.tv_sec &&
		      st.st_mtim.tv_nsec == was->st_mtim.tv_nsec);
		HOLDS(st.st_ctim.tv_sec == was->st_ctim.tv_sec &&
		      st.st_ctim.tv_nsec == was->st_ctim.tv_nsec);
	}
}

/** place_clear() - remove /mnt/root with the driver's own remover. */
static inline void place_clear(void)
{
	struct snapdrv_error err = {0};

	fuzz_check(file_remove_tree(place_fd, "root", &err), &err);
	HOLDS(faccessat(place_fd, "root", F_OK, AT_SYMLINK_NOFOLLOW));
}

/** place_make() - once, before the first input. */
static inline void place_make(void)
{
	HOLDS(!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	HOLDS(!mount("tmpfs", "/mnt", "tmpfs", MS_NODEV | MS_NOSUID, "size=64m,nr_inodes=32k"));
	HOLDS(!chdir("/mnt"));
	place_fd = open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
	HOLDS(place_fd >= 0 && !tree_writer_thread(NULL));
	place_dir("outside");
	place_file("outside/file", 0600);
	place_file("outside/tool", 04755);
	place_dir("outside/dir");
	place_file("outside/dir/file", 0600);
	place_lower("lower");
	place_remember_all("outside");
	place_remember("outside/dir/file");
	place_remember_all("lower");
	place_remember("lower/d/f");
	place_unchanged();
}

#endif
