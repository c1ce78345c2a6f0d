/* SPDX-License-Identifier: Apache-2.0 */
/* Writing inventories. */
#include "kernel/inventory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"
#include "kernel/dirs.h"
#include "kernel/file.h"
#include "kernel/fingerprint.h"
#include "kernel/inventory_file.h"

#define SUMS_MAX (1u << 18) /* 6 MiB of them */
#define FLUSH_SIZE (1u << 16)

void content_sums_add(struct content_sums *sums, uint64_t inode, const struct checksum *sum)
{
	if (sums->count >= SUMS_MAX)
		return;
	if (sums->count == sums->room) {
		size_t room = sums->room ? 2 * sums->room : 256;
		struct content_sum *items = reallocarray(sums->items, room, sizeof(*items));

		if (!items)
			return;
		sums->items = items;
		sums->room = room;
	}
	sums->items[sums->count++] = (struct content_sum){inode, *sum};
}

void content_sums_take(struct content_sums *sums, struct content_sums *from)
{
	for (size_t i = 0; i < from->count; i++)
		content_sums_add(sums, from->items[i].inode, &from->items[i].sum);
	content_sums_done(from);
}

void content_sums_done(struct content_sums *sums)
{
	free(sums->items);
	*sums = (struct content_sums){0};
}

struct inventory {
	int fd;
	const struct content_sums *sums;
	struct fingerprinter printer;
	struct summer *summer; /* of all that was written */
	struct bytes out;
	struct bytes path; /* of the last entry */
	uint64_t count;
};

static int compare_sums(const void *a, const void *b)
{
	const struct content_sum *one = a, *other = b;

	return one->inode < other->inode ? -1 : one->inode > other->inode;
}

int inventory_new(int fd, struct content_sums *sums, struct inventory **ret_inventory,
		  struct snapdrv_error *err)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));
	int ret;

	if (!inventory)
		return fail_memory(err);
	if (sums && sums->count)
		qsort(sums->items, sums->count, sizeof(*sums->items), compare_sums);
	inventory->fd = fd;
	inventory->sums = sums;
	inventory->summer = summer_new(err);
	ret = inventory->summer
		      ? bytes_add(&inventory->out, INVENTORY_MAGIC, strlen(INVENTORY_MAGIC), err)
		      : -ENOMEM;
	if (ret) {
		inventory_free(inventory);
		return ret;
	}
	*ret_inventory = inventory;
	return 0;
}

static int flush(struct inventory *inventory, struct snapdrv_error *err)
{
	int ret = file_write(inventory->fd, inventory->out.data, inventory->out.size,
			     "the inventory", err);

	summer_add(inventory->summer, inventory->out.data, inventory->out.size);
	inventory->out.size = 0;
	return ret;
}

static int put_number(struct bytes *out, uint64_t number, struct snapdrv_error *err)
{
	unsigned char bytes[10];
	size_t n = 0;

	do {
		bytes[n] = number & 0x7f;
		number >>= 7;
		bytes[n] |= number ? 0x80 : 0;
		n++;
	} while (number);
	return bytes_add(out, bytes, n, err);
}

static int put_path(struct inventory *inventory, const char *path, struct snapdrv_error *err)
{
	struct bytes *last = &inventory->path;
	size_t length = strlen(path), shared = 0;
	int ret;

	while (shared < length && shared < last->size && last->data[shared] == path[shared])
		shared++;
	last->size = shared;
	ret = bytes_add(last, path + shared, length - shared, err);
	if (!ret)
		ret = put_number(&inventory->out, shared, err);
	if (!ret)
		ret = put_number(&inventory->out, length - shared, err);
	return ret ? ret : bytes_add(&inventory->out, path + shared, length - shared, err);
}

static int find_content(struct inventory *inventory, const struct change *change, uint64_t inode,
			struct checksum *ret_sum, struct snapdrv_error *err)
{
	const struct content_sum key = {.inode = inode}, *found = NULL;
	const struct content_sums *sums = inventory->sums;

	if (sums && sums->count)
		found = bsearch(&key, sums->items, sums->count, sizeof(key), compare_sums);
	if (!found)
		return fingerprint_content(&inventory->printer, change, 0, ret_sum, err);
	*ret_sum = found->sum;
	return 0;
}

int inventory_add(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct inventory *inventory = arg;
	struct fingerprint print = {0};
	struct stat st;
	char kind = change->kind;
	int ret = 0;

	if (kind != 'D')
		ret = fingerprint_attributes(&inventory->printer, change, &st, &print, err);
	if (!ret && print.has_content)
		ret = find_content(inventory, change, st.st_ino, &print.content, err);
	if (print.has_content)
		kind += 'a' - 'A';
	if (!ret)
		ret = bytes_add(&inventory->out, &kind, 1, err);
	if (!ret)
		ret = put_path(inventory, change->path, err);
	if (!ret && change->kind != 'D')
		ret = bytes_add(&inventory->out, print.attributes, sizeof(print.attributes), err);
	if (!ret && print.has_content)
		ret = bytes_add(&inventory->out, print.content.bytes, sizeof(print.content.bytes),
				err);
	inventory->count++;
	return ret || inventory->out.size < FLUSH_SIZE ? ret : flush(inventory, err);
}

int inventory_end(struct inventory *inventory, struct snapdrv_error *err)
{
	unsigned char trailer[INVENTORY_TRAILER] = {'E'};
	struct checksum sum;
	int ret = flush(inventory, err);

	sum = summer_end(inventory->summer);
	for (size_t i = 0; i < 8; i++)
		trailer[1 + i] = (unsigned char)(inventory->count >> (8 * i));
	memcpy(trailer + 9, sum.bytes, sizeof(sum.bytes));
	return ret ? ret
		   : file_write(inventory->fd, trailer, sizeof(trailer), "the inventory", err);
}

void inventory_free(struct inventory *inventory)
{
	if (!inventory)
		return;
	fingerprinter_done(&inventory->printer);
	summer_free(inventory->summer);
	bytes_done(&inventory->out);
	bytes_done(&inventory->path);
	free(inventory);
}
