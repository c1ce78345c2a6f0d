/* SPDX-License-Identifier: Apache-2.0 */
/* A filter of the daemon's List, held against some snapshots. */
#include "snapdrvd_filter.h"

#include "fuzz.h"

static struct snapdrv_label labels[] = {
	{"a", "b"},
	{"containerd.io/gc.root", "2026-01-01"},
	{"empty", ""},
	{"long", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}};
static const struct snapdrv_snapshot snapshots[] = {
	{.name = "default/1/sha256:0123", .kind = SNAPDRV_COMMITTED},
	{.name = "x",
	 .parent = "default/1/sha256:0123",
	 .kind = SNAPDRV_ACTIVE,
	 .labels = labels,
	 .n_labels = 4},
	{.name = "\xc3\xa9", .parent = "x", .kind = SNAPDRV_VIEW, .labels = labels, .n_labels = 1},
};

static void fuzz_one(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct snapdrv_error err = {0};
	struct filter *filter = NULL;
	int ret = filter_parse(text, &filter, &err);

	HOLDS(!ret == !err.code && !ret == !!filter);
	for (size_t i = 0; !ret && i < sizeof(snapshots) / sizeof(*snapshots); i++) {
		int is_held = filter_matches(filter, &snapshots[i], &err);

		/* No term: all of them. */
		HOLDS((is_held < 0) == !!err.code && (is_held || *text));
		err.code = 0;
	}
	if (!ret)
		filter_free(filter);
	free(text);
}
