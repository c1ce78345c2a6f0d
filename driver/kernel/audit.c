/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing trees with their inventories: both come in one order, and are read side by side. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"
#include "kernel/dirs.h"
#include "kernel/file.h"
#include "kernel/fingerprint.h"
#include "kernel/inventory.h"
#include "kernel/inventory_file.h"

#define BUFFER_SIZE (1u << 16)

/* An entry of the inventory. */
struct listed {
	char kind;	   /* 'E': there are no more */
	struct bytes path; /* a NUL follows */
	struct fingerprint print;
};

struct audit {
	int fd;
	audit_fn *report;
	void *arg;
	struct fingerprinter printer;
	struct summer *summer; /* of what was read but for the trailer */
	struct listed next;
	uint64_t count;
	unsigned char *buffer;
	size_t at, end; /* what is left in it */
};

static int damaged(struct snapdrv_error *err)
{
	return refuse(err, "the inventory is damaged");
}

/* The next bytes of the file, all of them. */
static int take(struct audit *audit, void *data, size_t size, struct snapdrv_error *err)
{
	unsigned char *to = data;

	while (size) {
		size_t part = audit->end - audit->at;
		ssize_t got;

		if (part > size)
			part = size;
		memcpy(to, audit->buffer + audit->at, part);
		audit->at += part;
		to += part;
		size -= part;
		if (!size)
			break;
		got = file_read_some(audit->fd, audit->buffer, BUFFER_SIZE, "the inventory", err);
		if (got <= 0)
			return got < 0 ? (int)got : damaged(err);
		audit->at = 0;
		audit->end = (size_t)got;
	}
	return 0;
}

static int take_summed(struct audit *audit, void *data, size_t size, struct snapdrv_error *err)
{
	int ret = take(audit, data, size, err);

	if (!ret)
		summer_add(audit->summer, data, size);
	return ret;
}

static int take_number(struct audit *audit, size_t max, size_t *ret_number,
		       struct snapdrv_error *err)
{
	unsigned char byte = 0x80;
	uint64_t number = 0;

	for (unsigned shift = 0; byte & 0x80; shift += 7) {
		int ret = take_summed(audit, &byte, 1, err);

		if (ret)
			return ret;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (shift > 28 || number > max)
			return damaged(err);
	}
	*ret_number = number;
	return 0;
}

static int take_path(struct audit *audit, struct snapdrv_error *err)
{
	struct bytes *path = &audit->next.path;
	char rest[PATH_MAX];
	size_t shared = 0, length = 0;
	int ret = take_number(audit, path->size, &shared, err);

	if (!ret)
		ret = take_number(audit, sizeof(rest) - 1, &length, err);
	if (!ret)
		ret = take_summed(audit, rest, length, err);
	if (ret)
		return ret;
	path->size = shared;
	rest[length] = '\0';
	ret = bytes_add(path, rest, length + 1, err);
	path->size -= !ret;
	return ret;
}

static int take_trailer(struct audit *audit, struct snapdrv_error *err)
{
	const struct checksum sum = summer_end(audit->summer);
	unsigned char trailer[INVENTORY_TRAILER - 1];
	uint64_t count = 0;
	int ret = take(audit, trailer, sizeof(trailer), err);

	if (ret)
		return ret;
	for (size_t i = 0; i < 8; i++)
		count |= (uint64_t)trailer[i] << (8 * i);
	if (count != audit->count || memcmp(trailer + 8, sum.bytes, sizeof(sum.bytes)) != 0)
		return damaged(err);
	return 0;
}

static int take_entry(struct audit *audit, struct snapdrv_error *err)
{
	struct listed *next = &audit->next;
	char kind;
	int ret = take(audit, &kind, 1, err);

	if (ret)
		return ret;
	next->kind = (char)toupper((unsigned char)kind);
	next->print = (struct fingerprint){.has_content = kind != next->kind};
	if (next->kind == 'E')
		return take_trailer(audit, err);
	summer_add(audit->summer, &kind, 1);
	if (!next->kind || !strchr("ACD", next->kind))
		return damaged(err);
	audit->count++;
	ret = take_path(audit, err);
	if (!ret && next->kind != 'D')
		ret = take_summed(audit, next->print.attributes, sizeof(next->print.attributes),
				  err);
	if (!ret && next->print.has_content)
		ret = take_summed(audit, next->print.content.bytes,
				  sizeof(next->print.content.bytes), err);
	return ret;
}

