/* SPDX-License-Identifier: Apache-2.0 */
/* build/recipe: Dockerfiles as docker reads them, and what is wrong with others. */
#include "build/recipe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "unit.h"

/* ---- a recipe as text ----------------------------------------------------------------------- */

static char description[1 << 16];
static size_t described;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	described += (size_t)vsnprintf(description + described, sizeof(description) - described,
				       format, args);
	va_end(args);
}

static void say_text(const char *name, const char *text)
{
	if (text)
		say(" %s=%s", name, text);
}

static void say_number(const char *name, int64_t number, int64_t absent)
{
	if (number != absent)
		say(" %s=%lld", name, (long long)number);
}

static void say_mount(const struct recipe_mount *mount)
{
	static const char *const types[] = {"bind", "cache", "tmpfs", "secret"};
	static const char *const sharings[] = {"shared", "private", "locked"};

	say(" (%s", types[mount->type]);
	say_text("target", mount->target);
	say_text("source", mount->source);
	say_text("from", mount->from);
	say_text("id", mount->id);
	say_text("env", mount->env);
	say_number("mode", mount->mode, -1);
	say_number("uid", mount->uid, -1);
	say_number("gid", mount->gid, -1);
	say_number("size", (int64_t)mount->size, 0);
	say("%s%s%s", mount->read_only ? " ro" : "", mount->writable ? " rw" : "",
	    mount->required ? " required" : "");
	if (mount->sharing)
		say(" %s", sharings[mount->sharing]);
	say(")");
}

static void say_health(const struct recipe_step *step)
{
	static const char *const names[] = {"interval", "timeout", "start-period",
					    "start-interval"};

	for (size_t i = 0; i < 4; i++)
		say_number(names[i], step->health_ns[i], 0);
	say_number("retries", step->retries, 0);
}

static void say_step(const struct recipe_step *step)
{
	say("%u %s%s", step->line, recipe_op_name(step->op), step->is_exec ? " exec" : "");
	say_text("from", step->from);
	say_text("chown", step->chown);
	say_text("chmod", step->chmod);
	say_text("network", step->network);
	say_number("link", step->link, 0);
	say_health(step);
	for (size_t i = 0; i < step->excludes.count; i++)
		say_text("exclude", step->excludes.items[i]);
	for (size_t i = 0; i < step->n_mounts; i++)
		say_mount(&step->mounts[i]);
	for (size_t i = 0; i < step->args.count; i++)
		say(" [%s]", step->args.items[i]);
	for (size_t i = 0; i < step->n_pairs; i++)
		say(" %s%s%s", step->pairs[i].key, step->pairs[i].value ? "=" : "",
		    step->pairs[i].value ? step->pairs[i].value : "");
	for (size_t i = 0; i < step->n_heredocs; i++) {
		const struct recipe_heredoc *heredoc = &step->heredocs[i];

		CHECK(strlen(heredoc->text) == heredoc->size);
		say(" %s%s<%s>", heredoc->name, heredoc->expands ? "" : "!", heredoc->text);
	}
	if (step->trigger) {
		say(" {%s} ", step->trigger->text);
		say_step(step->trigger);
		return;
	}
	say("\n");
}

static void say_recipe(const struct recipe *recipe)
{
	described = 0;
	*description = '\0';
	for (size_t i = 0; i < recipe->n_globals; i++)
		say_step(&recipe->globals[i]);
	for (size_t i = 0; i < recipe->n_stages; i++) {
		const struct recipe_stage *stage = &recipe->stages[i];

		say("%u FROM %s", stage->line, stage->base);
		say_text("as", stage->name);
		say_text("platform", stage->platform);
		say("\n");
		for (size_t j = 0; j < stage->n_steps; j++)
			say_step(&stage->steps[j]);
	}
}

