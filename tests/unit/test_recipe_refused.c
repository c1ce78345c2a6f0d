/* SPDX-License-Identifier: Apache-2.0 */
/* build/recipe: what is wrong with Dockerfiles, and on which line. */
#include "build/recipe.h"

#include <errno.h>
#include <stdlib.h>

#include "unit.h"

static void check_refused(const char *text, size_t size, const char *wanted)
{
	struct recipe recipe = {.file = (char *)"untouched"};
	struct snapdrv_error err = {0};

	CHECK(recipe_parse("Dockerfile", text, size, &recipe, &err) == -EBADMSG);
	CHECK_TEXT(err.message, wanted);
	CHECK(err.code == SNAPDRV_REFUSED);
	CHECK_TEXT(recipe.file, "untouched");
}

static void check_step_refused(const char *step, const char *wanted)
{
	char *text = NULL, *message = NULL;

	CHECK(asprintf(&text, "FROM x\n%s", step) > 0);
	CHECK(asprintf(&message, "Dockerfile:2: %s", wanted) > 0);
	check_refused(text, strlen(text), message);
	free(text);
	free(message);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void refuses_whole_files(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "Dockerfile:1: there is no FROM"},
		{"# nothing\n\n", "Dockerfile:2: there is no FROM"},
		{"ARG a", "Dockerfile:1: there is no FROM"},
		{"RUN a\nFROM x", "Dockerfile:1: RUN stands in front of the first FROM"},
		{"hello\nFROM x", "Dockerfile:1: there is no instruction 'hello'"},
		{"# escape=x\nFROM x", "Dockerfile:1: '# escape=' is neither \\ nor `"},
		{"# escape=`\n# escape=`\nFROM x", "Dockerfile:2: a second '# escape='"},
		{"FROM x AS a\nFROM y AS A", "Dockerfile:2: a second stage is called 'a'"},
		{"FROM x AS a\n\nCOPY --from=a b c", "Dockerfile:3: from 'a': that is this stage"},
		{"FROM x\nCOPY --from=b b c\nFROM y AS b",
		 "Dockerfile:2: from 'b': that is a later stage"},
		{"FROM x\nCOPY --from=1 b c\nFROM y",
		 "Dockerfile:2: from '1': that is a later stage"},
		{"FROM x\nCOPY --from=2 b c\nFROM y",
		 "Dockerfile:2: from '2': there is no such stage"},
		{"FROM x\nRUN --mount=from=0,target=/t b\nFROM y",
		 "Dockerfile:2: from '0': that is this stage"},
		{"FROM", "Dockerfile:1: FROM takes an image, or an image AS a name"},
		{"FROM a b", "Dockerfile:1: FROM takes an image, or an image AS a name"},
		{"FROM a IS b", "Dockerfile:1: FROM takes an image, or an image AS a name"},
		{"FROM a AS 1b", "Dockerfile:1: '1b' is no name of a stage"},
		{"FROM a AS b/c", "Dockerfile:1: 'b/c' is no name of a stage"},
		{"FROM ${a", "Dockerfile:1: '${a': a '}' is missing"},
		{"FROM --platform=${a!} x", "Dockerfile:1: '${a!}': the modifier '!' is not known"},
		{"FROM --x=y x", "Dockerfile:1: the flag '--x=y' is not known"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_refused(cases[i].text, strlen(cases[i].text), cases[i].message);
	check_refused("FROM x\nRUN a\0b", 14, "Dockerfile:2: a NUL byte");
}

static void refuses_large_files(void)
{
	size_t size = RECIPE_SIZE_MAX + 1, used = 7;
	char *text = malloc(size);

	memset(text, '#', size);
	check_refused(text, size, "Dockerfile:1: a Dockerfile of more than 1048576 bytes");
	memcpy(text, "FROM x\n", 7);
	for (size_t i = 0; i < 10000; i++, used += 7)
		memcpy(text + used, "USER u\n", 7);
	check_refused(text, used, "Dockerfile:10001: more than 10000 instructions");
	/* One line may be as long as the file. */
	memset(text + 7, 'a', RECIPE_SIZE_MAX - 7);
	memcpy(text + 7, "RUN ", 4);
	{
		cleanup_recipe struct recipe recipe = {0};

		CHECK(recipe_parse("D", text, RECIPE_SIZE_MAX, &recipe, NULL) == 0);
	}
	free(text);
}

static void refuses_steps(void)
{
	static const struct {
		const char *step, *message;
	} cases[] = {
		{"FOO bar", "there is no instruction 'FOO'"},
		{"RUN", "RUN needs an argument"},
		{"RUN []", "RUN needs an argument"},
		{"RUN [1]", "a JSON array of something else than strings"},
		{"CMD", "CMD needs an argument"},
		{"SHELL /bin/sh -c", "SHELL needs a JSON array"},
		{"SHELL []", "SHELL needs an argument"},
		{"RUN --foo=1 a", "the flag '--foo=1' is not known"},
		{"CMD --foo a", "the flag '--foo' is not known"},
		{"RUN --network=lan a", "--network='lan' is none of default, none, host"},
		{"RUN --network a", "--network has no value"},
		{"RUN --network=none --network=none a", "--network is given twice"},
		{"RUN --security=insecure a",
		 "--security=insecure: a step has no more rights than a container"},
		{"RUN --mount=type=ssh a", "--mount=type=ssh: there is no agent to forward"},
		{"RUN --mount=type=x a", "--mount: the type 'x' is not known"},
		{"RUN --mount=type=bind a", "--mount: type=bind needs a target"},
		{"RUN --mount=type=bind,target=/ a", "--mount: the target is the root"},
		{"RUN --mount=type=bind,target=/a,uid=1 a", "--mount: type=bind takes no uid"},
		{"RUN --mount=type=bind,target=/a,foo=1 a",
		 "--mount: the field 'foo' is not known"},
		{"RUN --mount=type=bind,target= a", "--mount: target has no value"},
		{"RUN --mount=type=bind,target=/a,rw=maybe a",
		 "--mount: rw='maybe' is neither true nor false"},
		{"RUN --mount=type=cache,target=/a,mode=9 a",
		 "--mount: mode='9' is no number that can be"},
		{"RUN --mount=type=cache,target=/a,uid=4294967295 a",
		 "--mount: uid='4294967295' is no number that can be"},
		{"RUN --mount=type=cache,target=/a,sharing=x a",
		 "--mount: sharing='x' is none of shared, private, locked"},
		{"RUN --mount=type=tmpfs,target=/a,size=1x a", "--mount: size='1x' is no size"},
		{"RUN --mount=type=tmpfs,target=/a,size=9000000t a",
		 "--mount: size='9000000t' is no size"},
		{"RUN --mount=type=secret a", "--mount: type=secret needs an id"},
		{"RUN --mount=target=/a,from=$x a",
		 "--mount: from= takes no variables: give the stage a name"},
		{"RUN --mount=target=${x a", "'${x': a '}' is missing"},
		{"COPY a", "COPY needs a source and a destination"},
		{"COPY [\"a\"]", "COPY needs a source and a destination"},
		{"COPY --from=$x a b", "--from takes no variables: give the stage a name"},
		{"COPY --parents a b", "--parents: not of the stable syntax"},
		{"COPY --link=maybe a b", "--link is neither true nor false"},
		{"COPY ${x a b", "'${x': a '}' is missing"},
		{"COPY a <<E", "a here-document is no destination"},
		{"COPY --from=y <<E a", "a here-document does not come --from elsewhere"},
		{"COPY <<E a\nb", "the here-document 'E' has no end"},
		{"COPY <<E a\n${b\nE", "'${b\\x0a': the modifier '\\x0a' is not known"},
		{"COPY https://x/y a", "'https://x/y' is a URL; builds fetch no sources"},
		{"ADD HTTP://x/y a", "'HTTP://x/y' is a URL; builds fetch no sources"},
		{"ADD git@github.com:x/y.git a",
		 "'git@github.com:x/y.git' is a git repository; builds fetch no sources"},
		{"ADD --checksum=sha256:0 a b", "--checksum: ADD fetches nothing"},
		{"ADD --keep-git-dir=true a b", "--keep-git-dir: ADD fetches nothing"},
		{"ADD --from=x a b", "the flag '--from=x' is not known"},
		{"ENV", "ENV needs an argument"},
		{"ENV a", "ENV 'a' has no value"},
		{"ENV a=1 b", "'b' is not NAME=VALUE"},
		{"ENV =1", "ENV has an empty name"},
		{"ENV a=\"b", "'\"b': a double quote is not closed"},
		{"ENV a=${b:x}", "'${b:x}': the modifier ':x' is not known"},
		{"LABEL a", "LABEL 'a' has no value"},
		{"LABEL 'a=b", "''a': a single quote is not closed"},
		{"ARG", "ARG needs an argument"},
		{"ARG =1", "ARG has an empty name"},
		{"EXPOSE", "EXPOSE needs an argument"},
		{"EXPOSE http", "'http' is no port like 80, 53/udp or 8000-8010"},
		{"EXPOSE 65536", "'65536' is no port like 80, 53/udp or 8000-8010"},
		{"EXPOSE 10-9", "'10-9' is no port like 80, 53/udp or 8000-8010"},
		{"EXPOSE 80/icmp", "'80/icmp' is no port like 80, 53/udp or 8000-8010"},
		{"VOLUME", "VOLUME needs an argument"},
		{"VOLUME []", "VOLUME needs an argument"},
		{"VOLUME [\"\"]", "VOLUME has an empty name"},
		{"WORKDIR", "WORKDIR needs an argument"},
		{"USER", "USER needs an argument"},
		{"STOPSIGNAL", "STOPSIGNAL needs an argument"},
		{"MAINTAINER", "MAINTAINER needs an argument"},
		{"HEALTHCHECK", "HEALTHCHECK is neither CMD nor NONE"},
		{"HEALTHCHECK curl x", "HEALTHCHECK is neither CMD nor NONE"},
		{"HEALTHCHECK CMD", "HEALTHCHECK CMD needs a command"},
		{"HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"},
		{"HEALTHCHECK --interval=5 CMD a", "'5' is no duration like 1m30s"},
		{"HEALTHCHECK --interval=1d CMD a", "'1d' is no duration like 1m30s"},
		{"HEALTHCHECK --interval=-1s CMD a", "the duration '-1s' is less than nothing"},
		{"HEALTHCHECK --interval=1us CMD a", "the duration '1us' is less than 1ms"},
		{"HEALTHCHECK --interval=99999999999h CMD a",
		 "'99999999999h' is no duration like 1m30s"},
		{"HEALTHCHECK --retries=-1 CMD a", "--retries='-1' is no number that can be"},
		{"ONBUILD", "ONBUILD needs an instruction"},
		{"ONBUILD ONBUILD RUN a", "ONBUILD takes no ONBUILD"},
		{"ONBUILD FROM a", "ONBUILD takes no FROM"},
		{"ONBUILD MAINTAINER a", "ONBUILD takes no MAINTAINER"},
		{"ONBUILD FOO", "there is no instruction 'FOO'"},
		{"ONBUILD COPY <<E a\nb", "the here-document 'E' has no end"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_step_refused(cases[i].step, cases[i].message);
}

int main(void)
{
	RUN(refuses_whole_files);
	RUN(refuses_large_files);
	RUN(refuses_steps);
	return UNIT_STATUS;
}
