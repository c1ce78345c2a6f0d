/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's statuses (grpc/status.h), and which of them a failure of ours is. */
#include <errno.h>
#include <grpc/status.h>

#include "wire/rpc_server.h"

static const char *const status_names[] = {
	[GRPC_STATUS_OK] = "OK",
	[GRPC_STATUS_CANCELLED] = "CANCELLED",
	[GRPC_STATUS_UNKNOWN] = "UNKNOWN",
	[GRPC_STATUS_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[GRPC_STATUS_NOT_FOUND] = "NOT_FOUND",
	[GRPC_STATUS_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[GRPC_STATUS_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[GRPC_STATUS_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[GRPC_STATUS_UNIMPLEMENTED] = "UNIMPLEMENTED",
};

const char *rpc_status_name(int status)
{
	int is_named = status >= 0 &&
		       (size_t)status < sizeof(status_names) / sizeof(status_names[0]) &&
		       status_names[status];

	return is_named ? status_names[status] : "UNKNOWN";
}

int rpc_status(const struct snapdrv_error *err)
{
	if (err->errnum == ECANCELED)
		return GRPC_STATUS_CANCELLED;
	if (err->errnum == ENOMEM || err->errnum == ENOSPC || err->errnum == EDQUOT)
		return GRPC_STATUS_RESOURCE_EXHAUSTED;
	switch (err->code) {
	case SNAPDRV_USAGE:
	case SNAPDRV_REFUSED:
		return GRPC_STATUS_INVALID_ARGUMENT;
	case SNAPDRV_MISSING:
		return GRPC_STATUS_NOT_FOUND;
	case SNAPDRV_BUSY:
		return err->errnum == EEXIST ? GRPC_STATUS_ALREADY_EXISTS
					     : GRPC_STATUS_FAILED_PRECONDITION;
	default:
		return err->errnum == EOPNOTSUPP || err->errnum == ENOSYS
			       ? GRPC_STATUS_UNIMPLEMENTED
			       : GRPC_STATUS_UNKNOWN;
	}
}