static void check_recipe(const char *text, const char *wanted)
{
	cleanup_recipe struct recipe recipe = {0};
	struct snapdrv_error err = {0};

	if (!CHECK(recipe_parse("Dockerfile", text, strlen(text), &recipe, &err) == 0)) {
		printf("# %s, in\n# %s\n", err.message, text);
		return;
	}
	say_recipe(&recipe);
	CHECK_TEXT(description, wanted);
}

/* What stands behind `FROM x`, on lines from 2 on. */
static void check_steps(const char *steps, const char *wanted)
{
	char *text = NULL, *all = NULL;

	CHECK(asprintf(&text, "FROM x\n%s", steps) > 0);
	CHECK(asprintf(&all, "1 FROM x\n%s", wanted) > 0);
	check_recipe(text, all);
	free(text);
	free(all);
}

static void reads_stages(void)
{
	check_recipe("FROM busybox", "1 FROM busybox\n");
	check_recipe(
		"ARG V=1 W\nFROM a:${V} AS One\nFROM --platform=$P one as two-2_x.y\nfrom scratch",
		"1 ARG V=1 W\n2 FROM a:${V} as=one\n3 FROM one as=two-2_x.y platform=$P\n"
		"4 FROM scratch\n");
	check_recipe("FROM a AS x\nFROM b\nCOPY --from=X p q\nCOPY --from=0 p q\n"
		     "RUN --mount=type=bind,from=x,target=/t z\nCOPY --from=busybox p q",
		     "1 FROM a as=x\n2 FROM b\n3 COPY from=X [p] [q]\n4 COPY from=0 [p] [q]\n"
		     "5 RUN (bind target=/t from=x ro) [z]\n6 COPY from=busybox [p] [q]\n");
	/* An image may have the name that a later stage gets. */
	check_recipe("FROM b AS a\nFROM a AS b", "1 FROM b as=a\n2 FROM a as=b\n");
}

static void joins_lines(void)
{
	check_steps("RUN a \\\n  b\n", "2 RUN [a   b]\n");
	check_steps("RUN a\\\nb\n", "2 RUN [ab]\n");
	check_steps("RUN a \\  \t\nb\n", "2 RUN [a b]\n");
	check_steps("RUN a \\\n# c\n   # d \\\n\n  \nb\nUSER u", "2 RUN [a b]\n8 USER [u]\n");
	check_steps("RUN a \\\n", "2 RUN [a]\n");
	check_steps("RUN a \\", "2 RUN [a]\n");
	check_steps("RUN a \\\\\nUSER u", "2 RUN [a \\\\]\n3 USER [u]\n");
	check_steps("RUN a # no comment\n# one\n  # one\nUSER u",
		    "2 RUN [a # no comment]\n5 USER [u]\n");
	check_steps("\n\t\n  rUn\ta  \t", "4 RUN [a]\n");
	check_steps("\\\nRUN a", "2 RUN [a]\n");
	check_steps("RUN a\\\r\nb\r\nUSER u\r\n", "2 RUN [ab]\n4 USER [u]\n");
	check_recipe("\xef\xbb\xbf"
		     "FROM x\r\n",
		     "1 FROM x\n");
}

static void knows_directives(void)
{
	check_recipe("# escape=`\nFROM x\nRUN a `\nb\nRUN c:\\\nUSER u",
		     "2 FROM x\n3 RUN [a b]\n5 RUN [c:\\]\n6 USER [u]\n");
	check_recipe("#syntax=docker/dockerfile:1\n#  ESCAPE = `  \n# check=skip=all\nFROM x\nRUN "
		     "a `\nb",
		     "4 FROM x\n5 RUN [a b]\n");
	check_recipe("# escape=\\\nFROM x\nRUN a \\\nb", "2 FROM x\n3 RUN [a b]\n");
	/* Only at the top. */
	check_recipe("# a comment\n# escape=`\nFROM x\nRUN a \\\nb", "3 FROM x\n4 RUN [a b]\n");
	check_recipe("\n# escape=`\nFROM x\nRUN a \\\nb", "3 FROM x\n4 RUN [a b]\n");
	check_recipe("# unknown=x\n# escape=`\nFROM x\nRUN a \\\nb", "3 FROM x\n4 RUN [a b]\n");
	check_recipe("FROM x\n# escape=`\nRUN a \\\nb", "1 FROM x\n3 RUN [a b]\n");
	check_recipe("# escape=`\nFROM x\nENV a=`\"b c=c` d", "2 FROM x\n3 ENV a=`\"b c=c` d\n");
}

