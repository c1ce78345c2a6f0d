/* SPDX-License-Identifier: Apache-2.0 */
/* The service containerd.services.snapshots.v1.Snapshots: each method is a call of the library. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "snapdrvd_filter.h"
#include "snapdrvd_service.h"
#include "wire/pb/snapshots.pb-c.h"

#define LIST_CHUNK (64 << 10) /* bytes of a message of a list, about */

/* Shorter names for those that are made of the .proto file. */
typedef Containerd__Services__Snapshots__V1__Info Info;
typedef Containerd__Services__Snapshots__V1__Info__LabelsEntry Entry;
typedef Containerd__Services__Snapshots__V1__PrepareSnapshotRequest PrepareRequest;
typedef Containerd__Services__Snapshots__V1__ViewSnapshotRequest ViewRequest;
typedef Containerd__Services__Snapshots__V1__CommitSnapshotRequest CommitRequest;
typedef Containerd__Services__Snapshots__V1__UpdateSnapshotRequest UpdateRequest;
typedef Containerd__Services__Snapshots__V1__ListSnapshotsRequest ListRequest;

#define MESSAGE(name) Containerd__Services__Snapshots__V1__##name
#define CALL(name) containerd__services__snapshots__v1__##name

/* ---- labels -------------------------------------------------------------------------------- */

