/* SPDX-License-Identifier: Apache-2.0 */
/* build/ignore: .dockerignore as docker reads it, and Go's patterns of file names. */
#include "build/ignore.h"

#include <errno.h>
#include <time.h>

#include "unit.h"

static struct ignore read_rules(const char *text)
{
	struct ignore ignore = {0};
	struct snapdrv_error err = {0};

	if (!CHECK(ignore_parse(".dockerignore", text, strlen(text), &ignore, &err) == 0))
		printf("# %s\n", err.message);
	return ignore;
}

static void check_path(const char *rules, const char *path, int is_out)
{
	cleanup_ignore struct ignore ignore = read_rules(rules);

	if (!CHECK(ignore_has(&ignore, path) == is_out))
		printf("# it was %s of\n# %s\n", path, rules);
}

static void leaves_out(void)
{
	static const struct {
		const char *rules, *out, *in;
	} cases[] = {
		{"a", "a", "b"},
		{"a", "a/b/c", "b/a"},
		{"/a", "a", "x/a"},
		{"a/", "a", "ab"},
		{"./a//b/.", "a/b", "a"},
		{"a/../b", "b", "a"},
		{"../a", "../a", "a"},
		{"a/b", "a/b/c", "a"},
		{"*", "a", ""},
		{"*", "a/b", ""},
		{"*.c", "x.c", "d/x.c"},
		{"*/*.c", "d/x.c", "d/e/x.c"},
		{"**/*.c", "d/e/x.c", "d/e/x.h"},
		{"**/*.c", "x.c", "x.cc"},
		{"**", "a/b/c", ""},
		{"**/a", "a", "ba"},
		{"**/a", "x/y/a", "x/ya"},
		{"**a", "x/ya", "x/ab"},
		{"**.go", "d/x.go", "d/x.gone"},
		{"**a*", "x/ab", "x/ya"},
		{"a/**", "a/b", "a"},
		{"a/**", "a/b/c", "ab"},
		{"a/**/b", "a/b", "ab"},
		{"a/**/b", "a/x/y/b", "a/xb"},
		{"a**/b", "a/b", "b"},
		{"d/**/x/**/f", "d/1/x/2/f", "d/1/f"},
		{"?", "a", "ab"},
		{"?", "\xc3\xa9", "\xc3\xa9\xc3\xa9"},
		{"[a-c]", "b", "d"},
		{"[^a-c]", "d", "b"},
		{"x[\\]\\-]y", "x-y", "x-"},
		{"\\*", "*", "a"},
		{"a.b", "a.b", "axb"},
		{"a+(b)|$^", "a+(b)|$^", "aab"},
		{" a b \t", "a b", "a"},
		{"#a", "", "#a"},
		{"\\#a", "#a", "a"},
		{" #a", "#a", "a"},
		{"a\r\nb\r\n", "b", "c"},
		{"\xef\xbb\xbf"
		 "a",
		 "a", "b"},
		{"\n\n  \na\n", "a", "b"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (*cases[i].out)
			check_path(cases[i].rules, cases[i].out, 1);
		if (*cases[i].in)
			check_path(cases[i].rules, cases[i].in, 0);
	}
}

static void the_last_rule_says_so(void)
{
	check_path("*\n!a", "a", 0);
	check_path("*\n!a", "a/b", 0);
	check_path("*\n!a\na/b", "a/b", 1);
	check_path("*\n!a\na/b", "a/c", 0);
	check_path("!a\na", "a", 1);
	check_path("d\n!d/e", "d/e/f", 0);
	check_path("d\n!d/e", "d/x", 1);
	check_path("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", 1);
	check_path("*.md\n!README*.md\nREADME-secret.md", "README-x.md", 0);
	check_path("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", 0);
	check_path("*\n! \t/a", "a", 0);
	check_path("**\n!**/keep", "x/y/keep", 0);
}

static int enters(const char *rules, const char *path)
{
	cleanup_ignore struct ignore ignore = read_rules(rules);

	return ignore_enters(&ignore, path);
}

static void goes_into_what_an_exception_may_be_in(void)
{
	CHECK(enters("d\n!d/e/f", "d"));
	CHECK(enters("d\n!d/e/f", "d/e"));
	CHECK(!enters("d\n!d/e/f", "d/e/f"));
	CHECK(!enters("d\n!d/e/f", "d/x"));
	CHECK(!enters("d\n!de", "d"));
	CHECK(!enters("d\ne", "d"));
	CHECK(enters("*\n!**/keep", "any/where"));
	CHECK(enters("*\n!d/*/keep", "d/x"));
	CHECK(enters("*\n!d/*/keep", "d"));
	CHECK(!enters("*\n!d/*/keep", "e"));
}

static void refuses_with_the_line(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"a\n!\n", "x/.dockerignore:2: '!' without a pattern"},
		{"a\n\n[", "x/.dockerignore:3: '[' cannot be read as a pattern"},
		{"[]", "x/.dockerignore:1: '[]' cannot be read as a pattern"},
		{"[a-]", "x/.dockerignore:1: '[a-]' cannot be read as a pattern"},
		{"a\\", "x/.dockerignore:1: 'a\\x5c' cannot be read as a pattern"},
	};
	struct ignore ignore = {0};
	struct snapdrv_error err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		err = (struct snapdrv_error){0};
		CHECK(ignore_parse("x/.dockerignore", cases[i].text, strlen(cases[i].text), &ignore,
				   &err) == -EBADMSG);
		CHECK_TEXT(err.message, cases[i].message);
		CHECK(err.code == SNAPDRV_REFUSED);
	}
	CHECK(ignore_parse("x", "a\nb\0c", 5, &ignore, &err) == -EBADMSG);
	CHECK_TEXT(err.message, "x:2: a NUL byte");
	CHECK(!ignore.rules && !ignore.n_rules);
	CHECK(ignore_add(&ignore, "[", &err) == -EBADMSG);
	CHECK_TEXT(err.message, "'[' cannot be read as a pattern");
	ignore_done(&ignore);
}