static void keeps_the_text(void)
{
	static const char text[] = "FROM  x   AS  y\nrun   a \\\n # c\n  b  c\nEXPOSE\t80";
	cleanup_recipe struct recipe recipe = {0};

	CHECK(recipe_parse("D", text, strlen(text), &recipe, NULL) == 0);
	CHECK_TEXT(recipe.file, "D");
	CHECK_TEXT(recipe.stages[0].text, "FROM x   AS  y");
	CHECK_TEXT(recipe.stages[0].steps[0].text, "run a   b  c");
	CHECK_TEXT(recipe.stages[0].steps[1].text, "EXPOSE 80");
	CHECK(recipe.escape == '\\');
	CHECK(recipe_stage_find(&recipe, "Y", 1) == 0 && recipe_stage_find(&recipe, "0", 9) == 0);
	CHECK(recipe_stage_find(&recipe, "y", 0) < 0 && recipe_stage_find(&recipe, "1", 1) < 0);
}

static void reads_here_documents(void)
{
	check_steps("RUN <<EOF\na \\\n# b\n  c $d\nEOF\nUSER u",
		    "2 RUN [<<EOF] EOF<a \\\n# b\n  c $d\n>\n7 USER [u]\n");
	check_steps("RUN <<-EOF cat\n\t\ta\n\t b\n\tEOF", "2 RUN [<<-EOF cat] EOF<a\n b\n>\n");
	check_steps("COPY <<'A' <<\"B\" <<C /d/\n$x\nA\nB\nc\nC",
		    "2 COPY [<<'A'] [<<\"B\"] [<<C] [/d/] A!<$x\n> B!<> C<c\n>\n");
	check_steps("ADD --chown=1 <<a.txt f /d/\n${x:-y}\na.txt",
		    "2 ADD chown=1 [<<a.txt] [f] [/d/] a.txt<${x:-y}\n>\n");
	check_steps("RUN 3<<E 4<<F x\n1\nE\n2\nF", "2 RUN [3<<E 4<<F x] E<1\n> F<2\n>\n");
	check_steps("RUN a <<\\E\n1\nE", "2 RUN [a <<\\E] E!<1\n>\n");
	check_steps("RUN echo \\\n <<E\n1\nE\nUSER u", "2 RUN [echo  <<E] E<1\n>\n6 USER [u]\n");
	check_steps("RUN <<E\r\na\r\nE\r\nUSER u", "2 RUN [<<E] E<a\r\n>\n5 USER [u]\n");
	check_steps("ONBUILD COPY <<E /f\na\nE\nUSER u",
		    "2 ONBUILD {COPY <<E /f\na\nE} 2 COPY [<<E] [/f] E<a\n>\n5 USER [u]\n");
	/* These are none. */
	check_steps("RUN a << b\nRUN a <<<b\nRUN a \"<<b\"\nRUN a$((1<<2))\nCMD a <<E\nENV a=<<E",
		    "2 RUN [a << b]\n3 RUN [a <<<b]\n4 RUN [a \"<<b\"]\n5 RUN [a$((1<<2))]\n"
		    "6 CMD [a <<E]\n7 ENV a=<<E\n");
	check_steps("RUN [\"a\", \"<<E\"]\nUSER u", "2 RUN exec [a] [<<E]\n3 USER [u]\n");
}

/* ---- instructions --------------------------------------------------------------------------- */

