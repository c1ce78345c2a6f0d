/* SPDX-License-Identifier: Apache-2.0 */
/* What a server asks for in WWW-Authenticate (RFC 9110, 11.6.1; RFC 6750, 3). */
#ifndef WIRE_CHALLENGE_H
#define WIRE_CHALLENGE_H

#include "wire/http.h"

/** struct challenge - all zero is none; each parameter is owned, or NULL. */
struct challenge {
	int has_basic;
	int has_bearer;
	char *realm; /* of Bearer, like the next two */
	char *service;
	char *scope;
};

/**
 * challenge_parse() - read the challenges of an answer, in one header or several.
 * @ret_challenge: for challenge_done(). What cannot be read is as if it were not there.
 */
int challenge_parse(const struct http_response *response, struct challenge *ret_challenge,
		    struct snapdrv_error *err);

void challenge_done(struct challenge *challenge);
#define cleanup_challenge __attribute__((cleanup(challenge_done)))

#endif
