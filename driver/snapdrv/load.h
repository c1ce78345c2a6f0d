/* SPDX-License-Identifier: Apache-2.0 */
/* Images, coming and going: from files, streams and registries, and to them. */
#ifndef SNAPDRV_LOAD_H
#define SNAPDRV_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of snapdrv_load() and snapdrv_import(). */
enum snapdrv_load_flags {
	SNAPDRV_DISCARD_BLOBS = 1 << 0, /* keep no compressed layers */
	SNAPDRV_NO_SYNC = 1 << 1, /* do not wait for the disk: fast, and gone at a power cut */
	SNAPDRV_VERITY = 1 << 2	  /* seal the files of all layers by fs-verity, see below */
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
 * @max_entries: most entries of a layer, and most directories that are made because names lead through them and
 *               no entry names them; 0 for 10,000,000.
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
 * the source come in, or none does. At most 64 MB of memory, whatever the layers; manifests and configs of a source
 * come to that, and have 64 MiB in all at most. A name of the source's own that is pinned to another digest
 * (NAME@sha256:...) than the image has is left out: nobody has seen what that digest stands for.
 *
 * Return: 0, or a negative errno value: MISSING (no such source, or no image for the platform),
 * REFUSED (corrupt, hostile or mismatching input; the store is as it was), USAGE (several images for
 * one @ref, or one that is pinned to another digest), FAILED.
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
 * Return: as snapdrv_load(); USAGE for a change that cannot be read, or a name that is pinned to a
 * digest which the image does not have.
 */
int snapdrv_import_fd(struct snapdrv_store *store, int fd, const char *ref,
		      const char *const *changes, size_t n_changes, const char *message,
		      const struct snapdrv_load_options *options, char **ret_id,
		      struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
