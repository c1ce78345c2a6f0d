/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the tar of a layer and sending its entries to a sink. */
#include "layer/apply.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/xattr.h"
#include "layer/acl.h"
#include "layer/tar.h"

#define XATTRS_MAX 1024 /* of one entry */
#define BLOCK_SIZE 512

static const char whiteout_prefix[] = ".wh.";
static const char opaque_name[] = ".wh..wh..opq";
static const char aufs_prefix[] = ".wh..wh.";

DEFINE_CLEANUP(archive, struct archive, archive_read_free)
#define cleanup_archive __attribute__((cleanup(cleanup_archive_at)))

/*
 * What libarchive reads from. Some tools (umoci insert) end a layer with the last byte of its last file:
 * the rest of that block is made up here, and copy_data() sees to it that no data is made up with it.
 */
struct feed {
	archive_read_callback *read;
	void *context;
	uint64_t total; /* bytes given out, the made up ones not among them */
	int is_padded;
};

static la_ssize_t feed_block(struct archive *archive, void *context, const void **ret_data)
{
	static const char zeros[BLOCK_SIZE];
	struct feed *feed = context;
	la_ssize_t got = feed->read(archive, feed->context, ret_data);

	if (got > 0)
		feed->total += (uint64_t)got;
	if (got || feed->is_padded || !(feed->total % BLOCK_SIZE))
		return got;
	feed->is_padded = 1;
	*ret_data = zeros;
	return BLOCK_SIZE - (la_ssize_t)(feed->total % BLOCK_SIZE);
}

/* The xattrs of an entry, as they are given to the sink; the ACLs' values are owned. */
struct xattr_list {
	mode_t type; /* of the entry */
	struct sink_xattr items[XATTRS_MAX];
	size_t count;
	char *acls[2];
};

/* A layer that is being read. */
struct layer {
	struct archive *archive;
	struct feed feed;
	struct tree_sink *sink;
	struct xattr_list xattrs;
	struct apply_count count;
};

/* Without the slashes that a directory's name may end in. */
static size_t name_length(const char *path)
{
	size_t length = strlen(path);

	while (length && path[length - 1] == '/')
		length--;
	return length;
}

static size_t last_name(const char *path, size_t length)
{
	while (length && path[length - 1] != '/')
		length--;
	return length;
}

/* AUFS's own files: `.wh..wh.*` as any part of a name. */
static int is_aufs(const char *path)
{
	for (const char *at = path; (at = strstr(at, aufs_prefix)); at++) {
		if (at == path || at[-1] == '/')
			return 1;
	}
	return 0;
}

static int add_xattr(struct xattr_list *list, const char *name, const void *value, size_t size,
		     struct snapdrv_error *err)
{
	/* As docker and containerd do. The layer is none the worse: where it came from they meant something. */
	if (!xattr_fits(name, list->type))
		return 0;
	if (list->count == XATTRS_MAX)
		return refuse(err, "more than %d xattrs", XATTRS_MAX);
	list->items[list->count++] = (struct sink_xattr){name, value, size};
	return 0;
}

/* GNU tar and bsdtar write ACLs as text, which libarchive has read; the kernel takes them as xattrs. */
static int add_acl(struct xattr_list *list, struct archive_entry *entry, int type, const char *name,
		   char **ret_value, struct snapdrv_error *err)
{
	size_t size;
	int found = acl_from_entry(entry, type, ret_value, &size, err);

	return found == 1 ? add_xattr(list, name, *ret_value, size, err) : found;
}

static int collect_xattrs(struct archive_entry *entry, struct xattr_list *list,
			  struct snapdrv_error *err)
{
	const char *name;
	const void *value;
	size_t size;
	int ret = 0;

	list->type = archive_entry_filetype(entry);
	list->count = 0;
	archive_entry_xattr_reset(entry);
	while (!ret && !archive_entry_xattr_next(entry, &name, &value, &size)) {
		if (!name)
			continue;
		if (xattr_is_ours(name))
			return refuse(err, "xattr %s is overlay's own", quote(name).text);
		/* What the build machine's policy said; no other machine can use it. */
		if (strcmp(name, "security.selinux"))
			ret = add_xattr(list, name, value, size, err);
	}
	if (!ret)
		ret = add_acl(list, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access",
			      &list->acls[0], err);
	if (!ret)
		ret = add_acl(list, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT,
			      "system.posix_acl_default", &list->acls[1], err);
	return ret;
}

