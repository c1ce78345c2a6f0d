/* SPDX-License-Identifier: Apache-2.0 */
/* An archive that holds an image: its members, and where it is a plain tar what it plans. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "image/plan.h"
#include "layer/members.h"

#define READ_MAX (4u << 20)

/* Read each member to its end. Return: whether it is an archive whose members can be found again. */
static int read_members(int fd)
{
	static char buffer[1 << 16];
	struct snapdrv_error err = {0};
	struct members *members;
	struct member member;
	size_t total = 0;
	int ret = members_open(fd, &members, &err), can_seek;

	fuzz_check(ret, &err);
	if (ret)
		return 0;
	can_seek = members_can_seek(members);
	while (total < READ_MAX && (ret = members_next(members, &member, &err)) == 1) {
		const struct layer_input input = members_input(members);
		ssize_t got;

		HOLDS(member.name);
		if (!member.is_file || can_seek)
			continue;
		while ((got = input.read(input.context, buffer, sizeof(buffer), &err)) > 0 &&
		       total < READ_MAX)
			total += (size_t)got;
		if (got < 0)
			break;
	}
	HOLDS(ret >= 0 || err.message[0]);
	members_close(members);
	return can_seek;
}

static void plan(int fd)
{
	static const struct platform platform = {"linux", "amd64", ""};
	static struct intake intake;
	struct snapdrv_error err = {0};
	struct source *source;
	struct plans plans;
	int ret = source_open(&intake, NULL, fd, &source, &err);

	fuzz_check(ret, &err);
	if (ret)
		return;
	ret = plan_source(source, &platform, NULL, &plans, &err);
	fuzz_check(ret, &err);
	for (size_t i = 0; !ret && i < plans.count; i++) {
		struct layer_place place;

		if (source_layer(source, plans.images[i].layers[0].member, &place, NULL) == 1)
			layer_place_done(&place);
	}
	if (!ret)
		plans_done(&plans);
	source_close(source);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size && !lseek(fd, 0, SEEK_SET));
	if (read_members(fd)) {
		HOLDS(!lseek(fd, 0, SEEK_SET));
		plan(fd);
	}
	close(fd);
}
