/* SPDX-License-Identifier: Apache-2.0 */
/* build/words: variables, their modifiers and quotes, as docker expands them. */
#include "build/words.h"

#include <errno.h>
#include <time.h>

#include "unit.h"

/* EMPTY is empty, UNSET is not there. */
static const struct {
	const char *name, *value;
} variables[] = {
	{"a", "A"},
	{"b", "B b"},
	{"EMPTY", ""},
	{"path", "/usr/lib/x.tar.gz"},
	{"dollar", "$a ${a} \\ ' \""},
	{"accent", "\xc3\xa9t\xc3\xa9"},
	{"star", "a*c*e"},
	{"foo", "foofoo"},
	{"_1", "under"},
	{"spaces", "  x   y  "},
};

static const char *get(void *context, const char *name, size_t length)
{
	(*(int *)context)++;
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		if (strlen(variables[i].name) == length &&
		    !strncmp(variables[i].name, name, length))
			return variables[i].value;
	}
	return NULL;
}

static int n_calls;
static const struct words_scope scope = {get, &n_calls, '\\'};
static const struct words_scope tick = {get, &n_calls, '`'};

static void check_word(const struct words_scope *in, const char *word, unsigned flags,
		       const char *wanted)
{
	cleanup_free char *text = NULL;
	struct snapdrv_error err = {0};

	if (!CHECK(words_expand(in, word, flags, &text, &err) == 0))
		printf("# it was %s: %s\n", word, err.message);
	else if (!CHECK_TEXT(text, wanted))
		printf("# it was %s\n", word);
}