static void reads_commands(void)
{
	check_steps("RUN [\"a\", \"b c\", \"\\u00e9\"]", "2 RUN exec [a] [b c] [\xc3\xa9]\n");
	check_steps("CMD []\nENTRYPOINT []\nCMD a && b\nENTRYPOINT [ \"x\" ]",
		    "2 CMD exec\n3 ENTRYPOINT exec\n4 CMD [a && b]\n5 ENTRYPOINT exec [x]\n");
	/* Bad JSON is for the shell. */
	check_steps(
		"RUN ['a']\nRUN [ -e x ] && y\nCMD [\"a\" \"b\"]\nRUN [\"a\"] x",
		"2 RUN [['a']]\n3 RUN [[ -e x ] && y]\n4 CMD [[\"a\" \"b\"]]\n5 RUN [[\"a\"] x]\n");
	check_steps("SHELL [\"/bin/bash\", \"-c\"]", "2 SHELL exec [/bin/bash] [-c]\n");
	check_steps(
		"RUN --network=none --security=sandbox -- --x\nRUN --network=host a --network=none",
		"2 RUN network=none [--x]\n3 RUN network=host [a --network=none]\n");
}

static void reads_mounts(void)
{
	check_steps("RUN --mount=type=cache,target=/c,id=i,sharing=locked,mode=0700,uid=1,gid=2 "
		    "--mount=type=tmpfs,dst=/t,size=2m --mount=target=/b,source=d,rw x",
		    "2 RUN (cache target=/c id=i mode=448 uid=1 gid=2 locked) "
		    "(tmpfs target=/t size=2097152) (bind target=/b source=d rw) [x]\n");
	check_steps("RUN --mount=type=tmpfs,dst=/t,size=67108864 x",
		    "2 RUN (tmpfs target=/t size=67108864) [x]\n");
	check_steps("RUN --mount=type=secret,id=s,required,env=S --mount=type=secret,src=f x",
		    "2 RUN (secret id=s env=S required) (secret source=f) [x]\n");
	check_steps("RUN --mount=target=/b,type=bind,ro=false,from=img x",
		    "2 RUN (bind target=/b from=img rw) [x]\n");
	check_steps("RUN --mount=type=cache,TARGET=$HOME/c,readonly x",
		    "2 RUN (cache target=$HOME/c ro) [x]\n");
	check_steps("RUN --mount=type=bind,target=/b,\\\"source=a,b\\\" x",
		    "2 RUN (bind target=/b source=a,b ro) [x]\n");
	check_steps("RUN --mount=type=bind,target=/b,source=\"a b\" x",
		    "2 RUN (bind target=/b source=a b ro) [x]\n");
}

static void reads_copies(void)
{
	check_steps("COPY a b c/\nCOPY [\"a b\", \"c\"]\nADD --chmod=755 --chown=u:g --link a b",
		    "2 COPY [a] [b] [c/]\n3 COPY exec [a b] [c]\n"
		    "4 ADD chown=u:g chmod=755 link=1 [a] [b]\n");
	check_steps("COPY --exclude=*.o --exclude=x --link=false . /",
		    "2 COPY exclude=*.o exclude=x [.] [/]\n");
	check_steps("COPY a\\ b \"c\" $d", "2 COPY [a\\] [b] [\"c\"] [$d]\n");
}

static void reads_pairs(void)
{
	check_steps("ENV a b  c\nENV a=1 b=\"x y\" c=x\\ y d='q'\nENV  a\t=b",
		    "2 ENV a=b  c\n3 ENV a=1 b=\"x y\" c=x\\ y d='q'\n4 ENV a==b\n");
	check_steps("ENV a=\nENV a=b=c\nENV a=\"\\\"x\"",
		    "2 ENV a=\n3 ENV a=b=c\n4 ENV a=\"\\\"x\"\n");
	check_steps("LABEL \"a.b\"=\"c d\" e=f \\\n  g='h'\nLABEL x y z",
		    "2 LABEL \"a.b\"=\"c d\" e=f g='h'\n4 LABEL x=y z\n");
	check_steps("ARG a\nARG a=1 b c=\"x y\"\nARG a=",
		    "2 ARG a\n3 ARG a=1 b c=\"x y\"\n4 ARG a=\n");
}