/*
 * libarchive (3.6.2) reads a PAX time of -1.25 as -1 second and +0.25: the fraction's sign is lost. Where
 * the seconds are negative it can be told what was meant.
 */
static struct timespec entry_mtime(struct archive_entry *entry)
{
	struct timespec mtime = {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};

	if (mtime.tv_sec < 0 && mtime.tv_nsec > 0) {
		mtime.tv_sec--;
		mtime.tv_nsec = 1000000000 - mtime.tv_nsec;
	}
	return mtime;
}

static int collect_attributes(struct archive_entry *entry, const struct timespec *latest,
			      struct xattr_list *list, struct sink_attributes *attributes,
			      struct snapdrv_error *err)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	int64_t size = archive_entry_size(entry);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return refuse(err, "owner %lld:%lld is out of range", (long long)uid,
			      (long long)gid);
	if (size < 0)
		return refuse(err, "negative size");
	*attributes = (struct sink_attributes){
		.mode = archive_entry_mode(entry),
		.uid = (uid_t)uid,
		.gid = (gid_t)gid,
		.device = archive_entry_rdev(entry),
		.size = (uint64_t)size,
		.mtime = entry_mtime(entry),
	};
	if (latest && (attributes->mtime.tv_sec > latest->tv_sec ||
		       (attributes->mtime.tv_sec == latest->tv_sec &&
			attributes->mtime.tv_nsec > latest->tv_nsec)))
		attributes->mtime = *latest;
	if (archive_entry_acl_types(entry) || archive_entry_xattr_count(entry)) {
		int ret = collect_xattrs(entry, list, err);

		attributes->xattrs = list->items;
		attributes->n_xattrs = list->count;
		return ret;
	}
	return 0;
}

/* What libarchive could not read: the layer's fault, or this machine's. */
static int refuse_archive(const struct layer *layer, const char *where, struct snapdrv_error *err)
{
	if (archive_errno(layer->archive) == ENOMEM)
		return fail_memory(err);
	return refuse(err, "%s%s", where, archive_error_string(layer->archive));
}

static int copy_data(struct layer *layer, struct archive_entry *entry, struct snapdrv_error *err)
{
	struct archive *archive = layer->archive;
	struct tree_sink *sink = layer->sink;
	uint64_t start = (uint64_t)archive_filter_bytes(archive, 0);
	int is_sparse = archive_entry_sparse_count(entry) > 0;
	const void *data;
	size_t size;
	la_int64_t offset;
	int ret;

	while ((ret = archive_read_data_block(archive, &data, &size, &offset)) == ARCHIVE_OK) {
		int failed;

		if (!size)
			continue;
		if (offset < 0)
			return refuse(err, "data before the file");
		failed = sink->ops->file_data(sink, data, size, (uint64_t)offset, err);
		if (failed)
			return failed;
		layer->count.bytes += size;
	}
	if (ret != ARCHIVE_EOF)
		return refuse_archive(layer, "", err);
	if (layer->feed.is_padded &&
	    (is_sparse || start + (uint64_t)archive_entry_size(entry) > layer->feed.total))
		return refuse(err, "truncated archive");
	return 0;
}

static int send_entry(struct layer *layer, struct archive_entry *entry, const char *path,
		      struct snapdrv_error *err)
{
	struct tree_sink *sink = layer->sink;
	const char *link = archive_entry_hardlink(entry);
	struct sink_attributes attributes = {0};
	int ret;

