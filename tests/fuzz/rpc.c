/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the daemon's Snapshots service on one store: two bytes 0xff between them, each a byte that names the method and
 * the message's bytes. How a message comes over the socket is gRPC's matter; what it does is the daemon's own.
 *
 * The Diff service is left out: root's clients name directories to it that it writes to, wherever they are. Its layers are
 * those of the fuzzer `layer`.
 */
#include "snapdrvd_service.h"

#include <jansson.h>

#include "place.h"
#include "wire/pb/snapshots.pb-c.h"

#define MESSAGE(name) &containerd__services__snapshots__v1__##name##__descriptor

const struct service_method diff_methods[] = {{0}};

/* What rpc_server.h has, for a call that came from the input. */
struct rpc_call {
	const struct rpc_method *method;
	size_t n_replies;
};

const void *rpc_detail(const struct rpc_call *call)
{
	return call->method->detail;
}

static const char *name_of(const struct rpc_call *call)
{
	return ((const struct service_method *)rpc_detail(call))->name;
}

/* A stream: any number of replies, where the others have one. */
static int is_list(const struct rpc_call *call)
{
	return !strcmp(name_of(call), "List");
}

static const ProtobufCMessageDescriptor *find_response(const char *name)
{
	static const struct {
		const char *method;
		const ProtobufCMessageDescriptor *response;
	} responses[] = {
		{"Prepare", MESSAGE(prepare_snapshot_response)},
		{"View", MESSAGE(view_snapshot_response)},
		{"Mounts", MESSAGE(mounts_response)},
		{"Stat", MESSAGE(stat_snapshot_response)},
		{"Update", MESSAGE(update_snapshot_response)},
		{"List", MESSAGE(list_snapshots_response)},
		{"Usage", MESSAGE(usage_response)},
	};

	for (size_t i = 0; i < sizeof(responses) / sizeof(*responses); i++) {
		if (!strcmp(responses[i].method, name))
			return responses[i].response;
	}
	return &google__protobuf__empty__descriptor;
}

/* What is sent are messages whose texts are UTF-8, or other clients could not read them. */
static void look_at_message(const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const char *at = (const char *)message + field->offset;
		size_t count = 1;

		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			count = *(const size_t *)((const char *)message + field->quantifier_offset);
			at = *(const char *const *)at;
		}
		for (size_t j = 0; j < count && (field->type == PROTOBUF_C_TYPE_STRING ||
						 field->type == PROTOBUF_C_TYPE_MESSAGE);
		     j++, at += sizeof(char *)) {
			const void *item = *(const void *const *)at;

			if (field->type == PROTOBUF_C_TYPE_STRING) {
				json_t *text = json_string(item);

				HOLDS(text);
				json_decref(text);
			} else if (item) {
				look_at_message(item);
			}
		}
	}
}

int rpc_reply(struct rpc_call *call, const void *data, size_t size, struct snapdrv_error *err)
{
	ProtobufCMessage *message =
		protobuf_c_message_unpack(find_response(name_of(call)), NULL, size, data);

	(void)err;
	HOLDS(message && !message->n_unknown_fields);
	look_at_message(message);
	protobuf_c_message_free_unpacked(message, NULL);
	call->n_replies++;
	HOLDS(call->n_replies == 1 || is_list(call));
	return 0;
}

static void serve(struct daemon *daemon, const struct rpc_method *methods, struct fuzz_rest message)
{
	static unsigned n_methods;
	struct snapdrv_error err = {0};
	struct rpc_call call = {0};
	int ret;

	while (methods[n_methods].path)
		n_methods++;
	call.method = &methods[fuzz_take(&message) % n_methods];
	ret = call.method->serve(&call, message.data, message.size, daemon, &err);
	HOLDS(!ret == !err.code && !ret == !err.message[0]);
	HOLDS(ret || call.n_replies == 1 || is_list(&call));
}

/* Whatever was asked for, the database and the files fit. */
static void look_at_store(struct daemon *daemon)
{
	struct snapdrv_error err = {0};
	struct snapdrv_check check = {0};
	struct handle *handle = stores_take(&daemon->stores, DIRTY_NOW, &err);
	int ret = handle ? stores_cleanup(&daemon->stores, handle, &err) : -1;

	fuzz_check(ret, &err);
	HOLDS(!ret);
	ret = snapdrv_check(handle->store, NULL, &check, &err);
	fuzz_check(ret, &err);
	for (size_t i = 0; i < check.n_findings; i++)
		fprintf(stderr, "%s %s: %s\n", check.findings[i].kind, check.findings[i].name,
			check.findings[i].problem);
	HOLDS(!ret && !check.n_findings);
	snapdrv_check_done(&check);
	stores_give(&daemon->stores, handle);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct daemon daemon = {.settings = {.root = "/mnt/root", .driver = "overlay"}};
	struct fuzz_rest rest = {data, size}, message;
	struct snapdrv_error err = {0};
	int ret;

	if (place_fd < 0)
		place_make();
	ret = stores_start(&daemon.stores, &daemon.settings, &err);
	fuzz_check(ret, &err);
	HOLDS(!ret);
	while (fuzz_part(&rest, "\xff\xff", &message))
		serve(&daemon, service_methods(), message);
	look_at_store(&daemon);
	stores_stop(&daemon.stores);
	place_unchanged();
	place_clear();
}
