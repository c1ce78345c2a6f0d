/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing of blobs: a descriptor, or a call of containerd.services.content.v1.Content. */
#include "snapdrvd_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "wire/pb/content.pb-c.h"
#include "wire/pb/namespace.pb-c.h"
#include "wire/rpc_client.h"

#define CONTENT "/containerd.services.content.v1.Content/"
#define NAMESPACE "containerd-namespace" /* of the caller: blobs are in one */
#define WRITE_SIZE (1 << 20)		 /* bytes for one message */
#define SHA256_DIGITS 64

typedef Containerd__Services__Content__V1__ReadContentRequest ReadRequest;
typedef Containerd__Services__Content__V1__ReadContentResponse ReadResponse;
typedef Containerd__Services__Content__V1__WriteContentRequest WriteRequest;
typedef Containerd__Services__Content__V1__WriteContentResponse WriteResponse;
typedef Containerd__Services__Content__V1__WriteContentRequest__LabelsEntry LabelsEntry;
typedef Containerd__Services__Namespaces__V1__ListNamespacesResponse NamespaceList;

struct blob {
	const struct rpc_call *call; /* for whose sake it is */
	const struct settings *settings;
	int fd; /* or -1, when it comes through the service */
	struct rpc_client *client;
	struct rpc_stream *stream;
	struct bytes message; /* that was received last */
	ReadResponse *response;
	size_t taken;	 /* of the response's data */
	uint8_t *buffer; /* to be written */
	size_t used;
	uint64_t offset; /* that have been written */
	struct snapdrv_error err;
	int has_failed;
};

static const char *find_digits(const char *digest)
{
	const char *digits = digest + strlen("sha256:");

	if (strncmp(digest, "sha256:", strlen("sha256:")) ||
	    strspn(digits, "0123456789abcdef") != SHA256_DIGITS || digits[SHA256_DIGITS])
		return NULL;
	return digits;
}

