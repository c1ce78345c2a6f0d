/* SPDX-License-Identifier: Apache-2.0 */
/* What COPY leans on: telling archives from files, remembering digests, times that are not too late. */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "build/known.h"
#include "kernel/copy.h"
#include "layer/sniff.h"
#include "unit.h"

DEFINE_CLEANUP(known, struct known, known_free)
#define cleanup_known __attribute__((cleanup(cleanup_known_at)))

static void make_header(unsigned char header[SNIFF_SIZE], const char *name, int is_signed)
{
	long sum = 0;

	memset(header, 0, SNIFF_SIZE);
	strcpy((char *)header, name);
	memset(header + 148, ' ', 8);
	for (size_t i = 0; i < SNIFF_SIZE; i++)
		sum += is_signed ? (signed char)header[i] : header[i];
	snprintf((char *)header + 148, 8, "%06lo", sum);
}

static void tars_are_told_by_their_sum(void)
{
	unsigned char header[SNIFF_SIZE] = {0};

	CHECK(!sniff_header(header, sizeof(header)));
	make_header(header, "name", 0);
	CHECK(sniff_header(header, sizeof(header)));
	CHECK(!sniff_header(header, sizeof(header) - 1));
	header[0]++;
	CHECK(!sniff_header(header, sizeof(header)));
	make_header(header, "n\xe4me", 1);
	CHECK(sniff_header(header, sizeof(header)));
	memset(header + 148, '9', 8);
	CHECK(!sniff_header(header, sizeof(header)));
}

static void compressed_streams_are_told(void)
{
	CHECK(sniff_compressed((const unsigned char *)"\x1f\x8b\x08", 3));
	CHECK(sniff_compressed((const unsigned char *)"\x28\xb5\x2f\xfd", 4));
	CHECK(sniff_compressed((const unsigned char *)"BZh91AY&SY", 10));
	CHECK(sniff_compressed((const unsigned char *)"\xfd"
						      "7zXZ\0\0\4",
			       8));
	CHECK(!sniff_compressed((const unsigned char *)"FROM scratch\n", 13));
	CHECK(!sniff_compressed((const unsigned char *)"", 0));
}

static struct stat stat_of(ino_t ino, time_t ctime)
{
	return (struct stat){.st_dev = 1, .st_ino = ino, .st_ctim = {ctime, 5}, .st_size = 3};
}

static void known_files_are_found(void)
{
	cleanup_known struct known *known = known_new(NULL);
	struct digest digest, found;
	struct stat st;

	for (unsigned i = 1; i <= 5000; i++) {
		digest = digest_of(&i, sizeof(i));
		st = stat_of(i, 1000);
		known_add(known, &st, &digest);
	}
	for (unsigned i = 1; i <= 5000; i++) {
		digest = digest_of(&i, sizeof(i));
		st = stat_of(i, 1000);
		if (!CHECK(known_find(known, &st, &found) && digest_equal(&digest, &found)))
			break;
	}
	st = stat_of(5001, 1000);
	CHECK(!known_find(known, &st, &found));
	CHECK(!known_find(NULL, &st, &found));
}

static void changed_files_are_not_known(void)
{
	cleanup_known struct known *known = known_new(NULL);
	struct digest digest = digest_of("x", 1), other = digest_of("y", 1), found;
	struct stat st = stat_of(7, 1000), changed = st;

	known_add(known, &st, &digest);
	changed.st_ctim.tv_nsec++;
	CHECK(!known_find(known, &changed, &found));
	changed = st;
	changed.st_size++;
	CHECK(!known_find(known, &changed, &found));
	changed = st;
	changed.st_dev++;
	CHECK(!known_find(known, &changed, &found));
	changed = stat_of(7, 2000);
	known_add(known, &changed, &other);
	CHECK(!known_find(known, &st, &found));
	CHECK(known_find(known, &changed, &found) && digest_equal(&found, &other));
}

static void files_of_this_moment_are_not_remembered(void)
{
	cleanup_known struct known *known = known_new(NULL);
	struct digest digest = digest_of("x", 1), found;
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	st = stat_of(1, now.tv_sec);
	st.st_ctim.tv_nsec = now.tv_nsec;
	known_add(known, &st, &digest);
	CHECK(!known_find(known, &st, &found));
	st = stat_of(2, now.tv_sec + 100);
	known_add(known, &st, &digest);
	CHECK(!known_find(known, &st, &found));
	st = stat_of(3, now.tv_sec - 2);
	known_add(known, &st, &digest);
	CHECK(known_find(known, &st, &found));
}

static int64_t clamped(int64_t latest_ns, time_t sec, long nsec)
{
	const struct copy_rules rules = {.latest_ns = latest_ns};
	const struct timespec time = {sec, nsec};
	struct timespec got = copy_mtime(&rules, &time);

	return (int64_t)got.tv_sec * 1000000000 + got.tv_nsec;
}

static void later_times_become_the_latest(void)
{
	const struct copy_rules none = {.latest_ns = INT64_MAX};
	const struct timespec far = {20000000000, 0};

	CHECK(clamped(5000000007, 5, 6) == 5000000006);
	CHECK(clamped(5000000007, 5, 7) == 5000000007);
	CHECK(clamped(5000000007, 5, 8) == 5000000007);
	CHECK(clamped(5000000007, 6, 0) == 5000000007);
	CHECK(clamped(0, -1, 999999999) == -1);
	CHECK(clamped(INT64_MAX, 9000000000, 1) == 9000000000000000001);
	CHECK(copy_mtime(&none, &far).tv_sec == far.tv_sec);
}

int main(void)
{
	RUN(tars_are_told_by_their_sum);
	RUN(compressed_streams_are_told);
	RUN(known_files_are_found);
	RUN(changed_files_are_not_known);
	RUN(files_of_this_moment_are_not_remembered);
	RUN(later_times_become_the_latest);
	return UNIT_STATUS;
}
