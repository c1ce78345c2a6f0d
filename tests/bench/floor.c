/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor's bound of a load: each of its three jobs alone, in one thread, with what is the fastest
 * known for it and nothing of ours.
 *
 *   floor inflate BLOB...     ISA-L, with the check sum; the output is thrown away
 *   floor hash TAR...         OpenSSL's SHA-256
 *   floor tree TAR... DIR     libarchive reads the tar; files are made by openat(2) at the descriptor of
 *                             their directory; the attributes that an entry needs, and no others. Each
 *                             tar has a directory of its own below DIR
 *
 * The files are mapped and read once before the clock starts. Printed are seconds and bytes of plain tar.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <limits.h>
#include <locale.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (1u << 20)
#define MAX_DIRS 65536

struct mapped {
	unsigned char *data;
	size_t size;
};

struct later { /* a directory, whose times are set last */
	char *path;
	struct timespec mtime;
};

struct tree {
	int root_fd;
	int dir_fd; /* of the directory used last, */
	char dir[PATH_MAX];
	struct later dirs[MAX_DIRS];
	int n_dirs;
};

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct mapped map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct mapped mapped;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	mapped.size = (size_t)st.st_size;
	mapped.data = mmap(NULL, mapped.size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (mapped.data == MAP_FAILED)
		die(path);
	close(fd);
	return mapped;
}

static uint64_t inflate_one(const struct mapped *blob)
{
	static unsigned char out[BUFFER];
	struct inflate_state state;
	uint64_t made = 0;
	int ret;

	isal_inflate_init(&state);
	state.crc_flag = ISAL_GZIP;
	state.next_in = blob->data;
	state.avail_in = (uint32_t)blob->size;
	do {
		state.next_out = out;
		state.avail_out = sizeof(out);
		ret = isal_inflate(&state);
		made += sizeof(out) - state.avail_out;
		if (ret || (!state.avail_in && state.avail_out == sizeof(out))) {
			errno = EBADMSG;
			die("inflate");
		}
	} while (state.block_state != ISAL_BLOCK_FINISH);
	return made;
}

static uint64_t hash_one(const struct mapped *tar)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
		die("sha256");
	EVP_DigestUpdate(context, tar->data, tar->size);
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
	return tar->size;
}

static void make_parents(struct tree *tree)
{
	for (char *at = tree->dir; (at = strchr(at + 1, '/'));) {
		*at = '\0';
		mkdirat(tree->root_fd, tree->dir, 0755);
		*at = '/';
	}
	mkdirat(tree->root_fd, tree->dir, 0755);
}

/* The directory of @path, and in *ret_name the last part. Directories that no entry made are made. */
static int parent(struct tree *tree, const char *path, const char **ret_name)
{
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;

	*ret_name = slash ? slash + 1 : path;
	if (!length)
		return tree->root_fd;
	if (tree->dir_fd >= 0 && !strncmp(tree->dir, path, length) && !tree->dir[length])
		return tree->dir_fd;
	if (tree->dir_fd >= 0)
		close(tree->dir_fd);
	memcpy(tree->dir, path, length);
	tree->dir[length] = '\0';
	tree->dir_fd = openat(tree->root_fd, tree->dir, flags);
	if (tree->dir_fd < 0 && errno == ENOENT) {
		make_parents(tree);
		tree->dir_fd = openat(tree->root_fd, tree->dir, flags);
	}
	if (tree->dir_fd < 0)
		die(path);
	return tree->dir_fd;
}

static struct timespec mtime(struct archive_entry *entry)
{
	return (struct timespec){.tv_sec = archive_entry_mtime(entry),
				 .tv_nsec = archive_entry_mtime_nsec(entry)};
}

static void make_file(struct archive *archive, struct archive_entry *entry, int dir_fd,
		      const char *name)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime(entry)};
	mode_t mode = archive_entry_mode(entry) & 07777;
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	const void *data;
	size_t size;
	la_int64_t offset;

	if (fd < 0)
		die(name);
	while (archive_read_data_block(archive, &data, &size, &offset) == ARCHIVE_OK)
		if (size && pwrite(fd, data, size, offset) != (ssize_t)size)
			die(name);
	if (archive_entry_uid(entry) || archive_entry_gid(entry)) {
		if (fchown(fd, (uid_t)archive_entry_uid(entry), (gid_t)archive_entry_gid(entry)))
			die(name);
		if (mode & 07000 && fchmod(fd, mode))
			die(name);
	}
	for (archive_entry_xattr_reset(entry); archive_entry_xattr_count(entry);) {
		const char *key;

		if (archive_entry_xattr_next(entry, &key, &data, &size) != ARCHIVE_OK)
			break;
		if (fsetxattr(fd, key, data, size, 0))
			die(key);
	}
	futimens(fd, times);
	close(fd);
}

