/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: files content/sha256/HEX, and their rows. */
#include "store/content.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"

#define VERIFY_BUFFER (1u << 18)

int content_has(struct store *store, const struct digest *digest, struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	int64_t one;

	return db_get_int(store->db, &one, err, "SELECT 1 FROM blob WHERE digest = ?", "s",
			  text.text);
}

int content_open(struct store *store, const struct digest *digest, struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	int fd = openat(store->content_fd, digest_hex(&text), O_RDONLY | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "blob %s", text.text) : fd;
}

int content_size(struct store *store, const struct digest *digest, uint64_t *ret_size,
		 struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	struct stat st;

	if (fstatat(store->content_fd, digest_hex(&text), &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail_errno(err, "stat blob %s", text.text);
	*ret_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	return 1;
}

int content_verify_fd(int fd, const struct digest *digest, struct snapdrv_error *err)
{
	cleanup_free char *buffer = malloc(VERIFY_BUFFER);
	struct hasher *hasher = buffer ? hasher_new(err) : NULL;
	struct digest found;
	ssize_t got = 0;

	if (!hasher)
		return buffer ? -ENOMEM : fail_memory(err);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	while ((got = file_read_some(fd, buffer, VERIFY_BUFFER, "a blob", err)) > 0)
		hasher_update(hasher, buffer, (size_t)got);
	found = hasher_final(hasher);
	hasher_free(hasher);
	return got < 0 ? (int)got : digest_equal(&found, digest);
}

int content_verify(struct store *store, const struct digest *digest, struct snapdrv_error *err)
{
	cleanup_fd int fd = content_open(store, digest, err);

	return fd < 0 ? fd : content_verify_fd(fd, digest, err);
}

/* Whether a blob's name still means the file that was opened, or none where that failed. */
static int is_file(struct store *store, const struct digest *digest, int fd)
{
	struct digest_text text = digest_format(digest);
	struct stat named, opened;

	if (fstatat(store->content_fd, digest_hex(&text), &named, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT && fd < 0;
	if (fd < 0)
		return fd != -ENOENT;
	return !fstat(fd, &opened) && opened.st_dev == named.st_dev &&
	       opened.st_ino == named.st_ino;
}

int content_put_away(struct store *store, const struct digest *digest, int fd,
		     struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	int ret = store_begin(store, err), gone = 0;

	if (ret)
		return ret;
	if (is_file(store, digest, fd))
		gone = db_run(store->db, err, "DELETE FROM blob WHERE digest = ?", "s", text.text);
	ret = store_end(store, gone < 0 ? gone : 0, err);
	if (ret || !gone)
		return ret;
	/* Which sees for itself that there is no row. */
	content_unlink(store, text.text);
	return 1;
}

/* With the writer's lock: nobody takes the row away, or puts a file there, in between. */
static int replace(struct store *store, const char *name, const struct digest *digest,
		   struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	int found = content_has(store, digest, err);

	if (found == 1 && renameat(store->session_fd, name, store->content_fd, digest_hex(&text)))
		return fail_errno(err, "replace blob %s", text.text);
	return found;
}

int content_replace(struct store *store, const char *name, const struct digest *digest,
		    struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	cleanup_fd int fd = openat(store->session_fd, name, O_RDONLY | O_CLOEXEC);
	int ret, done;

	if (fd < 0 || fsync(fd))
		return fail_errno(err, "sync blob %s", text.text);
	ret = store_begin(store, err);
	if (ret)
		return ret;
	done = replace(store, name, digest, err);
	store_rollback(store);
	if (done != 1) {
		unlinkat(store->session_fd, name, 0);
		return done;
	}
	ret = file_sync_dir(store->content_fd, err);
	return ret ? ret : 1;
}

int content_publish(struct store *store, const char *name, const struct digest *digest,
		    uint64_t size, struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	int ret = content_has(store, digest, err);

	if (ret)
		return ret < 0 ? ret : 0;
	ret = db_run(store->db, err, "INSERT INTO blob(digest, size) VALUES(?, ?)", "si", text.text,
		     (int64_t)size);
	if (ret < 0)
		return ret;
	return store_move(store, name, store->content_fd, digest_hex(&text), 0, err);
}

int content_keep_file(struct store *store, int fd, struct store_name *ret_name,
		      struct snapdrv_error *err)
{
	struct store_name name = store_name(store);
	int session_fd = store_session(store, err), kept;

	if (session_fd < 0)
		return session_fd;
	kept = file_keep_blob(fd, session_fd, name.text, err);
	if (kept == 1)
		*ret_name = name;
	return kept;
}

static int create_out(int dir_fd, const char *name, struct snapdrv_error *err)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	return fd < 0 ? fail_errno(err, "create %s", name) : fd;
}

int content_share_out(struct store *store, const struct digest *digest, int dir_fd,
		      const char *name, int *ret_fd, struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	cleanup_fd int in = content_open(store, digest, err), out = -1;
	struct stat st;

	if (in < 0)
		return in;
	out = create_out(dir_fd, name, err);
	if (out < 0)
		return out;
	if (fstat(in, &st))
		return fail_errno(err, "stat blob %s", text.text);
	if (file_clone(in, out))
		return 1;
	if ((st.st_mode & 0777) == 0644 && !unlinkat(dir_fd, name, 0)) {
		if (!linkat(store->content_fd, digest_hex(&text), dir_fd, name, 0))
			return 1;
		close(out);
		out = create_out(dir_fd, name, err);
	}
	if (out < 0)
		return out;
	*ret_fd = steal_fd(&out);
	return 0;
}

int content_create(struct store *store, struct store_name *ret_name, struct snapdrv_error *err)
{
	struct store_name name = store_name(store);
	int session_fd = store_session(store, err), fd;

	if (session_fd < 0)
		return session_fd;
	fd = openat(session_fd, name.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "create a file in staging");
	*ret_name = name;
	return fd;
}

int content_append(int fd, const void *data, size_t size, struct snapdrv_error *err)
{
	return file_write(fd, data, size, "a blob", err);
}

int content_write(struct store *store, const void *data, size_t size, struct store_name *ret_name,
		  struct snapdrv_error *err)
{
	struct store_name name;
	cleanup_fd int fd = content_create(store, &name, err);
	int ret = fd < 0 ? fd : content_append(fd, data, size, err);

	if (!ret)
		*ret_name = name;
	return ret;
}

int content_forget(struct store *store, const char *digest, struct snapdrv_error *err)
{
	return db_run(store->db, err,
		      "DELETE FROM blob WHERE digest = ?1"
		      " AND NOT EXISTS (SELECT 1 FROM image_blob WHERE digest = ?1)"
		      " AND NOT EXISTS (SELECT 1 FROM build_step WHERE diff_id = ?1)",
		      "s", digest);
}

int content_unlink(struct store *store, const char *text)
{
	struct store_name name = store_name(store);
	int session_fd = store_session(store, NULL);
	struct digest digest;
	int found, failed = 0;

	if (digest_parse(text, &digest, NULL))
		return 0;
	if (session_fd < 0 || store_begin(store, NULL))
		return -EIO;
	found = content_has(store, &digest, NULL);
	if (!found)
		failed = renameat(store->content_fd, text + strlen("sha256:"), session_fd,
				  name.text) &&
			 unlinkat(store->content_fd, text + strlen("sha256:"), 0) &&
			 errno != ENOENT;
	store_rollback(store);
	if (!found)
		unlinkat(session_fd, name.text, 0);
	return found < 0 || failed ? -EIO : 0;
}
