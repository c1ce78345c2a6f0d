/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has changed in a btrfs snapshot since it was made.
 *
 *   BTRFS_IOC_TREE_SEARCH_V2, min_transid   the blocks that were written since; an inode's item says when
 *                                           it changed last, whatever it was: data, names, xattrs, links
 *   the same, INODE_REF and INODE_EXTREF    the directories of such an inode, up to the root
 */
#include <btrfsutil.h>
#include <endian.h>
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/subvolume.h"

#define BUFFER_SIZE (256u << 10)

struct search {
	int fd;
	struct btrfs_ioctl_search_args_v2 *args;
};

/* An item that was found; the data are not aligned. */
typedef int item_fn(void *arg, const struct btrfs_ioctl_search_header *header, const char *data,
		    struct snapdrv_error *err);

/* Go on behind the last item. Return: 0 there is nothing behind it. */
static int go_on(struct btrfs_ioctl_search_key *key, const struct btrfs_ioctl_search_header *last)
{
	key->min_objectid = last->objectid;
	key->min_type = last->type;
	key->min_offset = last->offset + 1;
	if (key->min_offset)
		return 1;
	key->min_type++;
	if (key->min_type <= UINT8_MAX)
		return 1;
	key->min_type = 0;
	return ++key->min_objectid != 0;
}

static int search_items(struct search *search, struct btrfs_ioctl_search_key key, item_fn *found,
			void *arg, struct snapdrv_error *err)
{
	do {
		const char *at = (const char *)search->args->buf;
		struct btrfs_ioctl_search_header header;

		key.nr_items = UINT32_MAX;
		search->args->key = key;
		search->args->buf_size = BUFFER_SIZE;
		if (ioctl(search->fd, BTRFS_IOC_TREE_SEARCH_V2, search->args))
			return fail_errno(err, "search a subvolume");
		if (!search->args->key.nr_items)
			return 0;
		for (uint32_t i = 0; i < search->args->key.nr_items; i++) {
			int ret;

			memcpy(&header, at, sizeof(header));
			ret = found(arg, &header, at + sizeof(header), err);
			if (ret)
				return ret;
			at += sizeof(header) + header.len;
		}
		if (!go_on(&key, &header))
			return 0;
	} while (key.min_objectid <= key.max_objectid);
	return 0;
}

/* Inodes whose directories are still to be found. */
struct inode_list {
	uint64_t *items;
	size_t count, room;
};

static void free_inode_list(struct inode_list *list)
{
	free(list->items);
}

struct collection {
	struct search search;
	uint64_t since;
	struct inode_set set;
	struct inode_list waiting;
};

static int collect(struct collection *collection, uint64_t inode, struct snapdrv_error *err)
{
	struct inode_list *list = &collection->waiting;
	int ret = inode_set_add(&collection->set, inode, err);

	if (ret <= 0)
		return ret;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		uint64_t *items = reallocarray(list->items, room, sizeof(*items));

		if (!items)
			return fail_memory(err);
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = inode;
	return 0;
}

static int take_inode(void *arg, const struct btrfs_ioctl_search_header *header, const char *data,
		      struct snapdrv_error *err)
{
	struct collection *collection = arg;
	struct btrfs_inode_item item;

	if (header->type != BTRFS_INODE_ITEM_KEY || header->len < sizeof(item))
		return 0;
	memcpy(&item, data, sizeof(item));
	return le64toh(item.transid) > collection->since
		       ? collect(collection, header->objectid, err)
		       : 0;
}

static int take_parents(void *arg, const struct btrfs_ioctl_search_header *header, const char *data,
			struct snapdrv_error *err)
{
	struct collection *collection = arg;

	if (header->type == BTRFS_INODE_REF_KEY)
		return collect(collection, header->offset, err);
	if (header->type != BTRFS_INODE_EXTREF_KEY)
		return 0;
	for (size_t at = 0; at + sizeof(struct btrfs_inode_extref) <= header->len;) {
		struct btrfs_inode_extref extref;
		int ret;

		memcpy(&extref, data + at, sizeof(extref));
		ret = collect(collection, le64toh(extref.parent_objectid), err);
		if (ret)
			return ret;
		at += sizeof(extref) + le16toh(extref.name_len);
	}
	return 0;
}

static int collect_all(struct collection *collection, struct snapdrv_error *err)
{
	struct btrfs_ioctl_search_key key = {
		.min_objectid = BTRFS_FIRST_FREE_OBJECTID,
		.max_objectid = BTRFS_LAST_FREE_OBJECTID,
		.max_type = UINT8_MAX,
		.max_offset = UINT64_MAX,
		.min_transid = collection->since + 1,
		.max_transid = UINT64_MAX,
	};
	int ret = search_items(&collection->search, key, take_inode, collection, err);

	key.min_type = BTRFS_INODE_REF_KEY;
	key.max_type = BTRFS_INODE_EXTREF_KEY;
	key.min_transid = 0;
	while (!ret && collection->waiting.count) {
		key.min_objectid = collection->waiting.items[--collection->waiting.count];
		key.max_objectid = key.min_objectid;
		ret = search_items(&collection->search, key, take_parents, collection, err);
	}
	return ret;
}

/* 1, and the generation in which a snapshot was made; 0: not of that parent. */
static int find_generation(int fd, int parent_fd, uint64_t *ret_generation,
			   struct snapdrv_error *err)
{
	struct btrfs_util_subvolume_info info, parent;

	if (btrfs_util_subvolume_info_fd(fd, 0, &info) ||
	    btrfs_util_subvolume_info_fd(parent_fd, 0, &parent))
		return fail_errno(err, "look at a subvolume");
	*ret_generation = info.otransid;
	return !memcmp(info.parent_uuid, parent.uuid, sizeof(parent.uuid));
}

int subvolume_changed(int fd, int parent_fd, struct inode_set *ret_inodes,
		      struct snapdrv_error *err)
{
	struct collection collection = {.search = {.fd = fd}};
	cleanup_free void *args = malloc(sizeof(*collection.search.args) + BUFFER_SIZE);
	int ret = find_generation(fd, parent_fd, &collection.since, err);

	if (ret != 1)
		return ret;
	if (!args)
		return fail_memory(err);
	/* Inodes are written to the tree late. */
	if (syncfs(fd))
		return fail_errno(err, "sync the filesystem");
	memset(args, 0, sizeof(*collection.search.args));
	collection.search.args = args;
	ret = collect_all(&collection, err);
	free_inode_list(&collection.waiting);
	if (ret) {
		inode_set_done(&collection.set);
		return ret;
	}
	*ret_inodes = collection.set;
	return 1;
}
