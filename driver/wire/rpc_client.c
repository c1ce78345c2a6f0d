/* SPDX-License-Identifier: Apache-2.0 */
/* The client: a completion queue for each call, from which each of its steps is plucked. */
#include "wire/rpc_client.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>

#include "base/error.h"

#define MESSAGE_MAX (64 << 20)
#define PAIRS_MAX 8
#define LOOK_MS 200 /* whether the call is still wanted */

struct rpc_client {
	int (*is_unwanted)(const void *arg);
	const void *arg;
	char *target;
	grpc_channel *channel;
};

struct rpc_stream {
	const struct rpc_client *client;
	grpc_call *call;
	grpc_completion_queue *queue;
	grpc_metadata_array initial, trailing;
	grpc_slice details;
	grpc_status_code status;
	int is_begun; /* the server has begun to answer */
	int is_over;
};

struct rpc_client *rpc_client_new(const char *path, int (*is_unwanted)(const void *arg),
				  const void *arg, struct snapdrv_error *err)
{
	grpc_arg value = {.type = GRPC_ARG_INTEGER,
			  .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
			  .value.integer = MESSAGE_MAX};
	grpc_channel_args args = {1, &value};
	struct rpc_client *client = calloc(1, sizeof(*client));
	grpc_channel_credentials *credentials;

	if (!client) {
		fail_memory(err);
		return NULL;
	}
	client->is_unwanted = is_unwanted;
	client->arg = arg;
	client->target = text_format(err, "unix:%s", path);
	if (!client->target) {
		free(client);
		return NULL;
	}
	grpc_init();
	credentials = grpc_insecure_credentials_create();
	client->channel = grpc_channel_create(client->target, credentials, &args);
	grpc_channel_credentials_release(credentials);
	return client;
}

void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	grpc_channel_destroy(client->channel);
	grpc_shutdown();
	free(client->target);
	free(client);
}

/* One step of the call: all of @ops, done. Return: whether they were. */
static int step(struct rpc_stream *stream, const grpc_op *ops, size_t count)
{
	const struct rpc_client *client = stream->client;
	grpc_event event;

	if (grpc_call_start_batch(stream->call, ops, count, stream, NULL) != GRPC_CALL_OK)
		return 0;
	/* A server that does not answer is no reason to wait longer than whoever wants it. */
	while ((event = grpc_completion_queue_pluck(
			stream->queue, stream,
			gpr_time_add(gpr_now(GPR_CLOCK_REALTIME),
				     gpr_time_from_millis(LOOK_MS, GPR_TIMESPAN)),
			NULL))
		       .type == GRPC_QUEUE_TIMEOUT) {
		if (client->is_unwanted && client->is_unwanted(client->arg))
			grpc_call_cancel(stream->call, NULL);
	}
	return event.type == GRPC_OP_COMPLETE && event.success;
}

/* What gRPC's statuses mean to us; the other way round than rpc_status(). */
static int code_of(grpc_status_code status, int *ret_errnum)
{
	switch (status) {
	case GRPC_STATUS_INVALID_ARGUMENT:
		*ret_errnum = EINVAL;
		return SNAPDRV_USAGE;
	case GRPC_STATUS_NOT_FOUND:
		*ret_errnum = ENOENT;
		return SNAPDRV_MISSING;
	case GRPC_STATUS_ALREADY_EXISTS:
		*ret_errnum = EEXIST;
		return SNAPDRV_BUSY;
	case GRPC_STATUS_FAILED_PRECONDITION:
		*ret_errnum = EBUSY;
		return SNAPDRV_BUSY;
	case GRPC_STATUS_UNIMPLEMENTED:
		*ret_errnum = ENOSYS;
		return SNAPDRV_FAILED;
	case GRPC_STATUS_CANCELLED:
		*ret_errnum = ECANCELED;
		return SNAPDRV_FAILED;
	default:
		*ret_errnum = EIO;
		return SNAPDRV_FAILED;
	}
}

/* The call is over: take its status. */
static int finish(struct rpc_stream *stream, struct snapdrv_error *err)
{
	grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
	int code, errnum;
	char *details;

	if (!stream->is_over) {
		op.data.recv_status_on_client.trailing_metadata = &stream->trailing;
		op.data.recv_status_on_client.status = &stream->status;
		op.data.recv_status_on_client.status_details = &stream->details;
		step(stream, &op, 1);
		stream->is_over = 1;
	}
	if (stream->status == GRPC_STATUS_OK)
		return 0;
	code = code_of(stream->status, &errnum);
	details = grpc_slice_to_c_string(stream->details);
	fail(err, code, errnum, "%s", *details ? details : "the call failed");
	gpr_free(details);
	return -errnum;
}