static void make_dir(struct tree *tree, struct archive_entry *entry, int dir_fd, const char *name,
		     const char *path)
{
	mode_t mode = archive_entry_mode(entry) & 07777;

	if (*name && mkdirat(dir_fd, name, mode) && errno == EEXIST &&
	    fchmodat(dir_fd, name, mode, 0))
		die(path);
	if (*name && (mode & 07000))
		fchmodat(dir_fd, name, mode, 0);
	if (*name && (archive_entry_uid(entry) || archive_entry_gid(entry)))
		if (fchownat(dir_fd, name, (uid_t)archive_entry_uid(entry),
			     (gid_t)archive_entry_gid(entry), 0))
			die(path);
	if (tree->n_dirs == MAX_DIRS)
		die("directories");
	tree->dirs[tree->n_dirs++] = (struct later){strdup(*path ? path : "."), mtime(entry)};
}

static void make_other(struct tree *tree, struct archive_entry *entry, int dir_fd, const char *name,
		       const char *path)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime(entry)};
	const char *hardlink = archive_entry_hardlink(entry);
	mode_t mode = archive_entry_mode(entry);
	int ret;

	if (hardlink) {
		hardlink += *hardlink == '/';
		ret = linkat(tree->root_fd, hardlink, dir_fd, name, 0);
	} else if (S_ISLNK(mode)) {
		ret = symlinkat(archive_entry_symlink(entry), dir_fd, name);
	} else {
		ret = mknodat(dir_fd, name, mode, archive_entry_rdev(entry));
	}
	if (ret)
		die(path);
	if (hardlink)
		return;
	if (archive_entry_uid(entry) || archive_entry_gid(entry))
		ret = fchownat(dir_fd, name, (uid_t)archive_entry_uid(entry),
			       (gid_t)archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW);
	if (ret || utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW))
		die(path);
}

static void make_entry(struct tree *tree, struct archive *archive, struct archive_entry *entry)
{
	char path[PATH_MAX];
	const char *name;
	size_t length;
	int dir_fd;

	snprintf(path, sizeof(path), "%s", archive_entry_pathname(entry));
	for (length = strlen(path); length && path[length - 1] == '/'; length--)
		path[length - 1] = '\0';
	if (!strcmp(path, "."))
		*path = '\0';
	if (!strncmp(path, "./", 2))
		memmove(path, path + 2, strlen(path) - 1);
	dir_fd = parent(tree, path, &name);
	if (!strncmp(name, ".wh.", 4)) {
		if (mknodat(dir_fd, name + 4, S_IFCHR, makedev(0, 0)))
			die(path);
	} else if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) != AE_IFREG) {
		if (!archive_entry_hardlink(entry) && archive_entry_filetype(entry) == AE_IFDIR)
			make_dir(tree, entry, dir_fd, name, path);
		else
			make_other(tree, entry, dir_fd, name, path);
	} else {
		make_file(archive, entry, dir_fd, name);
	}
}

static uint64_t tree_one(const struct mapped *tar, const char *dir)
{
	static struct tree tree;
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	int ret;

	tree.dir_fd = -1;
	tree.n_dirs = 0;
	tree.root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree.root_fd < 0 || !archive)
		die(dir);
	archive_read_support_format_tar(archive);
	if (archive_read_open_memory(archive, tar->data, tar->size))
		die("archive");
	while ((ret = archive_read_next_header(archive, &entry)) == ARCHIVE_OK)
		make_entry(&tree, archive, entry);
	if (ret != ARCHIVE_EOF) {
		fprintf(stderr, "floor: %s\n", archive_error_string(archive));
		exit(1);
	}
	for (int at = tree.n_dirs - 1; at >= 0; at--) {
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, tree.dirs[at].mtime};

		utimensat(tree.root_fd, tree.dirs[at].path, times, 0);
		free(tree.dirs[at].path);
	}
	if (tree.dir_fd >= 0)
		close(tree.dir_fd);
	close(tree.root_fd);
	archive_read_free(archive);
	return tar->size;
}

static uint64_t tree_below(const struct mapped *tar, const char *dir, int number)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d", dir, number);
	if (mkdir(path, 0755))
		die(path);
	return tree_one(tar, path);
}

int main(int argc, char **argv)
{
	int is_tree = argc > 3 && !strcmp(argv[1], "tree"), count = argc - 2 - is_tree;
	double seconds = 0;
	uint64_t bytes = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: floor inflate|hash|tree FILE... [DIR]\n");
		return 2;
	}
	umask(0);
	setlocale(LC_ALL, "C.UTF-8"); /* libarchive turns names into the locale's bytes */
	for (int at = 0; at < count; at++) {
		struct mapped file = map(argv[2 + at]);
		double start;

		hash_one(&file);
		start = now();
		if (is_tree)
			bytes += tree_below(&file, argv[argc - 1], at);
		else
			bytes += strcmp(argv[1], "hash") ? inflate_one(&file) : hash_one(&file);
		seconds += now() - start;
		munmap(file.data, file.size);
	}
	printf("%.6f %llu\n", seconds, (unsigned long long)bytes);
	return 0;
}