int audit_new(int fd, audit_fn *report, void *arg, struct audit **ret_audit,
	      struct snapdrv_error *err)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	char magic[sizeof(INVENTORY_MAGIC) - 1];
	int ret;

	if (!audit)
		return fail_memory(err);
	audit->fd = fd;
	audit->report = report;
	audit->arg = arg;
	audit->buffer = malloc(BUFFER_SIZE);
	audit->summer = summer_new(err);
	ret = audit->buffer && audit->summer ? bytes_add(&audit->next.path, "", 1, err)
					     : fail_memory(err);
	audit->next.path.size = 0;
	if (!ret)
		ret = take_summed(audit, magic, sizeof(magic), err);
	if (!ret && memcmp(magic, INVENTORY_MAGIC, sizeof(magic)) != 0)
		ret = damaged(err);
	if (!ret)
		ret = take_entry(audit, err);
	if (ret) {
		audit_free(audit);
		return ret;
	}
	*ret_audit = audit;
	return 0;
}

/* As the walk goes: what is in a directory comes before the names that follow the directory's. */
static int path_order(const char *one, const char *other)
{
	unsigned char a, b;

	while (*one && *one == *other) {
		one++;
		other++;
	}
	a = *one == '/' ? 1 : (unsigned char)*one;
	b = *other == '/' ? 1 : (unsigned char)*other;
	if (a == b && *one != *other)
		return *one == '/' ? -1 : 1; /* a name with the byte 1 */
	return (a > b) - (a < b);
}

/* All that the inventory has before a path is not there any more; NULL: all that is left. */
static int pass_missing(struct audit *audit, const char *path, struct snapdrv_error *err)
{
	int ret = 0;

	while (!ret && audit->next.kind != 'E' &&
	       (!path || path_order(audit->next.path.data, path) < 0)) {
		audit->report(audit->arg, audit->next.path.data,
			      audit->next.kind == 'D' ? "is not deleted" : "is missing");
		ret = take_entry(audit, err);
	}
	return ret;
}

/* What says something of this process alone is no finding. Return: 0, or the failure. */
static int fail_passing(const struct change *change, int ret, const struct snapdrv_error *why,
			struct snapdrv_error *err)
{
	return errno_is_passing(-ret)
		       ? fail_within(err, fail_as(err, why), "%s", quote(change->path).text)
		       : 0;
}

static int compare_content(struct audit *audit, const struct change *change,
			   struct snapdrv_error *err)
{
	struct snapdrv_error why;
	struct checksum sum;
	int ret = fingerprint_content(&audit->printer, change, 1, &sum, &why);

	if (fail_passing(change, ret, &why, err))
		return ret;
	if (ret)
		audit->report(audit->arg, change->path, "cannot be read");
	else if (!checksum_equal(&sum, &audit->next.print.content))
		audit->report(audit->arg, change->path, "has another content");
	return 0;
}

static int compare(struct audit *audit, const struct change *change, struct snapdrv_error *err)
{
	const struct listed *next = &audit->next;
	struct fingerprint print = {0};
	struct snapdrv_error why = {0};
	struct stat st;
	int ret = 0;

	if (change->kind != 'D')
		ret = fingerprint_attributes(&audit->printer, change, &st, &print, &why);
	if (fail_passing(change, ret, &why, err))
		return ret;
	if (ret)
		audit->report(audit->arg, change->path, "cannot be looked at");
	else if (change->kind != next->kind)
		audit->report(audit->arg, change->path, "is another kind of change");
	else if (memcmp(print.attributes, next->print.attributes, sizeof(print.attributes)) != 0 ||
		 print.has_content != next->print.has_content)
		audit->report(audit->arg, change->path, "has other attributes");
	else if (print.has_content)
		return compare_content(audit, change, err);
	return 0;
}

int audit_add(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct audit *audit = arg;
	int ret = pass_missing(audit, change->path, err);

	if (ret)
		return ret;
	if (audit->next.kind == 'E' || strcmp(audit->next.path.data, change->path) != 0) {
		audit->report(audit->arg, change->path, "was not there");
		return 0;
	}
	ret = compare(audit, change, err);
	return ret ? ret : take_entry(audit, err);
}

int64_t audit_end(struct audit *audit, struct snapdrv_error *err)
{
	int ret = pass_missing(audit, NULL, err);

	return ret ? ret : (int64_t)audit->count;
}

void audit_free(struct audit *audit)
{
	if (!audit)
		return;
	fingerprinter_done(&audit->printer);
	summer_free(audit->summer);
	bytes_done(&audit->next.path);
	free(audit->buffer);
	free(audit);
}
