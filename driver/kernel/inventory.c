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

#define PRINTS_MAX (1u << 18) /* 10 MiB of them */
#define FLUSH_SIZE (1u << 16)

void file_prints_add(struct file_prints *prints, const struct file_print *print)
{
	if (prints->count >= PRINTS_MAX)
		return;
	if (prints->count == prints->room) {
		size_t room = prints->room ? 2 * prints->room : 256;
		struct file_print *items = reallocarray(prints->items, room, sizeof(*items));

		if (!items)
			return;
		prints->items = items;
		prints->room = room;
	}
	prints->items[prints->count++] = *print;
	prints->is_sorted = 0;
}

void file_prints_take(struct file_prints *prints, struct file_prints *from)
{
	for (size_t i = 0; i < from->count; i++)
		file_prints_add(prints, &from->items[i]);
	file_prints_done(from);
}

static int compare_prints(const void *a, const void *b)
{
	const struct file_print *one = a, *other = b;

	return one->inode < other->inode ? -1 : one->inode > other->inode;
}

struct file_print *file_prints_find(struct file_prints *prints, uint64_t inode)
{
	const struct file_print key = {.inode = inode};

	if (!prints || !prints->count)
		return NULL;
	if (!prints->is_sorted)
		qsort(prints->items, prints->count, sizeof(key), compare_prints);
	prints->is_sorted = 1;
	return bsearch(&key, prints->items, prints->count, sizeof(key), compare_prints);
}

void file_prints_done(struct file_prints *prints)
{
	free(prints->items);
	*prints = (struct file_prints){0};
}

struct inventory {
	int fd;
	struct file_prints *prints;
	struct fingerprinter printer;
	struct summer *summer; /* of all that was written */
	struct bytes out;
	struct bytes path; /* of the last entry */
	uint64_t count;
};

int inventory_new(int fd, struct file_prints *prints, struct inventory **ret_inventory,
		  struct snapdrv_error *err)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));
	int ret;

	if (!inventory)
		return fail_memory(err);
	inventory->fd = fd;
	inventory->prints = prints;
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

int inventory_is_single(void *arg, uint64_t inode)
{
	struct inventory *inventory = arg;
	const struct file_print *known = file_prints_find(inventory->prints, inode);

	return known && !known->is_linked;
}

/* What was found when it was written, or what is found now. */
static int look(struct inventory *inventory, const struct change *change, struct fingerprint *print,
		struct snapdrv_error *err)
{
	const struct file_print *known = file_prints_find(inventory->prints, change->inode);
	struct stat st;
	int ret;

	if (known && !known->is_linked) {
		memcpy(print->attributes, known->attributes, sizeof(print->attributes));
		print->content = known->content;
		print->has_content = (int)known->has_content;
		return 0;
	}
	ret = fingerprint_attributes(&inventory->printer, change, &st, print, err);
	if (ret || !print->has_content)
		return ret;
	known = file_prints_find(inventory->prints, st.st_ino);
	if (!known)
		return fingerprint_content(&inventory->printer, change, 0, &print->content, err);
	print->content = known->content;
	return 0;
}

int inventory_add(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct inventory *inventory = arg;
	struct fingerprint print = {0};
	char kind = change->kind;
	int ret = kind == 'D' ? 0 : look(inventory, change, &print, err);

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
