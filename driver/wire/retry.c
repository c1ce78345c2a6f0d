/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting before another try. */
#include "wire/retry.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_MS 250
#define SLICE_MS 100

static int read_date(const char *text, time_t *ret_time)
{
	/* The form that is sent, and the two that RFC 9110, 5.6.7, has readers accept. */
	static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT",
					    "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm parts = {0};
		const char *end = strptime(text, forms[i], &parts);

		if (end && !*end) {
			*ret_time = timegm(&parts);
			return 1;
		}
	}
	return 0;
}

int retry_after_ms(const char *text, time_t now, int64_t *ret_ms)
{
	time_t when;

	if (isdigit((unsigned char)*text)) {
		char *end;
		unsigned long long seconds;

		errno = 0;
		seconds = strtoull(text, &end, 10);
		if (*end)
			return 0;
		*ret_ms = errno || seconds > INT64_MAX / 1000 ? INT64_MAX : (int64_t)seconds * 1000;
		return 1;
	}
	if (!read_date(text, &when))
		return 0;
	*ret_ms = when > now ? (int64_t)(when - now) * 1000 : 0;
	return 1;
}

int64_t retry_backoff_ms(unsigned failures, uint32_t chance)
{
	int64_t whole = FIRST_MS;

	while (--failures && whole < RETRY_WAIT_MAX_MS)
		whole *= 2;
	return whole / 2 + chance % (whole / 2 + 1);
}

static int is_passing(int status)
{
	return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
	       status == 504;
}

static int wait_ms(int64_t ms, int (*is_cancelled)(void *arg), void *arg)
{
	for (; ms > 0; ms -= SLICE_MS) {
		int64_t slice = ms < SLICE_MS ? ms : SLICE_MS;
		struct timespec rest = {.tv_nsec = slice * 1000000};

		if (is_cancelled && is_cancelled(arg))
			return 0;
		while (nanosleep(&rest, &rest) && errno == EINTR)
			;
	}
	return 1;
}

int retry_again(struct retry *retry, int ret, const struct http_response *response,
		int (*is_cancelled)(void *arg), void *arg)
{
	const char *header = NULL;
	uint32_t chance = 0;
	int64_t ms;

	if (ret ? ret != -EAGAIN : !is_passing(response->status))
		return 0;
	if (++retry->tries >= RETRY_TRIES_MAX)
		return 0;
	if (!ret)
		header = http_header(response, "retry-after");
	if (!header || !retry_after_ms(header, time(NULL), &ms)) {
		if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
			chance = 0;
		ms = retry_backoff_ms(retry->tries, chance);
	}
	return ms <= RETRY_WAIT_MAX_MS && wait_ms(ms, is_cancelled, arg);
}
