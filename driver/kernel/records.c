/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the names that were looked at are one file, now and before. */
#include "kernel/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

size_t records_add(struct records *records, size_t parent, const char *name, char kind,
		   struct snapdrv_error *err)
{
	char *copy;

	if (records->count == records->room) {
		size_t room = records->room ? 2 * records->room : 64;
		struct record *items = reallocarray(records->items, room, sizeof(*items));

		if (!items) {
			fail_memory(err);
			return NO_RECORD;
		}
		records->items = items;
		records->room = room;
	}
	copy = strdup(name);
	if (!copy) {
		fail_memory(err);
		return NO_RECORD;
	}
	records->items[records->count] =
		(struct record){.parent = parent, .name = copy, .kind = kind, .link = NO_RECORD};
	return records->count++;
}

void records_pop(struct records *records)
{
	free(records->items[--records->count].name);
}

void records_done(struct records *records)
{
	while (records->count)
		records_pop(records);
	free(records->items);
	*records = (struct records){0};
}

/* A name of a file; names of one file stand together when they are sorted. */
struct file_name {
	struct file_id id;
	size_t record;
};

static int compare_files(const struct file_id *a, const struct file_id *b)
{
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static int compare_names(const void *a, const void *b)
{
	const struct file_name *one = a, *other = b;
	int order = compare_files(&one->id, &other->id);

	if (order)
		return order;
	return one->record < other->record ? -1 : one->record > other->record;
}

/* All names of files that have, or had, several; sorted. For free(3). */
static int list_files(const struct records *records, int is_old, struct file_name **ret_names,
		      size_t *ret_count, struct snapdrv_error *err)
{
	struct file_name *names;
	size_t count = 0;

	for (size_t i = 0; i < records->count; i++)
		count += (is_old ? records->items[i].old : records->items[i].id).n_links > 0;
	names = calloc(count + 1, sizeof(*names));
	if (!names)
		return fail_memory(err);
	count = 0;
	for (size_t i = 0; i < records->count; i++) {
		const struct file_id *id = is_old ? &records->items[i].old : &records->items[i].id;

		if (id->n_links)
			names[count++] = (struct file_name){*id, i};
	}
	qsort(names, count, sizeof(*names), compare_names);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

static size_t group_end(const struct file_name *names, size_t start, size_t count)
{
	size_t end = start + 1;

	while (end < count && !compare_files(&names[start].id, &names[end].id))
		end++;
	return end;
}

/* The names of one file in the new tree: each is a change if one is. */
static void link_group(struct records *records, const struct file_name *names, size_t n)
{
	const struct record *first = &records->items[names[0].record];
	int is_changed = 0;

	for (size_t i = 0; i < n; i++) {
		struct record *record = &records->items[names[i].record];

		if (record->kind || !record->old.n_links ||
		    compare_files(&record->old, &first->old))
			is_changed = 1;
		if (i)
			record->link = names[0].record;
	}
	for (size_t i = 0; i < n && is_changed; i++) {
		struct record *record = &records->items[names[i].record];

		if (!record->kind)
			record->kind = 'C';
	}
}

/* Whether two records are names of one file in the new tree. */
static int is_one_file(const struct record *a, const struct record *b)
{
	return !compare_files(&a->id, &b->id);
}

/* The names of one file in the old tree, which may be several files by now. */
static void split_group(struct records *records, const struct file_name *names, size_t n,
			int is_upper)
{
	struct record *kept = NULL;
	int stays_below = is_upper && names[0].id.n_links > n;

	for (size_t i = 0; i < n; i++) {
		struct record *record = &records->items[names[i].record];

		if (record->kind)
			continue;
		if (!kept ||
		    (record->id.inode == record->old.inode && kept->id.inode != kept->old.inode))
			kept = record;
	}
	for (size_t i = 0; i < n; i++) {
		struct record *record = &records->items[names[i].record];

		if (!record->kind && kept && (stays_below || !is_one_file(record, kept)))
			record->kind = 'C';
	}
}

int records_link(struct records *records, int is_upper, struct snapdrv_error *err)
{
	cleanup_free struct file_name *names = NULL, *old_names = NULL;
	size_t count, end;
	int ret = list_files(records, 0, &names, &count, err);

	for (size_t i = 0; !ret && i < count; i = end) {
		end = group_end(names, i, count);
		link_group(records, names + i, end - i);
	}
	if (!ret)
		ret = list_files(records, 1, &old_names, &count, err);
	for (size_t i = 0; !ret && i < count; i = end) {
		end = group_end(old_names, i, count);
		/* A file that always had one name did not become several. */
		if (old_names[i].id.n_links > 1)
			split_group(records, old_names + i, end - i, is_upper);
	}
	return ret;
}

void records_raise(struct records *records)
{
	for (size_t i = records->count; i-- > 0;) {
		const struct record *record = &records->items[i];
		struct record *above;

		if (!record->kind || record->parent == NO_RECORD)
			continue;
		above = &records->items[record->parent];
		if (!above->kind) {
			above->kind = 'C';
			above->is_parent = 1;
		}
	}
}