int rpc_stream_status(const struct rpc_stream *stream)
{
	return stream->is_over ? (int)stream->status : -1;
}

struct rpc_stream *rpc_stream_open(struct rpc_client *client, const char *method,
				   const struct rpc_pair *pairs, size_t n_pairs,
				   struct snapdrv_error *err)
{
	struct rpc_stream *stream = calloc(1, sizeof(*stream));
	grpc_metadata metadata[PAIRS_MAX] = {0};
	grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};
	grpc_slice path;
	int is_sound = 1;

	if (!stream || n_pairs > PAIRS_MAX) {
		free(stream);
		fail_memory(err);
		return NULL;
	}
	grpc_metadata_array_init(&stream->initial);
	grpc_metadata_array_init(&stream->trailing);
	stream->client = client;
	stream->details = grpc_empty_slice();
	stream->queue = grpc_completion_queue_create_for_pluck(NULL);
	path = grpc_slice_from_copied_string(method);
	stream->call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
						stream->queue, path, NULL,
						gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
	grpc_slice_unref(path);
	for (size_t i = 0; i < n_pairs; i++) {
		metadata[i].key = grpc_slice_from_copied_string(pairs[i].name);
		metadata[i].value = grpc_slice_from_copied_string(pairs[i].value);
		is_sound &= grpc_header_nonbin_value_is_legal(metadata[i].value);
	}
	op.data.send_initial_metadata.metadata = metadata;
	op.data.send_initial_metadata.count = n_pairs;
	/* Where it fails, the status of the call says why, at the first wait for an answer. */
	if (is_sound)
		step(stream, &op, 1);
	for (size_t i = 0; i < n_pairs; i++) {
		grpc_slice_unref(metadata[i].key);
		grpc_slice_unref(metadata[i].value);
	}
	if (is_sound)
		return stream;
	rpc_stream_close(stream);
	fail(err, SNAPDRV_USAGE, EINVAL, "a value that no header can have");
	return NULL;
}

int rpc_stream_send(struct rpc_stream *stream, const void *data, size_t size,
		    struct snapdrv_error *err)
{
	grpc_slice slice = grpc_slice_from_copied_buffer(data, size);
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message};
	int ret = 0;

	if (!step(stream, &op, 1)) {
		ret = finish(stream, err);
		if (!ret)
			ret = fail(err, SNAPDRV_FAILED, EPIPE, "the server ended the call");
	}
	grpc_slice_unref(slice);
	grpc_byte_buffer_destroy(message);
	return ret;
}

int rpc_stream_send_end(struct rpc_stream *stream, struct snapdrv_error *err)
{
	grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};

	return step(stream, &op, 1) ? 0 : finish(stream, err);
}

static int take_message(grpc_byte_buffer *message, struct bytes *bytes, struct snapdrv_error *err)
{
	grpc_byte_buffer_reader reader;
	grpc_slice slice;
	int ret = 0;

	bytes->size = 0;
	if (!grpc_byte_buffer_reader_init(&reader, message))
		return fail(err, SNAPDRV_FAILED, EPROTO, "a message cannot be read");
	while (!ret && grpc_byte_buffer_reader_next(&reader, &slice)) {
		ret = bytes_add(bytes, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice), err);
		grpc_slice_unref(slice);
	}
	grpc_byte_buffer_reader_destroy(&reader);
	return ret;
}

int rpc_stream_receive(struct rpc_stream *stream, struct bytes *bytes, struct snapdrv_error *err)
{
	grpc_byte_buffer *message = NULL;
	grpc_op ops[2] = {0};
	size_t count = 0;
	int ret;

	if (!stream->is_begun) {
		ops[count].op = GRPC_OP_RECV_INITIAL_METADATA;
		ops[count++].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
	}
	stream->is_begun = 1;
	ops[count].op = GRPC_OP_RECV_MESSAGE;
	ops[count++].data.recv_message.recv_message = &message;
	if (!step(stream, ops, count) || !message)
		return finish(stream, err);
	ret = take_message(message, bytes, err);
	grpc_byte_buffer_destroy(message);
	return ret ? ret : 1;
}

void rpc_stream_close(struct rpc_stream *stream)
{
	if (!stream)
		return;
	if (!stream->is_over)
		grpc_call_cancel(stream->call, NULL);
	grpc_call_unref(stream->call);
	grpc_completion_queue_shutdown(stream->queue);
	while (grpc_completion_queue_pluck(stream->queue, NULL, gpr_inf_future(GPR_CLOCK_REALTIME),
					   NULL)
		       .type != GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(stream->queue);
	grpc_slice_unref(stream->details);
	grpc_metadata_array_destroy(&stream->initial);
	grpc_metadata_array_destroy(&stream->trailing);
	free(stream);
}
