/* SPDX-License-Identifier: Apache-2.0 */
/* As lint-hints.h, for the daemon's files. */
#include "../../cli/snapdrvd.h"

static inline __attribute__((unused)) int hint_negative(int ret)
{
	if (ret >= 0)
		__builtin_unreachable();
	return ret;
}

#define daemon_fail(...) hint_negative(daemon_fail(__VA_ARGS__))
#define daemon_no_memory(...) hint_negative(daemon_no_memory(__VA_ARGS__))
