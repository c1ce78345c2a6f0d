/* SPDX-License-Identifier: Apache-2.0 */
/* Values as people read them, in docker's forms. */
#include "show.h"

#include <string.h>
#include <time.h>

#define NS_PER_SECOND 1000000000LL

size_t show_character(const char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)text;
	uint32_t code;
	size_t size;

	if (*at < 0x80)
		return 1;
	if (*at >= 0xf5 || *at < 0xc2)
		return 0;
	size = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
	code = *at & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return size;
}

size_t show_control(const char *text, size_t size)
{
	const unsigned char *at = (const unsigned char *)text;

	if (*at < 0x20 || *at == 0x7f)
		return 1;
	return size > 1 && *at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0 ? 2 : 0;
}

void show_text(FILE *to, const char *text)
{
	while (*text) {
		size_t size = show_character(text);
		int plain = size && !show_control(text, size);

		for (size_t left = size ? size : 1; left; left--, text++)
			fprintf(to, plain ? "%c" : "\\x%02x", (unsigned char)*text);
	}
}

struct shown show_size(uint64_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double size = (double)bytes;
	struct shown out;
	size_t unit = 0;

	/* 999.5 is where three digits round up to the next unit. */
	for (; size >= 999.5; size /= 1000)
		unit++;
	snprintf(out.text, sizeof(out.text), "%.3g%s", size, units[unit]);
	return out;
}

static struct shown ago(int64_t count, const char *unit)
{
	struct shown out;

	snprintf(out.text, sizeof(out.text), "%lld %s ago", (long long)count, unit);
	return out;
}

struct shown show_age(int64_t now_ns, int64_t then_ns)
{
	int64_t seconds = now_ns / NS_PER_SECOND - then_ns / NS_PER_SECOND;
	int64_t minutes = seconds / 60, hours = (seconds + 1800) / 3600;

	if (seconds < 1)
		return (struct shown){"Less than a second ago"};
	if (seconds == 1)
		return (struct shown){"1 second ago"};
	if (seconds < 60)
		return ago(seconds, "seconds");
	if (minutes == 1)
		return (struct shown){"About a minute ago"};
	if (minutes < 60)
		return ago(minutes, "minutes");
	if (hours == 1)
		return (struct shown){"About an hour ago"};
	if (hours < 48)
		return ago(hours, "hours");
	if (hours < 24 * 7 * 2)
		return ago(hours / 24, "days");
	if (hours < 24 * 30 * 2)
		return ago(hours / 24 / 7, "weeks");
	if (hours < 24 * 365 * 2)
		return ago(hours / 24 / 30, "months");
	return ago(hours / 24 / 365, "years");
}

struct shown show_time(int64_t time_ns)
{
	time_t seconds = time_ns / NS_PER_SECOND - (time_ns % NS_PER_SECOND < 0);
	struct shown out;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(out.text, sizeof(out.text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

struct shown show_id(const char *id)
{
	const char *colon = strchr(id, ':');
	struct shown out;

	snprintf(out.text, sizeof(out.text), "%.12s", colon ? colon + 1 : id);
	return out;
}

const char *show_reference(const char *reference)
{
	static const char registry[] = "docker.io/", official[] = "library/";
	const char *path = reference + strlen(registry);

	if (strncmp(reference, registry, strlen(registry)))
		return reference;
	if (strncmp(path, official, strlen(official)) || strchr(path + strlen(official), '/'))
		return path;
	return path + strlen(official);
}

int64_t show_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}
