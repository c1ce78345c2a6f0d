/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsnapdrv: container images on one machine, turned into root filesystems.
 *
 * This is the one public header. It needs nothing but libc and compiles as C89 and as C++.
 *
 * Conventions. A function that can fail takes a `struct snapdrv_error *err` last; it may be NULL and
 * is untouched on success. The result is 0 on success and a negative errno value on failure, with
 * err->code saying which kind of failure it was. Out parameters are called ret_x and are written on
 * success only. Strings are bytes that end in NUL; what the library allocates is given back with the
 * function that its comment names. Sizes are in bytes, times in nanoseconds since 1970 (UTC).
 *
 * Threads: one handle is used by one thread at a time; it may go from one thread to another. Any number
 * of threads may each use a handle of their own, of the same store or of others, at the same time, and so
 * may any number of processes. A handle is of no use in a child of fork(2), not even to be closed there.
 * The library starts threads for its work and ends them before a call returns; progress functions are
 * called from these. It leaves the working directory, the umask and the signal handlers of the process
 * alone, and reads the environment: no thread may change that meanwhile.
 */
#ifndef SNAPDRV_H
#define SNAPDRV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h> /* ssize_t */

#ifdef __cplusplus
extern "C" {
#endif

#define SNAPDRV_VERSION "0.1.0"

/**
 * enum snapdrv_code - the kinds of failure; also the exit statuses of the command line.
 * @SNAPDRV_FAILED:  the system said no (disk, memory, permission, kernel).
 * @SNAPDRV_USAGE:   an argument makes no sense.
 * @SNAPDRV_MISSING: there is no such image, container, file or tag.
 * @SNAPDRV_BUSY:    the name exists already, or the thing is in use.
 * @SNAPDRV_REFUSED: the input is corrupt, hostile, or does not match its digest.
 */
enum snapdrv_code {
	SNAPDRV_FAILED = 1,
	SNAPDRV_USAGE = 2,
	SNAPDRV_MISSING = 3,
	SNAPDRV_BUSY = 4,
	SNAPDRV_REFUSED = 5
};

/**
 * struct snapdrv_error - what went wrong, to be kept on the caller's stack.
 * @code:    an enum snapdrv_code.
 * @errnum:  the errno value behind it; EBADMSG, EINVAL, ... where there was no system call.
 * @message: one line, `WHAT: WHY`, without a newline. Names from outside are quoted in it.
 */
struct snapdrv_error {
	int code;
	int errnum;
	char message[1024];
};

struct snapdrv_store;

/**
 * snapdrv_open() - open a store, making it when there is none.
 * @root:      directory of the store; NULL: $SNAPDRV_ROOT, or else /var/lib/snapdrv. Borrowed.
 * @driver:    "auto", "overlay", ... ; NULL: $SNAPDRV_DRIVER, or else "auto". Borrowed.
 * @ret_store: the handle, for snapdrv_close().
 *
 * A store keeps the driver it was made with; asking for another one fails with USAGE. What killed
 * processes left behind is removed. A damaged layer never keeps a store from opening.
 *
 * Return: 0, or a negative errno value: USAGE (unknown or different driver, or a store made by a newer
 * version), FAILED (no root rights, or the filesystem cannot carry the driver).
 */
int snapdrv_open(const char *root, const char *driver, struct snapdrv_store **ret_store,
		 struct snapdrv_error *err);

/**
 * snapdrv_flush() - make removals last, and give their space back.
 * @store: an open store. Borrowed.
 *
 * snapdrv_remove() and snapdrv_rmi() return when what they removed is gone for everybody, and leave the
 * rest to this call, which snapdrv_close() makes too: wait for the disk, once for all of them, and
 * remove the files. A process that is killed before leaves that to whoever opens the store next; a
 * power cut before it may bring what was removed back, whole. Everything else that the library does is
 * on disk when its call returns, unless it was told not to wait.
 *
 * Return: 0, or a negative errno value: FAILED.
 */
int snapdrv_flush(struct snapdrv_store *store, struct snapdrv_error *err);

/**
 * snapdrv_close() - give a handle back, after snapdrv_flush(). Takes NULL. Mounted containers stay
 * mounted.
 * @store: the handle.
 */
void snapdrv_close(struct snapdrv_store *store);

/* ---- images ------------------------------------------------------------------------------- */

/** Flags of snapdrv_load() and snapdrv_import(). */
enum snapdrv_load_flags {
	SNAPDRV_DISCARD_BLOBS = 1 << 0, /* keep no compressed layers */
	SNAPDRV_NO_SYNC = 1 << 1, /* do not wait for the disk: fast, and gone at a power cut */
	SNAPDRV_VERITY = 1 << 2	  /* seal the files of all layers by fs-verity, see below */
};

/**
 * struct snapdrv_progress - what a progress function is told, some times a second.
 * @what:  the layer's digest, or another short name of what is worked on. Borrowed.
 * @done:  bytes of input taken in.
 * @total: bytes of input in all, or 0 when that is not known.
 */
struct snapdrv_progress {
	const char *what;
	uint64_t done;
	uint64_t total;
};

/**
 * struct snapdrv_layer_time - how long one layer took; times on the monotonic clock.
 * @diff_id:  its DiffID, "sha256:" and 64 hex digits.
 * @entries:  of its tar. @bytes: of the regular files in it.
 * @start_ns, @end_ns: when its unpacking began and ended, reading and hashing included; both 0 when the
 *            store had it, or another layer of the image has the same tree. Those of several layers
 *            overlap where they are unpacked side by side.
 */
struct snapdrv_layer_time {
	char *diff_id;
	uint64_t entries;
	uint64_t bytes;
	int64_t start_ns;
	int64_t end_ns;
};

/**
 * struct snapdrv_load_times - how long the parts of a load took.
 * @layers:  @n_layers of them, the lowest first.
 * @sync_ns: waiting for the disk, after the last layer.
 */
struct snapdrv_load_times {
	struct snapdrv_layer_time *layers;
	size_t n_layers;
	int64_t sync_ns;
};

/** snapdrv_load_times_done() - free what is in @times. */
void snapdrv_load_times_done(struct snapdrv_load_times *times);

/**
 * struct snapdrv_load_options - how to load; all zero is a good start.
 * @ref:         the name to give to the image instead of its own, or NULL.
 * @platform:    OS/ARCH[/VARIANT] to choose from an index, or NULL for this machine's.
 * @flags:       enum snapdrv_load_flags.
 * @max_entries: most entries of a layer, 0 for 10,000,000.
 * @max_bytes:   most uncompressed bytes of a layer, 0 for 1 TiB.
 * @max_ratio:   most uncompressed bytes for a compressed one, past the first GiB, 0 for 1100.
 * @progress:    called while it works, from any thread but never from two at once; or NULL.
 * @progress_arg: its argument.
 * @times:       written when snapdrv_load() succeeds, for snapdrv_load_times_done(); or NULL.
 *
 * With SNAPDRV_VERITY each regular file of the image's layers that has content gets fs-verity (SHA-256, blocks
 * of 4096 bytes), also of layers that were in the store before: the kernel then answers EIO where a block is
 * read that is not what it was, and EPERM to whoever opens the file for writing. Containers copy a file up before
 * they write to it, as ever. What is sealed is the content, not the directories, owners and modes. It fails
 * with EOPNOTSUPP, before anything is read, on a filesystem without it and with the driver btrfs, whose
 * containers write to the layers' own files; see snapdrv_info().
 */
struct snapdrv_load_options {
	const char *ref;
	const char *platform;
	unsigned flags;
	uint64_t max_entries;
	uint64_t max_bytes;
	uint64_t max_ratio;
	void (*progress)(void *arg, const struct snapdrv_progress *progress);
	void *progress_arg;
	struct snapdrv_load_times *times;
};

/**
 * struct snapdrv_loaded - one image that came in.
 * @reference: its full name, or NULL when it has none.
 * @id:        image ID, "sha256:" and 64 hex digits.
 * @digest:    manifest digest, likewise.
 */
struct snapdrv_loaded {
	char *reference;
	char *id;
	char *digest;
};

/**
 * snapdrv_load() - take in the images of an OCI layout or an archive.
 * @store:   an open store. Borrowed.
 * @source:  path of an OCI layout directory, oci-archive or docker-archive, the archives also
 *           compressed with gzip, zstd, xz or bzip2. Borrowed.
 * @options: or NULL. Borrowed.
 * @ret_loaded: array of the images and their names, for snapdrv_loaded_free().
 * @ret_count:  its length.
 *
 * Each layer that the store lacks is unpacked once; every digest and size is verified. All images of
 * the source come in, or none does. At most 64 MB of memory, whatever the image.
 *
 * Return: 0, or a negative errno value: MISSING (no such source, or no image for the platform),
 * REFUSED (corrupt, hostile or mismatching input; the store is as it was), USAGE (several images for
 * one @ref), FAILED.
 */
int snapdrv_load(struct snapdrv_store *store, const char *source,
		 const struct snapdrv_load_options *options, struct snapdrv_loaded **ret_loaded,
		 size_t *ret_count, struct snapdrv_error *err);

/**
 * snapdrv_load_fd() - snapdrv_load() of an archive that is read from a descriptor, in one pass.
 * @fd: open for reading; may be a pipe. Borrowed, read to its end.
 */
int snapdrv_load_fd(struct snapdrv_store *store, int fd, const struct snapdrv_load_options *options,
		    struct snapdrv_loaded **ret_loaded, size_t *ret_count,
		    struct snapdrv_error *err);

/** Flags of struct snapdrv_registry_options. */
enum snapdrv_registry_flags {
	SNAPDRV_PLAIN_HTTP = 1 << 0 /* speak HTTP, without TLS; localhost is no exception */
};

/**
 * struct snapdrv_registry_options - how to reach a registry; all zero is a good start.
 * @flags:    enum snapdrv_registry_flags.
 * @creds:    USER:PASSWORD, or NULL: as the authentication files of podman and docker say
 *            ($REGISTRY_AUTH_FILE; containers/auth.json in $XDG_RUNTIME_DIR, /run and ~/.config;
 *            ~/.docker/config.json), credential helpers included; nobody where they say nothing.
 * @cert_dir: directory with ca.crt (trusted besides the system's), client.cert and client.key, each
 *            where it is needed; or NULL.
 */
struct snapdrv_registry_options {
	unsigned flags;
	const char *creds;
	const char *cert_dir;
};

/**
 * snapdrv_pull() - take in an image from a registry.
 * @ref:      [registry/]name[:tag][@digest]; docker.io where it names no registry. Borrowed.
 * @registry: or NULL. Borrowed.
 * @options:  as in snapdrv_load(), its ref is not looked at; or NULL. Borrowed. Progress tells what has
 *            arrived of each layer; it is called from several threads, never from two at once.
 * @ret_loaded: the image, for snapdrv_loaded_free() with a count of 1.
 *
 * Layers are unpacked while they arrive; those that the store has are not asked for. What came of a layer
 * when the connection broke for good, or the process was killed, is where the next call goes on. At most
 * 64 MB of memory.
 *
 * Return: 0, or a negative errno value: MISSING (no such tag or repository, in the registry's words; no
 * image for the platform), REFUSED (what came is corrupt, hostile or does not match its digest; the
 * store is as it was), USAGE, FAILED (the network; libcurl is not installed; access denied).
 */
int snapdrv_pull(struct snapdrv_store *store, const char *ref,
		 const struct snapdrv_registry_options *registry,
		 const struct snapdrv_load_options *options, struct snapdrv_loaded **ret_loaded,
		 struct snapdrv_error *err);

/**
 * struct snapdrv_push_options - how to push; all zero is a good start.
 * @progress: told what was sent of each blob; called from several threads, never from two at once. Or
 *            NULL.
 * @progress_arg: its argument.
 */
struct snapdrv_push_options {
	void (*progress)(void *arg, const struct snapdrv_progress *progress);
	void *progress_arg;
};

/**
 * snapdrv_push() - give an image to a registry.
 * @image: as in snapdrv_create(). Borrowed.
 * @ref: the name that it gets there, with its registry; NULL: @image, when that is a name. Borrowed.
 * @registry: or NULL. @options: or NULL. Borrowed.
 * @ret_pushed: the name in full, the image ID and the manifest's digest, for snapdrv_loaded_free() with a
 *         count of 1.
 *
 * Blobs are sent as they are kept, byte for byte, so that the digests are those that the store knows; those
 * that the registry has, in this repository or in another one of which the store knows, are not sent. A
 * layer whose blob was discarded can only be pushed where the registry has it.
 *
 * Return: 0, or a negative errno value: MISSING (no such image), USAGE (not a name, or none), FAILED (the
 * network; access denied; a blob that was discarded).
 */
int snapdrv_push(struct snapdrv_store *store, const char *image, const char *ref,
		 const struct snapdrv_registry_options *registry,
		 const struct snapdrv_push_options *options, struct snapdrv_loaded **ret_pushed,
		 struct snapdrv_error *err);

/** snapdrv_loaded_free() - what snapdrv_load(), snapdrv_pull() or snapdrv_push() gave. Takes NULL. */
void snapdrv_loaded_free(struct snapdrv_loaded *loaded, size_t count);

/**
 * snapdrv_import_fd() - make an image of one layer from the tar of a root filesystem.
 * @fd:      open for reading; a tar, plain or compressed with gzip, zstd, xz or bzip2. Borrowed.
 * @ref:     the image's name. Borrowed.
 * @changes: @n_changes Dockerfile instructions for the config: CMD, ENV, ENTRYPOINT, EXPOSE, LABEL,
 *           STOPSIGNAL, USER, VOLUME, WORKDIR. Borrowed.
 * @message: the comment in the image's history, or NULL. Borrowed.
 * @options: or NULL; its ref is not looked at. Borrowed.
 * @ret_id:  the image ID, for free(3).
 *
 * The layer is kept as a gzip-free tar blob unless SNAPDRV_DISCARD_BLOBS is set.
 *
 * Return: as snapdrv_load(); USAGE for a change that cannot be read.
 */
int snapdrv_import_fd(struct snapdrv_store *store, int fd, const char *ref,
		      const char *const *changes, size_t n_changes, const char *message,
		      const struct snapdrv_load_options *options, char **ret_id,
		      struct snapdrv_error *err);

/**
 * struct snapdrv_image - one image of the store.
 * @id:         image ID. @digest: manifest digest.
 * @references: @n_references full names, sorted; none for an image that lost its names.
 * @platform:   "linux/amd64", ...
 * @created_ns: when it was made, as its config says; 0 when it does not.
 * @size:       bytes of its unpacked layers.
 * @n_layers:   how many layers.
 * @in_use:     1 when a container was made from it.
 */
struct snapdrv_image {
	char *id;
	char *digest;
	char **references;
	size_t n_references;
	char *platform;
	int64_t created_ns;
	uint64_t size;
	size_t n_layers;
	int in_use;
};

/**
 * snapdrv_images() - list the images, the newest first.
 * @ret_images: array, for snapdrv_images_free(). @ret_count: its length.
 */
int snapdrv_images(struct snapdrv_store *store, struct snapdrv_image **ret_images,
		   size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_images_free() - free what snapdrv_images() gave. Takes NULL. */
void snapdrv_images_free(struct snapdrv_image *images, size_t count);

/**
 * snapdrv_inspect() - all that is known of an image or a container.
 * @name:     a container's name, or an image as in snapdrv_create(). The container wins. Borrowed.
 * @ret_json: a JSON object, for free(3).
 *
 * Return: 0, or a negative errno value: MISSING.
 */
int snapdrv_inspect(struct snapdrv_store *store, const char *name, char **ret_json,
		    struct snapdrv_error *err);

/**
 * struct snapdrv_history - a step in which an image was made.
 * @id:          ID of the image that it made, or NULL when that is not in the store.
 * @created_ns:  when, or 0 when that is not known.
 * @created_by:  the command or instruction; "" when that is not known. @comment, @author: likewise.
 * @size:        bytes of the files of the layer that it made; 0 when it made none.
 * @empty_layer: 1 when it made none.
 * @diff_id:     DiffID of that layer, or NULL.
 */
struct snapdrv_history {
	char *id;
	int64_t created_ns;
	char *created_by;
	char *comment;
	char *author;
	uint64_t size;
	int empty_layer;
	char *diff_id;
};

/**
 * snapdrv_history() - how an image was made, the newest step first.
 * @image:    as in snapdrv_create(). Borrowed.
 * @ret_rows: array, for snapdrv_history_free(); one row for each layer where the image does not say.
 * @ret_count: its length, at least 1.
 *
 * Return: 0, or a negative errno value: MISSING.
 */
int snapdrv_history(struct snapdrv_store *store, const char *image,
		    struct snapdrv_history **ret_rows, size_t *ret_count,
		    struct snapdrv_error *err);

/** snapdrv_history_free() - free what snapdrv_history() gave. Takes NULL. */
void snapdrv_history_free(struct snapdrv_history *rows, size_t count);

/** enum snapdrv_save_format - what snapdrv_save() makes. */
enum snapdrv_save_format {
	SNAPDRV_OCI_ARCHIVE = 0, /* the tar of an OCI layout */
	SNAPDRV_OCI_DIR = 1,	 /* an OCI layout, a directory */
	SNAPDRV_DOCKER_ARCHIVE =
		2 /* what `docker save` writes: manifest.json, configs, plain tars */
};

/**
 * struct snapdrv_save_options - how to save; all zero is a good start.
 * @format:       what to make.
 * @progress:     called while it works, or NULL. @progress_arg: its argument.
 */
struct snapdrv_save_options {
	enum snapdrv_save_format format;
	void (*progress)(void *arg, const struct snapdrv_progress *progress);
	void *progress_arg;
};

/**
 * struct snapdrv_saved - one image that was saved, by one name.
 * @reference: its full name, or NULL: it was asked for by its ID.
 * @id:        image ID. @digest: manifest digest. Of what was saved.
 * @rewritten: 1 when layers whose blobs are not kept were written again: the digest is a new one.
 */
struct snapdrv_saved {
	char *reference;
	char *id;
	char *digest;
	int rewritten;
};

/**
 * snapdrv_save() - write images to a file or directory that `load` of this and other programs takes.
 * @images:    @n_images of them, each as in snapdrv_create(). Each comes under the names that it is
 *             asked for by. Borrowed.
 * @path:      the file; one that is there is replaced. With SNAPDRV_OCI_DIR a directory that is not
 *             there yet or is empty. Borrowed.
 * @options:   or NULL. Borrowed.
 * @ret_saved: array, for snapdrv_saved_free(). @ret_count: its length.
 *
 * In an OCI layout the manifest, config and layers are the bytes that came in, so that all digests stay.
 * In a docker-archive layers are plain tars, and the image ID stays. The same images give the same
 * bytes. What is read from the store is verified, but for blobs that a directory shares with the store
 * by reflink or hard link. The file or directory is there whole, and on disk, or not at all. At most a
 * few MB of memory.
 *
 * Return: 0, or a negative errno value: MISSING (no such image, no such directory), BUSY (the directory
 * is not empty), USAGE, FAILED.
 */
int snapdrv_save(struct snapdrv_store *store, const char *const *images, size_t n_images,
		 const char *path, const struct snapdrv_save_options *options,
		 struct snapdrv_saved **ret_saved, size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_save_fd() - snapdrv_save() of an archive to a descriptor, in one pass. @fd: Borrowed. */
int snapdrv_save_fd(struct snapdrv_store *store, const char *const *images, size_t n_images, int fd,
		    const struct snapdrv_save_options *options, struct snapdrv_saved **ret_saved,
		    size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_saved_free() - free what snapdrv_save() gave. Takes NULL. */
void snapdrv_saved_free(struct snapdrv_saved *saved, size_t count);

/**
 * snapdrv_tag() - give an image one more name; a name that another image had moves.
 * @image: as in snapdrv_create(). @ref: the new name; `latest` is added where it has no tag. Borrowed.
 *
 * Return: 0, or a negative errno value: MISSING, USAGE (not a name).
 */
int snapdrv_tag(struct snapdrv_store *store, const char *image, const char *ref,
		struct snapdrv_error *err);

/**
 * struct snapdrv_removed - what snapdrv_rmi() did.
 * @untagged: @n_untagged names that were taken away.
 * @deleted:  the ID of the image that is gone, or NULL when it is still there.
 */
struct snapdrv_removed {
	char **untagged;
	size_t n_untagged;
	char *deleted;
};

/** Flags of snapdrv_rmi(). */
enum snapdrv_rmi_flags {
	SNAPDRV_FORCE =
		1 << 0 /* take the name away from a used image too; all names, given an ID */
};

/**
 * snapdrv_rmi() - take a name from an image, and remove the image when that was its last one.
 * @image: as in snapdrv_create(). Borrowed.
 * @flags: enum snapdrv_rmi_flags.
 * @ret_removed: for snapdrv_removed_done().
 *
 * Layers that nothing needs any more go with it; those under a container never do. Their files go by
 * snapdrv_flush().
 *
 * Return: 0, or a negative errno value: MISSING, BUSY (a container uses it, or it was named by its ID
 * and has several names).
 */
int snapdrv_rmi(struct snapdrv_store *store, const char *image, unsigned flags,
		struct snapdrv_removed *ret_removed, struct snapdrv_error *err);

/** snapdrv_removed_done() - free what is in @removed. */
void snapdrv_removed_done(struct snapdrv_removed *removed);

/* ---- containers --------------------------------------------------------------------------- */

/** Flags of snapdrv_create(). */
enum snapdrv_create_flags {
	SNAPDRV_READ_ONLY = 1 << 0, /* no writable layer: the rootfs is mounted read-only */
	SNAPDRV_NO_MOUNT = 1 << 1,  /* leave the mounting to snapdrv_mount() */
	SNAPDRV_TERMINAL = 1 << 2   /* the bundle's process gets a terminal */
};

/**
 * struct snapdrv_create_options - how to make a container; all zero is a good start.
 * @name:   1 to 128 of [A-Za-z0-9_.-] starting with a letter or digit, or NULL for a made-up one.
 * @flags:  enum snapdrv_create_flags.
 * @userns: UID:GID:SIZE, to shift owners for a user namespace by idmapped mounts: what is 0 on disk is
 *          seen as UID, and so on up to SIZE; the bundle's process runs in such a namespace. NULL: none.
 * @bundle: directory to be filled as an OCI runtime bundle (config.json); made when it is not there,
 *          refused when it holds a config.json. NULL for none.
 * @args:   @n_args words that take the place of the image's command in the bundle.
 */
struct snapdrv_create_options {
	const char *name;
	unsigned flags;
	const char *userns;
	const char *bundle;
	const char *const *args;
	size_t n_args;
};

/**
 * snapdrv_create() - make a container: a writable tree over an image.
 * @store:   an open store. Borrowed.
 * @image:   a reference, an image ID, or a unique prefix of one (4 or more hex digits). Borrowed.
 * @options: or NULL. Borrowed.
 * @ret_rootfs: absolute path of the tree, ROOT/containers/NAME/rootfs, for free(3).
 *
 * Copies no file data, whatever the image's size. Killed at any point, it leaves the whole container
 * or nothing.
 *
 * Return: 0, or a negative errno value: MISSING (no such image), BUSY (name taken), USAGE (not a name),
 * REFUSED (the image's config or passwd cannot be used for a bundle), FAILED.
 */
int snapdrv_create(struct snapdrv_store *store, const char *image,
		   const struct snapdrv_create_options *options, char **ret_rootfs,
		   struct snapdrv_error *err);

/**
 * snapdrv_mount() - mount a container's rootfs; nothing to do when it is mounted already.
 * @name: the container's. Borrowed. @ret_rootfs: as snapdrv_create().
 *
 * Return: 0, or a negative errno value: MISSING, FAILED.
 */
int snapdrv_mount(struct snapdrv_store *store, const char *name, char **ret_rootfs,
		  struct snapdrv_error *err);

/**
 * snapdrv_umount() - unmount a container's rootfs; nothing to do when it is not mounted.
 *
 * Return: 0, or a negative errno value: MISSING, BUSY (the message names a process that uses it).
 */
int snapdrv_umount(struct snapdrv_store *store, const char *name, struct snapdrv_error *err);

/**
 * snapdrv_remove() - remove a container and what was written in it; it is unmounted first. Its files go
 * by snapdrv_flush().
 *
 * Return: 0, or a negative errno value: MISSING, BUSY (the message names who uses it).
 */
int snapdrv_remove(struct snapdrv_store *store, const char *name, struct snapdrv_error *err);

/**
 * struct snapdrv_container - one container of the store.
 * @name: its name. @image: the reference or ID it was made from. @image_id: that image's ID.
 * @rootfs: absolute path of its tree. @created_ns: when it was made.
 * @mounted: 1 when the rootfs is mounted. @read_only: 1 when it has no writable layer.
 */
struct snapdrv_container {
	char *name;
	char *image;
	char *image_id;
	char *rootfs;
	int64_t created_ns;
	int mounted;
	int read_only;
};

/**
 * snapdrv_containers() - list the containers, the newest first.
 * @ret_containers: array, for snapdrv_containers_free(). @ret_count: its length.
 */
int snapdrv_containers(struct snapdrv_store *store, struct snapdrv_container **ret_containers,
		       size_t *ret_count, struct snapdrv_error *err);

/**
 * snapdrv_container() - one container, by its name.
 * @ret_container: one, for snapdrv_containers_free() with a count of 1.
 *
 * Return: 0, or a negative errno value: MISSING.
 */
int snapdrv_container(struct snapdrv_store *store, const char *name,
		      struct snapdrv_container **ret_container, struct snapdrv_error *err);

/** snapdrv_containers_free() - free what snapdrv_containers() gave. Takes NULL. */
void snapdrv_containers_free(struct snapdrv_container *containers, size_t count);

/**
 * struct snapdrv_change - a path of a container that is not as its image has it.
 * @kind: 'A' it was added, 'C' changed (it, or of a directory something in it), 'D' deleted.
 * @path: from the container's root, "/etc/motd". Any bytes but NUL.
 */
struct snapdrv_change {
	int kind;
	char *path;
};

/**
 * snapdrv_diff() - what has changed in a container, mounted or not.
 * @name: the container's. Borrowed.
 * @ret_changes: array in the order of the paths' bytes, for snapdrv_changes_free(). @ret_count: its
 *               length.
 *
 * The directories above a change are listed too, but for the root; what was in a directory that is gone
 * is not. A file whose content and attributes are as the image has them is no change, whatever happened to
 * it; one whose content differs is, whatever its size and times. All drivers answer the same: overlay
 * looks at what the container wrote, btrfs at what changed since the snapshot, vfs at all files.
 *
 * Return: 0, or a negative errno value: MISSING, FAILED.
 */
int snapdrv_diff(struct snapdrv_store *store, const char *name, struct snapdrv_change **ret_changes,
		 size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_changes_free() - free what snapdrv_diff() gave. Takes NULL. */
void snapdrv_changes_free(struct snapdrv_change *changes, size_t count);

/**
 * snapdrv_export(), snapdrv_export_fd() - write all that is in a container, mounted or not, as a tar.
 * @path: a file; one that is there is replaced when the tar is complete, a device or FIFO written to.
 *        Borrowed.
 * @fd: open for writing; may be a pipe. Borrowed.
 *
 * In the order of the names' bytes, the root directory first. Other filesystems that are mounted in it
 * (/proc, ...) are not looked into. Kept are owners as numbers, modes, mtimes, xattrs with ACLs and
 * capabilities, hard links, holes, devices, FIFOs; sockets are left out.
 *
 * Return: 0, or a negative errno value: MISSING, FAILED.
 */
int snapdrv_export(struct snapdrv_store *store, const char *name, const char *path,
		   struct snapdrv_error *err);
int snapdrv_export_fd(struct snapdrv_store *store, const char *name, int fd,
		      struct snapdrv_error *err);

/**
 * struct snapdrv_commit_options - how to make an image of a container; all zero is a good start.
 * @author:  of the image, or NULL. @message: the comment in its history, or NULL. UTF-8.
 * @changes: @n_changes instructions for the config, as in snapdrv_import_fd().
 * @flags:   enum snapdrv_load_flags.
 */
struct snapdrv_commit_options {
	const char *author;
	const char *message;
	const char *const *changes;
	size_t n_changes;
	unsigned flags;
};

/**
 * snapdrv_commit() - make an image of a container: one layer more than the image it was made from.
 * @name:    the container's. Borrowed. It stays as it is; it may be mounted and running.
 * @ref:     the image's name. Borrowed.
 * @options: or NULL. Borrowed.
 * @ret_id:  the image ID, for free(3).
 *
 * The layer holds what snapdrv_diff() lists; it is kept as a tar, not compressed. It depends on the change
 * alone: the same DiffID on each driver and each time. The image is made now, or at the time that
 * SOURCE_DATE_EPOCH says; files keep their times. Sockets are left out.
 *
 * Return: 0, or a negative errno value: MISSING, USAGE (a name or a change that cannot be read), REFUSED
 * (a file that no layer can hold: named .wh.*, or a 0:0 device), FAILED.
 */
int snapdrv_commit(struct snapdrv_store *store, const char *name, const char *ref,
		   const struct snapdrv_commit_options *options, char **ret_id,
		   struct snapdrv_error *err);

/* ---- snapshots, for container runtimes ------------------------------------------------------ */

/** enum snapdrv_kind - what a snapshot is; as containerd numbers them. */
enum snapdrv_kind {
	SNAPDRV_VIEW = 1,     /* shows its parent, read-only */
	SNAPDRV_ACTIVE = 2,   /* is written to */
	SNAPDRV_COMMITTED = 3 /* read-only, and may be a parent */
};

/**
 * SNAPDRV_SYNC_LATER - or-ed to a kind: snapdrv_snapshot_prepare() does not wait for the disk where a new
 * snapshot holds nothing yet (overlay); snapdrv_flush() of the same handle does. A power cut before that
 * forgets the snapshot as a whole.
 */
#define SNAPDRV_SYNC_LATER 0x100

/**
 * struct snapdrv_label - a pair of words that a runtime keeps with a snapshot: 4,096 bytes together. One
 * whose value is empty is none: setting it takes it away.
 */
struct snapdrv_label {
	char *key;
	char *value;
};

/** SNAPDRV_LABEL_REF - the label that says which ChainID a snapshot is to become. */
#define SNAPDRV_LABEL_REF "containerd.io/snapshot.ref"

/**
 * struct snapdrv_mount - how a snapshot is mounted, in the words of mount(8).
 * @type: "overlay" or "bind". @source: "overlay", or a directory. @options: @n_options of them.
 */
struct snapdrv_mount {
	char *type;
	char *source;
	char **options;
	size_t n_options;
};

/** struct snapdrv_mounts - one after the other; for snapdrv_mounts_done(). */
struct snapdrv_mounts {
	struct snapdrv_mount *mounts;
	size_t count;
};

/** snapdrv_mounts_done() - free what is in @mounts. */
void snapdrv_mounts_done(struct snapdrv_mounts *mounts);

/**
 * struct snapdrv_snapshot - a snapshot as its runtime knows it.
 * @name: its key or name. @parent: that of its parent, or NULL. @kind: enum snapdrv_kind.
 * @created_ns: when it was prepared, or committed. @updated_ns: when its labels were set last.
 */
struct snapdrv_snapshot {
	char *name;
	char *parent;
	int kind;
	int64_t created_ns;
	int64_t updated_ns;
	struct snapdrv_label *labels;
	size_t n_labels;
};

/** snapdrv_snapshot_done() - free what is in @snapshot. */
void snapdrv_snapshot_done(struct snapdrv_snapshot *snapshot);

/**
 * snapdrv_snapshot_prepare() - make a snapshot: a writable tree, or a view, over a committed one.
 * @store:  an open store. Borrowed, like all else.
 * @key:    any text of 1 to 4,096 bytes; it never becomes a path.
 * @parent: the name of a committed snapshot, or NULL for none.
 * @kind:   SNAPDRV_ACTIVE or SNAPDRV_VIEW, maybe with SNAPDRV_SYNC_LATER.
 * @labels: @n_labels of them. With SNAPDRV_LABEL_REF, and the store has that ChainID over @parent (from a
 *          load, a pull, or another snapshot), a committed snapshot with this label is made for it
 *          instead, unless there is one, and the call fails with EEXIST: nothing needs to be unpacked.
 * @ret_mounts: as snapdrv_snapshot_mounts(). May be NULL.
 *
 * Nothing is mounted. On disk when the call returns, unless told otherwise. Nothing is copied on overlay
 * and btrfs.
 *
 * Return: 0, or a negative errno value: BUSY with EEXIST (the key is taken, or see @labels) or EBUSY
 * (the parent is not committed), MISSING (no such parent), USAGE (a name or label that is none), FAILED.
 */
int snapdrv_snapshot_prepare(struct snapdrv_store *store, const char *key, const char *parent,
			     int kind, const struct snapdrv_label *labels, size_t n_labels,
			     struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_mounts() - how an active snapshot or a view is to be mounted.
 * @ret_mounts: for snapdrv_mounts_done(). An overlay with upperdir, workdir and lowerdir, or a bind where
 *              one directory is enough; with the labels containerd.io/snapshot/uidmapping and gidmapping
 *              the options uidmap= and gidmap= as well.
 *
 * All lowerdirs of one mount are named from one directory with short names, up to 500 of them: without
 * that directory's path they fit a page of options, as containerd gives them to mount(2).
 *
 * Return: 0, or a negative errno value: MISSING, BUSY with EBUSY (it is committed), FAILED.
 */
int snapdrv_snapshot_mounts(struct snapdrv_store *store, const char *key,
			    struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_commit() - make an active snapshot a committed one, under a new name.
 * @name:   the new name; @key is free afterwards.
 * @parent: of one that was prepared without: what it stands on from now on (layered drivers); or NULL.
 * @labels: replace those that it had.
 *
 * All that was written to it is on disk before it is committed (one syncfs(2)).
 *
 * Return: 0, or a negative errno value: MISSING (no @key, no @parent), BUSY with EEXIST (@name is taken)
 * or EBUSY (@key is not active, or has a parent, or @parent is not committed), USAGE, FAILED with
 * EOPNOTSUPP (a driver whose trees are whole cannot change the parent).
 */
int snapdrv_snapshot_commit(struct snapdrv_store *store, const char *name, const char *key,
			    const char *parent, const struct snapdrv_label *labels, size_t n_labels,
			    struct snapdrv_error *err);

/**
 * snapdrv_snapshot_remove() - forget a snapshot, and remove its files if nothing else needs them. As with
 * snapdrv_remove(), space comes back at the next snapdrv_flush().
 *
 * Return: 0, or a negative errno value: MISSING, BUSY with EBUSY (others stand on it), FAILED.
 */
int snapdrv_snapshot_remove(struct snapdrv_store *store, const char *key,
			    struct snapdrv_error *err);

/** snapdrv_snapshot_stat() - one of them. @ret_snapshot: for snapdrv_snapshot_done(). Or MISSING. */
int snapdrv_snapshot_stat(struct snapdrv_store *store, const char *key,
			  struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_update() - set labels.
 * @replace: nonzero: @labels are all that it has afterwards; otherwise they are set beside the others.
 * @ret_snapshot: as it is afterwards, for snapdrv_snapshot_done().
 *
 * Return: 0, or a negative errno value: MISSING, USAGE (a label that is too long), FAILED.
 */
int snapdrv_snapshot_update(struct snapdrv_store *store, const char *key,
			    const struct snapdrv_label *labels, size_t n_labels, int replace,
			    struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_list() - all snapshots of runtimes, by name. Images and containers are none.
 * @each: called for each; another result than 0 ends the list, and is what the call returns.
 */
int snapdrv_snapshot_list(struct snapdrv_store *store,
			  int (*each)(void *arg, const struct snapdrv_snapshot *snapshot),
			  void *arg, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_usage() - what it holds alone: of a committed one, as it was when it was committed.
 * @ret_bytes: on disk. @ret_inodes: files. A view holds nothing.
 */
int snapdrv_snapshot_usage(struct snapdrv_store *store, const char *key, uint64_t *ret_bytes,
			   uint64_t *ret_inodes, struct snapdrv_error *err);

/** snapdrv_cleanup() - snapdrv_flush(), and remove what dead processes left. */
int snapdrv_cleanup(struct snapdrv_store *store, struct snapdrv_error *err);

/* ---- layers, for container runtimes --------------------------------------------------------- */

/** enum snapdrv_apply_flags - of snapdrv_apply(). */
enum snapdrv_apply_flags {
	SNAPDRV_SYNC = 1 << 0 /* wait until the tree is on disk: syncfs(2) of its filesystem */
};

/** enum snapdrv_compression - of the layers that snapdrv_diff_mounts() writes. */
enum snapdrv_compression { SNAPDRV_PLAIN = 0, SNAPDRV_GZIP = 1, SNAPDRV_ZSTD = 2 };

/**
 * struct snapdrv_applied - a layer that was unpacked or written.
 * @diff_id: its DiffID, "sha256:" and 64 hex digits. @size: bytes of the plain tar, all of it.
 * @digest:  of the bytes that were read or written, compressed or not. @input_size: how many.
 */
struct snapdrv_applied {
	char *diff_id;
	uint64_t size;
	char *digest;
	uint64_t input_size;
};

/** snapdrv_applied_done() - free what is in @applied. */
void snapdrv_applied_done(struct snapdrv_applied *applied);

/**
 * snapdrv_apply() - unpack a layer into what a runtime would mount: for containerd's diff service.
 * @store:    an open store. Borrowed, like all else.
 * @mounts:   @n_mounts of them: one overlay with an upper directory, or one bind that can be written to.
 * @read:     gives the layer, a tar that is plain or compressed with gzip or zstd: up to @size bytes at
 *            @data; returns their number, 0 at the end, or a negative errno value. Called from one thread
 *            at a time, not always the caller's, and never after this call has returned. @arg: its argument.
 * @media_type: of the layer, or NULL. The content decides how it is compressed; a type that is no layer's,
 *            or that of an encrypted one, is not supported.
 * @flags:    enum snapdrv_apply_flags.
 * @ret_applied: for snapdrv_applied_done(). The input was read to its end.
 *
 * Nothing is mounted that anybody sees: an overlay's upper directory is written as it lies there, with the
 * kernel's marks for what the layer deletes, which takes one that is empty. In a directory that is bound,
 * deletions are carried out, but for one of a layered driver of this store: there they are marked, since
 * the snapshot may get a parent when it is committed.
 *
 * A snapshot of this store into which nothing else was written becomes the layer's when
 * snapdrv_snapshot_commit() commits it over the ChainID below: snapdrv_load() and snapdrv_pull() find it.
 *
 * Return: 0, or a negative errno value: REFUSED (corrupt or hostile input, as in snapdrv_load()), FAILED
 * with EOPNOTSUPP (other mounts or media types: nothing was read or written, another differ may try), or
 * with what @read gave. The tree is half made when it fails later; the snapshot can be removed.
 */
int snapdrv_apply(struct snapdrv_store *store, const struct snapdrv_mount *mounts, size_t n_mounts,
		  ssize_t (*read)(void *arg, void *data, size_t size), void *arg,
		  const char *media_type, unsigned flags, struct snapdrv_applied *ret_applied,
		  struct snapdrv_error *err);

/**
 * snapdrv_diff_mounts() - write the layer that leads from one tree to another.
 * @left:   @n_left mounts, as a runtime would mount them: the tree below. None: an empty one.
 * @right:  @n_right mounts, likewise: the tree above.
 * @compression: enum snapdrv_compression.
 * @write:  takes the layer from start to end; 0 to go on, or a negative errno value. Called in the calling
 *          thread alone. @arg: its argument.
 * @ret_applied: what was written, for snapdrv_applied_done().
 *
 * The layer depends on the two trees alone, not on the driver, and the same compression gives the same
 * bytes; all times are kept. Where @right is an overlay over what @left shows, only its upper directory is
 * looked at. Nothing is mounted that anybody sees.
 *
 * Return: 0, or a negative errno value: REFUSED (a file that no layer can hold), USAGE (unknown
 * compression), FAILED with EOPNOTSUPP (several mounts, other types), or with what @write gave.
 */
int snapdrv_diff_mounts(struct snapdrv_store *store, const struct snapdrv_mount *left,
			size_t n_left, const struct snapdrv_mount *right, size_t n_right,
			int compression, int (*write)(void *arg, const void *data, size_t size),
			void *arg, struct snapdrv_applied *ret_applied, struct snapdrv_error *err);

/* ---- building ----------------------------------------------------------------------------- */

/** enum snapdrv_build_flags - of struct snapdrv_build_options. */
enum snapdrv_build_flags {
	SNAPDRV_BUILD_NO_CACHE = 1 << 0,    /* carry out every step */
	SNAPDRV_BUILD_KEEP = 1 << 1,	    /* leave the container of a RUN that fails */
	SNAPDRV_BUILD_NEVER_PULL = 1 << 2,  /* images that are not here are missing */
	SNAPDRV_BUILD_HOST_NETWORK = 1 << 3 /* RUN has the network of the host; otherwise none */
};

/** enum snapdrv_build_kind - what is told while an image is built. */
enum snapdrv_build_kind {
	SNAPDRV_BUILD_STARTED, /* a step is worked on */
	SNAPDRV_BUILD_OUTPUT,  /* what a RUN prints */
	SNAPDRV_BUILD_CACHED,  /* a step need not be done; nothing was told of it before */
	SNAPDRV_BUILD_DONE,    /* a step is through */
	SNAPDRV_BUILD_STOPPED, /* a step failed, or was given up */
	SNAPDRV_BUILD_WARNING  /* something that may be a mistake; data is a line about it */
};

/**
 * struct snapdrv_build_event - what happens in a build; everything is borrowed.
 * @kind:  enum snapdrv_build_kind.
 * @id:    of the step: 1, 2, ... in the order in which they were begun; 0 of a warning that is of none.
 * @stage: the stage's name, or "stage-N" from 0, or "" of a file with one stage without a name.
 * @step:  number of the step in its stage, from 1, of @n_steps: FROM, and those that change files.
 * @line:  of the Dockerfile. @text: the instruction on one line.
 * @data:  @size bytes of output, any; or of a warning.
 * @duration_ns: how long the step took, when it is through or stopped.
 */
struct snapdrv_build_event {
	int kind;
	unsigned id;
	const char *stage;
	unsigned step;
	unsigned n_steps;
	unsigned line;
	const char *text;
	const char *data;
	size_t size;
	int64_t duration_ns;
};

/**
 * struct snapdrv_build_options - how to build; all zero, but for @input_fd and @cancel_fd, is a good start.
 * @dockerfile: path of the Dockerfile, "-" for @input_fd; NULL: Dockerfile in the context. Where the context
 *              is a tar, a path in it.
 * @input_fd:   read when the context, or the Dockerfile, is "-".
 * @tags:       @n_tags names for the image.
 * @args:       @n_args of KEY=VALUE for ARG; KEY alone takes the value of the environment.
 * @labels:     @n_labels of KEY=VALUE, put into the image.
 * @secrets:    @n_secrets of id=ID[,src=FILE|,env=NAME], for RUN --mount=type=secret.
 * @target:     the stage to build, by name or number; NULL: the last one.
 * @platform:   OS/ARCH[/VARIANT] to build for, or NULL for this machine's.
 * @flags:      enum snapdrv_build_flags.
 * @registry:   how images that are not here are pulled; or NULL.
 * @cancel_fd:  the build is given up when it becomes readable; -1 for none. It is not read.
 * @event:      told what happens, from several threads but never from two at once; or NULL.
 * @event_arg:  its argument.
 */
struct snapdrv_build_options {
	const char *dockerfile;
	int input_fd;
	const char *const *tags;
	size_t n_tags;
	const char *const *args;
	size_t n_args;
	const char *const *labels;
	size_t n_labels;
	const char *const *secrets;
	size_t n_secrets;
	const char *target;
	const char *platform;
	unsigned flags;
	const struct snapdrv_registry_options *registry;
	int cancel_fd;
	void (*event)(void *arg, const struct snapdrv_build_event *event);
	void *event_arg;
};

/**
 * snapdrv_build() - make an image as a Dockerfile says.
 * @context: a directory; "-": a tar (also compressed), or a Dockerfile alone, from @options->input_fd.
 * @options: or NULL. Borrowed.
 * @ret_id:  the image ID, for free(3).
 *
 * The whole Dockerfile is checked before anything is done. Each step that changes files becomes a layer of
 * the graph, found again by its parent, its instruction and the content, not the times, of what it takes
 * in; such a hit costs some look-ups. Stages that the target does not need are not built, and those that do
 * not need each other are built side by side, in threads with a mount namespace of their own. RUN is done by
 * `runc` from PATH. With SOURCE_DATE_EPOCH in the environment no later time gets into the image, and the
 * same build makes the same layers on every driver. The image is the same each time all its steps are found.
 *
 * A build that fails, or whose process is killed at any point, leaves no mount, process or container, but
 * for the container that SNAPDRV_BUILD_KEEP asks for, which the error names; steps that were done stay for
 * the next build, until snapdrv_gc().
 *
 * Return: 0, or a negative errno value: REFUSED (the Dockerfile, a source that is not there or not in the
 * context; `FILE:LINE: ` is in the message), MISSING (no such context, image, stage or secret; runc is not
 * installed), USAGE, FAILED (a RUN that failed; ECANCELED when it was given up).
 */
int snapdrv_build(struct snapdrv_store *store, const char *context,
		  const struct snapdrv_build_options *options, char **ret_id,
		  struct snapdrv_error *err);

/* ---- the store ---------------------------------------------------------------------------- */

/**
 * struct snapdrv_driver_info - what a driver answers about this machine and store.
 * @name:   "overlay", ... @usable: 1 when it works here. @answer: in words, why or why not.
 */
struct snapdrv_driver_info {
	char *name;
	int usable;
	char *answer;
};

/**
 * struct snapdrv_info - the store and the machine.
 * @root: directory. @driver: the store's. @filesystem: "ext4", ... @kernel: release.
 * @max_layers: most layers that this kernel mounts at once.
 * @verity: 1 when SNAPDRV_VERITY works here. @verity_answer: in words, why or why not.
 */
struct snapdrv_info {
	char *root;
	char *driver;
	char *filesystem;
	char *kernel;
	size_t max_layers;
	size_t n_images;
	size_t n_containers;
	size_t n_layers;
	struct snapdrv_driver_info *drivers;
	size_t n_drivers;
	int verity;
	char *verity_answer;
};

/** snapdrv_info() - fill @ret_info, for snapdrv_info_done(). */
int snapdrv_info(struct snapdrv_store *store, struct snapdrv_info *ret_info,
		 struct snapdrv_error *err);

/** snapdrv_info_done() - free what is in @info. */
void snapdrv_info_done(struct snapdrv_info *info);

/** SNAPDRV_UNKNOWN - a size that was not measured. */
#define SNAPDRV_UNKNOWN (~(uint64_t)0)

/**
 * struct snapdrv_space - how much things of one kind hold.
 * @count:       how many there are. @in_use: how many of them something else needs.
 * @bytes:       all of them, what they share counted once.
 * @shared:      of that, what two images or more have.
 * @reclaimable: of that, what snapdrv_gc() would give back.
 */
struct snapdrv_space {
	size_t count;
	size_t in_use;
	uint64_t bytes;
	uint64_t shared;
	uint64_t reclaimable;
};

/**
 * struct snapdrv_image_space - one image.
 * @id: image ID. @reference: its first name, or NULL. @bytes: of its layers. @shared: of that, what
 * other images have too. @containers: made from it.
 */
struct snapdrv_image_space {
	char *id;
	char *reference;
	int64_t created_ns;
	uint64_t bytes;
	uint64_t shared;
	size_t containers;
};

/** struct snapdrv_container_space - one container. @bytes: what it alone holds on the disk. */
struct snapdrv_container_space {
	char *name;
	char *image;
	int64_t created_ns;
	uint64_t bytes;
};

/** struct snapdrv_layer_space - one layer as it is kept. @key: DiffID, or ChainID. @images: that have it. */
struct snapdrv_layer_space {
	char *key;
	uint64_t bytes;
	size_t images;
};

/**
 * struct snapdrv_df - what the store holds.
 * @containers: .bytes is SNAPDRV_UNKNOWN unless each one was measured.
 * @layers: unpacked; sizes are those of the files, as they were counted then. @blobs: compressed layers,
 * manifests, configs. What steps of builds left is among both, reclaimable where no image has it.
 * @caches: directories that steps of builds keep (RUN --mount=type=cache), as they were after the last one.
 * @image_rows, @container_rows, @layer_rows: one by one; empty unless they were asked for.
 */
struct snapdrv_df {
	struct snapdrv_space images;
	struct snapdrv_space containers;
	struct snapdrv_space layers;
	struct snapdrv_space blobs;
	struct snapdrv_space caches;
	struct snapdrv_image_space *image_rows;
	size_t n_image_rows;
	struct snapdrv_container_space *container_rows;
	size_t n_container_rows;
	struct snapdrv_layer_space *layer_rows;
	size_t n_layer_rows;
};

/**
 * snapdrv_df() - how much space the store takes, and what for.
 * @each:   nonzero: one by one too, and what containers hold, which is a walk over the files of each.
 *          Otherwise it is told by the database alone, at once.
 * @ret_df: for snapdrv_df_done().
 */
int snapdrv_df(struct snapdrv_store *store, int each, struct snapdrv_df *ret_df,
	       struct snapdrv_error *err);

/** snapdrv_df_done() - free what is in @df. */
void snapdrv_df_done(struct snapdrv_df *df);

/**
 * struct snapdrv_gc_options - how to collect garbage; all zero is a good start.
 * @dry_run:      nonzero: only say what would go.
 * @keep_storage: bytes of layers and blobs that nothing needs, but that may come in handy, to keep; the
 *                oldest layers go first.
 */
struct snapdrv_gc_options {
	int dry_run;
	uint64_t keep_storage;
};

/** struct snapdrv_gc_count - things that went, and what they held. */
struct snapdrv_gc_count {
	size_t count;
	uint64_t bytes;
};

/**
 * struct snapdrv_gc - what snapdrv_gc() removed, or would.
 * @layers:     that no image or container needs. @blobs: that no image names.
 * @strays:     files and directories in the store's directories that it knows nothing of.
 * @caches:     directories that steps of builds kept.
 * @kept_bytes: of layers and blobs that nothing needs, which stay.
 */
struct snapdrv_gc {
	struct snapdrv_gc_count layers;
	struct snapdrv_gc_count blobs;
	struct snapdrv_gc_count strays;
	struct snapdrv_gc_count caches;
	uint64_t kept_bytes;
};

/**
 * snapdrv_gc() - remove what nothing needs.
 * @options: or NULL. Borrowed.
 *
 * What other processes are working on stays. What dead ones left is swept before, by snapdrv_open(), and
 * is not counted. Images, with or without a name, stay: snapdrv_rmi() removes them. What steps of builds
 * came to goes where no image has it, and the directories that they keep; while somebody builds, all layers
 * and blobs stay.
 */
int snapdrv_gc(struct snapdrv_store *store, const struct snapdrv_gc_options *options,
	       struct snapdrv_gc *ret_gc, struct snapdrv_error *err);

/* ---- checking ----------------------------------------------------------------------------- */

/** Flags of struct snapdrv_check_options. */
enum snapdrv_check_flags {
	SNAPDRV_CHECK_DEEP = 1 << 0,  /* read every layer and blob, from the disk */
	SNAPDRV_CHECK_REPAIR = 1 << 1 /* make good what can be made good */
};

/**
 * struct snapdrv_check_options - how to check; all zero is a good start.
 * @flags:    enum snapdrv_check_flags.
 * @registry: how to reach the registries that damaged images came from, or NULL. Its flags are not looked at:
 *            it is spoken to as at the pull. Borrowed.
 * @progress: told how much has been read, in bytes; from any thread, never from two at once. Or NULL.
 * @progress_arg: its argument.
 */
struct snapdrv_check_options {
	unsigned flags;
	const struct snapdrv_registry_options *registry;
	void (*progress)(void *arg, const struct snapdrv_progress *progress);
	void *progress_arg;
};

/**
 * struct snapdrv_finding - something that is not as it should be.
 * @kind:        "layer", "blob", "image", "container" or "database".
 * @name:        its digest, key or name.
 * @problem:     what is wrong with it, in words.
 * @is_repaired: nonzero: it was, and is no more.
 * @remedy:      what was done, or why nothing could be; NULL without SNAPDRV_CHECK_REPAIR.
 * @images, @containers: names of those that need it, @n_images and @n_containers of them.
 */
struct snapdrv_finding {
	char *kind;
	char *name;
	char *problem;
	int is_repaired;
	char *remedy;
	char **images;
	size_t n_images;
	char **containers;
	size_t n_containers;
};

/**
 * struct snapdrv_check - what a check found.
 * @layers, @blobs, @images, @containers: how many were looked at.
 * @unrecorded: layers of which there is no inventory, so that their files cannot be compared: committed by a container
 *              runtime, or unpacked by an older version. SNAPDRV_CHECK_REPAIR writes one.
 * @bytes:      that were read (SNAPDRV_CHECK_DEEP).
 * @strays:     files and directories of the store that nothing knows, of @stray_bytes; snapdrv_gc() removes them. No damage.
 * @findings:   @n_findings of them; @n_damaged are not repaired.
 */
struct snapdrv_check {
	size_t layers, blobs, images, containers;
	size_t unrecorded;
	uint64_t bytes;
	size_t strays;
	uint64_t stray_bytes;
	struct snapdrv_finding *findings;
	size_t n_findings;
	size_t n_damaged;
};

/**
 * snapdrv_check() - compare the database with the files and the mounts.
 * @options:   or NULL. Borrowed.
 * @ret_check: for snapdrv_check_done(); filled also when there is damage.
 *
 * Without flags a matter of milliseconds: everything that has a row is there, sizes are right, documents have their
 * digests, ChainIDs fit, layers are read-only, what is mounted is what should be. SNAPDRV_CHECK_DEEP reads all layers
 * and blobs: each file is compared with what was written down when it was unpacked (names, attributes, a
 * checksum of the content), each blob with its digest.
 *
 * SNAPDRV_CHECK_REPAIR makes damaged or missing layers again from their blobs, and gets damaged or missing
 * blobs again: from the database (manifests and configs), from the layer (where it is kept as a plain tar that was
 * made of it), or from the registry that the image was pulled from. A blob that cannot be had is put away, so
 * that loading or pulling the image brings it again. A new layer takes the old one's place: containers over it
 * have it when they are mounted next, on btrfs at once. What a container has written is never touched.
 *
 * Others may use the store meanwhile. Killed at any point, it leaves each thing as it was, or repaired.
 *
 * Return: 0, also when there is damage, or a negative errno value: FAILED.
 */
int snapdrv_check(struct snapdrv_store *store, const struct snapdrv_check_options *options,
		  struct snapdrv_check *ret_check, struct snapdrv_error *err);

/** snapdrv_check_done() - free what is in @check. */
void snapdrv_check_done(struct snapdrv_check *check);

/* ---- measuring ---------------------------------------------------------------------------- */

/**
 * struct snapdrv_scratch_options - where to measure; one of @filesystem and @dir is given.
 * @filesystem: one of snapdrv_scratch_filesystems(), to be made; or NULL.
 * @mkfs_args:  @n_mkfs_args more words for its mkfs.
 * @size:       of the filesystem; 0 for 8 GiB, or on tmpfs half of the memory. It takes what is in it.
 * @dir:        a directory in which one is to be made, on the filesystem that is there; or NULL.
 */
struct snapdrv_scratch_options {
	const char *filesystem;
	const char *const *mkfs_args;
	size_t n_mkfs_args;
	uint64_t size;
	const char *dir;
};

/** struct snapdrv_scratch - an empty filesystem or directory to measure in, of which nothing stays. */
struct snapdrv_scratch;

/** snapdrv_scratch_filesystems() - the names of those that can be made; ends in NULL. Borrowed. */
const char *const *snapdrv_scratch_filesystems(void);

/**
 * snapdrv_scratch_make() - make one; a thread has one filesystem at a time.
 * @options: Borrowed.
 * @ret_scratch: for snapdrv_scratch_drop().
 *
 * The calling thread, and those that it starts afterwards, go into a mount namespace of their own and stay
 * there: what they mount, containers too, is seen by nobody else and ends with them. The filesystem is
 * on a loop device over a sparse file without a name in $TMPDIR (or /var/tmp), by `mkfs` from PATH.
 * Killed at any point, the process leaves neither mount, loop device nor file; only with @dir may files
 * stay.
 *
 * Return: 0, or a negative errno value: USAGE (unknown filesystem), MISSING (its mkfs is not installed,
 * this kernel does not have it, or there is no such directory), FAILED (mkfs refused; no root rights).
 */
int snapdrv_scratch_make(const struct snapdrv_scratch_options *options,
			 struct snapdrv_scratch **ret_scratch, struct snapdrv_error *err);

/** snapdrv_scratch_path() - absolute path of the directory. Borrowed from @scratch. */
const char *snapdrv_scratch_path(const struct snapdrv_scratch *scratch);

/** snapdrv_scratch_filesystem() - "ext4", ...: what the directory is on. Borrowed from @scratch. */
const char *snapdrv_scratch_filesystem(const struct snapdrv_scratch *scratch);

/**
 * snapdrv_scratch_cool() - make the kernel forget what it has cached of it.
 * @scratch: nothing in it is open or mounted. Borrowed.
 * @ret_is_cold: 1, or 0 where that cannot be: a tmpfs, or no permission.
 *
 * The filesystem is unmounted and mounted again. With a directory of another filesystem, all caches of
 * the machine are dropped.
 *
 * Return: 0, or a negative errno value: FAILED (in use, ...).
 */
int snapdrv_scratch_cool(struct snapdrv_scratch *scratch, int *ret_is_cold,
			 struct snapdrv_error *err);

/**
 * snapdrv_scratch_drop() - remove it, with all that is in it and mounted in it. Takes NULL.
 *
 * Return: 0, or the first failure; @scratch is gone in any case.
 */
int snapdrv_scratch_drop(struct snapdrv_scratch *scratch, struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
