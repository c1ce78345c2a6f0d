/* SPDX-License-Identifier: Apache-2.0 */
/* When a request is made again, and how long to wait before: exponential, with jitter, or as told. */
#ifndef WIRE_RETRY_H
#define WIRE_RETRY_H

#include <stdint.h>
#include <time.h>

#include "wire/http.h"

#define RETRY_TRIES_MAX 5
#define RETRY_WAIT_MAX_MS 120000

/** struct retry - tries of one request; all zero is before the first one. */
struct retry {
	unsigned tries; /* that failed */
};

/**
 * retry_after_ms() - read a Retry-After header (RFC 9110, 10.2.3): seconds, or a date.
 * @now: what a date is compared with.
 * Return: 1 and milliseconds from now, 0 for a past date; or 0 when it is neither.
 */
int retry_after_ms(const char *text, time_t now, int64_t *ret_ms);

/**
 * retry_backoff_ms() - how long to wait after the Nth failure, 1 being the first: 250 ms, doubled each
 * time, of which the upper half is left to chance.
 * @chance: any number.
 */
int64_t retry_backoff_ms(unsigned failures, uint32_t chance);

/**
 * retry_again() - whether to make a request again; it waits as long as it has to.
 * @ret: what http_perform() returned. @response: its answer, when that was 0.
 * @is_cancelled: asked while it waits, with @arg; or NULL.
 *
 * Lost connections and statuses 408, 429, 500, 502, 503 and 504 are tried again, RETRY_TRIES_MAX times
 * in all. A server that wants a longer wait than RETRY_WAIT_MAX_MS is not asked again.
 *
 * Return: 1 again, 0 no.
 */
int retry_again(struct retry *retry, int ret, const struct http_response *response,
		int (*is_cancelled)(void *arg), void *arg);

#endif
