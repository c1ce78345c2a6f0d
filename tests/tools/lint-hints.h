/* SPDX-License-Identifier: Apache-2.0 */
/* For clang-tidy alone, put in front of each file of driver/: what fail() and its kin return is negative. */
#include "base/error.h"

static inline __attribute__((unused)) int hint_negative(int ret)
{
	if (ret >= 0)
		__builtin_unreachable();
	return ret;
}

#define fail(...) hint_negative(fail(__VA_ARGS__))
#define fail_errno(...) hint_negative(fail_errno(__VA_ARGS__))
#define fail_as(...) hint_negative(fail_as(__VA_ARGS__))
#define refuse(...) hint_negative(refuse(__VA_ARGS__))
#define fail_memory(...) hint_negative(fail_memory(__VA_ARGS__))
#define fail_within(err, ret, ...)                       \
	__extension__({                                  \
		int hint_ret = (ret);                    \
		fail_within(err, hint_ret, __VA_ARGS__); \
		hint_ret;                                \
	})