	/* Data behind a hard link (pax's linkdata) is what its target holds already. */
	if (link)
		return sink->ops->link(sink, path, link, err);
	ret = collect_attributes(entry, sink->latest, &layer->xattrs, &attributes, err);
	if (ret)
		return ret;
	switch (attributes.mode & S_IFMT) {
	case S_IFDIR:
		return sink->ops->directory(sink, path, &attributes, err);
	case S_IFREG:
		ret = sink->ops->file(sink, path, &attributes, err);
		if (!ret)
			ret = copy_data(layer, entry, err);
		return ret ? ret : sink->ops->file_end(sink, err);
	case S_IFLNK:
		link = archive_entry_symlink(entry);
		if (!link || !*link)
			return refuse(err, "symlink to nothing");
		/* No filesystem has room for it. One that has less room than this fails by itself. */
		if (strlen(link) >= PATH_MAX)
			return refuse(err, "symlink to a name of more than %d bytes", PATH_MAX - 1);
		return sink->ops->symlink(sink, path, link, &attributes, err);
	case S_IFCHR:
		if (!attributes.device)
			return refuse(err, "a 0:0 device is overlay's own whiteout");
		return sink->ops->node(sink, path, &attributes, err);
	case S_IFBLK:
	case S_IFIFO:
		return sink->ops->node(sink, path, &attributes, err);
	}
	return refuse(err, "a kind of entry that is not known");
}

/* Return: 1 it was a whiteout of some kind, 0 it was not, or a negative errno value. */
static int send_whiteout(struct tree_sink *sink, const char *path, struct snapdrv_error *err)
{
	size_t length = name_length(path), start = last_name(path, length);
	cleanup_free char *target = strndup(path, length);
	char *name;
	int ret;

	if (!target)
		return fail_memory(err);
	name = target + start;
	if (sink->is_no_layer && text_starts(name, whiteout_prefix))
		return refuse(err, "a mark of deletion, which only a layer can have");
	if (!strcmp(name, opaque_name)) {
		*name = '\0';
		ret = sink->ops->opaque(sink, target, err);
		return ret ? ret : 1;
	}
	if (is_aufs(target))
		return 1;
	if (!text_starts(name, whiteout_prefix))
		return 0;
	memmove(name, name + strlen(whiteout_prefix), strlen(name + strlen(whiteout_prefix)) + 1);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return refuse(err, "whiteout of %s, which is no name", quote(name).text);
	ret = sink->ops->whiteout(sink, target, err);
	return ret ? ret : 1;
}

static int apply_entry(struct layer *layer, struct archive_entry *entry, struct snapdrv_error *err)
{
	const char *path = archive_entry_pathname(entry);
	int ret;

	if (!path)
		return refuse(err, "entry without a name");
	if (layer->feed.is_padded &&
	    (uint64_t)archive_filter_bytes(layer->archive, 0) > layer->feed.total)
		return refuse(err, "truncated archive");
	ret = send_whiteout(layer->sink, path, err);
	if (!ret)
		ret = send_entry(layer, entry, path, err);
	free(steal_ptr(&layer->xattrs.acls[0]));
	free(steal_ptr(&layer->xattrs.acls[1]));
	return ret < 0 ? fail_within(err, ret, "entry %s", quote(path).text) : 0;
}

static int apply_all(struct layer *layer, uint64_t max_entries, struct snapdrv_error *err)
{
	struct archive_entry *entry;
	int found, ret;

	if (archive_read_open(layer->archive, &layer->feed, NULL, feed_block, NULL))
		return refuse(err, "not a tar archive");
	while ((found = tar_next(layer->archive, &entry))) {
		if (found < 0) {
			char where[48];

			snprintf(where, sizeof(where),
				 "after %llu entries: ", (unsigned long long)layer->count.entries);
			return refuse_archive(layer, where, err);
		}
		if (++layer->count.entries > max_entries)
			return refuse(err, "more than %llu entries",
				      (unsigned long long)max_entries);
		ret = apply_entry(layer, entry, err);
		if (ret)
			return ret;
	}
	return 0;
}

int apply_tar(struct tree_sink *sink, archive_read_callback *read, void *context,
	      uint64_t max_entries, struct apply_count *ret_count, struct snapdrv_error *err)
{
	cleanup_archive struct archive *archive = tar_new(err);
	cleanup_free struct layer *layer = calloc(1, sizeof(*layer));
	int ret;

	if (!archive || !layer)
		return archive ? fail_memory(err) : -ENOMEM;
	layer->archive = archive;
	layer->sink = sink;
	layer->feed = (struct feed){.read = read, .context = context};
	ret = apply_all(layer, max_entries, err);
	if (!ret)
		*ret_count = layer->count;
	return ret;
}
