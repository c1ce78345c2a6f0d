/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the holes of files. */
#include "layer/holes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define BLOCK 4096u
#define HOLE_MIN (4 * BLOCK)
#define BUFFER_SIZE (64 * BLOCK)

struct scan {
	struct data_map map;
	size_t room;
};

void holes_done(struct data_map *map)
{
	free(map->runs);
	*map = (struct data_map){0};
}

/* Data from here to there; a short gap to the data before is none. */
static int add_data(struct scan *scan, uint64_t start, uint64_t end, struct snapdrv_error *err)
{
	struct data_map *map = &scan->map;
	struct data_run *last = map->count ? &map->runs[map->count - 1] : NULL;
	uint64_t last_end = last ? last->offset + last->size : 0;

	if (start - last_end < HOLE_MIN) {
		if (last) {
			last->size = end - last->offset;
			return 0;
		}
		start = 0;
	}
	if (map->count == scan->room) {
		size_t room = scan->room ? 2 * scan->room : 8;
		struct data_run *runs = reallocarray(map->runs, room, sizeof(*runs));

		if (!runs)
			return fail_memory(err);
		map->runs = runs;
		scan->room = room;
	}
	map->runs[map->count++] = (struct data_run){start, end - start};
	return 0;
}

static int is_zero(const char *data, size_t size)
{
	return !data[0] && !memcmp(data, data + 1, size - 1);
}

/* What the filesystem has as data may be zeros all the same. */
static int scan_range(struct scan *scan, int fd, char *buffer, uint64_t start, uint64_t end,
		      struct snapdrv_error *err)
{
	while (start < end) {
		size_t want = end - start < BUFFER_SIZE ? (size_t)(end - start) : BUFFER_SIZE;
		ssize_t got = pread(fd, buffer, want, (off_t)start);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(err, "read");
		/* It has become shorter: the rest is zeros. */
		memset(buffer + got, 0, want - (size_t)got);
		for (size_t at = 0; at < want; at += BLOCK) {
			size_t n = want - at < BLOCK ? want - at : BLOCK;
			int ret = is_zero(buffer + at, n)
					  ? 0
					  : add_data(scan, start + at, start + at + n, err);

			if (ret)
				return ret;
		}
		start += want;
	}
	return 0;
}

static int scan_file(struct scan *scan, int fd, char *buffer, uint64_t size,
		     struct snapdrv_error *err)
{
	for (uint64_t at = 0; at < size;) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;
		uint64_t end;
		int ret;

		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		/* Nothing more; for the second one too, when the file is cut meanwhile. */
		if (hole < 0 && errno == ENXIO)
			return 0;
		if (hole < 0)
			return fail_errno(err, "find the holes");
		data -= data % BLOCK;
		end = ((uint64_t)hole + BLOCK - 1) / BLOCK * BLOCK;
		end = end < size ? end : size;
		if ((uint64_t)data >= size)
			return 0;
		/* Blocks of the filesystem that are smaller than ours: none is looked at twice. */
		at = (uint64_t)data > at ? (uint64_t)data : at;
		ret = scan_range(scan, fd, buffer, at, end, err);
		if (ret)
			return ret;
		at = end > at ? end : at + BLOCK;
	}
	return 0;
}

int holes_find(int fd, uint64_t size, struct data_map *ret_map, struct snapdrv_error *err)
{
	cleanup_free char *buffer = malloc(BUFFER_SIZE);
	struct scan scan = {0};
	uint64_t end;
	int ret;

	if (!buffer)
		return fail_memory(err);
	ret = scan_file(&scan, fd, buffer, size, err);
	if (ret) {
		holes_done(&scan.map);
		return ret;
	}
	/* A short gap at the end is none either. */
	end = scan.map.count ? scan.map.runs[scan.map.count - 1].offset +
				       scan.map.runs[scan.map.count - 1].size
			     : 0;
	if (size > end && size - end < HOLE_MIN)
		ret = add_data(&scan, end, size, err);
	*ret_map = scan.map;
	return ret;
}
