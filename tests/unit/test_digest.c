/* SPDX-License-Identifier: Apache-2.0 */
/* base/digest: known answers of SHA-256, the one text form, and ChainIDs. */
#include "base/digest.h"

#include <errno.h>
#include <stdlib.h>

#include "unit.h"

/* FIPS 180-2 and the empty input. */
#define OF_NOTHING "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
/* printf '%s %s' OF_NOTHING OF_ABC | sha256sum */
#define CHAIN_OF_TWO "sha256:a893da35bd22286079f2f3931516d3423eb9b4945f2379e0f8a501ec3d665dd6"

static void knows_sha256(void)
{
	struct digest nothing = digest_of("", 0), abc = digest_of("abc", 3);

	CHECK_TEXT(digest_format(&nothing).text, OF_NOTHING);
	CHECK_TEXT(digest_format(&abc).text, OF_ABC);
	CHECK(!digest_equal(&nothing, &abc));
	CHECK(digest_equal(&abc, &abc));
}

static void hashes_in_pieces(void)
{
	struct hasher *hasher = hasher_new(NULL);
	struct digest digest;

	hasher_update(hasher, "a", 1);
	hasher_update(hasher, "", 0);
	hasher_update(hasher, "bc", 2);
	digest = hasher_final(hasher);
	hasher_free(hasher);
	hasher_free(NULL);
	CHECK_TEXT(digest_format(&digest).text, OF_ABC);
}

static void reads_what_it_writes(void)
{
	struct digest_text text;
	struct digest digest;

	CHECK(digest_parse(OF_ABC, &digest, NULL) == 0);
	text = digest_format(&digest);
	CHECK_TEXT(text.text, OF_ABC);
	CHECK_TEXT(digest_hex(&text), OF_ABC + 7);
}

/* CVE-2024-3727: what passes here becomes a path. */
static void refuses_everything_else(void)
{
	static const char *const bad[] = {
		"",
		"sha256",
		"sha256:",
		"sha256:../../../../../../../../../../../../../../../../../../../../../../../../x",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
		"sha256:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85/",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85\n",
		" sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	};
	struct digest untouched = digest_of("abc", 3);

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct snapdrv_error err = {0};

		if (!CHECK(digest_parse(bad[i], &untouched, &err) == -EBADMSG))
			printf("# it was %s\n", bad[i]);
		CHECK(err.code == SNAPDRV_REFUSED);
		CHECK(strstr(err.message, "not a sha256 digest") != NULL);
	}
	CHECK_TEXT(digest_format(&untouched).text, OF_ABC);
}

static void chains_layers(void)
{
	struct digest lower = digest_of("", 0), upper = digest_of("abc", 3);
	struct digest first = digest_chain(NULL, &lower), second = digest_chain(&first, &upper);
	struct digest other_order = digest_chain(&upper, &lower);

	CHECK(digest_equal(&first, &lower));
	CHECK_TEXT(digest_format(&second).text, CHAIN_OF_TWO);
	CHECK(!digest_equal(&second, &other_order));
}

int main(void)
{
	RUN(knows_sha256);
	RUN(hashes_in_pieces);
	RUN(reads_what_it_writes);
	RUN(refuses_everything_else);
	RUN(chains_layers);
	return UNIT_STATUS;
}