static void expands(void)
{
	static const struct {
		const char *word, *wanted;
	} cases[] = {
		{"", ""},
		{"x", "x"},
		{"$a", "A"},
		{"${a}", "A"},
		{"x$a-y", "xA-y"},
		{"$ab", ""},
		{"${a}b", "Ab"},
		{"$a$a", "AA"},
		{"$_1", "under"},
		{"$", "$"},
		{"a$", "a$"},
		{"$.", "$."},
		{"$/", "$/"},
		{"$$", ""},
		{"$1a", "a"},
		{"$12", ""},
		{"$@x", "x"},
		{"$UNSET", ""},
		{"${UNSET}", ""},
		{"\\$a", "$a"},
		{"\\\\$a", "\\A"},
		{"\\x", "x"},
		{"x\\", "x"},
		{"'$a'", "$a"},
		{"'\\'", "\\"},
		{"'a\\\"b'", "a\\\"b"},
		{"\"$a\"", "A"},
		{"\"${a} x\"", "A x"},
		{"\"\\$a\"", "$a"},
		{"\"\\\"\"", "\""},
		{"\"\\n\"", "\\n"},
		{"\"\\\\\"", "\\"},
		{"\"'$a'\"", "'A'"},
		{"x'y'\"z\"", "xyz"},
		{"$dollar", "$a ${a} \\ ' \""},
		{"${accent}", "\xc3\xa9t\xc3\xa9"},
		{"\xc3\xa9$a\xff", "\xc3\xa9"
				   "A\xff"},
		/* with a default */
		{"${a:-x}", "A"},
		{"${EMPTY:-x}", "x"},
		{"${UNSET:-x}", "x"},
		{"${EMPTY-x}", ""},
		{"${UNSET-x}", "x"},
		{"${UNSET:-}", ""},
		{"${UNSET:-$a}", "A"},
		{"${UNSET:-${UNSET:-${a}}}", "A"},
		{"${UNSET:-'}'}", "}"},
		{"${UNSET:-\"$a}\"}", "A}"},
		{"${UNSET:-\\}}", "}"},
		{"${UNSET:-a b}", "a b"},
		{"${a:+x}", "x"},
		{"${EMPTY:+x}", ""},
		{"${EMPTY+x}", "x"},
		{"${UNSET+x}", ""},
		{"${UNSET:+x}", ""},
		{"${a:?no}", "A"},
		{"${EMPTY?no}", ""},
		/* patterns */
		{"${path#*/}", "usr/lib/x.tar.gz"},
		{"${path##*/}", "x.tar.gz"},
		{"${path%.*}", "/usr/lib/x.tar"},
		{"${path%%.*}", "/usr/lib/x"},
		{"${path%/*}", "/usr/lib"},
		{"${path#x}", "/usr/lib/x.tar.gz"},
		{"${path%x}", "/usr/lib/x.tar.gz"},
		{"${path#/usr}", "/lib/x.tar.gz"},
		{"${path%.gz}", "/usr/lib/x.tar"},
		{"${path%%*}", ""},
		{"${path##*}", ""},
		{"${path#*}", "/usr/lib/x.tar.gz"},
		{"${path%%/*}", ""},
		{"${path%%l*r*}", "/usr/"},
		{"${path%l*r*}", "/usr/"},
		{"${path##/*r*b*}", ""},
		{"${path#/*r*b}", "/x.tar.gz"},
		{"${path%?gz}", "/usr/lib/x.tar"},
		{"${accent%?}", "\xc3\xa9t"},
		{"${accent#?}", "t\xc3\xa9"},
		{"${accent#??}", "\xc3\xa9"},
		{"${accent%??}", "\xc3\xa9"},
		{"${star#a\\*}", "c*e"},
		{"${star##*\\*}", "e"},
		{"${star%\\**}", "a*c"},
		{"${UNSET#x}", ""},
		{"${a#$a}", ""},
		{"${path#\"/usr\"}", "/lib/x.tar.gz"},
		/* replacement */
		{"${foo/foo/bar}", "barfoo"},
		{"${foo//foo/bar}", "barbar"},
		{"${foo/o/}", "fofoo"},
		{"${foo//o/}", "ff"},
		{"${foo/x/y}", "foofoo"},
		{"${foo/o*f/X}", "fXoo"},
		{"${foo//?o/X}", "XoXo"},
		{"${path//\\//-}", "-usr-lib-x.tar.gz"},
		{"${path/lib*/$a}", "/usr/A"},
		{"${foo/*/}", ""},
		{"${star//\\*/+}", "a+c+e"},
		{"${UNSET/a/b}", ""},
		{"${b// /_}", "B_b"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_word(&scope, cases[i].word, 0, cases[i].wanted);
}

static void knows_the_other_escape(void)
{
	check_word(&tick, "`$a", 0, "$a");
	check_word(&tick, "C:\\$a", 0, "C:\\A");
	check_word(&tick, "\"`\"\\\"", 0, "\"\\");
}

static void leaves_quotes_in_here_documents(void)
{
	check_word(&scope, "it's \"$a\"\n", WORDS_KEEP_QUOTES, "it's \"A\"\n");
	check_word(&scope, "\\$a ${UNSET:-'x'}", WORDS_KEEP_QUOTES, "$a 'x'");
}

static void checks_without_values(void)
{
	n_calls = 0;
	check_word(&scope, "x${UNSET:?needed}${a/b/$c}${a##*x}", WORDS_CHECK, "x");
	CHECK(n_calls == 0);
}

static void refuses(void)
{
	static const struct {
		const char *word, *message;
	} cases[] = {
		{"${", "'${': a '}' is missing"},
		{"${a", "'${a': a '}' is missing"},
		{"${a:", "'${a:': a '}' is missing"},
		{"${a:-x", "'${a:-x': a '}' is missing"},
		{"${}", "'${}': '${' without a name"},
		{"${:-x}", "'${:-x}': '${' without a name"},
		{"${{a}}", "'${{a}}': '${' without a name"},
		{"${a!x}", "'${a!x}': the modifier '!' is not known"},
		{"${a:x}", "'${a:x}': the modifier ':x' is not known"},
		{"${a:/x/y}", "'${a:/x/y}': the modifier ':/' is not known"},
		{"${a.b}", "'${a.b}': the modifier '.' is not known"},
		{"${a/b}", "'${a/b}': a '/' is missing"},
		{"${a/b/c", "'${a/b/c': a '}' is missing"},
		{"${a#\\x}", "'${a#\\x5cx}': a backslash in the pattern has nothing to stand for"},
		{"'a", "''a': a single quote is not closed"},
		{"\"a", "'\"a': a double quote is not closed"},
		{"\"a\\\"", "'\"a\\x5c\"': a double quote is not closed"},
		{"${UNSET?}", "'${UNSET?}': UNSET: is not allowed to be unset"},
		{"${EMPTY:?}", "'${EMPTY:?}': EMPTY: is not allowed to be empty"},
		{"${UNSET:?say it}", "'${UNSET:?say it}': UNSET: 'say it'"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct snapdrv_error err = {0};
		char *text = NULL;

		CHECK(words_expand(&scope, cases[i].word, 0, &text, &err) == -EBADMSG);
		CHECK_TEXT(err.message, cases[i].message);
		CHECK(err.code == SNAPDRV_REFUSED && !text);
	}
}

static const char *get_long(void *context, const char *name, size_t length)
{
	(void)name;
	(void)length;
	return context;
}

static void is_bounded(void)
{
	static char value[600 * 1024 + 1], nested[70 * 6 + 2], pattern[1100];
	const struct words_scope large = {get_long, value, '\\'};
	struct snapdrv_error err = {0};
	char *text = NULL;
	clock_t start = clock();

	memset(value, 'a', sizeof(value) - 1);
	CHECK(words_expand(&large, "$x", 0, &text, &err) == 0 && strlen(text) == sizeof(value) - 1);
	free(text);
	CHECK(words_expand(&large, "$x$x", 0, &text, &err) == -EBADMSG);
	CHECK(strstr(err.message, "more than 1048576 bytes come of it") != NULL);
	CHECK(words_expand(&large, "${x//a/bbb}", 0, &text, &err) == -EBADMSG);
	CHECK(words_expand(&large, "${x//a*b/c}", 0, &text, NULL) == 0);
	free(text);
	CHECK(words_expand(&large, "${x%%*a*a*a*b*}", 0, &text, NULL) == 0);
	free(text);
	for (size_t i = 0; i < 70; i++)
		memcpy(nested + i * 6, "${u:-x", 6);
	CHECK(words_expand(&large, nested, 0, &text, &err) == -EBADMSG);
	CHECK(strstr(err.message, "nested deeper than 64") != NULL);
	memcpy(pattern, "${x#", 4);
	memset(pattern + 4, 'a', sizeof(pattern) - 6);
	pattern[sizeof(pattern) - 2] = '}';
	CHECK(words_expand(&large, pattern, 0, &text, &err) == -EBADMSG);
	CHECK(strstr(err.message, "a pattern of more than 1024 bytes") != NULL);
	CHECK(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void check_list(const char *word, size_t count, const char *first, const char *last)
{
	cleanup_strings struct strings list = {0};

	CHECK(strings_add(&list, "kept", NULL) == 0);
	CHECK(words_expand_list(&scope, word, &list, NULL) == 0);
	if (!CHECK(list.count == count + 1))
		printf("# %s gave %zu\n", word, list.count - 1);
	if (!count || list.count != count + 1)
		return;
	CHECK_TEXT(list.items[0], "kept");
	CHECK_TEXT(list.items[1], first);
	CHECK_TEXT(list.items[count], last);
}

static void splits_what_comes_of_it(void)
{
	check_list("a", 1, "a", "a");
	check_list("a b\tc", 3, "a", "c");
	check_list("$b", 2, "B", "b");
	check_list("x$b", 2, "xB", "b");
	check_list("\"$b\"", 1, "B b", "B b");
	check_list("'a b'c d", 2, "a bc", "d");
	check_list("a\\ b", 1, "a b", "a b");
	check_list("$spaces", 2, "x", "y");
	check_list("1${spaces}2", 4, "1", "2");
	check_list("$EMPTY", 0, NULL, NULL);
	check_list("\"\"", 0, NULL, NULL);
	{
		cleanup_strings struct strings list = {0};

		CHECK(words_expand_list(&scope, "a ${", &list, NULL) == -EBADMSG);
	}
}

int main(void)
{
	RUN(expands);
	RUN(knows_the_other_escape);
	RUN(leaves_quotes_in_here_documents);
	RUN(checks_without_values);
	RUN(refuses);
	RUN(is_bounded);
	RUN(splits_what_comes_of_it);
	return UNIT_STATUS;
}
