/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of the daemon's services, and what they have in common. */
#ifndef CLI_SNAPDRVD_SERVICE_H
#define CLI_SNAPDRVD_SERVICE_H

#include <protobuf-c/protobuf-c.h>

#include "snapdrvd.h"
#include "wire/pb/mount.pb-c.h"
#include "wire/rpc_server.h"

/** struct turn - a call that is being served. @store: open, and this call's alone. */
struct turn {
	struct daemon *daemon;
	struct rpc_call *call;
	struct handle *handle;
	struct snapdrv_store *store;
};

/**
 * struct service_method - what a method takes and what answers it.
 * @request: of this type; freed by the caller. Replies go by turn_reply().
 * @is_long: it may take minutes.
 */
struct service_method {
	const char *service;
	const char *name;
	const ProtobufCMessageDescriptor *request;
	int (*run)(struct turn *turn, const void *request, struct snapdrv_error *err);
	int is_long;
};

/** service_methods() - the table of all methods, for struct rpc_service. */
const struct rpc_method *service_methods(void);

/** snapshots_methods, diff_methods - those of a service; a row without a name ends them. */
extern const struct service_method snapshots_methods[];
extern const struct service_method diff_methods[];

/** message_pack() - a message's bytes. Return: for free(3), or NULL with @err filled. */
uint8_t *message_pack(const ProtobufCMessage *message, size_t *ret_size, struct snapdrv_error *err);

/** turn_reply() - send a message. */
int turn_reply(struct turn *turn, const ProtobufCMessage *message, struct snapdrv_error *err);

/** mounts_pack() - mounts as messages, whose texts they keep. Return: for mounts_pack_free(), or NULL with @err filled. */
Containerd__Types__Mount **mounts_pack(const struct snapdrv_mounts *mounts,
				       struct snapdrv_error *err);
void mounts_pack_free(Containerd__Types__Mount **mounts);

/** mounts_read() - messages as mounts. @ret_mounts: for free(3) of its .mounts; its texts are the messages'. */
int mounts_read(Containerd__Types__Mount **messages, size_t count,
		struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

#endif
