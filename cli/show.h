/* SPDX-License-Identifier: Apache-2.0 */
/* Values as people read them: names without surprises, sizes, ages, references. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** struct shown - a small string that is passed by value: f(...).text. */
struct shown {
	char text[32];
};

/** show_text() - print a string; control characters and what is not UTF-8 as \xHH, on one line. */
void show_text(FILE *to, const char *text);

/**
 * show_control() - bytes of the control character at @text, of which there are @size bytes; or 0. U+0080 to U+009f are
 * some too: there are terminals that obey them.
 */
size_t show_control(const char *text, size_t size);

/** show_character() - bytes of the UTF-8 character at @text, or 0 when there is no valid one. */
size_t show_character(const char *text);

/** show_size() - bytes in decimal units and three digits, as docker does: 74.8MB. */
struct shown show_size(uint64_t bytes);

/** show_age() - how long ago, as docker says it: `3 weeks ago`. Both in nanoseconds since 1970. */
struct shown show_age(int64_t now_ns, int64_t then_ns);

/** show_time() - RFC 3339 in UTC, whole seconds. */
struct shown show_time(int64_t time_ns);

/** show_id() - the twelve digits of an ID that are shown. */
struct shown show_id(const char *id);

/**
 * show_reference() - a reference as people write it: nginx for docker.io/library/nginx. Borrowed.
 */
const char *show_reference(const char *reference);

/** show_now_ns() - the time, in nanoseconds since 1970. */
int64_t show_now_ns(void);

#endif
