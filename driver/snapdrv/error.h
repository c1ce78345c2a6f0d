/* SPDX-License-Identifier: Apache-2.0 */
/* Failures: what went wrong. */
#ifndef SNAPDRV_ERROR_H
#define SNAPDRV_ERROR_H

/**
 * enum snapdrv_code - the kinds of failure; also the exit statuses of the command line.
 * @SNAPDRV_FAILED:  the system said no (disk, memory, permission, kernel).
 * @SNAPDRV_USAGE:   an argument makes no sense.
 * @SNAPDRV_MISSING: there is no such image, container, file or tag.
 * @SNAPDRV_BUSY:    the name exists already, or the thing is in use.
 * @SNAPDRV_REFUSED: the input is corrupt, hostile, or does not match its digest.
 */
enum snapdrv_code {
	SNAPDRV_FAILED = 1,
	SNAPDRV_USAGE = 2,
	SNAPDRV_MISSING = 3,
	SNAPDRV_BUSY = 4,
	SNAPDRV_REFUSED = 5
};

/**
 * struct snapdrv_error - what went wrong, to be kept on the caller's stack.
 * @code:    an enum snapdrv_code.
 * @errnum:  the errno value behind it; EBADMSG, EINVAL, ... where there was no system call.
 * @message: one line, `WHAT: WHY`, without a newline. Names from outside are quoted in it.
 */
struct snapdrv_error {
	int code;
	int errnum;
	char message[1024];
};

#endif
