/* SPDX-License-Identifier: Apache-2.0 */
/* image/reference: the names docker takes, what they become, and what is no name. */
#include "image/reference.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "unit.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void gives_full_names(void)
{
	static const struct {
		const char *text, *full;
	} cases[] = {
		{"nginx", "docker.io/library/nginx:latest"},
		{"nginx:1.25", "docker.io/library/nginx:1.25"},
		{"me/nginx", "docker.io/me/nginx:latest"},
		{"a/b/c", "docker.io/a/b/c:latest"},
		{"docker.io/nginx", "docker.io/library/nginx:latest"},
		{"docker.io/library/nginx:1", "docker.io/library/nginx:1"},
		{"index.docker.io/nginx", "docker.io/library/nginx:latest"},
		{"index.docker.io/me/x:1", "docker.io/me/x:1"},
		{"localhost/x", "localhost/x:latest"},
		{"localhost", "docker.io/library/localhost:latest"},
		{"localhost:5000", "docker.io/library/localhost:5000"},
		{"localhost:5000/x", "localhost:5000/x:latest"},
		{"quay.io/x", "quay.io/x:latest"},
		{"Quay.IO:443/a/b:T", "Quay.IO:443/a/b:T"},
		{"127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1"},
		{"[::1]:5000/x:1", "[::1]:5000/x:1"},
		{"[fe80::1]/x", "[fe80::1]/x:latest"},
		{"h:5000/a/b_c", "h:5000/a/b_c:latest"},
		{"x/a.b__c--d/e.f_g", "docker.io/x/a.b__c--d/e.f_g:latest"},
		{"0", "docker.io/library/0:latest"},
		{"x:_T.a-9", "docker.io/library/x:_T.a-9"},
		{"x@sha256:" HEX64, "docker.io/library/x@sha256:" HEX64},
		{"x:1@sha256:" HEX64, "docker.io/library/x:1@sha256:" HEX64},
		{"q.io:5/x@sha256:" HEX64, "q.io:5/x@sha256:" HEX64},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup_free char *full = NULL, *again = NULL;

		if (!CHECK(reference_normalize(cases[i].text, &full, NULL) == 0)) {
			printf("# it was %s\n", cases[i].text);
			continue;
		}
		CHECK_TEXT(full, cases[i].full);
		CHECK(reference_normalize(full, &again, NULL) == 0);
		CHECK_TEXT(again, full);
	}
}

static void gives_the_parts(void)
{
	struct reference reference = {0};

	CHECK(reference_parse("localhost:5000/a/b:1@sha256:" HEX64, &reference, NULL) == 0);
	CHECK_TEXT(reference.registry, "localhost:5000");
	CHECK_TEXT(reference.repository, "a/b");
	CHECK_TEXT(reference.tag, "1");
	CHECK_TEXT(reference.digest, "sha256:" HEX64);
	reference_done(&reference);
	CHECK(!reference.registry && !reference.repository && !reference.tag && !reference.digest);

	CHECK(reference_parse("x@sha256:" HEX64, &reference, NULL) == 0);
	CHECK_TEXT(reference.repository, "library/x");
	CHECK(reference.tag == NULL);
	reference_done(&reference);

	CHECK(reference_parse("x", &reference, NULL) == 0);
	CHECK_TEXT(reference.registry, "docker.io");
	CHECK_TEXT(reference.tag, "latest");
	CHECK(reference.digest == NULL);
	reference_done(&reference);
}

static int is_refused(const char *text)
{
	struct reference reference = {0};
	struct snapdrv_error err = {0};
	int ret = reference_parse(text, &reference, &err);

	return ret == -EINVAL && err.code == SNAPDRV_USAGE && !reference.registry &&
	       strstr(err.message, "not an image name") && !strchr(err.message, '\n');
}

static void refuses_what_is_no_name(void)
{
	static const char *const bad[] = {
		"",
		" ",
		"Nginx",
		"me/Nginx",
		"Me/nginx",
		"docker.io/Me/x",
		"a//b",
		"/a",
		"a/",
		"docker.io/",
		"a..b",
		"a.",
		".a",
		"..",
		"../../etc",
		"docker.io/../x",
		"a/./b",
		"-a",
		"a-",
		"_a",
		"a_",
		"a___b",
		"a._b",
		"a b",
		"a\nb",
		"caf\xc3\xa9",
		"x:",
		"x:.a",
		"x:-a",
		"x:a/b",
		"x:a:b",
		"x:a b",
		":1",
		"@sha256:" HEX64,
		"x@",
		"x@sha256:",
		"x@sha256:" HEX64 "0",
		"x@sha512:" HEX64 HEX64,
		"x@sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
		"x@sha256:" HEX64 "@sha256:" HEX64,
		"x@sha256:" HEX64 ":1",
		"https://docker.io/x",
		"h:/x",
		"h:5000x/x",
		"h.io:1:2/x",
		"-h.io/x",
		"h-.io/x",
		"h..io/x",
		".io/x",
		"h./x",
		"h_h.io/x",
		"[::1/x",
		"[::1]x:1/x",
		"[::g]:1/x",
		"[]:1/x",
		"::1/x",
		"sha256:" HEX64 "/x",
		HEX64,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (!CHECK(is_refused(bad[i])))
			printf("# it was %s\n", bad[i]);
	}
}

static void knows_the_lengths(void)
{
	char name[600], *end;
	struct reference reference = {0};

	memset(name, 'a', sizeof(name));
	memcpy(name, "x:", 2);
	name[2 + 128] = '\0';
	CHECK(reference_parse(name, &reference, NULL) == 0);
	reference_done(&reference);
	name[2 + 128] = 'a';
	name[2 + 129] = '\0';
	CHECK(is_refused(name));

	memset(name, 'a', sizeof(name));
	end = name + sprintf(name, "q.io/");
	*end = 'a';
	end[255] = '\0';
	CHECK(reference_parse(name, &reference, NULL) == 0);
	reference_done(&reference);
	end[255] = 'a';
	end[256] = '\0';
	CHECK(is_refused(name));

	/* What is made of it is a name again: `library/` counts. */
	memset(name, 'a', 247);
	name[247] = '\0';
	CHECK(reference_parse(name, &reference, NULL) == 0);
	reference_done(&reference);
	name[247] = 'a';
	name[248] = '\0';
	CHECK(is_refused(name));

	memset(name, 'a', sizeof(name));
	memcpy(name + 300, ".io/x", sizeof(".io/x"));
	CHECK(is_refused(name));
}

static void leaves_the_outcome_alone_on_failure(void)
{
	char *full = NULL;

	CHECK(reference_normalize("UPPER", &full, NULL) == -EINVAL);
	CHECK(full == NULL);
}

int main(void)
{
	RUN(gives_full_names);
	RUN(gives_the_parts);
	RUN(refuses_what_is_no_name);
	RUN(knows_the_lengths);
	RUN(leaves_the_outcome_alone_on_failure);
	return UNIT_STATUS;
}