static void takes_single_patterns(void)
{
	cleanup_ignore struct ignore ignore = {0};

	CHECK(!ignore_has(&ignore, "a"));
	CHECK(ignore_add(&ignore, " *.txt ", NULL) == 0);
	CHECK(ignore_add(&ignore, "", NULL) == 0);
	CHECK(ignore_add(&ignore, "!b.txt", NULL) == 0);
	CHECK(ignore_has(&ignore, "a.txt"));
	CHECK(!ignore_has(&ignore, "b.txt"));
}

static void matches_as_go_does(void)
{
	static const struct {
		const char *pattern, *path;
		int result;
	} cases[] = {
		{"abc", "abc", 1},
		{"*", "abc", 1},
		{"*c", "abc", 1},
		{"a*", "a", 1},
		{"a*", "ab/c", 0},
		{"a*/b", "abc/b", 1},
		{"a*/b", "a/c/b", 0},
		{"a*b*c*d*e*/f", "axbxcxdxe/f", 1},
		{"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", 0},
		{"ab[c]", "abc", 1},
		{"ab[b-d]", "abc", 1},
		{"ab[e-g]", "abc", 0},
		{"ab[^c]", "abc", 0},
		{"ab[^e-g]", "abc", 1},
		{"a\\*b", "a*b", 1},
		{"a\\*b", "ab", 0},
		{"a?b",
		 "a\xe2\x98\xba"
		 "b",
		 1},
		{"a[^a]b",
		 "a\xe2\x98\xba"
		 "b",
		 1},
		{"a???b",
		 "a\xe2\x98\xba"
		 "b",
		 0},
		{"[a-\xce\xb6]*", "\xce\xb1", 1},
		{"*[a-\xce\xb6]", "A", 0},
		{"a?b", "a/b", 0},
		{"a*b", "a/b", 0},
		{"a[^x]b", "a/b", 0},
		{"[\\]a]", "]", 1},
		{"[\\-]", "-", 1},
		{"[x\\-]", "-", 1},
		{"[]a]", "]", -EINVAL},
		{"[-]", "-", -EINVAL},
		{"[x-]", "x", -EINVAL},
		{"[-x]", "x", -EINVAL},
		{"\\", "a", -EINVAL},
		{"[a-b-c]", "a", -EINVAL},
		{"[", "a", -EINVAL},
		{"[^", "a", -EINVAL},
		{"[^bc", "a", -EINVAL},
		{"a[", "ab", -EINVAL},
		{"*x", "xxx", 1},
		{"**", "a/b", 0},
		{"", "", 1},
		{"", "a", 0},
		{"?", "\xff", 1},
		{"\xff", "\xfe", 0},
		{"\xe4*", "\xe4x", 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!CHECK(pattern_matches(cases[i].pattern, cases[i].path) == cases[i].result))
			printf("# it was %s for %s\n", cases[i].pattern, cases[i].path);
	}
	CHECK(pattern_is_plain("a/b.c") && pattern_is_plain(""));
	CHECK(!pattern_is_plain("a*") && !pattern_is_plain("?") && !pattern_is_plain("[a]") &&
	      !pattern_is_plain("\\a"));
}

/* Stars that follow one another make many matchers slow beyond measure. */
static void no_pattern_takes_long(void)
{
	char pattern[4097], path[4097];
	clock_t start = clock();

	for (size_t i = 0; i < 4096; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + 4094, "*b", 3);
	memset(path, 'a', 4096);
	path[4096] = '\0';
	CHECK(pattern_matches(pattern, path) == 0);
	memset(pattern, '*', 4096);
	CHECK(pattern_matches(pattern, path) == 1);
	CHECK(clock() - start < 5 * CLOCKS_PER_SEC);
	pattern[4096] = '\0';
	{
		char long_one[4200];

		memset(long_one, 'a', sizeof(long_one));
		long_one[sizeof(long_one) - 1] = '\0';
		CHECK(pattern_matches(long_one, "a") == -EINVAL);
	}
}

int main(void)
{
	RUN(leaves_out);
	RUN(the_last_rule_says_so);
	RUN(goes_into_what_an_exception_may_be_in);
	RUN(refuses_with_the_line);
	RUN(takes_single_patterns);
	RUN(matches_as_go_does);
	RUN(no_pattern_takes_long);
	return UNIT_STATUS;
}