static int open_file(const struct settings *settings, const char *digits)
{
	char *path;
	int fd;

	if (asprintf(&path, "%s/blobs/sha256/%s", settings->content, digits) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	free(path);
	return fd;
}

static int is_unwanted(const void *call)
{
	return rpc_is_cancelled(call);
}

/* @namespace: or NULL. A call that there was is over. */
static int open_stream(struct blob *blob, const char *method, const char *namespace,
		       struct snapdrv_error *err)
{
	const struct rpc_pair pair = {NAMESPACE, namespace};

	rpc_stream_close(blob->stream);
	blob->stream = NULL;
	if (!blob->client)
		blob->client =
			rpc_client_new(blob->settings->containerd, is_unwanted, blob->call, err);
	if (blob->client)
		blob->stream = rpc_stream_open(blob->client, method, &pair, !!namespace, err);
	return blob->stream ? 0 : -EIO;
}

static int send_message(struct blob *blob, const ProtobufCMessage *message,
			struct snapdrv_error *err)
{
	size_t size;
	uint8_t *data = message_pack(message, &size, err);
	int ret = data ? rpc_stream_send(blob->stream, data, size, err) : -ENOMEM;

	free(data);
	return ret;
}

static struct blob *blob_new(const struct turn *turn, struct snapdrv_error *err)
{
	struct blob *blob = calloc(1, sizeof(*blob));

	if (!blob) {
		daemon_no_memory(err);
		return NULL;
	}
	blob->call = turn->call;
	blob->settings = &turn->daemon->settings;
	blob->fd = -1;
	return blob;
}

static int keep_failure(struct blob *blob, int ret)
{
	blob->has_failed = 1;
	return ret;
}

static void drop_response(struct blob *blob)
{
	if (blob->response)
		containerd__services__content__v1__read_content_response__free_unpacked(
			blob->response, NULL);
	blob->response = NULL;
	blob->taken = 0;
}

/* Return: 1, 0 at the end, or negative. */
static int next_response(struct blob *blob)
{
	int ret;

	drop_response(blob);
	ret = rpc_stream_receive(blob->stream, &blob->message, &blob->err);
	if (ret <= 0)
		return ret;
	blob->response = containerd__services__content__v1__read_content_response__unpack(
		NULL, blob->message.size, (const uint8_t *)blob->message.data);
	return blob->response ? 1
			      : daemon_fail(&blob->err, SNAPDRV_FAILED, EPROTO,
					    "containerd: malformed message");
}

static ssize_t read_stream(struct blob *blob, void *data, size_t size)
{
	size_t left;
	int ret;

	while (!blob->response || blob->taken == blob->response->data.len) {
		ret = next_response(blob);
		if (ret <= 0)
			return ret;
	}
	left = blob->response->data.len - blob->taken;
	if (size > left)
		size = left;
	memcpy(data, blob->response->data.data + blob->taken, size);
	blob->taken += size;
	return (ssize_t)size;
}

/* A message, and no more of them. */
static int send_last(struct blob *blob, const ProtobufCMessage *message, struct snapdrv_error *err)
{
	int ret = send_message(blob, message, err);

	return ret ? ret : rpc_stream_send_end(blob->stream, err);
}

/* Ask for it in one namespace, until the first bytes are there. */
static int start_read(struct blob *blob, const char *namespace, const char *digest,
		      struct snapdrv_error *err)
{
	ReadRequest request = CONTAINERD__SERVICES__CONTENT__V1__READ_CONTENT_REQUEST__INIT;
	int ret = open_stream(blob, CONTENT "Read", namespace, err);

	request.digest = (char *)digest;
	if (!ret)
		ret = send_last(blob, &request.base, err);
	if (ret)
		return ret;
	ret = next_response(blob);
	if (ret < 0 && err)
		*err = blob->err;
	return ret < 0 ? ret : 0;
}

/* @ret_list: for its free_unpacked(). */
static int list_namespaces(struct blob *blob, NamespaceList **ret_list, struct snapdrv_error *err)
{
	Containerd__Services__Namespaces__V1__ListNamespacesRequest request =
		CONTAINERD__SERVICES__NAMESPACES__V1__LIST_NAMESPACES_REQUEST__INIT;
	int ret =
		open_stream(blob, "/containerd.services.namespaces.v1.Namespaces/List", NULL, err);

	if (!ret)
		ret = send_last(blob, &request.base, err);
	if (!ret)
		ret = rpc_stream_receive(blob->stream, &blob->message, err);
	if (ret < 0)
		return ret;
	*ret_list = containerd__services__namespaces__v1__list_namespaces_response__unpack(
		NULL, blob->message.size, (const uint8_t *)blob->message.data);
	return *ret_list
		       ? 0
		       : daemon_fail(err, SNAPDRV_FAILED, EPROTO, "containerd: malformed message");
}

/* containerd 1.7 does not tell its differs in which namespace they are called. */
static int read_anywhere(struct blob *blob, const char *digest, struct snapdrv_error *err)
{
	NamespaceList *list;
	int ret = list_namespaces(blob, &list, err);

	if (ret)
		return ret;
	ret = daemon_fail(err, SNAPDRV_MISSING, ENOENT, "blob %s: not found", digest);
	for (size_t i = 0; i < list->n_namespaces && ret == -ENOENT; i++)
		ret = start_read(blob, list->namespaces[i]->name, digest, err);
	containerd__services__namespaces__v1__list_namespaces_response__free_unpacked(list, NULL);
	return ret;
}

int blob_open(const struct turn *turn, const char *digest, struct blob **ret_blob,
	      struct snapdrv_error *err)
{
	const char *digits = find_digits(digest);
	char *namespace = NULL;
	struct blob *blob;
	int ret = 0;

	if (!digits)
		return daemon_fail(err, SNAPDRV_USAGE, EINVAL, "'%.100s': not a SHA-256 digest",
				   digest);
	blob = blob_new(turn, err);
	if (!blob)
		return -ENOMEM;
	blob->fd = open_file(blob->settings, digits);
	if (blob->fd < 0) {
		namespace = rpc_metadata(turn->call, NAMESPACE);
		ret = namespace ? start_read(blob, namespace, digest, err)
				: read_anywhere(blob, digest, err);
		free(namespace);
	}
	if (ret) {
		blob_close(blob);
		return ret;
	}
	*ret_blob = blob;
	return 0;
}

static int check_wanted(struct blob *blob)
{
	return rpc_is_cancelled(blob->call) ? daemon_fail(&blob->err, SNAPDRV_FAILED, ECANCELED,
							  "the caller does not want it any more")
					    : 0;
}

ssize_t blob_read(void *arg, void *data, size_t size)
{
	struct blob *blob = arg;
	ssize_t got = check_wanted(blob);

	if (!got && blob->fd < 0)
		got = read_stream(blob, data, size);
	else if (!got)
		got = read(blob->fd, data, size);
	if (got < 0 && blob->fd >= 0 && !blob->err.errnum)
		got = daemon_fail(&blob->err, SNAPDRV_FAILED, errno, "read a blob: %s",
				  strerror(errno));
	return got < 0 ? keep_failure(blob, (int)got) : got;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* A request and its answer. */
static int ask(struct blob *blob, const WriteRequest *request, struct snapdrv_error *err)
{
	int ret = send_message(blob, &request->base, err);

	if (!ret)
		ret = rpc_stream_receive(blob->stream, &blob->message, err);
	if (ret)
		return ret < 0 ? ret : 0;
	return daemon_fail(err, SNAPDRV_FAILED, EPROTO, "containerd: it ended a write");
}

int blob_create(const struct turn *turn, const char *ref, struct blob **ret_blob,
		struct snapdrv_error *err)
{
	WriteRequest request = CONTAINERD__SERVICES__CONTENT__V1__WRITE_CONTENT_REQUEST__INIT;
	char *namespace = rpc_metadata(turn->call, NAMESPACE);
	struct blob *blob = namespace ? blob_new(turn, err) : NULL;
	char made_up[32];
	uint64_t chance = 0;
	int ret;

	if (!namespace)
		return daemon_fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
				   "the call does not say in which namespace the layer goes");
	if (!blob) {
		free(namespace);
		return -ENOMEM;
	}
	if (getrandom(&chance, sizeof(chance), 0) < 0)
		chance = 0;
	snprintf(made_up, sizeof(made_up), "snapdrv-%016llx", (unsigned long long)chance);
	blob->buffer = malloc(WRITE_SIZE);
	ret = blob->buffer ? open_stream(blob, CONTENT "Write", namespace, err)
			   : daemon_no_memory(err);
	free(namespace);
	request.ref = *ref ? (char *)ref : made_up;
	request.action = CONTAINERD__SERVICES__CONTENT__V1__WRITE_ACTION__STAT;
	if (!ret)
		ret = ask(blob, &request, err);
	if (ret) {
		blob_close(blob);
		return ret;
	}
	*ret_blob = blob;
	return 0;
}

static int send_buffer(struct blob *blob)
{
	WriteRequest request = CONTAINERD__SERVICES__CONTENT__V1__WRITE_CONTENT_REQUEST__INIT;
	int ret;

	/* At 0 it is written over what an earlier try left under this ref. */
	request.action = CONTAINERD__SERVICES__CONTENT__V1__WRITE_ACTION__WRITE;
	request.offset = (int64_t)blob->offset;
	request.data.data = blob->buffer;
	request.data.len = blob->used;
	ret = ask(blob, &request, &blob->err);
	blob->offset += blob->used;
	blob->used = 0;
	return ret;
}

int blob_write(void *arg, const void *data, size_t size)
{
	struct blob *blob = arg;
	int ret = check_wanted(blob);

	while (!ret && size) {
		size_t more = WRITE_SIZE - blob->used;

		if (more > size)
			more = size;
		memcpy(blob->buffer + blob->used, data, more);
		blob->used += more;
		data = (const char *)data + more;
		size -= more;
		if (blob->used == WRITE_SIZE)
			ret = send_buffer(blob);
	}
	return ret ? keep_failure(blob, ret) : 0;
}

int blob_commit(struct blob *blob, const char *digest, uint64_t size,
		const struct snapdrv_label *labels, size_t n_labels, struct snapdrv_error *err)
{
	WriteRequest request = CONTAINERD__SERVICES__CONTENT__V1__WRITE_CONTENT_REQUEST__INIT;
	LabelsEntry *entries = calloc(n_labels + 1, sizeof(*entries));
	LabelsEntry **list = calloc(n_labels + 1, sizeof(*list));
	int ret = entries && list ? 0 : daemon_no_memory(err);

	if (!ret && blob->used) {
		ret = send_buffer(blob);
		if (ret && err)
			*err = blob->err;
	}
	for (size_t i = 0; i < n_labels && !ret; i++) {
		containerd__services__content__v1__write_content_request__labels_entry__init(
			&entries[i]);
		entries[i].key = labels[i].key;
		entries[i].value = labels[i].value;
		list[i] = &entries[i];
	}
	request.action = CONTAINERD__SERVICES__CONTENT__V1__WRITE_ACTION__COMMIT;
	request.total = (int64_t)size;
	request.offset = (int64_t)blob->offset;
	request.expected = (char *)digest;
	request.labels = list;
	request.n_labels = n_labels;
	if (!ret) {
		struct snapdrv_error failure;

		ret = ask(blob, &request, &failure);
		if (ret == -EEXIST)
			ret = 0;
		else if (ret && err)
			*err = failure;
	}
	free(entries);
	free(list);
	return ret;
}

const struct snapdrv_error *blob_error(const struct blob *blob)
{
	return blob->has_failed ? &blob->err : NULL;
}

void blob_close(struct blob *blob)
{
	if (!blob)
		return;
	if (blob->fd >= 0)
		close(blob->fd);
	drop_response(blob);
	rpc_stream_close(blob->stream);
	rpc_client_free(blob->client);
	free(blob->message.data);
	free(blob->buffer);
	free(blob);
}
