/* SPDX-License-Identifier: Apache-2.0 */
/* What every method does: read the request, take a store, answer. */
#include "snapdrvd_service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define METHODS_MAX 16

uint8_t *message_pack(const ProtobufCMessage *message, size_t *ret_size, struct snapdrv_error *err)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(size + 1);

	if (!data) {
		daemon_no_memory(err);
		return NULL;
	}
	*ret_size = protobuf_c_message_pack(message, data);
	return data;
}

int turn_reply(struct turn *turn, const ProtobufCMessage *message, struct snapdrv_error *err)
{
	size_t size;
	uint8_t *data = message_pack(message, &size, err);
	int ret = data ? rpc_reply(turn->call, data, size, err) : -ENOMEM;

	free(data);
	return ret;
}

static int serve(struct rpc_call *call, const unsigned char *data, size_t size, void *arg,
		 struct snapdrv_error *err)
{
	const struct service_method *method = rpc_detail(call);
	struct turn turn = {.daemon = arg, .call = call};
	ProtobufCMessage *request = protobuf_c_message_unpack(method->request, NULL, size, data);
	int ret = -EIO;

	if (!request)
		return daemon_fail(err, SNAPDRV_USAGE, EINVAL, "the message is not a %s",
				   method->request->short_name);
	turn.handle = stores_take(&turn.daemon->stores, method->is_long ? CLEAN : DIRTY_NOW, err);
	if (turn.handle) {
		turn.store = turn.handle->store;
		ret = method->run(&turn, request, err);
	}
	stores_give(&turn.daemon->stores, turn.handle);
	protobuf_c_message_free_unpacked(request, NULL);
	return ret;
}

static size_t add_methods(struct rpc_method *table, size_t count, const char *service,
			  const struct service_method *methods)
{
	static char paths[METHODS_MAX][80];

	for (; methods->name; methods++, count++) {
		snprintf(paths[count], sizeof(paths[count]), "/%s/%s", service, methods->name);
		table[count] = (struct rpc_method){paths[count], serve, methods};
	}
	return count;
}

const struct rpc_method *service_methods(void)
{
	static struct rpc_method table[METHODS_MAX + 1];

	size_t count = add_methods(table, 0, "containerd.services.snapshots.v1.Snapshots",
				   snapshots_methods);

	add_methods(table, count, "containerd.services.diff.v1.Diff", diff_methods);
	return table;
}

void mounts_pack_free(Containerd__Types__Mount **mounts)
{
	if (mounts)
		free(mounts[0]);
	free(mounts);
}

Containerd__Types__Mount **mounts_pack(const struct snapdrv_mounts *mounts,
				       struct snapdrv_error *err)
{
	Containerd__Types__Mount **list = calloc(mounts->count + 1, sizeof(*list));
	Containerd__Types__Mount *messages = calloc(mounts->count + 1, sizeof(*messages));

	if (!list || !messages) {
		free(list);
		free(messages);
		daemon_no_memory(err);
		return NULL;
	}
	list[0] = messages;
	for (size_t i = 0; i < mounts->count; i++) {
		const struct snapdrv_mount *mount = &mounts->mounts[i];

		list[i] = &messages[i];
		containerd__types__mount__init(list[i]);
		list[i]->type = mount->type;
		list[i]->source = mount->source;
		list[i]->options = mount->options;
		list[i]->n_options = mount->n_options;
	}
	return list;
}

int mounts_read(Containerd__Types__Mount **messages, size_t count,
		struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	struct snapdrv_mount *mounts = calloc(count + 1, sizeof(*mounts));

	if (!mounts)
		return daemon_no_memory(err);
	for (size_t i = 0; i < count; i++)
		mounts[i] = (struct snapdrv_mount){messages[i]->type, messages[i]->source,
						   messages[i]->options, messages[i]->n_options};
	*ret_mounts = (struct snapdrv_mounts){mounts, count};
	return 0;
}