/* Each message has a type of its own for an entry of a map; they are one in all but name. */
#define SAME_AS_ENTRY(type)                                                     \
	_Static_assert(sizeof(MESSAGE(type##__LabelsEntry)) == sizeof(Entry) && \
			       offsetof(MESSAGE(type##__LabelsEntry), value) == \
				       offsetof(Entry, value),                  \
		       "a map's entry")
SAME_AS_ENTRY(PrepareSnapshotRequest);
SAME_AS_ENTRY(ViewSnapshotRequest);
SAME_AS_ENTRY(CommitSnapshotRequest);

/* @ret_labels: for free(3); the texts are the messages'. */
static int read_labels(void *entries, size_t count, struct snapdrv_label **ret_labels,
		       struct snapdrv_error *err)
{
	struct snapdrv_label *labels = calloc(count + 1, sizeof(*labels));

	if (!labels)
		return daemon_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		const Entry *entry = ((Entry **)entries)[i];

		labels[i] = (struct snapdrv_label){entry->key, entry->value};
	}
	*ret_labels = labels;
	return 0;
}

/* ---- snapshots as messages ----------------------------------------------------------------- */

/* A message with all that it points to. */
struct packed_info {
	Info info;
	Google__Protobuf__Timestamp created, updated;
	Entry *entries;
	Entry **labels;
};

static void set_time(Google__Protobuf__Timestamp *time, int64_t time_ns)
{
	google__protobuf__timestamp__init(time);
	time->seconds = time_ns / 1000000000;
	time->nanos = (int32_t)(time_ns % 1000000000);
}

static void info_done(struct packed_info *packed)
{
	free(packed->entries);
	free(packed->labels);
}

/* @snapshot: its texts stay its own. */
static int info_pack(struct packed_info *packed, const struct snapdrv_snapshot *snapshot,
		     struct snapdrv_error *err)
{
	packed->entries = calloc(snapshot->n_labels + 1, sizeof(*packed->entries));
	packed->labels = calloc(snapshot->n_labels + 1, sizeof(*packed->labels));
	if (!packed->entries || !packed->labels) {
		info_done(packed);
		return daemon_no_memory(err);
	}
	for (size_t i = 0; i < snapshot->n_labels; i++) {
		CALL(info__labels_entry__init)(&packed->entries[i]);
		packed->entries[i].key = snapshot->labels[i].key;
		packed->entries[i].value = snapshot->labels[i].value;
		packed->labels[i] = &packed->entries[i];
	}
	CALL(info__init)(&packed->info);
	set_time(&packed->created, snapshot->created_ns);
	set_time(&packed->updated, snapshot->updated_ns);
	packed->info.name = snapshot->name;
	packed->info.parent = snapshot->parent ? snapshot->parent : "";
	packed->info.kind = (MESSAGE(Kind))snapshot->kind;
	packed->info.created_at = &packed->created;
	packed->info.updated_at = &packed->updated;
	packed->info.labels = packed->labels;
	packed->info.n_labels = snapshot->n_labels;
	return 0;
}

/* ---- methods ------------------------------------------------------------------------------- */

static int reply_empty(struct turn *turn, struct snapdrv_error *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	return turn_reply(turn, &empty.base, err);
}

/* The responses of Prepare, View and Mounts have the same one field. */
static int reply_mounts(struct turn *turn, struct snapdrv_mounts *mounts, struct snapdrv_error *err)
{
	MESSAGE(MountsResponse)
	response = CONTAINERD__SERVICES__SNAPSHOTS__V1__MOUNTS_RESPONSE__INIT;
	int ret = -ENOMEM;

	response.mounts = mounts_pack(mounts, err);
	response.n_mounts = mounts->count;
	if (response.mounts)
		ret = turn_reply(turn, &response.base, err);
	mounts_pack_free(response.mounts);
	snapdrv_mounts_done(mounts);
	return ret;
}

static int prepare(struct turn *turn, const char *key, const char *parent, int kind, void *entries,
		   size_t n_entries, struct snapdrv_error *err)
{
	struct snapdrv_mounts mounts;
	struct snapdrv_label *labels;
	int ret = read_labels(entries, n_entries, &labels, err);

	if (ret)
		return ret;
	ret = snapdrv_snapshot_prepare(turn->store, key, *parent ? parent : NULL,
				       kind | SNAPDRV_SYNC_LATER, labels, n_entries, &mounts, err);
	free(labels);
	/* One that failed at its end was taken back. */
	handle_is_dirty(turn->handle, ret ? DIRTY_LATER : DIRTY_NOW);
	return ret ? ret : reply_mounts(turn, &mounts, err);
}

static int serve_prepare(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const PrepareRequest *request = message;

	return prepare(turn, request->key, request->parent, SNAPDRV_ACTIVE, request->labels,
		       request->n_labels, err);
}

static int serve_view(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const ViewRequest *request = message;

	return prepare(turn, request->key, request->parent, SNAPDRV_VIEW, request->labels,
		       request->n_labels, err);
}

static int serve_mounts(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const MESSAGE(MountsRequest) *request = message;
	struct snapdrv_mounts mounts;
	int ret = snapdrv_snapshot_mounts(turn->store, request->key, &mounts, err);

	return ret ? ret : reply_mounts(turn, &mounts, err);
}

static int serve_commit(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const CommitRequest *request = message;
	struct snapdrv_label *labels;
	int ret = read_labels(request->labels, request->n_labels, &labels, err);

	if (ret)
		return ret;
	ret = snapdrv_snapshot_commit(turn->store, request->name, request->key,
				      *request->parent ? request->parent : NULL, labels,
				      request->n_labels, err);
	free(labels);
	if (ret)
		return ret;
	/* Where the layer was there already, its second tree goes. */
	handle_is_dirty(turn->handle, DIRTY_LATER);
	return reply_empty(turn, err);
}

static int serve_remove(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const MESSAGE(RemoveSnapshotRequest) *request = message;
	int ret = snapdrv_snapshot_remove(turn->store, request->key, err);

	if (ret)
		return ret;
	handle_is_dirty(turn->handle, DIRTY_LATER);
	return reply_empty(turn, err);
}

/* The responses of Stat and Update have the same one field. @snapshot: freed. */
static int reply_info(struct turn *turn, struct snapdrv_snapshot *snapshot,
		      struct snapdrv_error *err)
{
	MESSAGE(StatSnapshotResponse)
	response = CONTAINERD__SERVICES__SNAPSHOTS__V1__STAT_SNAPSHOT_RESPONSE__INIT;
	struct packed_info packed;
	int ret = info_pack(&packed, snapshot, err);

	if (!ret) {
		response.info = &packed.info;
		ret = turn_reply(turn, &response.base, err);
		info_done(&packed);
	}
	snapdrv_snapshot_done(snapshot);
	return ret;
}

static int serve_stat(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const MESSAGE(StatSnapshotRequest) *request = message;
	struct snapdrv_snapshot snapshot;
	int ret = snapdrv_snapshot_stat(turn->store, request->key, &snapshot, err);

	return ret ? ret : reply_info(turn, &snapshot, err);
}

#define LABEL_PATH "labels."

static char *find_value(const Info *info, const char *key)
{
	for (size_t i = 0; i < info->n_labels; i++) {
		if (!strcmp(info->labels[i]->key, key))
			return info->labels[i]->value;
	}
	return "";
}

/* The labels that the mask names, or all of them. @ret_labels: for free(3). */
static int read_update(const UpdateRequest *request, struct snapdrv_label **ret_labels,
		       size_t *ret_count, int *ret_replace, struct snapdrv_error *err)
{
	size_t n_paths = request->update_mask ? request->update_mask->n_paths : 0;
	struct snapdrv_label *labels;
	int all = !n_paths;

	for (size_t i = 0; i < n_paths; i++) {
		const char *path = request->update_mask->paths[i];

		if (strcmp(path, "labels") && strncmp(path, LABEL_PATH, strlen(LABEL_PATH)))
			return daemon_fail(err, SNAPDRV_USAGE, EINVAL,
					   "snapshot '%.100s': field '%.100s' cannot be updated",
					   request->info->name, path);
		all |= !strcmp(path, "labels");
	}
	*ret_replace = all;
	*ret_count = all ? request->info->n_labels : n_paths;
	if (all)
		return read_labels(request->info->labels, request->info->n_labels, ret_labels, err);
	labels = calloc(n_paths, sizeof(*labels));
	if (!labels)
		return daemon_no_memory(err);
	for (size_t i = 0; i < n_paths; i++) {
		labels[i].key = request->update_mask->paths[i] + strlen(LABEL_PATH);
		labels[i].value = find_value(request->info, labels[i].key);
	}
	*ret_labels = labels;
	return 0;
}

static int serve_update(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const UpdateRequest *request = message;
	struct snapdrv_snapshot snapshot;
	struct snapdrv_label *labels = NULL;
	size_t count = 0;
	int replace = 0, ret;

	if (!request->info)
		return daemon_fail(err, SNAPDRV_USAGE, EINVAL, "no snapshot is named");
	ret = read_update(request, &labels, &count, &replace, err);
	if (ret)
		return ret;
	ret = snapdrv_snapshot_update(turn->store, request->info->name, labels, count, replace,
				      &snapshot, err);
	free(labels);
	return ret ? ret : reply_info(turn, &snapshot, err);
}

/* ---- lists --------------------------------------------------------------------------------- */

struct listing {
	struct turn *turn;
	struct filter **filters; /* one of them has to match, if there are any */
	size_t n_filters;
	uint8_t *chunk; /* a ListSnapshotsResponse as it goes out */
	size_t size;
	size_t room;
	struct snapdrv_error *err;
};

/* Return: 1, 0, or negative. */
static int is_wanted(const struct listing *listing, const struct snapdrv_snapshot *snapshot)
{
	int ret = !listing->n_filters;

	for (size_t i = 0; i < listing->n_filters && !ret; i++)
		ret = filter_matches(listing->filters[i], snapshot, listing->err);
	return ret;
}

static int send_chunk(struct listing *listing)
{
	int ret = listing->size ? rpc_reply(listing->turn->call, listing->chunk, listing->size,
					    listing->err)
				: 0;

	listing->size = 0;
	return ret;
}

/* Messages that are one behind the other are one message, with the lists of all (protobuf, encoding). */
static int add_info(struct listing *listing, Info *info)
{
	MESSAGE(ListSnapshotsResponse)
	response = CONTAINERD__SERVICES__SNAPSHOTS__V1__LIST_SNAPSHOTS_RESPONSE__INIT;
	size_t size;

	response.info = &info;
	response.n_info = 1;
	size = protobuf_c_message_get_packed_size(&response.base);
	if (listing->size + size > listing->room) {
		size_t room = listing->size + size + LIST_CHUNK;
		uint8_t *chunk = realloc(listing->chunk, room);

		if (!chunk)
			return daemon_no_memory(listing->err);
		listing->chunk = chunk;
		listing->room = room;
	}
	listing->size += protobuf_c_message_pack(&response.base, listing->chunk + listing->size);
	return listing->size >= LIST_CHUNK ? send_chunk(listing) : 0;
}

static int list_one(void *arg, const struct snapdrv_snapshot *snapshot)
{
	struct listing *listing = arg;
	struct packed_info packed;
	int ret = is_wanted(listing, snapshot);

	if (ret <= 0)
		return ret;
	ret = info_pack(&packed, snapshot, listing->err);
	if (ret)
		return ret;
	ret = add_info(listing, &packed.info);
	info_done(&packed);
	return ret;
}

/* Empty filters match all. */
static int read_filters(struct listing *listing, const ListRequest *request)
{
	listing->filters = calloc(request->n_filters + 1, sizeof(struct filter *));
	if (!listing->filters)
		return daemon_no_memory(listing->err);
	for (size_t i = 0; i < request->n_filters; i++) {
		int ret = filter_parse(request->filters[i], &listing->filters[i], listing->err);

		if (ret)
			return ret;
		listing->n_filters++;
	}
	return 0;
}

static int serve_list(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	struct listing listing = {.turn = turn, .err = err};
	int ret = read_filters(&listing, message);

	if (!ret)
		ret = snapdrv_snapshot_list(turn->store, list_one, &listing, err);
	if (!ret)
		ret = send_chunk(&listing);
	for (size_t i = 0; i < listing.n_filters; i++)
		filter_free(listing.filters[i]);
	free(listing.filters);
	free(listing.chunk);
	return ret;
}

static int serve_usage(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const MESSAGE(UsageRequest) *request = message;
	MESSAGE(UsageResponse) response = CONTAINERD__SERVICES__SNAPSHOTS__V1__USAGE_RESPONSE__INIT;
	uint64_t bytes, inodes;
	int ret = snapdrv_snapshot_usage(turn->store, request->key, &bytes, &inodes, err);

	if (ret)
		return ret;
	response.size = (int64_t)bytes;
	response.inodes = (int64_t)inodes;
	return turn_reply(turn, &response.base, err);
}

static int serve_cleanup(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	int ret = stores_cleanup(&turn->daemon->stores, turn->handle, err);

	(void)message;
	return ret ? ret : reply_empty(turn, err);
}

#define ROW(method, request, run)                                         \
	{                                                                 \
		"Snapshots", method, &CALL(request##__descriptor), run, 0 \
	}

const struct service_method snapshots_methods[] = {
	ROW("Prepare", prepare_snapshot_request, serve_prepare),
	ROW("View", view_snapshot_request, serve_view),
	ROW("Mounts", mounts_request, serve_mounts),
	ROW("Commit", commit_snapshot_request, serve_commit),
	ROW("Remove", remove_snapshot_request, serve_remove),
	ROW("Stat", stat_snapshot_request, serve_stat),
	ROW("Update", update_snapshot_request, serve_update),
	ROW("List", list_snapshots_request, serve_list),
	ROW("Usage", usage_request, serve_usage),
	ROW("Cleanup", cleanup_request, serve_cleanup),
	{0},
};