static void reads_the_rest(void)
{
	check_steps("EXPOSE 80 53/udp 8000-8010/TCP $p $p/udp",
		    "2 EXPOSE [80] [53/udp] [8000-8010/TCP] [$p] [$p/udp]\n");
	check_steps("VOLUME /a /b\nVOLUME [\"/a b\"]\nVOLUME $v",
		    "2 VOLUME [/a] [/b]\n3 VOLUME exec [/a b]\n4 VOLUME [$v]\n");
	check_steps(
		"WORKDIR /a b\nUSER u:g\nSTOPSIGNAL SIGTERM\nMAINTAINER A <a@b>",
		"2 WORKDIR [/a b]\n3 USER [u:g]\n4 STOPSIGNAL [SIGTERM]\n5 MAINTAINER [A <a@b>]\n");
	check_steps("HEALTHCHECK NONE\nHEALTHCHECK --interval=1m30s --timeout=500ms "
		    "--start-period=1.5h "
		    "--start-interval=2s --retries=3 CMD a b\nHEALTHCHECK cmd [\"a\"]",
		    "2 HEALTHCHECK\n3 HEALTHCHECK interval=90000000000 timeout=500000000 "
		    "start-period=5400000000000 start-interval=2000000000 retries=3 [a b]\n"
		    "4 HEALTHCHECK exec [a]\n");
	check_steps("HEALTHCHECK --interval=0 --timeout=+1h2m3.5s --retries=0 CMD a",
		    "2 HEALTHCHECK timeout=3723500000000 [a]\n");
	check_steps("ONBUILD  run  a  b\nONBUILD COPY --from=y a b\nONBUILD HEALTHCHECK NONE",
		    "2 ONBUILD {run  a  b} 2 RUN [a  b]\n3 ONBUILD {COPY --from=y a b} 3 COPY "
		    "from=y [a] [b]\n"
		    "4 ONBUILD {HEALTHCHECK NONE} 4 HEALTHCHECK\n");
}

static void reads_triggers(void)
{
	struct recipe_step step = {0};
	struct snapdrv_error err = {0};

	CHECK(recipe_parse_trigger("COPY <<E /f\na\nE", &step, NULL) == 0);
	CHECK(step.op == RECIPE_COPY && step.n_heredocs == 1);
	recipe_step_done(&step);
	CHECK(recipe_parse_trigger("run a \\\n b", &step, NULL) == 0);
	CHECK_TEXT(step.args.items[0], "a  b");
	recipe_step_done(&step);
	CHECK(recipe_parse_trigger("", &step, &err) == -EBADMSG);
	CHECK_TEXT(err.message, "ONBUILD trigger '': there is no instruction");
	CHECK(recipe_parse_trigger("RUN a\nRUN b", &step, &err) == -EBADMSG);
	CHECK_TEXT(err.message, "ONBUILD trigger 'RUN a\\x0aRUN b': more than one instruction");
	CHECK(recipe_parse_trigger("FROM a", &step, &err) == -EBADMSG);
	CHECK_TEXT(err.message, "ONBUILD trigger 'FROM a': ONBUILD takes no FROM");
	CHECK(!step.text);
}

int main(void)
{
	RUN(reads_stages);
	RUN(joins_lines);
	RUN(knows_directives);
	RUN(keeps_the_text);
	RUN(reads_here_documents);
	RUN(reads_commands);
	RUN(reads_mounts);
	RUN(reads_copies);
	RUN(reads_pairs);
	RUN(reads_the_rest);
	RUN(reads_triggers);
	return UNIT_STATUS;
}
